"""Parsers of single values and of lists; each records a fault that says what is allowed."""

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from enum import Enum, StrEnum
from functools import cache
from importlib.resources import files
from typing import Any, Final, NoReturn, TypeGuard, TypeVar

import yaml

from gnetway.config.document import Faults, Node, Rejected, closest, shown

# Sections: how a frozen dataclass says which keys of the file it takes.
#
# A field with the metadata of :func:`key` is a key: its name in the file, its default and the
# function that reads it, which knows unit and bounds, stand in one place. What a person should
# know besides stands in keys.yaml, by the key's path. Nothing else needs to know a key: schema,
# reference and example files are made of these two.

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


@dataclass(frozen=True, slots=True)
class _Description:
    """What a parser takes: for programs, in words, and the unit of a number."""

    schema: Schema | Callable[[str], Schema]
    allowed: str
    unit: str


_DESCRIPTION: Final = "description"


def described(
    schema: Schema | Callable[[str], Schema], allowed: str, unit: str = ""
) -> Callable[[Parser[Section]], Parser[Section]]:
    """Return a decorator that tells what a parser takes, for editors, faults and the reference.

    The schema may take more than the parser, and never less. A function is given the key path
    without indexes under which the value stands. ``allowed`` says the same in words, as faults do.
    """
    return _with(_Description(schema, allowed, unit))


def described_as(parse: Parser[Any]) -> Callable[[Parser[Section]], Parser[Section]]:
    """Return the same for a parser that takes what another one does, and looks at it further."""
    return _with(_description(parse))


def _with(description: _Description) -> Callable[[Parser[Section]], Parser[Section]]:
    def decorate(parse: Parser[Section]) -> Parser[Section]:
        parse.__dict__[_DESCRIPTION] = description
        return parse

    return decorate


def _description(parse: Parser[Any]) -> _Description:
    description: _Description = parse.__dict__[_DESCRIPTION]
    return description


def schema_of(parse: Parser[Any], pattern: str) -> Schema:
    """Return what ``described`` tells of a parser.

    :raises KeyError: it tells nothing.
    """
    schema = _description(parse).schema
    return schema(pattern) if callable(schema) else schema


