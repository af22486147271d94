"""What a service and systemd tell each other, without a library: it is little.

    NOTIFY_SOCKET   where datagrams of NAME=value lines go: READY=1 when clients are served,
                    RELOADING=1 and STOPPING=1, STATUS= for `systemctl status`, MAINPID=
    WATCHDOG_USEC   who does not send WATCHDOG=1 for so long is restarted; sent twice as often
    LISTEN_FDS      so many listening sockets, from descriptor 3 on

The variables are for this process, so they leave its environment: a child of it would answer in its
name. The process is the one that was started, and a daemon that it becomes.

Source: sd_notify(3), sd_watchdog_enabled(3), sd_listen_fds(3)
"""

import os
import socket
from collections.abc import Callable, MutableMapping
from pathlib import Path
from time import monotonic_ns
from typing import Final, NamedTuple

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

#: Seconds from one STATUS to the next, where no watchdog wants to hear of us more often.
STATUS_SECONDS: Final = 10.0

#: The first descriptor that is passed: those before it are standard input, output and error.
_FIRST_PASSED: Final = 3

_SECOND: Final = 1_000_000


def _take(environment: MutableMapping[str, str], *names: str) -> list[str]:
    """Return the values of variables, empty for those that are not set, and unset them."""
    return [environment.pop(name, "") for name in names]


def _number(text: str) -> int:
    """Return a number that is above 0; 0 for whatever else stands there."""
    return int(text) if text.isascii() and text.isdecimal() else 0


class Passed(NamedTuple):
    """A descriptor that systemd has opened, and its name, FileDescriptorName= or the unit's."""

    descriptor: int
    name: str


def first_environment() -> dict[str, str]:
    """Return the environment that this process was started with, whatever has left it since.

    Twisted has endpoints of its own for such sockets, and takes the variables as soon as the module
    of its endpoints is imported: before any service is made, where twistd has no cache of its
    plugins and may not write one.
    """
    try:
        content = Path("/proc/self/environ").read_bytes()
    except OSError:
        return {}
    pairs = (entry.partition(b"=") for entry in content.split(b"\0"))
    return {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}


def passed_descriptors(environment: MutableMapping[str, str], pid: int) -> list[Passed]:
    """Return what systemd has opened for the process ``pid``, this one; later calls return none."""
    count, meant_for, names = _take(environment, "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES")
    if _number(meant_for) != pid:
        return []
    passed = []
    named = names.split(":")
    for index in range(_number(count)):
        descriptor = _FIRST_PASSED + index
        # Or workers would have them as well, beside those that they are given.
        os.set_inheritable(descriptor, False)
        passed.append(Passed(descriptor, named[index] if index < len(named) else ""))
    return passed


class NotifySocket:
    """Sends datagrams to where the environment says; nowhere without NOTIFY_SOCKET."""

    _log = Logger()

    def __init__(self, address: str) -> None:
        # A name that begins with @ is in no file system: the kernel knows it by a zero byte.
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._has_failed = False

    def __bool__(self) -> bool:
        return bool(self._address)

    def send(self, *lines: str) -> None:
        """Send lines; what cannot be sent is lost, and the log says so once."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
                sender.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            if not self._has_failed:
                self._has_failed = True
                self._log.warn(
                    "systemd cannot be told anything, at NOTIFY_SOCKET: {error}",
                    error=error.strerror or error,
                )


class Notifier:
    """Tells systemd how the service is, by what ``environment`` has for the process ``pid``.

    ``status`` returns a line for people. ``alive`` says whether the service does what it is there
    for: as long as it does, and the reactor runs, the watchdog is content.
    """

    def __init__(
        self,
        clock: IReactorTime,
        environment: MutableMapping[str, str],
        pid: int,
        status: Callable[[], str],
        alive: Callable[[], bool],
    ) -> None:
        address, usec, watched = _take(
            environment, "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"
        )
        self._clock = clock
        self._socket = NotifySocket(address)
        self._status = status
        self._alive = alive
        is_watched = not watched or _number(watched) == pid
        #: Seconds, 0 without a watchdog.
        self._watchdog = _number(usec) / _SECOND if is_watched else 0.0
        self._last_status = ""
        self.is_stopping = False
        self._timer: IDelayedCall | None = None

    def start(self) -> None:
        """Begin: the reactor runs, and a daemon has its process id."""
        if self._socket:
            self._socket.send(f"MAINPID={os.getpid()}")
            self._look()

    def ready(self) -> None:
        """Tell that clients are served, or that a reload is over."""
        if self.is_stopping:
            return
        self._last_status = self._status()
        # Beside a gateway that it takes over from, this process is the main one from now on.
        self._socket.send("READY=1", f"MAINPID={os.getpid()}", f"STATUS={self._last_status}")

    def reloading(self) -> None:
        """Tell that the configuration is read again; ``ready`` follows, whatever comes of it."""
        if not self.is_stopping:
            # systemd waits for a READY=1 that comes after that time.
            self._socket.send("RELOADING=1", f"MONOTONIC_USEC={monotonic_ns() // 1000}")

    def stopping(self, seconds: float) -> None:
        """Tell that the end has begun, and may take so many seconds."""
        self.is_stopping = True
        self._last_status = self._status()
        self._socket.send(
            "STOPPING=1",
            # Else it would be killed after TimeoutStopSec, however many clients are to leave.
            f"EXTEND_TIMEOUT_USEC={int(seconds * _SECOND)}",
            f"STATUS={self._last_status}",
        )

    def stop(self) -> None:
        """Tell nothing more, as where another process speaks for the service."""
        self.is_stopping = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        lines = []
        if self._watchdog and self._alive():
            lines.append("WATCHDOG=1")
        status = self._status()
        if status != self._last_status:
            self._last_status = status
            lines.append(f"STATUS={status}")
        if lines:
            self._socket.send(*lines)
        pause = min(self._watchdog / 2 or STATUS_SECONDS, STATUS_SECONDS)
        self._timer = self._clock.callLater(pause, self._look)
