"""What writes a log: each event a line, to wherever that goes."""

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol

from twisted.logger import ILogObserver, LogEvent, formatEventAsClassicLogText
from zope.interface import implementer


class LogSink(Protocol):
    """Where a log can be written."""

    #: How it is called in a complaint.
    path: str

    def write(self, data: bytes, now: float) -> None:
        """Write a whole line at the time ``now``.

        :raises OSError: it cannot be written.
        """


#: Seconds between two complaints about a log that cannot be written: it may be by turns.
_COMPLAINT_SECONDS: Final = 60.0


@implementer(ILogObserver)
class LogWriter:
    """Writes the events of a log, each as ``form`` has it, to a sink.

    What cannot be written is dropped and counted (``dropped``). ``complain`` gets a line at the
    first of it, the log itself one when it goes on.
    """

    def __init__(
        self,
        sink: LogSink,
        form: Callable[[LogEvent], str],
        complain: Callable[[str], object],
    ) -> None:
        self._sink = sink
        self._form = form
        self._complain = complain
        self.dropped = 0
        #: Those of ``dropped`` of which the log does not say it yet, and why.
        self._untold = 0
        self._why = ""
        self._complained_at = float("-inf")

    def __call__(self, event: LogEvent) -> None:
        """See ILogObserver."""
        now = float(event.get("log_time") or 0.0)
        try:
            if self._untold:
                self._write(self._gap(event), now)
                self._untold = 0
            self._write(self._form(event), now)
        except OSError as error:
            self.dropped += 1
            self._untold += 1
            self._why = error.strerror or type(error).__name__
            if not 0 <= now - self._complained_at < _COMPLAINT_SECONDS:
                self._complained_at = now
                self._complain(
                    f"the log {self._sink.path} cannot be written: {self._why}; what is lost of it"
                    " is counted"
                )

    def _write(self, line: str, now: float) -> None:
        self._sink.write(line.encode("utf-8", "backslashreplace"), now)

    def _gap(self, event: LogEvent) -> str:
        """Return the line for what is missing, at the time of the event behind it."""
        gap = {
            "log_format": "lines missing here, since the log could not be written: {lost} ({why})",
            "lost": self._untold,
            "why": self._why,
        }
        same = ("log_time", "log_level", "log_namespace", "log_system")
        return self._form({name: event[name] for name in same if name in event} | gap)


#: Characters by which a text could speak to a terminal, and how they are shown.
_CONTROLS: Final = {
    number: f"\\x{number:02x}"
    for number in (*range(0x20), *range(0x7F, 0xA0))
    if chr(number) not in "\t\n"
}


def as_text(event: LogEvent) -> str:
    """Return an event in Twisted's own form; its further lines are set in."""
    return (formatEventAsClassicLogText(event) or "").translate(_CONTROLS)


def complain_on_terminal(line: str) -> None:
    """Say something on the standard error that the process was started with."""
    stream = sys.__stderr__
    # Twisted has put the log in the place of sys.stderr; a daemon has none.
    with suppress(OSError, ValueError):
        if stream is not None:
            stream.write(f"gnetway: {line}\n")
            stream.flush()
