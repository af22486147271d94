"""Whether a connection is read: not while it has put something off, or its answers are not read."""

import socket
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from gnetway.http2.parser import FrameParser
from gnetway.interfaces import ILinkTransport


class SlowReader(Protocol):
    """A connection that has put something off."""

    def read_on(self) -> None:
        """Go on with it; what is put off again waits for another turn."""


class SlowReaders:
    """The connections whose frames cost much to read: one of them reads on in each turn.

    So together they take no more of a turn than one read may cost, however many they are, and
    those whose frames cost little are read as ever.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._waiting: deque[SlowReader] = deque()
        self._timer: IDelayedCall | None = None

    def add(self, reader: SlowReader) -> None:
        """Have ``reader`` read on when its turn comes."""
        self._waiting.append(reader)
        if self._timer is None:
            self._timer = self._clock.callLater(0, self._next)

    def remove(self, reader: SlowReader) -> None:
        """Forget it."""
        if reader in self._waiting:
            self._waiting.remove(reader)
        if not self._waiting and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _next(self) -> None:
        self._timer = None
        reader = self._waiting.popleft()
        if self._waiting:
            self._timer = self._clock.callLater(0, self._next)
        reader.read_on()


class Reading:
    """Pauses and resumes the transport of one connection.

    What was put off goes on by ``go_on``, in its turn among the slow readers. With
    ``stops_when_full`` nothing is read while the transport has enough to write. A server may do
    so: what its clients ask for is answers. Were clients to do so as well, two could wait for each
    other.
    """

    def __init__(
        self,
        parser: FrameParser,
        slow_readers: SlowReaders,
        go_on: Callable[[], object],
        *,
        stops_when_full: bool,
    ) -> None:
        self._parser = parser
        self._slow_readers = slow_readers
        self._go_on = go_on
        self._stops_when_full = stops_when_full
        self._transport: ILinkTransport | None = None
        self._full = False
        self._queued = False
        self._paused = False

    def begin(self, transport: ILinkTransport) -> None:
        """Take note of the transport."""
        self._transport = transport

    def stop(self) -> None:
        """Take note that the connection is over, or closing."""
        self._transport = None
        if self._queued:
            self._queued = False
            self._slow_readers.remove(self)

    def full(self, full: bool) -> None:
        """Take note whether the transport has enough to write."""
        self._full = full
        self.settle()

    def read_on(self) -> None:
        """See SlowReader."""
        self._queued = False
        if not self._blocked():
            self._go_on()
        self.settle()

    def settle(self) -> None:
        """Read, or not, and have what was put off go on, as things stand now."""
        transport = self._transport
        if transport is None:
            return
        blocked, put_off = self._blocked(), bool(self._parser.put_off)
        if put_off and not blocked and not self._queued:
            self._queued = True
            self._slow_readers.add(self)
        if self._paused != (blocked or put_off):
            self._paused = not self._paused
            if self._paused:
                transport.pauseProducing()
            else:
                transport.resumeProducing()

    def _blocked(self) -> bool:
        return self._full and self._stops_when_full


#: Questions that may be lost before the connection counts as broken; together they take as long as
#: data does.
_PROBES: Final = 3


def watch(transport: object, silent_seconds: float, timeout_seconds: float) -> None:
    """Have the kernel break the connection of a transport whose peer is gone without a word.

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
