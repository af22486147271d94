"""What makes and ends the use of a key: binds with their proof, and what tells of a key's end.

A temporary key must be bound before it may call, and the request to bind it may stand inside a
container, in invokeWithLayer, in initConnection, compressed (one client sends all of these at
once): :func:`peek_message` finds it, within bounds. The inner message of auth.bindTempAuthKey is
encrypted with the permanent key by MTProto 1.0, the only place where that is still used:

    perm_auth_key_id (8 bytes), msg_key (16), AES-256-IGE of
        random (16), msg_id (8), seq_no (4), length = 40 (4), bind_auth_key_inner (40), padding (8)

msg_key is the low 128 bits of SHA1 of the plaintext without its padding.

The gateway checks the proof itself, for every session backend: auth_key_ids stand in clear in
front of each packet, so the id that a bind names says nothing, and a session service that answers
boolTrue has only queued the message. Until the proof is checked nothing may go out in that name.

A session service answers the client, and the gateway carries that: it has no other way to say what
became of a key. :func:`key_news` finds it in passing:

    destroy_auth_key_ok, bare or in rpc_result     the key is destroyed
    rpc_error 401 AUTH_KEY_UNREGISTERED            nobody is logged in with the key: it may have
                                                   been destroyed from elsewhere, or is only new

Source: core.telegram.org/method/auth.bindTempAuthKey, core.telegram.org/mtproto/description_v1
"""

from dataclasses import dataclass, field
from enum import Enum
from hashlib import sha1
from hmac import compare_digest
from struct import Struct
from typing import Final

from gnetway.crypto.aes import ige_decrypt, ige_encrypt
from gnetway.crypto.auth_key import AuthKey, KeyKind
from gnetway.errors import GatewayError, MessageError, TLError
from gnetway.mtproto.message import HEADER_BYTES
from gnetway.tl.key_exchange import BindAuthKeyInner, BindTempAuthKey
from gnetway.tl.primitives import Constructor, Reader, pack_uint32
from gnetway.tl.service_messages import (
    ContainedMessage,
    MsgsAck,
    Ping,
    PingDelayDisconnect,
    RpcErrorObject,
    RpcResult,
    parse_container,
)
from gnetway.tl.unwrap import MESSAGE_VALUES, UnwrapBudget, UnwrapLimits, unwrap

#: What a client hears of a bind that is not proved. Android and Desktop throw their permanent key
#: away at this, so it is never the answer to a fault of ours.
BIND_REFUSED: Final = RpcErrorObject(400, "ENCRYPTED_MESSAGE_INVALID")

#: Length of bind_auth_key_inner with its constructor, in bytes.
INNER_BYTES: Final = 40

_HEADER: Final = Struct("<16sqii")

#: The plaintext with its padding, which by MTProto 1.0 fills the last block of 16 and no more. It
#: is not part of msg_key, so a longer one would be somebody else's addition.
_PADDED_BYTES: Final = 80

_KEY_ID_AND_MSG_KEY: Final = Struct("<q16s")

#: An end that a bind names sooner than this, in seconds from now, is that of a client whose clock
#: is wrong.
_SHORTEST_LIFE_SECONDS: Final = 3600


class BindRefused(GatewayError):
    """The bind is not proved: the client gets :data:`BIND_REFUSED`.

    The text says why; it holds nothing secret, and the client is not told it.
    """


def derive_aes_v1(secret: bytes, msg_key: bytes) -> tuple[bytes, bytes]:
    """Return AES key and IGE iv, 32 bytes each, by MTProto 1.0 for a client's message (x = 0)."""
    a = sha1(msg_key + secret[0:32]).digest()
    b = sha1(secret[32:48] + msg_key + secret[48:64]).digest()
    c = sha1(secret[64:96] + msg_key).digest()
    d = sha1(msg_key + secret[96:128]).digest()
    return a[:8] + b[8:20] + c[4:16], a[8:20] + b[:8] + c[16:20] + d[:8]


