"""The two looks that the gateway takes into messages: at what binds a key, and at what ends one.

A temporary key must be bound before it may call, and the request to bind it may stand inside a
container, in invokeWithLayer, in initConnection, compressed (one client sends all of these at
once): :func:`peek_message` finds it, within bounds.

A session service answers the client, and the gateway carries that: it has no other way to say what
became of a key. :func:`key_news` finds it in passing:

    destroy_auth_key_ok, bare or in rpc_result     the key is destroyed
    rpc_error 401 AUTH_KEY_UNREGISTERED            nobody is logged in with the key: it may have
                                                   been destroyed from elsewhere, or is only new
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from gnetway.errors import TLError
from gnetway.mtproto.message import HEADER_BYTES
from gnetway.tl.constructors import Constructor
from gnetway.tl.key_exchange import BindTempAuthKey
from gnetway.tl.primitives import Reader, pack_uint32
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
