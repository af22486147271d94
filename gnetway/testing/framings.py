"""The client's half of the framings, written from their description and not from the codecs.

Source: core.telegram.org/mtproto/mtproto-transports
"""

from enum import Enum
from zlib import crc32


class Framing(Enum):
    """The framings; the value is the protocol tag, empty where there is none."""

    ABRIDGED = b"\xef\xef\xef\xef"
    INTERMEDIATE = b"\xee\xee\xee\xee"
    PADDED = b"\xdd\xdd\xdd\xdd"
    FULL = b""


#: Those that obfuscated2 has a tag for.
OBFUSCATED = [framing for framing in Framing if framing is not Framing.FULL]


def abridged(payload: bytes, quick_ack: bool = False) -> bytes:
    """Return a packet behind its length in words: one byte, or 0x7f and three."""
    words = len(payload) // 4
    flag = 0x80 if quick_ack else 0
    if words < 0x7F:
        return bytes([words | flag]) + payload
    return bytes([0x7F | flag]) + words.to_bytes(3, "little") + payload


def intermediate(payload: bytes, quick_ack: bool = False) -> bytes:
    """Return a packet behind its length in four bytes, the padding counted in."""
    return (len(payload) | quick_ack << 31).to_bytes(4, "little") + payload


def full(payload: bytes, seq: int) -> bytes:
    """Return a packet between its length and number, and the CRC-32 of all three."""
    covered = b"".join(
        (
            (len(payload) + 12).to_bytes(4, "little"),
            seq.to_bytes(4, "little"),
            payload,
        )
    )
    return covered + crc32(covered).to_bytes(4, "little")
