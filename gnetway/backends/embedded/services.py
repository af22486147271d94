"""The service messages that a session answers by itself, and how much one packet may ask for.

A packet of a few bytes can ask for much: a list of ids and a compressed container are cheap to
send. So what a packet makes its session do is bounded:

    msg_ids, wrappers, JSON values, unpacked bytes   see ``gnetway.tl.unwrap``; refused above
    answers to questions about salts and messages    64 KiB; not answered above
    messages said again                              1 MiB, each once; not said above
    messages of a container                          taken in slices, one a turn of the reactor

A client that has not got an answer asks again.

Source: core.telegram.org/mtproto/service_messages, /mtproto/service_messages_about_messages
"""

from collections.abc import Callable
from struct import Struct
from typing import Final

from gnetway.backends.embedded.calls import KeyDestroyWanted, SessionCalls, SessionDestroyWanted
from gnetway.backends.embedded.key_state import SaltSchedule
from gnetway.backends.embedded.outbox import Outbox, SentMessage
from gnetway.backends.embedded.received import MessageState, ReceivedMessages
from gnetway.errors import TLError
from gnetway.tl.primitives import Constructor, pack_uint32
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
from gnetway.tl.unwrap import UnwrapBudget, UnwrapLimits

#: Most bytes that answer the salts and states a packet asks for: 60 times 64 salts, or the states
#: of all the msg_ids that it may name.
MAX_ANSWER_BYTES: Final = 64 * 1024

#: Most bytes of messages that a packet has said again, unless one alone is larger.
MAX_REPEATED_BYTES: Final = 1024 * 1024

#: Work is reckoned in what it takes about, in microseconds: a message of a container (a call and
#: its answer; a ping takes less), a wrapper or JSON value, a msg_id, and each 256 bytes unpacked.
_MESSAGE_WORK: Final = 64
_VALUE_WORK: Final = 3
_UNPACKED_SHIFT: Final = 8

#: How much work of one packet is done in one turn of the reactor: 62 messages of a container.
SLICE_WORK: Final = 4000

_PING_ID_END: Final = 12
_PONG: Final = Struct("<4sq8s")
_PONG_CONSTRUCTOR: Final = pack_uint32(Constructor.PONG)


class PacketWork:
    """What one packet has made its session do; ``budget`` is that of its wrappers and lists."""

    __slots__ = ("_answer_bytes", "_repeated", "_repeated_bytes", "_told", "budget", "messages")

    def __init__(self, limits: UnwrapLimits) -> None:
        self.budget = UnwrapBudget(limits)
        #: How many messages of its container were taken.
        self.messages = 0
        self._answer_bytes = 0
        self._repeated: set[int] = set()
        self._repeated_bytes = 0
        self._told = 0

    def slice_is_over(self) -> bool:
        """Return whether as much was done since ``take`` as goes into one turn."""
        return self._done() - self._told >= SLICE_WORK

    def take(self) -> int:
        """Return what was done since the last time, in microseconds."""
        done = self._done()
        since, self._told = done - self._told, done
        return since

    def may_answer(self, size: int) -> bool:
        """Count an answer of so many bytes; return whether there is room for it."""
        self._answer_bytes += size
        return self._answer_bytes <= MAX_ANSWER_BYTES

    def may_repeat(self, message: SentMessage) -> bool:
        """Count a message that is to be said again; return whether it is."""
        size = len(message.body)
        if message.msg_id in self._repeated or (
            self._repeated and self._repeated_bytes + size > MAX_REPEATED_BYTES
        ):
            return False
        self._repeated.add(message.msg_id)
        self._repeated_bytes += size
        return True

    def _done(self) -> int:
        budget = self.budget
        limits = budget.limits
        return (
            self.messages * _MESSAGE_WORK
            + (limits.max_values - budget.values_left) * _VALUE_WORK
            + (limits.max_ids - budget.ids_left)
            + (budget.unpacked_bytes + self._repeated_bytes >> _UNPACKED_SHIFT)
        )


