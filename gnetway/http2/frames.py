"""The frames of HTTP/2: their heads, types and flags, and those whose payload is fixed.

Source: RFC 9113 sections 4.1 and 6.
"""

from struct import Struct
from typing import Final

#: What a client sends first. Source: RFC 9113 section 3.4.
PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA: Final = 0
HEADERS: Final = 1
PRIORITY: Final = 2
RST_STREAM: Final = 3
SETTINGS: Final = 4
PUSH_PROMISE: Final = 5
PING: Final = 6
GOAWAY: Final = 7
WINDOW_UPDATE: Final = 8
CONTINUATION: Final = 9

#: Flags; the first is END_STREAM on DATA and HEADERS, ACK on SETTINGS and PING.
END_STREAM: Final = 0x1
ACK: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
HAS_PRIORITY: Final = 0x20

#: Bytes of a frame's head.
HEAD_BYTES: Final = 9

#: The largest frame that may be sent to a peer that has not said otherwise.
DEFAULT_FRAME_BYTES: Final = 16_384

#: Stream ids and window sizes have 31 bits.
MAX_31_BITS: Final = 0x7FFF_FFFF

#: A head: length (24 bits) and type in one word, flags, stream id.
FRAME_HEAD: Final = Struct(">IBI")

#: A DATA frame's head with the gRPC prefix of the message that fills it.
MESSAGE_HEAD: Final = Struct(">IBIBI")

#: The gRPC prefix alone: compressed or not, length.
MESSAGE_PREFIX: Final = Struct(">BI")

_WORD: Final = Struct(">I")
_TWO_WORDS: Final = Struct(">II")


def pack_frame(kind: int, flags: int, stream_id: int, payload: bytes) -> bytes:
    """Return a frame."""
    return FRAME_HEAD.pack(len(payload) << 8 | kind, flags, stream_id) + payload


def pack_reset(stream_id: int, code: int) -> bytes:
    """Return a RST_STREAM frame."""
    return FRAME_HEAD.pack(4 << 8 | RST_STREAM, 0, stream_id) + _WORD.pack(code)


def pack_window_update(stream_id: int, increment: int) -> bytes:
    """Return a WINDOW_UPDATE frame; stream 0 is the connection, the increment in bytes."""
    return FRAME_HEAD.pack(4 << 8 | WINDOW_UPDATE, 0, stream_id) + _WORD.pack(increment)


def pack_goaway(last_stream_id: int, code: int, text: str = "") -> bytes:
    """Return a GOAWAY frame; ``text`` is for the peer's log."""
    payload = _TWO_WORDS.pack(last_stream_id, code) + text.encode()
    return pack_frame(GOAWAY, 0, 0, payload)


def pack_fields(stream_id: int, block: bytes, max_frame_bytes: int, *, end_stream: bool) -> bytes:
    """Return a field block as a HEADERS frame, and CONTINUATIONs where it is longer."""
    ending = END_STREAM if end_stream else 0
    if len(block) <= max_frame_bytes:
        return pack_frame(HEADERS, END_HEADERS | ending, stream_id, block)
    frames = [pack_frame(HEADERS, ending, stream_id, block[:max_frame_bytes])]
    for start in range(max_frame_bytes, len(block), max_frame_bytes):
        part = block[start : start + max_frame_bytes]
        flags = END_HEADERS if start + max_frame_bytes >= len(block) else 0
        frames.append(pack_frame(CONTINUATION, flags, stream_id, part))
    return b"".join(frames)
