"""Every error of the gateway, one class per thing a caller can act upon.

A :class:`ProtocolError` is a client's fault: it ends the connection, is counted by its ``cause``
and never logged one by one. A :class:`BackendError` is what the session backend answered or
failed to answer.
"""

from enum import IntEnum
from typing import ClassVar, Final

#: Most bytes of an RpcError's text, in UTF-8: room for a sentence, where the longest names that
#: clients know have about 50.
MAX_RPC_ERROR_TEXT_BYTES: Final = 1024


class TransportErrorCode(IntEnum):
    """Codes sent to a client as a 4-byte little-endian signed payload (HTTP: as the status too).

    Source: core.telegram.org/mtproto/mtproto-transports#transport-errors
    """

    KEY_UNKNOWN = -404
    FLOOD = -429
    WRONG_DC = -444


class GatewayError(Exception):
    """Root of the tree."""


class ProtocolError(GatewayError):
    """A client broke the protocol; the connection ends.

    ``transport_error`` is told to the client before the close, where the class has one.
    ``cause`` is the short name under which it is counted.
    """

    transport_error: ClassVar[TransportErrorCode | None] = None
    cause: ClassVar[str] = "protocol"

    def code_to_tell(self, tell_too_many: bool = True) -> TransportErrorCode | None:
        """Return what the client is told: without ``tell_too_many`` no -429, which silences iOS."""
        code = self.transport_error
        return None if code is TransportErrorCode.FLOOD and not tell_too_many else code


class FramingError(ProtocolError):
    """The bytes are no valid codec stream."""

    cause = "bad_framing"


class UnknownTransport(FramingError):
    """The first bytes belong to no transport served here."""

    cause = "unknown_transport"


class PacketTooLarge(FramingError):
    """An announced packet is larger than allowed.

    ``size`` and ``max_size`` are in bytes.
    """

    cause = "packet_too_large"

    def __init__(self, size: int, max_size: int) -> None:
        super().__init__(f"packet of {size} bytes, allowed are {max_size}")
        self.size = size
        self.max_size = max_size


class TLError(ProtocolError):
    """Data that ends too early or does not follow its TL type."""

    cause = "bad_tl"


class MessageError(ProtocolError):
    """A packet that is no sound MTProto message; all such look alike to the client."""

    cause = "bad_message"


class SessionIdZero(MessageError):
    """A client may not use session_id 0; Telegram answers it -404."""

    transport_error = TransportErrorCode.KEY_UNKNOWN
    cause = "session_id_zero"


class HandshakeError(ProtocolError):
    """A wrong step of the key exchange; its checks subclass it in ``handshake/checks.py``."""

    transport_error = TransportErrorCode.KEY_UNKNOWN
    cause = "bad_handshake"


class Busy(ProtocolError):
    """There is no room for what a client wants; the connection ends without a code, but not yet.

    A -429 would silence iOS for good, and a close at once would bring every client back at once.
    """


class BackendError(GatewayError):
    """The session backend did not do what it was asked."""


class KeyUnknown(BackendError):
    """The backend has proved that it does not know the auth key (its 401)."""


class BackendUnavailable(BackendError):
    """No session node could be reached in time; says nothing about any key."""


class BackendRefused(BackendError):
    """The backend answered with an error of its own."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code} {text}")
        self.code = code
        self.text = text


class RpcError(GatewayError):
    """An RPC failed; the client gets it as rpc_error.

    ``code`` is an HTTP-like number, ``text`` the upper-case name, e.g. 401 AUTH_KEY_UNREGISTERED.

    :raises TypeError: ``code`` is no int, or ``text`` no str.
    :raises ValueError: ``code`` is 0 or needs more than 32 bits with its sign; ``text`` is empty,
        above 1024 bytes, or no UTF-8.
    """

    def __init__(self, code: int, text: str) -> None:
        code, text = _rpc_error_code(code), _rpc_error_text(text)
        super().__init__(f"{code} {text}")
        self.code = code
        self.text = text


class TransportError(ProtocolError):
    """What a handler raises to end the client's connections with a transport error.

    ``code`` is 404 or -404, and so on: 404 has the client throw its key away and begin anew, 429
    has it come back later (iOS never), 444 says that it is the wrong data centre.

    :raises ValueError: another code.
    """

    cause = "closed_by_handler"

    def __init__(self, code: int) -> None:
        numbers = [-one.value for one in TransportErrorCode]
        # True is an int to Python, and a mistake here.
        if not isinstance(code, int) or isinstance(code, bool) or abs(code) not in numbers:
            allowed = ", ".join(map(str, numbers))
            raise ValueError(f"code of a TransportError is one of {allowed}, not {code!r}")
        self.code = TransportErrorCode(-abs(code))
        super().__init__(f"{self.code:d} by the handler")

    def code_to_tell(self, tell_too_many: bool = True) -> TransportErrorCode:
        """Return the code, whichever it is: the application has decided."""
        return self.code


class PushFailed(GatewayError):
    """Nobody has acknowledged a push; ``reason`` is one of its constants."""

    #: The session has no connection now, or its client has not spoken in it yet.
    NOT_CONNECTED: ClassVar[str] = "not connected"
    #: As many pushes of the session wait for their acknowledgement as may, or too much waits for
    #: its next HTTP request.
    TOO_MANY: ClassVar[str] = "too many"
    #: No acknowledgement has come in time.
    TIMED_OUT: ClassVar[str] = "timed out"
    #: The session was destroyed, or away for too long, or the gateway has stopped.
    SESSION_OVER: ClassVar[str] = "session over"

    def __init__(self, reason: str) -> None:
        super().__init__(f"the push was not acknowledged: {reason}")
        self.reason = reason


class TooManyNames(GatewayError):
    """There is no room for another name of a session or key."""


def _rpc_error_code(code: object) -> int:
    # True is an int to Python, and a mistake here.
    if not isinstance(code, int) or isinstance(code, bool):
        raise TypeError(f"code of an RpcError is an int such as 400, not {type(code).__name__}")
    # The plain number of whatever enum it is a member of.
    number = int.__int__(code)
    if not number or not -(2**31) <= number < 2**31:
        raise ValueError("code of an RpcError is a number of 32 bits with its sign, and not 0")
    return number


def _rpc_error_text(text: object) -> str:
    if not isinstance(text, str):
        raise TypeError(f"text of an RpcError is a str, not {type(text).__name__}")
    plain = str.__str__(text)
    try:
        size = len(plain.encode())
    except UnicodeEncodeError:
        raise ValueError("text of an RpcError cannot be encoded as UTF-8") from None
    if not 1 <= size <= MAX_RPC_ERROR_TEXT_BYTES:
        allowed = f"1 to {MAX_RPC_ERROR_TEXT_BYTES}"
        raise ValueError(f"text of an RpcError has {size} bytes, allowed are {allowed}")
    return plain


class ConfigError(GatewayError):
    """The configuration has faults.

    ``faults`` holds one line each: file, line, key path, what was found, what is allowed.
    """

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults
