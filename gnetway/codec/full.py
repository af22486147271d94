"""Full framing: length, sequence number, payload, CRC-32."""

from struct import Struct
from typing import ClassVar, Final
from zlib import crc32

from gnetway.codec.packet import DEFAULT_MAX_PACKET_BYTES, BufferedCodec
from gnetway.errors import FramingError

#: Length of the whole packet with itself and the CRC, and the sequence number.
_HEAD: Final = Struct("<II")
_CRC: Final = Struct("<I")
_OVERHEAD_BYTES: Final = _HEAD.size + _CRC.size
_ALIGNMENT: Final = 4
_SEQ_MASK: Final = 0xFFFF_FFFF


class FullCodec(BufferedCodec):
    """Everything little endian: 4-byte length, 4-byte sequence number, payload, 4-byte CRC-32.

    The length counts all four parts, the CRC covers the first three. Each side numbers its own
    packets from 0. There are no quick acks.
    Source: core.telegram.org/mtproto/mtproto-transports#full
    """

    __slots__ = ("_incoming_seq", "_outgoing_seq")
    name: ClassVar[str] = "full"
    supports_quick_ack: ClassVar[bool] = False
    _trailer_bytes: ClassVar[int] = _CRC.size

    def __init__(self, max_packet_bytes: int = DEFAULT_MAX_PACKET_BYTES) -> None:
        super().__init__(max_packet_bytes)
        self._incoming_seq = 0
        self._outgoing_seq = 0

    def next_packet(self) -> tuple[bytes, bool] | None:
        """Return the oldest complete payload and False, or None while bytes are missing.

        :raises PacketTooLarge: the payload announced is above ``max_packet_bytes``.
        :raises FramingError: wrong length, sequence number or CRC.
        """
        packet = super().next_packet()
        if packet is None:
            return None
        payload = packet[0][: -_CRC.size]
        head = _HEAD.pack(len(payload) + _OVERHEAD_BYTES, self._incoming_seq)
        # The head has been cut off; its bytes follow from what it was checked to be.
        if _CRC.unpack_from(packet[0], len(payload))[0] != crc32(payload, crc32(head)):
            raise FramingError("wrong CRC")
        self._incoming_seq = (self._incoming_seq + 1) & _SEQ_MASK
        return payload, False

    def frame(self, payload: bytes) -> bytes:
        """Return ``payload`` with length, the next sequence number and CRC."""
        head = _HEAD.pack(len(payload) + _OVERHEAD_BYTES, self._outgoing_seq)
        self._outgoing_seq = (self._outgoing_seq + 1) & _SEQ_MASK
        return head + payload + _CRC.pack(crc32(payload, crc32(head)))

    def frame_quick_ack(self, token: int) -> bytes:
        """Do not call: this framing has none.

        :raises NotImplementedError: always.
        """
        raise NotImplementedError("full framing has no quick acks")

    def _head(self) -> tuple[int, int, bool] | None:
        begin = self._start + _HEAD.size
        if len(self.buffered) < begin:
            return None
        length, seq = _HEAD.unpack_from(self.buffered, self._start)
        size = length - _OVERHEAD_BYTES
        self._check_size(size, _ALIGNMENT)
        if seq != self._incoming_seq:
            raise FramingError(f"sequence number {seq}, expected {self._incoming_seq}")
        return begin, size, False
