"""The plain frames of a WebSocket, read and written without Autobahn's machinery.

Nearly all that comes is whole binary messages of one masked frame each, and all that is sent is
the same without a mask. Autobahn spends 40 µs on a pair of them: a cipher object for the mask, a
dozen calls, statistics. From the first byte that is not plain the frames go to
:mod:`~gnetway.net.websocket.reader`.

Source: RFC 6455, section 5.2
"""

from importlib.metadata import version
from struct import Struct
from typing import Final

from autobahn.websocket.xormasker import create_xor_masker  # type: ignore[attr-defined]

#: Major and minor of the Autobahn whose state was compared: who reads and writes beside it has to
#: know when it is inside a frame, or has something to write.
KNOWN_AUTOBAHN: Final = (26, 10)

#: First byte of the last, and only, frame of a binary message.
_BINARY: Final = 0x82
_MASKED: Final = 0x80

#: Lengths up to this stand in the second byte itself; 126 says that they are the next two.
_SHORT: Final = 125
_TWO_BYTES: Final = 126
_EIGHT_BYTES: Final = 127
_LONGEST_OF_TWO: Final = 0xFFFF
_MASK_BYTES: Final = 4

#: Messages that are taken at once, so that many small ones leave the others their turn.
MAX_MESSAGES: Final = 256

#: From so many bytes on Autobahn's own cipher is faster than one large number.
LARGE_BYTES: Final = 2048

_TWO_BYTE_HEAD: Final = Struct("!BBH")
_EIGHT_BYTE_HEAD: Final = Struct("!BBQ")


def why_not() -> str:
    """Return why Autobahn reads and writes all frames here, in a few words; empty where not."""
    installed = version("autobahn")
    major, minor = installed.split(".")[:2]
    if (int(major), int(minor)) == KNOWN_AUTOBAHN:
        return ""
    return f"Autobahn {installed} was not compared"


def take_messages(data: bytes, max_bytes: int) -> tuple[bytes, int]:
    """Return what the plain messages at the beginning of ``data`` carry, joined.

    With it the number of bytes that they took: there begins a frame that is not whole, not plain,
    has more than 65,535 bytes or more than ``max_bytes``, or breaks the protocol; or they were
    ``MAX_MESSAGES``.
    """
    payloads: list[bytes] = []
    begin, end = 0, len(data)
    # An empty frame has 6 bytes; with fewer there is none, and its size need not be looked at.
    while (
        end - begin >= 2 + _MASK_BYTES and data[begin] == _BINARY and len(payloads) < MAX_MESSAGES
    ):
        # Below 0 without a mask, which a client must not leave out: the reader closes for it.
        size = data[begin + 1] - _MASKED
        mask_at = begin + 2
        if size == _TWO_BYTES:
            size = data[begin + 2] << 8 | data[begin + 3]
            mask_at += 2
            if size <= _SHORT:
                # Not the shortest form of its length: a fault, for the reader to name.
                break
        elif not 0 <= size <= _SHORT:
            break
        payload_at = mask_at + _MASK_BYTES
        if payload_at + size > end or size > max_bytes:
            break
        begin = payload_at + size
        payloads.append(unmask(data[payload_at:begin], data[mask_at:payload_at]))
    # Nearly always it is one, which need not be copied.
    return payloads[0] if len(payloads) == 1 else b"".join(payloads), begin


def unmask(payload: bytes, mask: bytes) -> bytes:
    """Return a payload without its mask of 4 bytes."""
    size = len(payload)
    if size >= LARGE_BYTES:
        unmasked: bytes = create_xor_masker(mask, size).process(payload)
        return unmasked
    # One exclusive-or of two large numbers is done in C; a loop over the bytes would not be.
    masks = (mask * (size // _MASK_BYTES + 1))[:size]
    number = int.from_bytes(payload, "little") ^ int.from_bytes(masks, "little")
    return number.to_bytes(size, "little")


def binary_messages(payloads: list[bytes]) -> bytes:
    """Return a server's binary messages with these payloads, each in one frame."""
    parts = []
    for payload in payloads:
        parts.append(_message_head(len(payload)))
        parts.append(payload)
    return b"".join(parts)


def _message_head(size: int) -> bytes:
    if size <= _SHORT:
        return bytes((_BINARY, size))
    if size <= _LONGEST_OF_TWO:
        return _TWO_BYTE_HEAD.pack(_BINARY, _TWO_BYTES, size)
    return _EIGHT_BYTE_HEAD.pack(_BINARY, _EIGHT_BYTES, size)


#: Close codes. Source: RFC 6455, section 7.4.1; 1013 is in the registry of section 11.7
_NORMAL: Final = 1000
_GOING_AWAY: Final = 1001
PROTOCOL_ERROR: Final = 1002
_UNSUPPORTED_DATA: Final = 1003
_POLICY_VIOLATION: Final = 1008
TOO_BIG: Final = 1009
_INTERNAL_ERROR: Final = 1011
_TRY_AGAIN_LATER: Final = 1013

#: Causes of an end that have another close code than a protocol error: only a client that is at
#: fault is told so, and most of these are none of its own.
CLOSE_CODES: Final = {
    "gateway_stopped": _GOING_AWAY,
    "ended_by_operator": _GOING_AWAY,
    "drained_by_operator": _GOING_AWAY,
    # Nothing is wrong: a client that was silent or slow, or whose key or data centre is not here.
    "idle": _NORMAL,
    "gave_up_at_res_pq": _NORMAL,
    "handshake_timeout": _NORMAL,
    "handshake_expired": _NORMAL,
    "handshake_unknown": _NORMAL,
    "handshake_wrong_dc": _NORMAL,
    "key_destroyed": _NORMAL,
    "key_unknown": _NORMAL,
    "key_unregistered": _NORMAL,
    "packet_timeout": _NORMAL,
    # The gateway's own fault or its backend's, or a crowd.
    "gave_way": _TRY_AGAIN_LATER,
    "too_many_connections": _TRY_AGAIN_LATER,
    "too_many_half_open": _TRY_AGAIN_LATER,
    "backend_unavailable": _TRY_AGAIN_LATER,
    "handshake_too_fast": _TRY_AGAIN_LATER,
    "handshake_too_many": _TRY_AGAIN_LATER,
    "handshake_too_much_work": _TRY_AGAIN_LATER,
    "hold_expired": _TRY_AGAIN_LATER,
    "hold_full": _TRY_AGAIN_LATER,
    "no_session_node": _TRY_AGAIN_LATER,
    "not_acknowledged": _TRY_AGAIN_LATER,
    "unknown_keys": _TRY_AGAIN_LATER,
    "message_refused": _TRY_AGAIN_LATER,
    "stopped": _TRY_AGAIN_LATER,
    "handshake_work_failed": _INTERNAL_ERROR,
    # The client's.
    "bind_refused": PROTOCOL_ERROR,
    "message_too_big": TOO_BIG,
    "packet_too_large": TOO_BIG,
    "websocket_control_frames": _POLICY_VIOLATION,
    "websocket_small_frames": _POLICY_VIOLATION,
    "websocket_text": _UNSUPPORTED_DATA,
}


def close_code(cause: str) -> int:
    """Return the close code for a cause of an end."""
    return CLOSE_CODES.get(cause, PROTOCOL_ERROR)
