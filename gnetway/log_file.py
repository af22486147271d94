"""``twistd --logger=gnetway.log_file.rotating``: a log file that stays within bounds.

The environment says where and how much:

GNETWAY_LOG_FILE    the path of the file
GNETWAY_LOG_BYTES   at this size it is renamed to FILE.1, and a new one begun (default: 10 MiB);
                    0 for never, where another program such as logrotate does that
GNETWAY_LOG_KEEP    so many renamed files are kept (default: 5)

SIGUSR1 has the file opened anew, for a program that has renamed it. twistd's own ``--logfile``
keeps every file that it has ever renamed, and none at all is renamed once ``--uid`` has changed
the user: its file stays root's.
"""

import os
import signal
import stat
import sys
from collections.abc import Mapping
from typing import IO, Final, cast

from twisted.logger import ILogObserver, textFileLogObserver
from twisted.python.logfile import LogFile

_FILE: Final = "GNETWAY_LOG_FILE"
_BYTES: Final = "GNETWAY_LOG_BYTES"
_KEEP: Final = "GNETWAY_LOG_KEEP"

#: A day of a busy gateway's log has far less: it has no line for a connection.
_DEFAULT_BYTES: Final = 10 * 1024 * 1024
_DEFAULT_KEEP: Final = 5


class RotatingLog(LogFile):
    """The file at ``path``; ``max_bytes`` is 0 for any size, ``keep`` is at least 1.

    Its owner is that of its directory where root makes it, so that it can still be renamed when
    the process has become that user.

    :raises OSError: it cannot be opened.
    """

    def __init__(self, path: str, max_bytes: int, keep: int) -> None:
        self._reopen_wanted = False
        directory, name = os.path.split(os.path.abspath(path))
        super().__init__(name, directory, max_bytes or None, maxRotatedFiles=keep)

    def want_reopen(self) -> None:
        """Have the file opened anew before the next line; may interrupt a line that is written."""
        self._reopen_wanted = True

    def write(self, data: str | bytes) -> None:
        """Write to the file that is at the path now, if somebody says that it is another."""
        if self._reopen_wanted:
            self._reopen_wanted = False
            self.reopen()
        super().write(data)

    def rotate(self) -> None:
        """Begin a new file; where that cannot be, go on with the one that there is."""
        try:
            super().rotate()
        except OSError:
            if self._file.closed:
                self._openFile()

    def _openFile(self) -> None:  # noqa: N802 - Twisted's name
        super()._openFile()
        if os.geteuid() == 0:
            self._give_away()

    def _give_away(self) -> None:
        """Give the file to its directory's owner, unless a link of that owner has led to it."""
        opened, there = os.fstat(self._file.fileno()), os.lstat(self.path)
        if os.path.samestat(opened, there) and stat.S_ISREG(there.st_mode) and there.st_nlink == 1:
            owner = os.stat(self.directory)
            os.fchown(self._file.fileno(), owner.st_uid, owner.st_gid)


def rotating() -> ILogObserver:
    """Return the observer for twistd; a setting that cannot be used ends the process."""
    try:
        log = from_environment(os.environ)
    except OSError as error:
        sys.exit(f"gnetway: {_FILE}: {error.filename}: {error.strerror}")
    except ValueError as error:
        sys.exit(f"gnetway: {error}")
    signal.signal(signal.SIGUSR1, lambda *_: log.want_reopen())
    return textFileLogObserver(cast(IO[str], log))


def from_environment(environment: Mapping[str, str]) -> RotatingLog:
    """Return the file that the environment asks for.

    :raises ValueError: a variable is missing or is no such number.
    :raises OSError: the file cannot be opened.
    """
    path = environment.get(_FILE, "")
    if not path:
        raise ValueError(f"{_FILE} is not set: it is the path of the log file")
    max_bytes = _number(environment, _BYTES, _DEFAULT_BYTES, 0)
    return RotatingLog(path, max_bytes, _number(environment, _KEEP, _DEFAULT_KEEP, 1))


def _number(environment: Mapping[str, str], name: str, default: int, lowest: int) -> int:
    text = environment.get(name, "") or str(default)
    if not text.isdecimal() or int(text) < lowest:
        raise ValueError(f"{name} is {text!r}; it may be a number from {lowest} on")
    return int(text)
