"""What passes between a :class:`~gnetway.connection.connection.Connection` and its shell.

In: its setup, which all connections share. Out: events, pulled one by one, and the faults of a
client that uses keys wrongly; those of packets and messages are in ``errors.py``.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Final, NamedTuple

from gnetway.codec.packet import DEFAULT_MAX_PACKET_BYTES
from gnetway.crypto.auth_key import AuthKey
from gnetway.errors import ProtocolError, TransportErrorCode
from gnetway.handshake.exchange import KeyExchange, StoreWanted, WorkWanted
from gnetway.handshake.pending import PendingExchanges
from gnetway.mtproto.binding import Peek
from gnetway.tl.key_exchange import BindTempAuthKey
from gnetway.tl.unwrap import UnwrapLimits

#: The largest packet until a key is known: no message of a key exchange comes near it.
DEFAULT_FIRST_PACKET_BYTES: Final = 4096

#: Keys one link may use; clients mix two or three (temporary, media, permanent).
DEFAULT_MAX_KEYS: Final = 8


class Traffic:
    """What all connections have carried: bytes of the transports of MTProto, messages sent.

    Those that have come the shell counts, many at a time. Bytes are those without TLS, WebSocket's
    frames and the heads of HTTP.
    """

    __slots__ = ("bytes_in", "bytes_out", "messages_out", "quick_acks")

    def __init__(self) -> None:
        self.bytes_in = 0
        self.bytes_out = 0
        self.messages_out = 0
        self.quick_acks = 0


@dataclass(frozen=True, slots=True)
class ConnectionSetup:
    """What all connections of a listener share.

    ``max_packet_bytes`` bounds any packet, ``first_packet_bytes`` those before a key is known.
    With ``backend_takes_unbound`` messages of unbound temporary keys go to the session backend,
    their binds once they are proved; without, only those. ``client_told`` hears of each key and
    session_id whose client has first said of itself what it is: ``AuthKey.client`` has it.
    """

    exchanges: PendingExchanges
    random_bytes: Callable[[int], bytes]
    max_packet_bytes: int = DEFAULT_MAX_PACKET_BYTES
    first_packet_bytes: int = DEFAULT_FIRST_PACKET_BYTES
    max_keys: int = DEFAULT_MAX_KEYS
    backend_takes_unbound: bool = False
    unwrap_limits: UnwrapLimits = field(default_factory=UnwrapLimits)
    traffic: Traffic = field(default_factory=Traffic)
    client_told: Callable[[AuthKey, int], None] | None = None


class MessageReceived:
    """A sound encrypted message that its key may send.

    ``payload`` is the plaintext without salt and session_id: msg_id, seq_no, length, body,
    padding. ``quick_ack_token`` is 0 where the client wants none.
    """

    # No NamedTuple like the rarer ones: to make one takes twice as long.
    __slots__ = ("key", "payload", "quick_ack_token", "salt", "session_id")

    def __init__(
        self, key: AuthKey, salt: int, session_id: int, payload: bytes, quick_ack_token: int
    ) -> None:
        self.key = key
        self.salt = salt
        self.session_id = session_id
        self.payload = payload
        self.quick_ack_token = quick_ack_token

    def __repr__(self) -> str:
        size = len(self.payload)
        return f"<MessageReceived {self.key!r}, session {self.session_id}, {size} bytes>"


class BindReceived(NamedTuple):
    """An unbound temporary key asks to be bound; ``message`` carries the request.

    ``perm_auth_key_id`` is what the client names: nothing is proved yet. Find that key and call
    ``prove_bind``; nothing more is said until ``bind_accepted`` or ``bind_refused`` was called.
    """

    message: MessageReceived
    bind: BindTempAuthKey
    peek: Peek

    @property
    def perm_auth_key_id(self) -> int:
        """The permanent key that the client names."""
        return self.bind.perm_auth_key_id


class KeyWanted(NamedTuple):
    """A packet waits for this key: answer by ``provide_key``, or end the connection.

    Nothing more is said until then.
    """

    auth_key_id: int


class ExchangeWanted(NamedTuple):
    """A key exchange goes on outside; answer by ``send_exchange_answer`` once a step has ended.

    ``wanted`` is what the step begins with. It is None where the step is under way already: the
    client has repeated its query, maybe on another connection.
    """

    exchange: KeyExchange
    wanted: WorkWanted | StoreWanted | None


class PacketsTaken(NamedTuple):
    """Several packets were taken of which nothing comes for the shell; there may be more.

    Each was answered here, or needs no answer. It is said so that the shell can look after others.
    """


#: The only one.
PACKETS_TAKEN: Final = PacketsTaken()


class SliceTaken(NamedTuple):
    """A slice of a long packet was decrypted: milliseconds, after which others are to have a turn.

    The packet is all here; its message comes once enough calls have taken the rest.
    """


#: The only one.
SLICE_TAKEN: Final = SliceTaken()

Event = MessageReceived | BindReceived | KeyWanted | ExchangeWanted | PacketsTaken | SliceTaken


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
