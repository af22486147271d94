"""The seam between a framing and the layers above it, and the bound on packets."""

from typing import ClassVar, Final, Protocol

#: Largest payload taken, in bytes. The biggest legitimate packet, a 512 KiB file part in a
#: container, is far below; other servers allow 10 to 16 MiB.
DEFAULT_MAX_PACKET_BYTES: Final = 16 * 1024 * 1024


class Codec(Protocol):
    """One framing of MTProto packets, both directions of one connection.

    ``name`` is the framing's own, as people know it. ``supports_quick_ack`` tells whether
    ``frame_quick_ack`` may be called. ``max_packet_bytes`` bounds an incoming payload.
    ``buffered`` begins what is not taken yet, empty where there is nothing.
    """

    name: ClassVar[str]
    supports_quick_ack: ClassVar[bool]
    max_packet_bytes: int
    buffered: bytes

    def receive(self, data: bytes) -> None:
        """Take the next segment; ``next_packet`` then gives what it completed."""

    def next_packet(self) -> tuple[bytes, bool] | None:
        """Return the oldest complete packet, or None while bytes are missing.

        The packet is its payload and whether a quick ack is wanted for it.

        :raises PacketTooLarge: the length announced is above ``max_packet_bytes``; raised as soon
            as the length is here, before the payload is waited for.
        :raises FramingError: the stream does not follow the framing.
        """

    def announced(self) -> tuple[int, bytes] | None:
        """Return how long the packet being waited for is, in bytes, and how it begins.

        To be asked after ``next_packet`` has returned None. The beginning is the first 8 bytes
        of the payload (the auth_key_id), or as many as are here. None where nothing is buffered
        or the length is not known yet.
        """

    def unfinished(self) -> tuple[int, int]:
        """Return how many bytes of the packet being waited for are here, and how many it has.

        To be asked after ``next_packet`` has returned None. The second is 0 while it is not known.
        """

    def frame(self, payload: bytes) -> bytes:
        """Return the bytes that carry ``payload``, 4 bytes or a multiple of them."""

    def frame_quick_ack(self, token: int) -> bytes:
        """Return the bytes that carry a quick ack.

        ``token`` is unsigned 32-bit with bit 31 set, which is how clients tell it from a length.
        """
