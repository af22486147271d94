"""What a :class:`~gnetway.connection.connection.Connection` can say to the shell."""

from typing import Final, NamedTuple

from gnetway.crypto.auth_key import AuthKey
from gnetway.handshake.exchange import KeyExchange, StoreWanted, WorkWanted
from gnetway.mtproto.peek import Peek
from gnetway.tl.key_exchange import BindTempAuthKey


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