def allowed_by(parse: Parser[Any]) -> str:
    """Return the same in words."""
    return _description(parse).allowed


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a section: its name in the file, and what reads it.

    ``live`` is whether a reload takes it, beside the keys of its section; None is for what holds
    for the section around it, and at the head for no.
    """

    name: str
    parse: Parser[object]
    live: bool | None = None

    @property
    def unit(self) -> str:
        """What its number counts; empty for what has no unit."""
        return _description(self.parse).unit

    @property
    def allowed(self) -> str:
        """What may be written."""
        return _description(self.parse).allowed


def key(name: str, parse: Parser[object], *, live: bool | None = None) -> dict[str, Key]:
    """Return the metadata that makes a dataclass field a key; one without default is needed."""
    return {_METADATA: Key(name, parse, live)}


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


@cache
def texts() -> Mapping[str, str]:
    """Return what keys.yaml says of each key, by its path without indexes."""
    read: dict[str, str] = yaml.safe_load(files(__package__).joinpath("keys.yaml").read_bytes())
    return read


def explained(pattern: str, item: Field[Any], entry: Key) -> str:
    """Return what a key is for, and why its default is that; a line is a paragraph or an item."""
    text = re.sub(r"(?<!\n)\n(?![\n-])", " ", texts()[pattern].strip())
    return text.replace("{default}", in_words(item.default, entry.unit))


def in_words(value: object, unit: str) -> str:
    """Return a number as a person reads it: ``16 MiB``, ``100,000``; none but bytes with unit."""
    if isinstance(value, int) and unit.startswith("bytes"):
        for size, name in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
            if value >= 1 << size and not value % (1 << size):
                return f"{value >> size:,} {name}{unit.removeprefix('bytes')}"
    return f"{value:,}" if isinstance(value, int) else str(value)


T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

#: package.module.Class: at least two names.
_DOTTED: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")


#: Of a text that is not empty.
TEXT: Final[Schema] = {"type": "string", "pattern": r"\S"}

#: What ``optional`` takes for a key that is not there.
NOTHING: Final[Schema] = {"enum": [None, "", [], {}]}


_A_TEXT: Final = "a text"
_WEB_PATH: Final = "a path that begins with /"
_QUOTED: Final = "a text, in quotes if it is all digits"
_FLAG: Final = "true or false"
_CLASS: Final = "package.module.Class"


@described(TEXT, _A_TEXT)
def text(node: Node, reading: Reading) -> str:
    """Read a text that is not empty."""
    if not isinstance(node.value, str) or not node.value.strip():
        reading.reject(node, shown(node.value), _A_TEXT)
    return node.value


@described({"type": "string", "pattern": "^/"}, _WEB_PATH)
def web_path(node: Node, reading: Reading) -> str:
    """Read the path of an address of the web."""
    read = text(node, reading)
    if not read.startswith("/"):
        reading.reject(node, shown(read), _WEB_PATH, f"/{read}")
    return read


@described(TEXT, _QUOTED)
def secret(node: Node, reading: Reading) -> str:
    """Read a text that is not empty; a fault does not show what was found."""
    if not isinstance(node.value, str) or not node.value.strip():
        reading.reject(node, "a value that is no text", _QUOTED)
    return node.value


def optional(parse: Parser[T]) -> Parser[T | None]:
    """Return a parser that takes an empty value for a key that is not there, as Teamgram does."""

    @described(lambda pattern: {"anyOf": [schema_of(parse, pattern), NOTHING]}, allowed_by(parse))
    def parse_optional(node: Node, reading: Reading) -> T | None:
        return None if node.value in (None, "", [], {}) else parse(node, reading)

    return parse_optional


@described({"type": "boolean"}, _FLAG)
def flag(node: Node, reading: Reading) -> bool:
    """Read true or false."""
    if not isinstance(node.value, bool):
        reading.reject(node, shown(node.value), _FLAG)
    return node.value


@described({"type": "string", "pattern": f"^{_DOTTED.pattern}$"}, _CLASS)
def class_name(node: Node, reading: Reading) -> str:
    """Read the name of a class, with its package and module."""
    if not isinstance(node.value, str) or not is_class_name(node.value):
        reading.reject(node, shown(node.value), _CLASS)
    return node.value


def is_class_name(name: str) -> bool:
    """Return whether a text is a name with a package and a module before it."""
    return _DOTTED.fullmatch(name) is not None


def is_whole(value: object, low: int, high: int) -> TypeGuard[int]:
    """Return whether a value is an int from ``low`` to ``high``; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def whole(low: int, high: int, unit: str = "", *, or_zero: bool = False) -> Parser[int]:
    """Return a parser of whole numbers from ``low`` to ``high``, and of 0 if it may be that."""
    allowed = f"a whole number{unit and f' of {unit}'} from {low} to {high}"
    if or_zero:
        allowed = f"0, or {allowed}"
    schema: Schema = {"type": "integer", "minimum": low, "maximum": high}

    @described({"anyOf": [{"const": 0}, schema]} if or_zero else schema, allowed, unit)
    def parse(node: Node, reading: Reading) -> int:
        value = node.value
        if not is_whole(value, low, high) and not (or_zero and is_whole(value, 0, 0)):
            reading.reject(node, shown(value), allowed)
        return value

    return parse


def choice(cls: type[E]) -> Parser[E]:
    """Return a parser of the values of an enum."""
    values = [member.value for member in cls]
    allowed = ", ".join(values)

    @described({"enum": values}, allowed)
    def parse(node: Node, reading: Reading) -> E:
        if not isinstance(node.value, str):
            reading.reject(node, shown(node.value), allowed)
        if node.value not in values:
            reading.reject(node, shown(node.value), allowed, closest(node.value, values))
        return cls(node.value)

    return parse


def list_of(parse_item: Parser[T]) -> Parser[tuple[T, ...]]:
    """Return a parser of lists with at least one item; every bad item gets its fault."""

    @described(
        lambda pattern: {"type": "array", "minItems": 1, "items": schema_of(parse_item, pattern)},
        f"a list, each {allowed_by(parse_item)}",
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
