"""Parsers of single values and of lists; each records a fault that says what is allowed."""

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from enum import Enum, StrEnum
from typing import Any, Final, NoReturn, TypeGuard, TypeVar

from gnetway.config.document import Node
from gnetway.config.faults import Faults, Rejected, closest, shown

# Sections: how a frozen dataclass says which keys of the file it takes.
#
# A field with the metadata of :func:`key` is a key: its name in the file, the function that reads
# it, its default, unit and reason stand in one place, and nothing else needs to know it.

Section = TypeVar("Section")

_METADATA: Final = "gnetway.key"


class Reading:
    """What the readers of one file share.

    ``directory`` is where relative paths lead. ``unused`` gets the paths of keys that were read
    and have no effect, ``lines`` the line of every known key by its path. ``claims`` has what
    may stand only once, with the path where it does.
    """

    __slots__ = ("claims", "directory", "faults", "lines", "unused")

    def __init__(self, faults: Faults, directory: str) -> None:
        self.faults = faults
        self.directory = directory
        self.unused: list[str] = []
        self.lines: dict[str, int] = {}
        self.claims: dict[object, str] = {}

    def reject(self, node: Node, found: str, allowed: str, hint: str = "") -> NoReturn:
        """Record the fault of one value.

        :raises Rejected: always.
        """
        self.faults.add(node.line, node.path, found, allowed, hint)
        raise Rejected


#: Reads one value, or records why it cannot and raises Rejected.
Parser = Callable[[Node, Reading], Section]


#: What a value may be, as JSON Schema says it.
Schema = dict[str, Any]

_SCHEMA: Final = "schema"


def described(
    schema: Schema | Callable[[str], Schema],
) -> Callable[[Parser[Section]], Parser[Section]]:
    """Return a decorator that tells what a parser takes, for editors: ``schema_of`` has it.

    It may take more than the parser, and never less. A function is given the key path without
    indexes under which the value stands.
    """

    def decorate(parse: Parser[Section]) -> Parser[Section]:
        parse.__dict__[_SCHEMA] = schema
        return parse

    return decorate


def schema_of(parse: Parser[Any], pattern: str) -> Schema:
    """Return what ``described`` tells of a parser.

    :raises KeyError: it tells nothing.
    """
    schema: Schema | Callable[[str], Schema] = parse.__dict__[_SCHEMA]
    return schema(pattern) if callable(schema) else schema


