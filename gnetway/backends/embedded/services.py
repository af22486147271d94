"""The service messages a session answers by itself: one function each, and the table of them.

Source: core.telegram.org/mtproto/service_messages, /mtproto/service_messages_about_messages
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import TYPE_CHECKING, Final

from gnetway.backends.embedded.events import KeyDestroyWanted, SessionDestroyWanted
from gnetway.errors import TLError
from gnetway.tl.constructors import Constructor
from gnetway.tl.primitives import pack_uint32
from gnetway.tl.service_messages import (
    DestroySession,
    FutureSalts,
    GetFutureSalts,
    HttpWait,
    MsgResendReq,
    MsgsAck,
    MsgsStateInfo,
    MsgsStateReq,
    RpcDropAnswer,
)

if TYPE_CHECKING:
    from gnetway.backends.embedded.client_session import ClientSession

_PING_ID_END: Final = 12
_PONG: Final = Struct("<4sq8s")
_PONG_CONSTRUCTOR: Final = pack_uint32(Constructor.PONG)


def answer_ping(session: ClientSession, msg_id: int, body: bytes, now: float) -> None:
    """Answer ping and ping_delay_disconnect alike: idle links are the gateway's to close."""
    ping_id = body[4:_PING_ID_END]
    if len(ping_id) < 8:
        raise TLError("a ping without its id")
    out = session.out
    out.acks.pop(msg_id, None)
    out.say(_PONG.pack(_PONG_CONSTRUCTOR, msg_id, ping_id), now, True)


def take_acks(session: ClientSession, msg_id: int, body: bytes, now: float) -> None:
    """Forget what the client has got."""
    session.out.acks.pop(msg_id, None)
    budget = session.account.budget
    msg_ids = MsgsAck.parse(body, budget.ids_left).msg_ids
    budget.ids_left -= len(msg_ids)
    session.out.sent.acknowledge(msg_ids)


def answer_future_salts(session: ClientSession, msg_id: int, body: bytes, now: float) -> None:
    """Tell the salts from the current one on, at least two: with one, clients ask in a loop."""
    salts = session.salts.upcoming(max(2, GetFutureSalts.parse(body).num), now)
    _tell(session, msg_id, FutureSalts(msg_id, int(now), salts).pack(), now)


def answer_state_request(session: ClientSession, msg_id: int, body: bytes, now: float) -> None:
    """Tell which messages were received."""
    budget = session.account.budget
    msg_ids = MsgsStateReq.parse(body, budget.ids_left).msg_ids
    budget.ids_left -= len(msg_ids)
    _tell_states(session, msg_id, msg_ids, now)


def answer_resend_request(session: ClientSession, msg_id: int, body: bytes, now: float) -> None:
    """Say messages again; if any of them is gone, tell the states of all as well."""
    budget = session.account.budget
    msg_ids = MsgResendReq.parse(body, budget.ids_left).msg_ids
    budget.ids_left -= len(msg_ids)
    kept = [session.out.sent.get(wanted) for wanted in dict.fromkeys(msg_ids)]
    for message in kept:
        if message is not None:
            session.repeat(message)
    if None in kept:
        _tell_states(session, msg_id, msg_ids, now)


def take_state_info(session: ClientSession, msg_id: int, body: bytes, now: float) -> None:
    """Take msgs_state_info or msgs_all_info: nothing was asked, so nothing follows from it."""


def take_http_wait(session: ClientSession, msg_id: int, body: bytes, now: float) -> None:
    """Note how long the HTTP request may be held; answers here are never held back."""
    session.out.acks.pop(msg_id, None)
    session.max_wait_ms = HttpWait.parse(body).max_wait


def drop_answer(session: ClientSession, msg_id: int, body: bytes, now: float) -> None:
    """Drop the answer to a call, or the call."""
    session.calls.drop(msg_id, RpcDropAnswer.parse(body).req_msg_id, now)


def destroy_session(session: ClientSession, msg_id: int, body: bytes, now: float) -> None:
    """Ask for another session of the key to be forgotten."""
    session.out.acks.pop(msg_id, None)
    session.calls.events.append(SessionDestroyWanted(DestroySession.parse(body).session_id))


def destroy_key(session: ClientSession, msg_id: int, body: bytes, now: float) -> None:
    """Ask for the key to be forgotten."""
    session.out.acks.pop(msg_id, None)
    events = session.calls.events
    if not any(isinstance(event, KeyDestroyWanted) for event in events):
        events.append(KeyDestroyWanted())


def _tell_states(session: ClientSession, msg_id: int, msg_ids: list[int], now: float) -> None:
    states = {wanted: session.state_of(wanted) for wanted in set(msg_ids)}
    info = bytes([states[wanted] for wanted in msg_ids])
    _tell(session, msg_id, MsgsStateInfo(msg_id, info).pack(), now)


def _tell(session: ClientSession, msg_id: int, answer: bytes, now: float) -> None:
    """Say what was asked for, unless the packet asks for too much of it."""
    if session.account.may_answer(len(answer)):
        session.out.acks.pop(msg_id, None)
        session.out.say(answer, now, response=True)


Service = Callable[["ClientSession", int, bytes, float], None]

#: constructor -> what takes it: the session, its msg_id, the boxed object, Unix seconds. Each
#: raises TLError where the object is not what it says.
SERVICES: Final[dict[int, Service]] = {
    Constructor.PING: answer_ping,
    Constructor.PING_DELAY_DISCONNECT: answer_ping,
    Constructor.MSGS_ACK: take_acks,
    Constructor.GET_FUTURE_SALTS: answer_future_salts,
    Constructor.MSGS_STATE_REQ: answer_state_request,
    Constructor.MSG_RESEND_REQ: answer_resend_request,
    Constructor.MSGS_STATE_INFO: take_state_info,
    Constructor.MSGS_ALL_INFO: take_state_info,
    Constructor.HTTP_WAIT: take_http_wait,
    Constructor.RPC_DROP_ANSWER: drop_answer,
    Constructor.DESTROY_SESSION: destroy_session,
    Constructor.DESTROY_AUTH_KEY: destroy_key,
}
