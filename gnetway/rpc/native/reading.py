"""Whether a connection is read: not while it has put something off, or its answers are not read."""

import socket
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from gnetway.http2.connection import Connection
from gnetway.interfaces import ILinkTransport

# Whose turn it is of the connections whose frames cost much to read: one of them in each turn.
#
# So together they take no more of a turn than one read may cost, however many they are, and those
# whose frames cost little are read as ever.


class Slow(Protocol):
    """A connection that has put something off."""

    def read_on(self) -> None:
        """Go on with it; what is put off again waits for another turn."""


class SlowLane:
    """The connections that wait to read on, in their order."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._waiting: deque[Slow] = deque()
        self._timer: IDelayedCall | None = None

    def join(self, slow: Slow) -> None:
        """Have ``slow`` read on when its turn comes."""
        self._waiting.append(slow)
        if self._timer is None:
            self._timer = self._clock.callLater(0, self._next)

    def leave(self, slow: Slow) -> None:
        """Forget it."""
        if slow in self._waiting:
            self._waiting.remove(slow)
        if not self._waiting and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _next(self) -> None:
        self._timer = None
        slow = self._waiting.popleft()
        if self._waiting:
            self._timer = self._clock.callLater(0, self._next)
        slow.read_on()


class Reading:
    """Pauses and resumes the transport of one connection.

    What was put off goes on in the slow lane, by ``go_on``. ``stops_when_full`` tells whether
    nothing is read while the transport has enough to write. A server may: what its clients ask for
    is answers. Were clients to do so as well, two could wait for each other.
    """

    def __init__(
        self,
        core: Connection,
        lane: SlowLane,
        go_on: Callable[[], object],
        *,
        stops_when_full: bool,
    ) -> None:
        self._core = core
        self._lane = lane
        self._go_on = go_on
        self._stops_when_full = stops_when_full
        self._wire: ILinkTransport | None = None
        self._full = False
        self._in_lane = False
        self._paused = False

    def begin(self, wire: ILinkTransport) -> None:
        """Take note of the transport."""
        self._wire = wire

    def stop(self) -> None:
        """Take note that the connection is over, or closing."""
        self._wire = None
        if self._in_lane:
            self._in_lane = False
            self._lane.leave(self)

    def full(self, full: bool) -> None:
        """Take note whether the transport has enough to write."""
        self._full = full
        self.settle()

    def read_on(self) -> None:
        """See Slow."""
        self._in_lane = False
        if not self._waits():
            self._go_on()
        self.settle()

    def settle(self) -> None:
        """Read, or not, and have what was put off go on, as things stand now."""
        wire = self._wire
        if wire is None:
            return
        waits, put_off = self._waits(), bool(self._core.put_off)
        if put_off and not waits and not self._in_lane:
            self._in_lane = True
            self._lane.join(self)
        if self._paused != (waits or put_off):
            self._paused = not self._paused
            if self._paused:
                wire.pauseProducing()
            else:
                wire.resumeProducing()

    def _waits(self) -> bool:
        return self._full and self._stops_when_full


# What the kernel does about a peer that is gone without a word: its machine, or the way to it.

#: Questions that may be lost before the connection counts as broken; together they take as long as
#: data does.
_PROBES: Final = 3


def watch(transport: object, silent_seconds: float, timeout_seconds: float) -> None:
    """Have the kernel break the connection of a transport whose peer is gone.

    After ``silent_seconds`` of silence, 0 for never, it asks; and what it has sent, be it such a
    question or data, has to be acknowledged within ``timeout_seconds``.
    """
    # That of TLS passes on what it does not have itself.
    handle = getattr(transport, "socket", None)
    if not isinstance(handle, socket.socket):
        return
    tcp = socket.IPPROTO_TCP
    handle.setsockopt(tcp, socket.TCP_USER_TIMEOUT, int(timeout_seconds * 1000))
    if silent_seconds > 0:
        handle.setsockopt(tcp, socket.TCP_KEEPIDLE, max(1, int(silent_seconds)))
        handle.setsockopt(tcp, socket.TCP_KEEPINTVL, max(1, int(timeout_seconds / _PROBES)))
        handle.setsockopt(tcp, socket.TCP_KEEPCNT, _PROBES)
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
