"""Parsers of single values and of lists; each records a fault that says what is allowed."""

import re
from enum import StrEnum
from typing import Final, TypeGuard, TypeVar

from gnetway.config.document import Node
from gnetway.config.faults import Rejected, closest, shown
from gnetway.config.section import Parser, Reading

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

#: package.module.Class: at least two names.
_DOTTED: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")


def text(node: Node, reading: Reading) -> str:
    """Read a text that is not empty."""
    if not isinstance(node.value, str) or not node.value.strip():
        reading.reject(node, shown(node.value), "a text")
    return node.value


def secret(node: Node, reading: Reading) -> str:
    """Read a text that is not empty; a fault does not show what was found."""
    if not isinstance(node.value, str) or not node.value.strip():
        reading.reject(node, "a value that is no text", "a text, in quotes if it is all digits")
    return node.value


def optional(parse: Parser[T]) -> Parser[T | None]:
    """Return a parser that takes an empty value for a key that is not there, as Teamgram does."""

    def parse_optional(node: Node, reading: Reading) -> T | None:
        return None if node.value in (None, "", [], {}) else parse(node, reading)

    return parse_optional


def flag(node: Node, reading: Reading) -> bool:
    """Read true or false."""
    if not isinstance(node.value, bool):
        reading.reject(node, shown(node.value), "true or false")
    return node.value


def class_name(node: Node, reading: Reading) -> str:
    """Read the name of a class, with its package and module."""
    if not isinstance(node.value, str) or not _DOTTED.fullmatch(node.value):
        reading.reject(node, shown(node.value), "package.module.Class")
    return node.value


def is_whole(value: object, low: int, high: int) -> TypeGuard[int]:
    """Tell whether a value is a whole number from ``low`` to ``high``; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def whole(low: int, high: int) -> Parser[int]:
    """Return a parser of whole numbers from ``low`` to ``high``."""

    def parse(node: Node, reading: Reading) -> int:
        value = node.value
        if not is_whole(value, low, high):
            reading.reject(node, shown(value), f"a whole number from {low} to {high}")
        return value

    return parse


def whole_or_zero(low: int, high: int) -> Parser[int]:
    """Return a parser of whole numbers from ``low`` to ``high``, and of 0."""

    def parse(node: Node, reading: Reading) -> int:
        value = node.value
        if not is_whole(value, low, high) and not is_whole(value, 0, 0):
            reading.reject(node, shown(value), f"0, or a whole number from {low} to {high}")
        return value

    return parse


def choice(cls: type[E]) -> Parser[E]:
    """Return a parser of the values of an enum."""

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
