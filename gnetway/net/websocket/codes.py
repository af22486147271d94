"""With which code a WebSocket closes: only a client that is at fault is told so.

Source: RFC 6455, section 7.4.1, and the registry of its section 11.7
"""

from typing import Final

_NORMAL: Final = 1000
_GOING_AWAY: Final = 1001
PROTOCOL_ERROR: Final = 1002
_UNSUPPORTED_DATA: Final = 1003
_POLICY_VIOLATION: Final = 1008
_TOO_BIG: Final = 1009
_INTERNAL_ERROR: Final = 1011
_TRY_AGAIN_LATER: Final = 1013

#: Causes of an end that have another close code than a protocol error, most without a fault of
#: the client.
CLOSE_CODES: Final = {
    "gateway_stopped": _GOING_AWAY,
    # Nothing is wrong: a client that was silent or slow, or whose key or data centre is not here.
    "idle": _NORMAL,
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
    "message_too_big": _TOO_BIG,
    "packet_too_large": _TOO_BIG,
    "websocket_control_frames": _POLICY_VIOLATION,
    "websocket_small_frames": _POLICY_VIOLATION,
    "websocket_text": _UNSUPPORTED_DATA,
}


def close_code(cause: str) -> int:
    """Return the close code for a cause of an end."""
    return CLOSE_CODES.get(cause, PROTOCOL_ERROR)