def seal_bind(perm_key: AuthKey, msg_id: int, inner: BindAuthKeyInner, chance: bytes) -> bytes:
    """Encrypt the proof: the client's half.

    ``msg_id`` is that of the auth.bindTempAuthKey message; ``chance`` is 24 random bytes.
    """
    body = inner.pack()
    plaintext = _HEADER.pack(chance[:16], msg_id, 0, len(body)) + body
    msg_key = sha1(plaintext).digest()[4:20]
    aes_key, aes_iv = derive_aes_v1(perm_key.secret, msg_key)
    padded = plaintext + chance[16 : 16 + _PADDED_BYTES - len(plaintext)]
    return perm_key.id_bytes + msg_key + ige_encrypt(padded, aes_key, aes_iv)


def open_bind(perm_key: AuthKey, encrypted: bytes) -> tuple[int, BindAuthKeyInner]:
    """Decrypt the proof; returns its msg_id and what it says.

    :raises MessageError: lengths, key or msg_key do not fit.
    :raises TLError: there is no bind_auth_key_inner in it.
    """
    size = len(encrypted) - _KEY_ID_AND_MSG_KEY.size
    if size != _PADDED_BYTES:
        raise MessageError(f"a bind cannot have {len(encrypted)} encrypted bytes")
    auth_key_id, msg_key = _KEY_ID_AND_MSG_KEY.unpack_from(encrypted)
    if auth_key_id != perm_key.auth_key_id:
        raise MessageError("the bind is encrypted with another key")
    aes_key, aes_iv = derive_aes_v1(perm_key.secret, msg_key)
    plaintext = ige_decrypt(encrypted[24:], aes_key, aes_iv)
    end = _HEADER.size + INNER_BYTES
    # MTProto 1.0 leaves the padding out of msg_key, and nothing is read before it is proved.
    if not compare_digest(sha1(plaintext[:end]).digest()[4:20], msg_key):
        raise MessageError("msg_key does not fit the decrypted bind")
    _, msg_id, _, length = _HEADER.unpack_from(plaintext)
    if length != INNER_BYTES:
        raise MessageError(f"the bind announces {length} bytes")
    return msg_id, BindAuthKeyInner.parse(plaintext[_HEADER.size : end])


def check_bind(
    temp_key: AuthKey,
    perm_key: AuthKey,
    bind: BindTempAuthKey,
    msg_id: int,
    session_id: int,
) -> None:
    """Check that the holder of ``perm_key`` wants ``temp_key`` bound to it, by this message.

    ``msg_id`` and ``session_id`` are those of the message that carries ``bind``. expires_at only
    has to be the same inside and outside: a phone whose clock is ahead counts the difference
    twice, and the life of the key was settled by expires_in of its exchange.

    :raises BindRefused: anything differs.
    Source: core.telegram.org/method/auth.bindTempAuthKey
    """
    # What the gateway knows of both keys comes before what the client says of them.
    if temp_key.kind is KeyKind.PERM:
        raise BindRefused("the bind was not sent with a temporary key")
    if temp_key.perm_auth_key_id not in (0, perm_key.auth_key_id):
        raise BindRefused("the temporary key is bound to another one")
    if perm_key.kind is not KeyKind.PERM:
        raise BindRefused("the key to bind to is no permanent one")
    try:
        inner_msg_id, inner = open_bind(perm_key, bind.encrypted_message)
    except (MessageError, TLError) as error:
        raise BindRefused(str(error)) from error
    expected = BindAuthKeyInner(
        bind.nonce, temp_key.auth_key_id, perm_key.auth_key_id, session_id, bind.expires_at
    )
    named = bind.perm_auth_key_id
    if named != perm_key.auth_key_id or inner_msg_id != msg_id or inner != expected:
        raise BindRefused("the proof speaks of another bind")


def note_end(temp_key: AuthKey, bind: BindTempAuthKey, now: float) -> None:
    """Take the end of a temporary key from a bind that was proved, if nothing better is known.

    What expires_in of the key's exchange said is better: the client's clock has no part in it. So
    it only replaces an assumed end, and only by an earlier one that leaves the client an hour: one
    that is too early would have it make keys over and over. ``now`` is in Unix seconds.
    """
    if temp_key.end_is_assumed and (
        now + _SHORTEST_LIFE_SECONDS <= bind.expires_at < temp_key.expires_at
    ):
        temp_key.expires_at = bind.expires_at


#: Service messages that want no answer, besides msgs_ack.
_SILENT: Final = frozenset(
    {Constructor.HTTP_WAIT, Constructor.MSGS_STATE_INFO, Constructor.MSGS_ALL_INFO}
)

_UNANSWERED: Final = _SILENT | {Constructor.MSGS_ACK}

#: Service messages that are answered whatever the key.
_SERVICES: Final = frozenset(
    {
        Constructor.GET_FUTURE_SALTS,
        Constructor.MSGS_STATE_REQ,
        Constructor.MSG_RESEND_REQ,
        Constructor.DESTROY_SESSION,
        Constructor.DESTROY_AUTH_KEY,
        Constructor.RPC_DROP_ANSWER,
    }
)


@dataclass(slots=True, repr=False)
class Peek:
    """What a message asks for.

    ``bind`` with its ``bind_msg_id``; ``pings`` as (msg_id, ping_id); ``services``, the other
    service messages that want an answer, as (msg_id, constructor, boxed object); ``calls`` has
    the msg_ids of everything else. ``first_msg_id`` is the lowest of all.
    """

    bind: BindTempAuthKey | None = None
    bind_msg_id: int = 0
    pings: list[tuple[int, int]] = field(default_factory=list)
    services: list[tuple[int, int, bytes]] = field(default_factory=list)
    calls: list[int] = field(default_factory=list)
    first_msg_id: int = 0

    def __repr__(self) -> str:
        counts = f"{len(self.pings)} pings, {len(self.services)} services, {len(self.calls)} calls"
        return f"<Peek at {counts}, {self.bind!r}>"


def peek_message(msg_id: int, body: bytes, limits: UnwrapLimits) -> Peek:
    """Look into a message; bounds hold for all that it contains together.

    Of what is compressed it unpacks no more than a look is worth (``UnwrapLimits.for_a_look``).

    :raises TLError: it cannot be read, contains a container inside a container, or is more than
        ``limits`` allow.
    """
    budget = UnwrapBudget(limits.for_a_look())
    found = Peek(first_msg_id=msg_id)
    outer = unwrap(body, budget).body
    if _constructor(outer) == Constructor.MSG_CONTAINER:
        messages = parse_container(outer, limits.max_messages)
        budget.take_values(MESSAGE_VALUES * len(messages))
        for contained in messages:
            inner = unwrap(contained.body, budget).body
            if _constructor(inner) == Constructor.MSG_CONTAINER:
                raise TLError("a container inside a container")
            found.first_msg_id = min(found.first_msg_id, contained.msg_id)
            _note(ContainedMessage(contained.msg_id, contained.seq_no, inner), found, budget)
    else:
        _note(ContainedMessage(msg_id, 0, outer), found, budget)
    return found


def wants_no_answer(body: bytes) -> bool:
    """Return whether an unencrypted body is a service message that nothing answers.

    A container of nothing else is one too. Android acknowledges each answer of a key exchange,
    unencrypted like the answer.
    """
    constructor = int.from_bytes(body[:4], "little")
    if constructor != Constructor.MSG_CONTAINER:
        return constructor in _UNANSWERED
    try:
        contained = parse_container(body, UnwrapLimits().max_messages)
    except TLError:
        return False
    kinds = {int.from_bytes(one.body[:4], "little") for one in contained}
    return kinds <= _UNANSWERED


def _constructor(body: bytes) -> int:
    return Reader(body).uint32()


def _note(message: ContainedMessage, found: Peek, budget: UnwrapBudget) -> None:
    constructor = _constructor(message.body)
    if constructor == Constructor.AUTH_BIND_TEMP_AUTH_KEY:
        if found.bind is not None:
            raise TLError("two binds in one message")
        found.bind = BindTempAuthKey.parse(message.body)
        found.bind_msg_id = message.msg_id
    elif constructor == Constructor.PING:
        found.pings.append((message.msg_id, Ping.parse(message.body).ping_id))
    elif constructor == Constructor.PING_DELAY_DISCONNECT:
        found.pings.append((message.msg_id, PingDelayDisconnect.parse(message.body).ping_id))
    elif constructor == Constructor.MSGS_ACK:
        budget.ids_left -= len(MsgsAck.parse(message.body, budget.ids_left).msg_ids)
    elif constructor in _SERVICES:
        found.services.append((message.msg_id, constructor, message.body))
    elif constructor not in _SILENT:
        found.calls.append(message.msg_id)


# News of keys. Every push is looked at, so all but a few are let go by their length and four of
# their bytes.

#: News are short, also in a container beside acknowledgements; longer bodies are not looked at.
MAX_NEWS_BYTES: Final = 256

_CONTAINER: Final = pack_uint32(Constructor.MSG_CONTAINER)
_RPC_RESULT: Final = pack_uint32(Constructor.RPC_RESULT)
_RPC_ERROR: Final = pack_uint32(Constructor.RPC_ERROR)
_DESTROYED: Final = pack_uint32(Constructor.DESTROY_AUTH_KEY_OK)

#: Lengths of the bodies that are news: the bare object, and rpc_result of either.
_BARE_BYTES: Final = 4
_DESTROYED_BYTES: Final = 16
_ERROR_BYTES: Final = 44

#: The least of a container: its head, and one message of any object.
_CONTAINER_BYTES: Final = 28

#: Lengths of bodies that may be news. A pong's, the commonest of all, is none of them.
NEWS_LENGTHS: Final = frozenset(
    (_BARE_BYTES, _DESTROYED_BYTES, *range(_CONTAINER_BYTES, MAX_NEWS_BYTES + 1))
)

#: Where the body begins in a plaintext, and in it the result of an rpc_result.
_BODY_AT: Final = HEADER_BYTES
_RESULT_AT: Final = HEADER_BYTES + 12

#: More messages than this are not in ``MAX_NEWS_BYTES``.
_MAX_MESSAGES: Final = MAX_NEWS_BYTES // 16

_NOT_LOGGED_IN: Final = RpcErrorObject(401, "AUTH_KEY_UNREGISTERED")


class KeyNews(Enum):
    """What is said of the key."""

    DESTROYED = "destroyed"
    DOUBTFUL = "doubtful"


def may_be_key_news(plaintext: bytes, length: int) -> bool:
    """Return whether it is worth to call ``key_news``; ``length`` is that of the body in bytes."""
    if length not in NEWS_LENGTHS:
        return False
    if length == _DESTROYED_BYTES:
        return plaintext[_RESULT_AT : _RESULT_AT + 4] == _DESTROYED
    if length == _ERROR_BYTES and plaintext[_RESULT_AT : _RESULT_AT + 4] == _RPC_ERROR:
        return True
    if length >= _CONTAINER_BYTES:
        return plaintext[_BODY_AT : _BODY_AT + 4] == _CONTAINER
    return length == _BARE_BYTES


def key_news(plaintext: bytes) -> KeyNews | None:
    """Return what a message says of its key, None for nothing.

    ``plaintext`` is salt, session_id, msg_id, seq_no, length, body, and maybe padding.
    """
    length = int.from_bytes(plaintext[_BODY_AT - 4 : _BODY_AT], "little")
    if not may_be_key_news(plaintext, length):
        return None
    return _news_in(plaintext[_BODY_AT : _BODY_AT + length])


def _news_in(body: bytes) -> KeyNews | None:
    try:
        if body[:4] != _CONTAINER:
            return _news_of(body)
        found = [_news_of(one.body) for one in parse_container(body, _MAX_MESSAGES)]
    except TLError:
        return None
    if KeyNews.DESTROYED in found:
        return KeyNews.DESTROYED
    return KeyNews.DOUBTFUL if KeyNews.DOUBTFUL in found else None


def _news_of(body: bytes) -> KeyNews | None:
    if body == _DESTROYED:
        return KeyNews.DESTROYED
    if body[:4] != _RPC_RESULT:
        return None
    result = RpcResult.parse(body).result
    if result == _DESTROYED:
        return KeyNews.DESTROYED
    if result[:4] == _RPC_ERROR and RpcErrorObject.parse(result) == _NOT_LOGGED_IN:
        return KeyNews.DOUBTFUL
    return None
