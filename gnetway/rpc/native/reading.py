"""Whether a connection is read: not while it has put something off, or its answers are not read."""

from collections.abc import Callable

from gnetway.http2.connection import Connection
from gnetway.interfaces import ILinkTransport
from gnetway.rpc.native.slow_lane import SlowLane


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
