"""What connections share, and the faults of a client that uses keys wrongly."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Final

from gnetway.codec.packet import DEFAULT_MAX_PACKET_BYTES
from gnetway.errors import ProtocolError, TransportErrorCode
from gnetway.handshake.pending import PendingExchanges
from gnetway.tl.unwrap import UnwrapLimits

#: The largest packet until a key is known: no message of a key exchange comes near it.
DEFAULT_FIRST_PACKET_BYTES: Final = 4096

#: Keys one link may use; clients mix two or three (temporary, media, permanent).
DEFAULT_MAX_KEYS: Final = 8


class AuthKeyMissing(ProtocolError):
    """The backend has proved that it does not know the key of a packet, or the key has expired."""

    transport_error: ClassVar[TransportErrorCode | None] = TransportErrorCode.KEY_UNKNOWN
    cause: ClassVar[str] = "key_unknown"


class AuthKeyGone(AuthKeyMissing):
    """A key that the link has used is destroyed, or the backend knows it no more."""

    cause: ClassVar[str] = "key_destroyed"


class TooManyKeys(ProtocolError):
    """One link used more keys than any client does."""

    transport_error: ClassVar[TransportErrorCode | None] = TransportErrorCode.FLOOD
    cause: ClassVar[str] = "too_many_keys"


class TooManyBeginnings(ProtocolError):
    """A client begins key exchanges and does not go on with any."""

    cause: ClassVar[str] = "handshake_too_many_beginnings"


@dataclass(frozen=True, slots=True)
class ConnectionSetup:
    """What all connections of a listener share.

    ``max_packet_bytes`` bounds any packet, ``first_packet_bytes`` those before a key is known.
    With ``backend_takes_unbound`` messages of unbound temporary keys go to the session backend,
    their binds once they are proved; without, only those.
    """

    exchanges: PendingExchanges
    random_bytes: Callable[[int], bytes]
    max_packet_bytes: int = DEFAULT_MAX_PACKET_BYTES
    first_packet_bytes: int = DEFAULT_FIRST_PACKET_BYTES
    max_keys: int = DEFAULT_MAX_KEYS
    backend_takes_unbound: bool = False
    unwrap_limits: UnwrapLimits = field(default_factory=UnwrapLimits)
