"""What ``gnetway check`` has found, a line each, and what it is busy with meanwhile."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import Enum
from threading import Event, Lock, Thread
from typing import Final, NamedTuple, TextIO

from gnetway.cli.terminal import CLEAR_LINE, counted, printable

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
