"""Faults of a configuration: collected while it is read, shown together, one line each.

A line names the file, the line, the key path, what was found and what is allowed. It never shows
what may be secret: a value is shown only where the reader of a key decided so.
"""

import difflib
from collections.abc import Iterable
from typing import Final

#: Characters of a found text that a fault shows: enough to know it again, short enough to read.
_SHOWN_CHARACTERS: Final = 60

#: How like a word must be for a hint: difflib's own measure.
LIKE: Final = 0.6

#: The same where any other word is taken: one wrong letter in five.
ALMOST: Final = 0.8

#: Bits above which a number is only measured: nobody reads it, and Python may refuse to print it.
_SHOWN_BITS: Final = 128


class Rejected(Exception):
    """A value was refused and its fault is recorded; never leaves this package."""


class Faults:
    """The faults of one file, in the order of its lines.

    ``source`` names the file, or whatever stands for one.
    """

    __slots__ = ("_faults", "source")

    def __init__(self, source: str) -> None:
        self.source = source
        self._faults: list[tuple[int, str]] = []

    def add(self, line: int, path: str, found: str, allowed: str, hint: str = "") -> None:
        """Record one fault; ``line`` counts from 1, 0 where there are no lines.

        ``path`` is empty for the file as a whole; ``hint`` is what was probably meant.
        """
        self._faults.append((line, fault_line(self.source, line, path, found, allowed, hint)))

    def lines(self) -> list[str]:
        """Return the recorded faults, sorted by their lines."""
        return [text for _, text in sorted(self._faults, key=lambda fault: fault[0])]


def fault_line(
    source: str, number: int, path: str, found: str, allowed: str, hint: str = ""
) -> str:
    """Return the one line that shows a fault; unprintable characters come out escaped."""
    place = f"{source}:{number}" if number else source
    subject = f"{path}: " if path else ""
    meant = f"; did you mean {hint}?" if hint else ""
    line = f"{place}: {subject}found {found}; allowed: {allowed}{meant}"
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
        for letter in line
    )


def shown(value: object) -> str:
    """Return a found value as a fault shows it: short, and by its kind where it has parts."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case str():
            cut = "…" if len(value) > _SHOWN_CHARACTERS else ""
            return repr(value[:_SHOWN_CHARACTERS]) + cut
        case int():
            bits = value.bit_length()
            return str(value) if bits <= _SHOWN_BITS else f"a number of {bits} bits"
        case float():
            return repr(value)
        case list() | tuple():
            return "a list"
        case dict():
            return "a mapping"
    return f"a value of type {type(value).__name__}"


def closest(word: str, known: Iterable[str], likeness: float = LIKE) -> str:
    """Return the known word that ``word`` was probably meant to be, quoted, or an empty text.

    ``likeness`` is from 0 to 1, which is the same word.
    """
    spelt = {name.casefold(): name for name in known}
    # The comparison is quadratic, and no known word is that long.
    near = difflib.get_close_matches(word[:_SHOWN_CHARACTERS].casefold(), spelt, 1, likeness)
    return f"'{spelt[near[0]]}'" if near else ""
