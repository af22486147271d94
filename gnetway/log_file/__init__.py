"""A log file that stays within bounds, and what writes a log there.

``twistd --logger=gnetway.log_file.rotating`` takes it from the environment:

GNETWAY_LOG_FILE    the path of the file
GNETWAY_LOG_BYTES   at this size it is renamed to FILE.1, and a new one begun (default: 10 MiB);
                    0 for never, where another program such as logrotate does that
GNETWAY_LOG_KEEP    so many renamed files are kept (default: 5)

SIGUSR1 has the file opened anew, for a program that has renamed it. twistd's own ``--logfile``
keeps every file that it has ever renamed, and none at all is renamed once ``--uid`` has changed
the user: its file stays root's. The section ``Log`` of the configuration has more to choose from:
``gnetway.service.logs``.
"""

import os
import signal
import sys
from collections.abc import Mapping
from typing import Final

from twisted.logger import ILogObserver

from gnetway.log_file.writer import Bounds, LogWriter, RotatingLog, as_text, complain_on_terminal

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
