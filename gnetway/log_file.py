"""What writes a log, each event a line; and a file for it that stays within bounds.

The bounds are its size, its day, and the number and age of old ones. ``twistd
--logger=gnetway.log_file.rotating`` takes them from the environment:

GNETWAY_LOG_FILE    the path of the file
GNETWAY_LOG_BYTES   at this size it is renamed to FILE.1, and a new one begun (default: 10 MiB);
                    0 for never, where another program such as logrotate does that
GNETWAY_LOG_KEEP    so many renamed files are kept (default: 5)

SIGUSR1 has the file opened anew, for a program that has renamed it. twistd's own ``--logfile``
keeps every file that it has ever renamed, and none at all is renamed once ``--uid`` has changed
the user: its file stays root's. The section ``Log`` of the configuration has more to choose from:
``gnetway.service.logs``.
"""

import gzip
import os
import re
import shutil
import signal
import stat
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from threading import RLock, Thread
from typing import Final, NamedTuple, Protocol

from twisted.logger import ILogObserver, LogEvent, formatEventAsClassicLogText
from zope.interface import implementer

_DAY_SECONDS: Final = 86_400

#: Where there was no file before; the process's umask takes from it.
_MODE: Final = 0o666

_COMPRESSED: Final = ".gz"
_UNFINISHED: Final = ".gz-unfinished"


class Bounds(NamedTuple):
    """How long a log file grows, and what is kept of those before it; 0 is no bound.

    A file ends at ``max_bytes``, and with the day if it is ``daily``. Of those before it ``keep``
    are kept, none longer than ``keep_days`` after its last line.
    """

    max_bytes: int = 0
    keep: int = 0
    daily: bool = False
    keep_days: int = 0
    compress: bool = False


class RotatingLog:
    """A LogSink: the file at ``path``, which becomes FILE.1, FILE.2 and so on as it is full.

    ``owner`` is the user and the group to whom it is given where root makes it, that of its
    directory if None: it can still be renamed then when the process has become that user.
    Whatever has no end, such as /dev/stdout, only grows.

    Several processes may write one: none overwrites what another has written, and where another
    has renamed the file it is left at that.

    :raises OSError: it cannot be opened.
    """

    def __init__(self, path: str, bounds: Bounds, owner: tuple[int, int] | None = None) -> None:
        self.path = os.path.abspath(path)
        self.bounds = bounds
        self._owner = owner
        self._reopen_wanted = False
        #: Whether the last line is there in part only.
        self._is_cut = False
        self._lock = RLock()
        self._compression: _Compression | None = None
        self._file = -1
        self._open()

    def want_reopen(self) -> None:
        """Have the file opened anew before the next line; may interrupt a line that is written."""
        self._reopen_wanted = True

    def reopen(self) -> None:
        """Go on with the file that is at the path now, for a program that has renamed the old one.

        :raises OSError: it cannot be opened; the old one is written on.
        """
        with self._lock:
            self._open()
            self._reopen_wanted = False

    def close(self) -> None:
        """Write no more, and finish what is being compressed."""
        with self._lock:
            while self._compression is not None:
                self._compression.join()
                self._finish_compression()
            if self._file >= 0:
                os.close(self._file)
                self._file = -1

    def write(self, data: bytes, now: float) -> None:
        """See LogSink."""
        with self._lock:
            if self._reopen_wanted:
                with suppress(OSError):
                    self.reopen()
            if self._is_full(len(data), now):
                self._rotate(now)
            if self._compression is not None and not self._compression.is_alive():
                self._finish_compression()
            if self._is_cut:
                data = b"\n" + data
            written = 0
            try:
                while written < len(data):
                    written += os.write(self._file, data[written:])
            finally:
                if written:
                    self._is_cut = data[written - 1 : written] != b"\n"

    def _is_full(self, more: int, now: float) -> bool:
        # Others may write it too, or cut it off.
        size = os.fstat(self._file).st_size if self._is_regular else 0
        if not size:
            self._day_ends = _next_midnight(now)
            return False
        max_bytes = self.bounds.max_bytes
        too_large = bool(max_bytes) and size + more > max_bytes
        return too_large or (self.bounds.daily and now >= self._day_ends)

    def _open(self) -> None:
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, _MODE)
        old, self._file = self._file, file
        if old >= 0:
            os.close(old)
        opened = os.fstat(file)
        self._is_regular = stat.S_ISREG(opened.st_mode)
        self._is_cut = False
        self._day_ends = _next_midnight(opened.st_mtime)
        if os.geteuid() == 0:
            self._give_away()

    def _give_away(self) -> None:
        """Give the file to its owner, unless a link of who has the directory has led to it."""
        opened, there = os.fstat(self._file), os.lstat(self.path)
        if os.path.samestat(opened, there) and stat.S_ISREG(there.st_mode) and there.st_nlink == 1:
            directory = os.stat(os.path.dirname(self.path))
            user, group = self._owner or (directory.st_uid, directory.st_gid)
            os.fchown(self._file, user, group)

    def _rotate(self, now: float) -> None:
        """Begin a new file; where that cannot be, go on with the one that there is."""
        with suppress(OSError):
            opened = os.fstat(self._file)
            if self._is_renamed(opened):
                self._open()
                return
            for number, path, suffix in reversed(self._old_files()):
                if self.bounds.keep and number >= self.bounds.keep:
                    os.remove(path)
                else:
                    os.rename(path, f"{self.path}.{number + 1}{suffix}")
            os.rename(self.path, f"{self.path}.1")
            self._open()
            # Who could read the one before can read this one.
            os.fchmod(self._file, stat.S_IMODE(opened.st_mode))
            self._day_ends = _next_midnight(now)
            self._remove_old_days(now)
            self._begin_compression()

    def _is_renamed(self, opened: os.stat_result) -> bool:
        """Return whether somebody else has taken the file away."""
        try:
            return not os.path.samestat(opened, os.stat(self.path))
        except FileNotFoundError:
            return True

    def _old_files(self) -> list[tuple[int, str, str]]:
        """Return number, path and suffix of the files before this one, the latest first."""
        directory, name = os.path.split(self.path)
        pattern = re.compile(re.escape(name) + rf"\.([1-9]\d*)({re.escape(_COMPRESSED)})?")
        with os.scandir(directory) as entries:
            found = [(pattern.fullmatch(entry.name), entry.path) for entry in entries]
        return sorted((int(match[1]), path, match[2] or "") for match, path in found if match)

    def _remove_old_days(self, now: float) -> None:
        if self.bounds.keep_days:
            oldest = now - self.bounds.keep_days * _DAY_SECONDS
            for _, path, _ in self._old_files():
                if os.stat(path).st_mtime < oldest:
                    os.remove(path)

    def _begin_compression(self) -> None:
        """Have the latest old file compressed that is not, if there is one, beside all else."""
        if self.bounds.compress and self._compression is None:
            for _, path, suffix in self._old_files():
                if not suffix:
                    self._compression = _Compression(path, self.path + _UNFINISHED)
                    self._compression.start()
                    return

    def _finish_compression(self) -> None:
        """Put what was compressed in the place of the file, which may have another number now.

        One that has failed is tried again at the next change of files.
        """
        compression, self._compression = self._compression, None
        assert compression is not None
        with suppress(OSError):
            for _, path, suffix in self._old_files():
                if not suffix and compression.is_of(os.stat(path)):
                    os.rename(compression.result, path + _COMPRESSED)
                    os.remove(path)
                    self._begin_compression()
                    return


