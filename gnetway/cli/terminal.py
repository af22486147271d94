"""What subcommands write for people: nothing that steers a terminal, and no more than it has room.

Texts of clients, session nodes and other processes come through here. A cell of a table, or a line,
is printable in any case; what is cut off ends in an ellipsis. ``Report`` has what ``gnetway check``
finds, a line each, and shows what it is busy with meanwhile.
"""

import json
import os
import shutil
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from threading import Event, Lock, Thread
from typing import Final, NamedTuple, TextIO

#: Takes back what stands on the terminal's last line.
CLEAR_LINE: Final = "\r\x1b[K"

#: Another screen, without a cursor, and back: what stood there before is not lost.
_ENTER_SCREEN: Final = "\x1b[?1049h\x1b[?25l"
_LEAVE_SCREEN: Final = "\x1b[?25h\x1b[?1049l"
_HOME: Final = "\x1b[H\x1b[J"

_ELLIPSIS: Final = "…"


def printable(text: str) -> str:
    """Return a text in which whatever steers a terminal, or turns its order round, is escaped."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )


def say(line: str) -> None:
    """Write a line at once: who reads a pipe sees it as it comes."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def room() -> int | None:
    """Return the columns of the terminal that the output goes to; None where it goes elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def can_redraw() -> bool:
    """Return whether the output goes to a terminal that can be drawn anew."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


# Texts that fit.


def width(text: str) -> int:
    """Return the columns that a printable text takes."""
    return sum(map(_width, text)) if not text.isascii() else len(text)


def _width(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def cut(text: str, columns: int) -> str:
    """Return a text of at most so many columns."""
    if width(text) <= columns:
        return text
    kept, left = [], columns - 1
    for letter in text:
        left -= _width(letter)
        if left < 0:
            break
        kept.append(letter)
    return "".join(kept) + _ELLIPSIS if columns > 0 else ""


class Column(NamedTuple):
    """A column of a table; one that ``shrinks`` gives way where all of it has no room."""

    heading: str
    right: bool = False
    shrinks: bool = False


#: Columns that the text of a cell keeps at least.
_LEAST_WIDTH: Final = 8


def table(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], columns_of_terminal: int | None
) -> Iterator[str]:
    """Yield the lines of a table; columns with nothing in them are left out.

    Of a terminal's width, or as wide as it is where ``columns_of_terminal`` is None.
    """
    cells = [[printable(cell) for cell in row] for row in rows]
    kept = [index for index in range(len(columns)) if not cells or any(row[index] for row in cells)]
    heads = [columns[index] for index in kept]
    cells = [[row[index] for index in kept] for row in cells]
    widths = [
        max([len(head.heading), *(width(row[index]) for row in cells)])
        for index, head in enumerate(heads)
    ]
    if columns_of_terminal is not None:
        _shrink(heads, widths, columns_of_terminal)
    for row in ([head.heading for head in heads], *cells):
        line = "  ".join(
            _aligned(cut(cell, columns), columns, head.right)
            for cell, columns, head in zip(row, widths, heads, strict=True)
        ).rstrip()
        yield line if columns_of_terminal is None else cut(line, columns_of_terminal)


def _shrink(heads: list[Column], widths: list[int], columns: int) -> None:
    """Take what is too much from the widest of those that shrink."""
    excess = sum(widths) + 2 * (len(widths) - 1) - columns
    while excess > 0:
        candidates = [
            index
            for index, head in enumerate(heads)
            if head.shrinks and widths[index] > max(_LEAST_WIDTH, len(head.heading))
        ]
        if not candidates:
            return
        widest = max(candidates, key=lambda index: widths[index])
        widths[widest] -= 1
        excess -= 1


def _aligned(cell: str, columns: int, right: bool) -> str:
    space = " " * (columns - width(cell))
    return space + cell if right else cell + space


# Numbers as people read them.


def counted(number: int, what: str) -> str:
    """Return a number of things in words."""
    return f"{f'{number:,}' if number else 'no'} {what}{'' if number == 1 else 's'}"


