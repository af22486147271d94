"""Intermediate framing, and the padded one: a 4-byte little-endian length, then the payload."""

from collections.abc import Callable
from struct import Struct
from typing import ClassVar, Final

from gnetway.codec.packet import DEFAULT_MAX_PACKET_BYTES, MIN_PACKET_BYTES, BufferedCodec

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
