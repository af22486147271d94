"""The frames of HTTP/2: their heads, types and flags, and those whose payload is fixed.

Source: RFC 9113 sections 4.1 and 6.
"""

from enum import IntEnum
from struct import Struct
from typing import Final

from gnetway.errors import GatewayError

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

#: What a peer may send us as one frame; more than the default means fewer of them for bulk.
MAX_FRAME_BYTES: Final = 64 * 1024

#: Stream ids and window sizes have 31 bits.
MAX_31_BITS: Final = 0x7FFF_FFFF

#: A head: length (24 bits) and type in one word, flags, stream id.
FRAME_HEAD: Final = Struct(">IBI")

#: A DATA frame's head with the gRPC prefix of the message that fills it.
MESSAGE_HEAD: Final = Struct(">IBIBI")
MESSAGE_HEAD_BYTES: Final = MESSAGE_HEAD.size

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


def without_padding(data: bytes, start: int, stop: int) -> tuple[int, int]:
    """Return where the content of a padded payload begins and ends.

    :raises Http2Error: there is more padding than payload.
    """
    if start == stop or start + 1 + data[start] > stop:
        raise Http2Error(ErrorCode.PROTOCOL_ERROR, "more padding than payload")
    return start + 1, stop - data[start]


# -- errors, as RST_STREAM and GOAWAY carry them: RFC 9113 sections 5.4 and 7 --------------------


class ErrorCode(IntEnum):
    """Error codes of RST_STREAM and GOAWAY."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    SETTINGS_TIMEOUT = 4
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    CONNECT_ERROR = 10
    ENHANCE_YOUR_CALM = 11
    INADEQUATE_SECURITY = 12
    HTTP_1_1_REQUIRED = 13


class Http2Error(GatewayError):
    """The peer broke the protocol in a way that ends the connection, with ``code``."""

    def __init__(self, code: ErrorCode, text: str) -> None:
        super().__init__(f"{code.name}: {text}")
        self.code = code
        self.text = text


class StreamFault(GatewayError):
    """The peer broke the protocol in a way that ends one stream, with ``code``."""

    def __init__(self, stream_id: int, code: ErrorCode, text: str) -> None:
        super().__init__(f"stream {stream_id}: {code.name}: {text}")
        self.stream_id = stream_id
        self.code = code
        self.text = text


# -- SETTINGS: what each side tells the other about itself, RFC 9113 section 6.5 -----------------

_PAIR: Final = Struct(">HI")
_LENGTH_MAX: Final = 0xFF_FFFF

#: Settings in one frame. HTTP/2 has some ten, and peers send each of theirs once; a frame full of
#: them would have us walk over all streams for each (section 10.5).
_MAX_SETTINGS: Final = 100


class Setting(IntEnum):
    """The settings by number; others are ignored."""

    HEADER_TABLE_SIZE = 1
    ENABLE_PUSH = 2
    MAX_CONCURRENT_STREAMS = 3
    INITIAL_WINDOW_SIZE = 4
    MAX_FRAME_SIZE = 5
    MAX_HEADER_LIST_SIZE = 6


def pack_settings(settings: list[tuple[Setting, int]]) -> bytes:
    """Return a SETTINGS frame."""
    payload = b"".join(_PAIR.pack(setting, value) for setting, value in settings)
    return pack_frame(SETTINGS, 0, 0, payload)


def parse_settings(payload: bytes) -> dict[int, int]:
    """Return the value of each setting by its number, unknown ones too; the last one counts.

    :raises Http2Error: the payload has no whole number of settings, or too many, or a value is
        not allowed.
    """
    if len(payload) % _PAIR.size:
        raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS are 6 bytes each")
    if len(payload) > _MAX_SETTINGS * _PAIR.size:
        raise Http2Error(ErrorCode.ENHANCE_YOUR_CALM, "too many settings")
    settings: dict[int, int] = {}
    for number, value in _PAIR.iter_unpack(payload):
        _check(number, value)
        settings[number] = value
    return settings


def _check(number: int, value: int) -> None:
    if number == Setting.ENABLE_PUSH and value > 1:
        raise Http2Error(ErrorCode.PROTOCOL_ERROR, "ENABLE_PUSH is neither 0 nor 1")
    if number == Setting.INITIAL_WINDOW_SIZE and value > MAX_31_BITS:
        raise Http2Error(ErrorCode.FLOW_CONTROL_ERROR, "INITIAL_WINDOW_SIZE is over 2^31-1")
    if number == Setting.MAX_FRAME_SIZE and not DEFAULT_FRAME_BYTES <= value <= _LENGTH_MAX:
        raise Http2Error(ErrorCode.PROTOCOL_ERROR, "MAX_FRAME_SIZE is out of range")


# -- the windows of flow control: RFC 9113 sections 5.2 and 6.9 ----------------------------------

#: Every window of either side begins with so many bytes.
DEFAULT_WINDOW_BYTES: Final = 65_535

#: What a peer may send on one stream before it hears of more. Whatever arrives is handed on at
#: once, so windows hold nobody back here; large ones spare both sides the updates.
STREAM_WINDOW_BYTES: Final = 4 << 20

#: The same for all streams of a connection.
CONNECTION_WINDOW_BYTES: Final = 16 << 20


def raised(window: int, increment: int) -> int:
    """Return a window after an increment of bytes.

    :raises OverflowError: it would be over 2^31-1.
    """
    window += increment
    if window > MAX_31_BITS:
        raise OverflowError("a window over 2^31-1 bytes")
    return window
