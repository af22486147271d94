"""A client that reads as Web K does: it takes a WebSocket message for a packet."""

from collections.abc import Iterable

from gnetway.testing import Framing, QuickAck, Style
from tests.live.client import LinkEnded, LiveClient
from tests.live.gateway import Gateway
from tests.live.web.listeners import WebSocketStream

#: Obfuscated abridged, as Web K has it.
STYLE = Style(Framing.ABRIDGED, True)


class OnePacketClient(LiveClient):
    """A WebSocket message that is anything else than one whole packet is a failure."""

    def __init__(self, gateway: Gateway, over: WebSocketStream) -> None:
        super().__init__(gateway, STYLE, over=over)
        self._stream = over

    def receive(self) -> bytes | QuickAck:
        """Return the next packet or quick ack.

        :raises LinkEnded: there is none any more.
        """
        message = self._stream.recv(1)
        if not message:
            raise LinkEnded
        got = self.end.receive(message)
        if len(got) != 1 or self.end.unfinished:
            size = len(message)
            raise AssertionError(f"a message of {size} bytes that is {len(got)} packets and a rest")
        return got[0]

    def send_together(self, packets: Iterable[tuple[bytes, bool]]) -> None:
        """Send packets in a message each, with the wish for a quick ack, all in one segment."""
        self._stream.send_together(
            [self.end.packet(packet, quick_ack) for packet, quick_ack in packets]
        )
