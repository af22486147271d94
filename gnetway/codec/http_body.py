"""HTTP's framing: the body of a request is one packet, and so is the body of its answer."""

from typing import ClassVar

from gnetway.codec.packet import ANNOUNCED_BYTES
from gnetway.errors import PacketTooLarge


class HttpBodyCodec:
    """One packet each way, without a head of its own: the HTTP server says where it ends.

    ``size`` is the body's length in bytes, None where it comes in chunks.
    """

    __slots__ = ("_body", "_ended", "_size", "buffered", "max_packet_bytes")
    name: ClassVar[str] = "http"
    supports_quick_ack: ClassVar[bool] = False

    def __init__(self, max_packet_bytes: int, size: int | None = None) -> None:
        self.max_packet_bytes = max_packet_bytes
        self._size = size or 0
        # Joined as it comes: in chunks of a byte or two, each would take 40 of its own.
        self._body = bytearray()
        self._ended = False
        self.buffered = b""

    def receive(self, data: bytes) -> None:
        """Take the next part of the body."""
        self.buffered = data
        self._body += data

    def end(self) -> None:
        """Take note that the body is complete."""
        self._ended = True

    def next_packet(self) -> tuple[bytes, bool] | None:
        """Return the body once it is complete, then None; a quick ack is never wanted.

        :raises PacketTooLarge: it is announced, or has grown, above ``max_packet_bytes``.
        """
        size = max(self._size, len(self._body))
        if size > self.max_packet_bytes:
            raise PacketTooLarge(size, self.max_packet_bytes)
        if not self._ended:
            return None
        body = bytes(self._body)
        self._body = bytearray()
        self.buffered = b""
        self._ended = False
        return body, False

    def announced(self) -> tuple[int, bytes] | None:
        """Return how long the body will be, as far as that is known, and its first 8 bytes."""
        if not self._body:
            return None
        return max(self._size, len(self._body)), bytes(self._body[:ANNOUNCED_BYTES])

    def unfinished(self) -> tuple[int, int]:
        """Return how many bytes of the body are here, and how many it will have at least."""
        return len(self._body), max(self._size, len(self._body))

    def frame(self, payload: bytes) -> bytes:
        """Return ``payload`` as it is."""
        return payload

    def frame_quick_ack(self, token: int) -> bytes:
        """Do not call: this framing has none.

        :raises NotImplementedError: always.
        """
        raise NotImplementedError("HTTP has no quick acks")
