"""Every error of the gateway, one class per thing a caller can act upon.

A :class:`ProtocolError` is a client's fault: it ends the connection, is counted by its ``cause``
and never logged one by one. A :class:`BackendError` is what the session backend answered or
failed to answer.
"""

from enum import IntEnum
from typing import ClassVar


class TransportErrorCode(IntEnum):
    """Codes sent to a client as a 4-byte little-endian signed payload (HTTP: as the status).

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
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code} {text}")
        self.code = code
        self.text = text


class ConfigError(GatewayError):
    """The configuration has faults.

    ``faults`` holds one line each: file, line, key path, what was found, what is allowed.
    """

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults
