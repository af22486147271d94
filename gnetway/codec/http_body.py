"""HTTP's framing: the body of a request is one packet, and so is the body of its answer."""

from typing import ClassVar, Final

from gnetway.errors import PacketTooLarge

#: How much of an incomplete packet ``announced`` shows: as much as an auth_key_id has.
_ANNOUNCED_BYTES: Final = 8


class WholeCodec:
    """One packet each way, without a head of its own; where it ends the HTTP server knows.

    ``size`` is the body's length in bytes, None where it comes in chunks.
    """

    __slots__ = ("_body", "_size", "_whole", "buffered", "max_packet_bytes")
    name: ClassVar[str] = "http"
    supports_quick_ack: ClassVar[bool] = False

    def __init__(self, max_packet_bytes: int, size: int | None = None) -> None:
        self.max_packet_bytes = max_packet_bytes
        self._size = size or 0
        #: Joined as it comes: in chunks of a byte or two, each would take 40 of its own.
        self._body = bytearray()
        self._whole = False
        self.buffered = b""

    def receive(self, data: bytes) -> None:
        """Take the next part of the body."""
        self.buffered = data
        self._body += data

    def end(self) -> None:
        """Note that the body is all here."""
        self._whole = True

    def next_packet(self) -> tuple[bytes, bool] | None:
        """Return the body once it is whole, then None; a quick ack is never wanted.

        :raises PacketTooLarge: it is announced, or has grown, above ``max_packet_bytes``.
        """
        size = max(self._size, len(self._body))
        if size > self.max_packet_bytes:
            raise PacketTooLarge(size, self.max_packet_bytes)
        if not self._whole:
            return None
        body = bytes(self._body)
        self._body = bytearray()
        self.buffered = b""
        self._whole = False
        return body, False

    def announced(self) -> tuple[int, bytes] | None:
        """Return how long the body will be, as far as that is known, and its first 8 bytes."""
        if not self._body:
            return None
        return max(self._size, len(self._body)), bytes(self._body[:_ANNOUNCED_BYTES])

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