def schema_as(parse: Parser[Any]) -> Callable[[str], Schema]:
    """Return the schema of another parser, for ``described``."""
    return lambda pattern: schema_of(parse, pattern)


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a section: its name in the file, and what a person should know of it.

    ``unit`` is empty for what has none. ``reason`` says why the default is what it is or, where
    there is no default, what to write. ``live`` is whether a reload takes it, beside the keys of
    its section; None is for what holds for the section around it, and at the head for no.
    """

    name: str
    parse: Parser[object]
    unit: str
    reason: str
    live: bool | None = None


def key(
    name: str, parse: Parser[object], unit: str, reason: str, *, live: bool | None = None
) -> dict[str, Key]:
    """Return the metadata that makes a dataclass field a key; one without default is needed."""
    return {_METADATA: Key(name, parse, unit, reason, live)}


def keys_of(cls: type[Any]) -> list[tuple[Field[Any], Key]]:
    """Return the fields of a section that are keys."""
    return [(item, item.metadata[_METADATA]) for item in fields(cls) if _METADATA in item.metadata]


def is_section(value: object) -> bool:
    """Return whether a value is that of a section of the file."""
    return is_dataclass(value) and bool(keys_of(type(value)))


def as_json(value: Any, of_other: Callable[[Any], object]) -> object:
    """Return a value of a configuration as JSON has it; ``of_other`` is asked for what has none."""
    match value:
        case None | bool() | int() | float():
            return value
        case Enum():
            return value.value
        case tuple() | list():
            return [as_json(one, of_other) for one in value]
        case Mapping():
            return {str(name): as_json(one, of_other) for name, one in value.items()}
    return of_other(value)


def is_needed(item: Field[Any]) -> bool:
    """Return whether a field has no default, so that its key must be there."""
    return item.default is MISSING and item.default_factory is MISSING


T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

#: package.module.Class: at least two names.
_DOTTED: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")


#: Of a text that is not empty.
TEXT: Final[Schema] = {"type": "string", "pattern": r"\S"}

#: What ``optional`` takes for a key that is not there.
NOTHING: Final[Schema] = {"enum": [None, "", [], {}]}


@described(TEXT)
def text(node: Node, reading: Reading) -> str:
    """Read a text that is not empty."""
    if not isinstance(node.value, str) or not node.value.strip():
        reading.reject(node, shown(node.value), "a text")
    return node.value


@described({"type": "string", "pattern": "^/"})
def web_path(node: Node, reading: Reading) -> str:
    """Read the path of an address of the web."""
    read = text(node, reading)
    if not read.startswith("/"):
        reading.reject(node, shown(read), "a path that begins with /", f"/{read}")
    return read


@described(TEXT)
def secret(node: Node, reading: Reading) -> str:
    """Read a text that is not empty; a fault does not show what was found."""
    if not isinstance(node.value, str) or not node.value.strip():
        reading.reject(node, "a value that is no text", "a text, in quotes if it is all digits")
    return node.value


def optional(parse: Parser[T]) -> Parser[T | None]:
    """Return a parser that takes an empty value for a key that is not there, as Teamgram does."""

    @described(lambda pattern: {"anyOf": [schema_of(parse, pattern), NOTHING]})
    def parse_optional(node: Node, reading: Reading) -> T | None:
        return None if node.value in (None, "", [], {}) else parse(node, reading)

    return parse_optional


@described({"type": "boolean"})
def flag(node: Node, reading: Reading) -> bool:
    """Read true or false."""
    if not isinstance(node.value, bool):
        reading.reject(node, shown(node.value), "true or false")
    return node.value


@described({"type": "string", "pattern": f"^{_DOTTED.pattern}$"})
def class_name(node: Node, reading: Reading) -> str:
    """Read the name of a class, with its package and module."""
    if not isinstance(node.value, str) or not _DOTTED.fullmatch(node.value):
        reading.reject(node, shown(node.value), "package.module.Class")
    return node.value


def is_whole(value: object, low: int, high: int) -> TypeGuard[int]:
    """Return whether a value is an int from ``low`` to ``high``; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def whole(low: int, high: int, *, or_zero: bool = False) -> Parser[int]:
    """Return a parser of whole numbers from ``low`` to ``high``, and of 0 if it may be that."""
    allowed = f"a whole number from {low} to {high}"
    if or_zero:
        allowed = f"0, or {allowed}"
    schema: Schema = {"type": "integer", "minimum": low, "maximum": high}

    @described({"anyOf": [{"const": 0}, schema]} if or_zero else schema)
    def parse(node: Node, reading: Reading) -> int:
        value = node.value
        if not is_whole(value, low, high) and not (or_zero and is_whole(value, 0, 0)):
            reading.reject(node, shown(value), allowed)
        return value

    return parse


def choice(cls: type[E]) -> Parser[E]:
    """Return a parser of the values of an enum."""

    @described({"enum": [member.value for member in cls]})
    def parse(node: Node, reading: Reading) -> E:
        values = [member.value for member in cls]
        if not isinstance(node.value, str):
            reading.reject(node, shown(node.value), ", ".join(values))
        if node.value not in values:
            hint = closest(node.value, values)
            reading.reject(node, shown(node.value), ", ".join(values), hint)
        return cls(node.value)

    return parse


def list_of(parse_item: Parser[T]) -> Parser[tuple[T, ...]]:
    """Return a parser of lists with at least one item; every bad item gets its fault."""

    @described(
        lambda pattern: {"type": "array", "minItems": 1, "items": schema_of(parse_item, pattern)}
    )
    def parse(node: Node, reading: Reading) -> tuple[T, ...]:
        if not isinstance(node.value, list) or not node.value:
            found = "an empty list" if node.value == [] else shown(node.value)
            reading.reject(node, found, "a list with at least one item")
        items = []
        sound = True
        for index, child in enumerate(node.value):
            child.path = f"{node.path}[{index}]"
            child.pattern = node.pattern
            reading.lines[child.path] = child.line
            try:
                items.append(parse_item(child, reading))
            except Rejected:
                sound = False
        if not sound:
            raise Rejected
        return tuple(items)

    return parse
