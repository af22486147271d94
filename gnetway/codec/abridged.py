"""Abridged framing: the length in words of 4 bytes, in one byte or in four."""

from typing import ClassVar, Final

from gnetway.codec.packet import BufferedCodec

#: Protocol tag in an obfuscated header; a plain connection begins with one such byte.
ABRIDGED_TAG: Final = b"\xef\xef\xef\xef"

#: In place of a length: the length follows, as 3 bytes, little endian.
_LONG: Final = 0x7F

#: Set in the first byte where a quick ack is wanted.
_QUICK_ACK_BIT: Final = 0x80

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
        return begin, size, first >= _QUICK_ACK_BIT
