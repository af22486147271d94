"""gRPC's own header fields: statuses, their text, timeouts; and what HTTP's errors mean to it.

Source: grpc.github.io/grpc/core/md_doc__p_r_o_t_o_c_o_l-_h_t_t_p2.html
"""

import re
from typing import Final

from gnetway.http2.error_codes import ErrorCode

#: The statuses that this package gives by itself.
OK: Final = 0
CANCELLED: Final = 1
UNKNOWN: Final = 2
PERMISSION_DENIED: Final = 7
RESOURCE_EXHAUSTED: Final = 8
UNIMPLEMENTED: Final = 12
INTERNAL: Final = 13
UNAVAILABLE: Final = 14
UNAUTHENTICATED: Final = 16

_OF_RESET: Final[dict[int, int]] = {
    ErrorCode.REFUSED_STREAM: UNAVAILABLE,
    ErrorCode.CANCEL: CANCELLED,
    ErrorCode.ENHANCE_YOUR_CALM: RESOURCE_EXHAUSTED,
    ErrorCode.INADEQUATE_SECURITY: PERMISSION_DENIED,
}
_OF_HTTP: Final = {
    400: INTERNAL,
    401: UNAUTHENTICATED,
    403: PERMISSION_DENIED,
    404: UNIMPLEMENTED,
    429: UNAVAILABLE,
    502: UNAVAILABLE,
    503: UNAVAILABLE,
    504: UNAVAILABLE,
}
_UNIT_SECONDS: Final = {
    b"H": 3600.0,
    b"M": 60.0,
    b"S": 1.0,
    b"m": 1e-3,
    b"u": 1e-6,
    b"n": 1e-9,
}
_TIMEOUT: Final = re.compile(rb"([0-9]{1,8})([HMSmun])")
_MAX_DIGITS: Final = 10**8
_QUOTED_CHARACTERS: Final = 100
_TO_ENCODE: Final = re.compile(rb"[^\x20-\x24\x26-\x7e]")
_ENCODED: Final = re.compile(rb"%([0-9A-Fa-f]{2})")


def status_of_reset(code: int) -> int:
    """Return the gRPC status that a RST_STREAM with this error code stands for."""
    return _OF_RESET.get(code, INTERNAL)


def status_of_http(status: int) -> int:
    """Return the gRPC status of an HTTP response without one of its own."""
    return _OF_HTTP.get(status, UNKNOWN)


def encode_timeout(seconds: float) -> bytes:
    """Return the value of grpc-timeout: at most 8 digits, and the finest unit they suffice for."""
    for unit, length in ((b"u", 1e-6), (b"m", 1e-3), (b"S", 1.0), (b"M", 60.0)):
        count = max(1, round(seconds / length))
        if count < _MAX_DIGITS:
            return b"%d%b" % (count, unit)
    return b"%dH" % min(seconds // 3600, _MAX_DIGITS - 1)


def parse_timeout(value: bytes) -> float:
    """Return a grpc-timeout in seconds.

    :raises ValueError: it is none.
    """
    found = _TIMEOUT.fullmatch(value)
    if found is None:
        raise ValueError("grpc-timeout is not at most 8 digits and a unit")
    return int(found[1]) * _UNIT_SECONDS[found[2]]


def quoted(text: str) -> str:
    """Return what a peer has named as an answer may repeat it: at most 100 characters of it.

    With all of it, a request of some bytes that refers to a long name would have a long answer.
    """
    return text if len(text) <= _QUOTED_CHARACTERS else f"{text[:_QUOTED_CHARACTERS]}…"


def encode_message(text: str) -> bytes:
    """Return a text as the value of grpc-message: percent-encoded UTF-8."""
    return _TO_ENCODE.sub(lambda found: b"%%%02X" % ord(found[0]), text.encode())


def decode_message(value: bytes) -> str:
    """Return the text of a grpc-message; what is wrongly encoded stays as it is."""
    if b"%" in value:
        value = _ENCODED.sub(lambda found: bytes([int(found[1], 16)]), value)
    return value.decode(errors="replace")
