"""The framings of MTProto: where a packet begins and ends.

    abridged                the length in words of 4 bytes, in one byte or in four
    intermediate            a 4-byte little-endian length, then the payload
    padded intermediate     the same, with up to 15 random bytes behind the payload
    full                    length, sequence number, payload, CRC-32
    HTTP                    the body of a request is one packet, and so is the body of its answer

Source: core.telegram.org/mtproto/mtproto-transports
"""

from collections.abc import Callable
from struct import Struct
from typing import ClassVar, Final
from zlib import crc32

from gnetway.codec.packet import (
    ANNOUNCED_BYTES,
    DEFAULT_MAX_PACKET_BYTES,
    MIN_PACKET_BYTES,
    BufferedCodec,
)
from gnetway.errors import FramingError, PacketTooLarge

#: Protocol tag in an obfuscated header; a plain connection begins with one such byte.
ABRIDGED_TAG: Final = b"\xef\xef\xef\xef"

#: In place of a length: the length follows, as 3 bytes, little endian.
_LONG: Final = 0x7F

#: Set in the first byte where a quick ack is wanted.
_ABRIDGED_QUICK_ACK_BIT: Final = 0x80

_WORD_BYTES: Final = 4


class AbridgedCodec(BufferedCodec):
    """One byte of length for payloads under 508 bytes, else 7f and 3 bytes, little endian.

    Lengths count words of 4 bytes. Bit 7 of the first byte asks for a quick ack.
    Source: core.telegram.org/mtproto/mtproto-transports#abridged
    """

    __slots__ = ()
    name: ClassVar[str] = "abridged"
    supports_quick_ack: ClassVar[bool] = True

    def frame(self, payload: bytes) -> bytes:
        """Return ``payload``, a multiple of 4 bytes and under 64 MiB, behind its length."""
        words, rest = divmod(len(payload), _WORD_BYTES)
        assert not rest, "an abridged length cannot tell the bytes of an unfinished word"
        if words < _LONG:
            return words.to_bytes(1, "little") + payload
        return b"\x7f" + words.to_bytes(3, "little") + payload

    def frame_quick_ack(self, token: int) -> bytes:
        """Return the 4 bytes of ``token``, big endian: its bit 31 comes first on the wire."""
        return token.to_bytes(4, "big")

    def _head(self) -> tuple[int, int, bool] | None:
        buffer, start = self.buffered, self._start
        first = buffer[start]
        words = first & _LONG
        begin = start + 1
        if words == _LONG:
            begin = start + 4
            if len(buffer) < begin:
                return None
            words = int.from_bytes(buffer[start + 1 : begin], "little")
        size = words * _WORD_BYTES
        self._check_size(size, _WORD_BYTES)
        return begin, size, first >= _ABRIDGED_QUICK_ACK_BIT


#: First 4 bytes of a plain connection, and the protocol tag in an obfuscated header.
INTERMEDIATE_TAG: Final = b"\xee\xee\xee\xee"
PADDED_INTERMEDIATE_TAG: Final = b"\xdd\xdd\xdd\xdd"

#: Set in the length where a quick ack is wanted.
_QUICK_ACK_BIT: Final = 0x8000_0000

#: Stands before the token of a padded quick ack, where a packet has its auth_key_id.
_QUICK_ACK_MARK: Final = b"\xff\xff\xff\xff"

#: Padding is 0 to 3 bytes although the documents allow 15: two client libraries take off the
#: length mod 4 and no more.
_PADDING_MASK: Final = 3

_LENGTH: Final = Struct("<I")


class IntermediateCodec(BufferedCodec):
    """A 4-byte little-endian length in bytes, whose bit 31 asks for a quick ack.

    Source: core.telegram.org/mtproto/mtproto-transports#intermediate
    """

    __slots__ = ()
    name: ClassVar[str] = "intermediate"
    supports_quick_ack: ClassVar[bool] = True
    _alignment: ClassVar[int] = 4

    def frame(self, payload: bytes) -> bytes:
        """Return ``payload`` behind its length."""
        return _LENGTH.pack(len(payload)) + payload

    def frame_quick_ack(self, token: int) -> bytes:
        """Return the 4 bytes of ``token``, little endian, without a length."""
        return _LENGTH.pack(token)

    def _head(self) -> tuple[int, int, bool] | None:
        begin = self._start + _LENGTH.size
        if len(self.buffered) < begin:
            return None
        (length,) = _LENGTH.unpack_from(self.buffered, self._start)
        size = length & ~_QUICK_ACK_BIT
        if not MIN_PACKET_BYTES <= size <= self.max_packet_bytes or size % self._alignment:
            self._check_size(size, self._alignment)
        return begin, size, length >= _QUICK_ACK_BIT


class PaddedIntermediateCodec(IntermediateCodec):
    """Intermediate framing with random bytes after the payload, counted in the length.

    An incoming packet is given with its padding, 0 to 15 bytes: only the envelope can tell where
    the payload ends.
    Source: core.telegram.org/mtproto/mtproto-transports#padded-intermediate
    """

    __slots__ = ("_random_bytes",)
    name: ClassVar[str] = "padded intermediate"
    _alignment: ClassVar[int] = 1

    def __init__(
        self,
        random_bytes: Callable[[int], bytes],
        max_packet_bytes: int = DEFAULT_MAX_PACKET_BYTES,
    ) -> None:
        super().__init__(max_packet_bytes)
        self._random_bytes = random_bytes

    def frame(self, payload: bytes) -> bytes:
        """Return ``payload`` and 0 to 3 random bytes behind the length of both."""
        # One call for the random bytes and for their number.
        chance = self._random_bytes(_PADDING_MASK + 1)
        padding = chance[: chance[-1] & _PADDING_MASK]
        return _LENGTH.pack(len(payload) + len(padding)) + payload + padding

    def frame_quick_ack(self, token: int) -> bytes:
        """Return a packet of FFFFFFFF and ``token``, little endian, padded like any other."""
        return self.frame(_QUICK_ACK_MARK + _LENGTH.pack(token))


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
