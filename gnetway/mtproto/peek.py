"""What an unbound temporary key is asking for, at any nesting, within bounds.

This is the one place where the gateway looks into a message: a temporary key must be bound before
it may call, and the request to bind it may stand inside a container, in invokeWithLayer, in
initConnection, compressed (one client sends all of these at once).
"""

from dataclasses import dataclass, field
from typing import Final

from gnetway.errors import TLError
from gnetway.tl.budget import MESSAGE_VALUES
from gnetway.tl.constructors import Constructor
from gnetway.tl.primitives import Reader
from gnetway.tl.service_messages import (
    BindTempAuthKey,
    ContainedMessage,
    MsgsAck,
    Ping,
    PingDelayDisconnect,
    parse_container,
)
from gnetway.tl.unwrap import UnwrapBudget, UnwrapLimits, unwrap

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
