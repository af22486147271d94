"""SETTINGS: what each side tells the other about itself.

Source: RFC 9113 section 6.5.
"""

from enum import IntEnum
from struct import Struct
from typing import Final

from gnetway.http2.error_codes import ErrorCode, Http2Error
from gnetway.http2.frames import DEFAULT_FRAME_BYTES, MAX_31_BITS, SETTINGS, pack_frame

_PAIR: Final = Struct(">HI")
_MAX_FRAME_BYTES: Final = 0xFF_FFFF

#: Settings in one frame. HTTP/2 has some ten, and peers send each of theirs once.
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
    if number == Setting.MAX_FRAME_SIZE and not DEFAULT_FRAME_BYTES <= value <= _MAX_FRAME_BYTES:
        raise Http2Error(ErrorCode.PROTOCOL_ERROR, "MAX_FRAME_SIZE is out of range")