class _Compression(Thread):
    """Compresses the file at ``path`` into ``result``.

    :raises OSError: it cannot be read.
    """

    def __init__(self, path: str, result: str) -> None:
        super().__init__(name="gnetway log", daemon=True)
        self.result = result
        # Open from here on: the file may get another number meanwhile.
        self._source = open(path, "rb")  # noqa: SIM115
        self._opened = os.fstat(self._source.fileno())
        self._is_done = False

    def is_of(self, file: os.stat_result) -> bool:
        """Return whether it has compressed this file."""
        return self._is_done and os.path.samestat(file, self._opened)

    def run(self) -> None:
        """See Thread."""
        opened = self._opened
        with suppress(OSError), self._source as source:
            with open(self.result, "wb", opener=_private) as target:
                with gzip.GzipFile("", "wb", fileobj=target) as compressed:
                    shutil.copyfileobj(source, compressed)
                # Nobody reads this one who may not read the other, and it is as old.
                os.fchmod(target.fileno(), stat.S_IMODE(opened.st_mode))
            os.utime(self.result, (opened.st_atime, opened.st_mtime))
            self._is_done = True


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _next_midnight(seconds: float) -> float:
    """Return when the day ends, here, in which a time lies."""
    day = datetime.fromtimestamp(seconds) + timedelta(days=1)
    return day.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()


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


_FILE: Final = "GNETWAY_LOG_FILE"
_BYTES: Final = "GNETWAY_LOG_BYTES"
_KEEP: Final = "GNETWAY_LOG_KEEP"

#: A day of a busy gateway's log has far less: it has no line for a connection.
_DEFAULT_BYTES: Final = 10 * 1024 * 1024
_DEFAULT_KEEP: Final = 5


def rotating() -> ILogObserver:
    """Return the observer for twistd; a setting that cannot be used ends the process."""
    try:
        log = from_environment(os.environ)
    except OSError as error:
        sys.exit(f"gnetway: {_FILE}: {error.filename}: {error.strerror}")
    except ValueError as error:
        sys.exit(f"gnetway: {error}")
    signal.signal(signal.SIGUSR1, lambda *_: log.want_reopen())
    return LogWriter(log, as_text, complain_on_terminal)


def from_environment(environment: Mapping[str, str]) -> RotatingLog:
    """Return the file that the environment asks for.

    :raises ValueError: a variable is missing or is no such number.
    :raises OSError: the file cannot be opened.
    """
    path = environment.get(_FILE, "")
    if not path:
        raise ValueError(f"{_FILE} is not set: it is the path of the log file")
    max_bytes = _number(environment, _BYTES, _DEFAULT_BYTES, 0)
    return RotatingLog(path, Bounds(max_bytes, _number(environment, _KEEP, _DEFAULT_KEEP, 1)))


def _number(environment: Mapping[str, str], name: str, default: int, lowest: int) -> int:
    text = environment.get(name, "") or str(default)
    if not text.isdecimal() or int(text) < lowest:
        raise ValueError(f"{name} is {text!r}; it may be a number from {lowest} on")
    return int(text)