class ServiceMessages:
    """Answers the service messages of one session.

    ``max_wait_ms`` is what the last http_wait said. ``packet`` is what the packet at hand has made
    the session do, None while there is nothing to count: a ping, the most frequent, needs none.
    """

    __slots__ = ("_calls", "_limits", "_out", "_received", "_salts", "max_wait_ms", "packet")

    def __init__(
        self,
        received: ReceivedMessages,
        out: Outbox,
        calls: SessionCalls,
        salts: SaltSchedule,
        limits: UnwrapLimits,
    ) -> None:
        self._received = received
        self._out = out
        self._calls = calls
        self._salts = salts
        self._limits = limits
        self.max_wait_ms = 0
        self.packet: PacketWork | None = None

    @property
    def work(self) -> PacketWork:
        """``packet``, made where there was none."""
        if self.packet is None:
            self.packet = PacketWork(self._limits)
        return self.packet

    def repeat(self, message: SentMessage) -> None:
        """Say a message again, unless the packet has asked for too much."""
        if self.work.may_repeat(message):
            self._out.repeat(message)

    def answer_ping(self, msg_id: int, body: bytes, now: float) -> None:
        """Answer ping and ping_delay_disconnect alike: idle links are the gateway's to close."""
        ping_id = body[4:_PING_ID_END]
        if len(ping_id) < 8:
            raise TLError("a ping without its id")
        # By one Struct and without an object for either: nothing comes as often as pings.
        out = self._out
        out.acks.pop(msg_id, None)
        out.say(_PONG.pack(_PONG_CONSTRUCTOR, msg_id, ping_id), now, True)

    def take_acks(self, msg_id: int, body: bytes, now: float) -> None:
        """Forget what the client has got."""
        # Acknowledgements are not acknowledged, or the two sides would never come to an end.
        self._out.acks.pop(msg_id, None)
        budget = self.work.budget
        msg_ids = MsgsAck.parse(body, budget.ids_left).msg_ids
        budget.ids_left -= len(msg_ids)
        self._out.sent.acknowledge(msg_ids)

    def answer_future_salts(self, msg_id: int, body: bytes, now: float) -> None:
        """Tell the salts from the current one on, at least two: with one, clients ask in a loop."""
        salts = self._salts.upcoming(max(2, GetFutureSalts.parse(body).num), now)
        self._answer(msg_id, FutureSalts(msg_id, int(now), salts).pack(), now)

    def answer_state_request(self, msg_id: int, body: bytes, now: float) -> None:
        """Tell which messages were received."""
        budget = self.work.budget
        msg_ids = MsgsStateReq.parse(body, budget.ids_left).msg_ids
        budget.ids_left -= len(msg_ids)
        self._answer_states(msg_id, msg_ids, now)

    def answer_resend_request(self, msg_id: int, body: bytes, now: float) -> None:
        """Say messages again; if any of them is gone, tell the states of all as well."""
        budget = self.work.budget
        msg_ids = MsgResendReq.parse(body, budget.ids_left).msg_ids
        budget.ids_left -= len(msg_ids)
        # Each once, however often the list names it.
        kept = [self._out.sent.get(wanted) for wanted in dict.fromkeys(msg_ids)]
        for message in kept:
            if message is not None:
                self.repeat(message)
        if None in kept:
            self._answer_states(msg_id, msg_ids, now)

    def take_state_info(self, msg_id: int, body: bytes, now: float) -> None:
        """Take msgs_state_info or msgs_all_info: nothing was asked, so nothing follows from it."""

    def take_http_wait(self, msg_id: int, body: bytes, now: float) -> None:
        """Note how long the HTTP request may wait; answers here are never kept back."""
        self._out.acks.pop(msg_id, None)
        self.max_wait_ms = HttpWait.parse(body).max_wait

    def drop_answer(self, msg_id: int, body: bytes, now: float) -> None:
        """Drop the answer to a call, or the call."""
        self._calls.drop(msg_id, RpcDropAnswer.parse(body).req_msg_id, now)

    def destroy_session(self, msg_id: int, body: bytes, now: float) -> None:
        """Ask for another session of the key to be forgotten."""
        self._out.acks.pop(msg_id, None)
        self._calls.events.append(SessionDestroyWanted(DestroySession.parse(body).session_id))

    def destroy_key(self, msg_id: int, body: bytes, now: float) -> None:
        """Ask for the key to be forgotten."""
        self._out.acks.pop(msg_id, None)
        events = self._calls.events
        # Once for a packet, as each asks the store.
        if not any(isinstance(event, KeyDestroyWanted) for event in events):
            events.append(KeyDestroyWanted())

    def _answer_states(self, msg_id: int, msg_ids: list[int], now: float) -> None:
        """Answer by a byte for each msg_id, which a list may name many times."""
        states: dict[int, int] = {}
        for wanted in set(msg_ids):
            state: int = self._received.state(wanted)
            if state == MessageState.RECEIVED:
                if wanted in self._calls.running:
                    state += MessageState.RUNNING
                if self._out.sent.answer_to(wanted) is not None:
                    state += MessageState.ANSWERED
            states[wanted] = state
        info = bytes([states[wanted] for wanted in msg_ids])
        self._answer(msg_id, MsgsStateInfo(msg_id, info).pack(), now)

    def _answer(self, msg_id: int, answer: bytes, now: float) -> None:
        """Say what was asked for, unless the packet asks for too much of it."""
        if self.work.may_answer(len(answer)):
            # The answer names the message, and so acknowledges it.
            self._out.acks.pop(msg_id, None)
            self._out.say(answer, now, response=True)


Service = Callable[[ServiceMessages, int, bytes, float], None]

#: constructor -> what takes it: a msg_id, the boxed object, Unix seconds. Each raises TLError where
#: the object is not what it says.
SERVICES: Final[dict[int, Service]] = {
    Constructor.PING: ServiceMessages.answer_ping,
    Constructor.PING_DELAY_DISCONNECT: ServiceMessages.answer_ping,
    Constructor.MSGS_ACK: ServiceMessages.take_acks,
    Constructor.GET_FUTURE_SALTS: ServiceMessages.answer_future_salts,
    Constructor.MSGS_STATE_REQ: ServiceMessages.answer_state_request,
    Constructor.MSG_RESEND_REQ: ServiceMessages.answer_resend_request,
    Constructor.MSGS_STATE_INFO: ServiceMessages.take_state_info,
    Constructor.MSGS_ALL_INFO: ServiceMessages.take_state_info,
    Constructor.HTTP_WAIT: ServiceMessages.take_http_wait,
    Constructor.RPC_DROP_ANSWER: ServiceMessages.drop_answer,
    Constructor.DESTROY_SESSION: ServiceMessages.destroy_session,
    Constructor.DESTROY_AUTH_KEY: ServiceMessages.destroy_key,
}