def span(seconds: float) -> str:
    """Return a time that has passed, in its two largest units."""
    whole = int(max(0.0, seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def size(number: float) -> str:
    """Return a number of bytes."""
    for unit in ("B", "KiB", "MiB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} GiB"


# What changes while one looks.


class Progress:
    """One line on the error output that is written anew; nothing where that is no terminal."""

    def __init__(self) -> None:
        self._shown = False

    def show(self, text: str) -> None:
        """Write it in place of the one before."""
        if sys.stderr.isatty():
            columns = shutil.get_terminal_size().columns
            sys.stderr.write(f"{CLEAR_LINE}{cut(printable(text), columns - 1)}")
            sys.stderr.flush()
            self._shown = True

    def clear(self) -> None:
        """Take it back."""
        if self._shown:
            sys.stderr.write(CLEAR_LINE)
            sys.stderr.flush()
            self._shown = False


def live(draw: Callable[[], list[str]], wait: Callable[[], object]) -> None:
    """Draw lines anew on the whole terminal, and ``wait`` between, until Ctrl-C."""
    sys.stdout.write(_ENTER_SCREEN)
    try:
        while True:
            lines = draw()
            columns, rows = shutil.get_terminal_size()
            shown = [cut(line, columns) for line in lines[:rows]]
            sys.stdout.write(_HOME + "\n".join(shown))
            sys.stdout.flush()
            wait()
    except KeyboardInterrupt:
        pass
    finally:
        sys.stdout.write(_LEAVE_SCREEN)
        sys.stdout.flush()


#: After so many seconds what is waited for is named, and from then on how long it takes.
_SILENT_SECONDS: Final = 1.0


class Level(Enum):
    """How bad it is; the value is what a line begins with."""

    OK = "ok"
    NOTE = "note"
    WARNING = "WARNING"
    FAULT = "FAULT"


class Finding(NamedTuple):
    """One thing that was looked at; ``remedy`` is what to do, empty where nothing is to be done."""

    level: Level
    step: str
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        remedy = f"; remedy: {self.remedy}" if self.remedy else ""
        return f"{self.level.value:<8}{self.step}: {self.text}{remedy}"


class Report:
    """Collects findings and prints them as they come, or all at the end as JSON.

    ``terminal`` is where progress is shown, None for nowhere.
    """

    def __init__(self, out: TextIO, terminal: TextIO | None = None, as_json: bool = False) -> None:
        self.findings: list[Finding] = []
        self._out = out
        self._terminal = terminal
        self._as_json = as_json
        #: Held while something is written: progress is shown by a thread of its own.
        self._lock = Lock()
        #: Whether the terminal shows progress now.
        self._shown = False

    def ok(self, step: str, text: str) -> None:
        """Add what is as it should be."""
        self._add(Finding(Level.OK, step, text))

    def note(self, step: str, text: str) -> None:
        """Add what is no fault, but good to know."""
        self._add(Finding(Level.NOTE, step, text))

    def warn(self, step: str, text: str, remedy: str) -> None:
        """Add what works, and should not stay as it is."""
        self._add(Finding(Level.WARNING, step, text, remedy))

    def fault(self, step: str, text: str, remedy: str) -> None:
        """Add what keeps clients from being served."""
        self._add(Finding(Level.FAULT, step, text, remedy))

    def faults(self, step: str, lines: Iterable[str]) -> None:
        """Add lines of a ConfigError, which say what is allowed."""
        for line in lines:
            found, _, allowed = line.partition("; allowed: ")
            self.fault(step, found, allowed)

    def _add(self, finding: Finding) -> None:
        # Names come from etcd and from other processes, too: none is to reach the terminal raw.
        finding = finding._replace(text=printable(finding.text), remedy=printable(finding.remedy))
        self.findings.append(finding)
        if not self._as_json:
            with self._lock:
                self._clear()
                self._out.write(f"{finding}\n")
                self._out.flush()

    @contextmanager
    def busy(self, what: str) -> Iterator[None]:
        """Show on the terminal what is waited for, while it takes longer than a second."""
        if self._terminal is None:
            yield
            return
        over = Event()
        thread = Thread(target=self._show, args=(self._terminal, what, over), daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _show(self, terminal: TextIO, what: str, over: Event) -> None:
        seconds = 0
        while not over.wait(_SILENT_SECONDS):
            seconds += 1
            with self._lock:
                terminal.write(f"{CLEAR_LINE}{what} … {seconds} s")
                terminal.flush()
                self._shown = True
        with self._lock:
            self._clear()

    def _clear(self) -> None:
        """Take back what stands on the terminal."""
        if self._shown and self._terminal is not None:
            self._terminal.write(CLEAR_LINE)
            self._terminal.flush()
        self._shown = False

    def finish(self, source: str, strict: bool) -> int:
        """Print the end, and return the exit status; with ``strict`` a warning is a fault."""
        faults, warnings = self._number(Level.FAULT), self._number(Level.WARNING)
        failed = bool(faults or (strict and warnings))
        if self._as_json:
            whole = {
                "file": source,
                "ok": not failed,
                "faults": faults,
                "warnings": warnings,
                "findings": [
                    found._asdict() | {"level": found.level.name.lower()} for found in self.findings
                ],
            }
            self._out.write(f"{json.dumps(whole, indent=2)}\n")
        else:
            told = counted(faults, "fault"), counted(warnings, "warning")
            self._out.write(f"{source}: {' and '.join(told)}\n")
        return int(failed)

    def _number(self, level: Level) -> int:
        return sum(finding.level is level for finding in self.findings)
