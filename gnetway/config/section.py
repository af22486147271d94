"""Sections: how a frozen dataclass says which keys of the file it takes.

A field with the metadata of :func:`key` is a key: its name in the file, the function that reads
it, its default, unit and reason stand in one place, and nothing else needs to know it.
"""

from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, fields
from typing import Any, Final, NoReturn, TypeVar

from gnetway.config.document import Node
from gnetway.config.faults import Faults, Rejected

T = TypeVar("T")

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
Parser = Callable[[Node, Reading], T]


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a section: its name in the file, and what a person should know of it.

    ``unit`` is empty for what has none. ``reason`` says why the default is what it is or, where
    there is no default, what to write.
    """

    name: str
    parse: Parser[object]
    unit: str
    reason: str


def key(name: str, parse: Parser[object], unit: str, reason: str) -> dict[str, Key]:
    """Return the metadata that makes a dataclass field a key; one without default is needed."""
    return {_METADATA: Key(name, parse, unit, reason)}


def keys_of(cls: type[Any]) -> list[tuple[Field[Any], Key]]:
    """Return the fields of a section that are keys."""
    return [(item, item.metadata[_METADATA]) for item in fields(cls) if _METADATA in item.metadata]


def is_needed(item: Field[Any]) -> bool:
    """Tell whether a field has no default, so that its key must be there."""
    return item.default is MISSING and item.default_factory is MISSING
