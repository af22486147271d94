"""One MTProto session as the server sees it, sans-I/O.

    receive(message) → judge msg_id, salt, seq_no → container → gzip, invokeWith… → service | call
    calls.events     → what the shell is to do: calls, binds, destroyed keys
    out.take()       → the next plaintext for the client

Source: core.telegram.org/mtproto/service_messages_about_messages, /mtproto/service_messages
"""

from collections import deque
from collections.abc import Callable
from struct import Struct
from typing import Final

from gnetway.backends.embedded.calls import CallWanted, ClientTold, LayerNamed, SessionCalls
from gnetway.backends.embedded.key_state import KeyLayer, SaltSchedule, is_layer
from gnetway.backends.embedded.outbox import Outbox
from gnetway.backends.embedded.received import (
    NO_REPLAYS,
    BadMessage,
    ReceivedMessages,
    ReplayBound,
)
from gnetway.backends.embedded.services import SERVICES, ServiceMessages
from gnetway.crypto.auth_key import AuthKey
from gnetway.errors import TLError
from gnetway.mtproto.message import PAYLOAD_HEADER_BYTES, judge_message_id
from gnetway.tl.client_info import info_of
from gnetway.tl.key_exchange import BindTempAuthKey
from gnetway.tl.primitives import Constructor
from gnetway.tl.service_messages import (
    BadMsgNotification,
    BadServerSalt,
    ContainedMessage,
    NewSessionCreated,
    parse_container,
)
from gnetway.tl.unwrap import UnwrapLimits, unwrap

#: What is followed of a packet, where nobody says otherwise.
DEFAULT_LIMITS: Final = UnwrapLimits()

#: Plain numbers: looking an enum's member up costs as much as two comparisons.
_MSG_CONTAINER: Final = int(Constructor.MSG_CONTAINER)
_MSGS_ACK: Final = int(Constructor.MSGS_ACK)

#: What a message is refused by that has a lower msg_id than others before it.
_ORDER_FAULTS: Final = (BadMessage.TOO_OLD, BadMessage.SEQ_NO_TOO_HIGH)

#: msg_id, seq_no, length, and the constructor of the body; with an empty body that is padding.
_HEAD: Final = Struct("<qiiI")
_CONSTRUCTOR_BYTES: Final = 4


class ServerSession:
    """The state of one session; ``now`` is in Unix seconds everywhere.

    ``replays`` says which messages may be recorded ones of a session that was forgotten.
    ``greets_apart`` is whether new_session_created may have a packet of its own, which over HTTP
    would wait for another request. ``limits`` says how far a packet is followed.
    """

    __slots__ = (
        "_greeted",
        "_greets_for",
        "_max_messages",
        "_random_bytes",
        "_replays",
        "_replays_end",
        "_rest",
        "calls",
        "greets_apart",
        "out",
        "received",
        "salts",
        "services",
        "session_id",
    )

    def __init__(
        self,
        key: AuthKey,
        session_id: int,
        salts: SaltSchedule,
        random_bytes: Callable[[int], bytes],
        layer: KeyLayer | None = None,
        replays: ReplayBound = NO_REPLAYS,
        limits: UnwrapLimits = DEFAULT_LIMITS,
    ) -> None:
        self.session_id = session_id
        self.salts = salts
        self.greets_apart = True
        self.received = ReceivedMessages()
        self.out = Outbox(session_id, salts)
        self.calls = SessionCalls(key, self.out, layer or KeyLayer(key.auth_key_id))
        self.services = ServiceMessages(self.received, self.out, self.calls, salts, limits)
        self._random_bytes = random_bytes
        self._replays = replays
        self._replays_end = replays.msg_id
        self._greeted = False
        #: The first msg_id of a session of an unbound key that is to be told of its beginning.
        self._greets_for = 0
        self._max_messages = limits.max_messages
        #: The messages of the last packet's container that are still to be taken.
        self._rest: deque[ContainedMessage] = deque()

    @property
    def has_rest(self) -> bool:
        """Whether ``go_on`` has messages to take, before the session receives another."""
        return bool(self._rest)

    def take_work(self) -> int:
        """Return how much the packet has made the session do since the last time."""
        packet = self.services.packet
        return 0 if packet is None else packet.take()

    def receive(self, salt: int, payload: bytes, now: float) -> None:
        """Take one message: msg_id, seq_no, length, body, padding.

        A message with a wrong msg_id or salt is not processed; the client sends it again. Of a
        container with much in it only the first messages are taken.
        """
        self.services.packet = None
        msg_id, seq_no, length, constructor = _HEAD.unpack_from(payload)
        fault = judge_message_id(msg_id, now)
        if fault:
            self._refuse(msg_id, seq_no, fault, now)
        elif not self.salts.accepts(salt, now) or (
            msg_id <= self._replays_end
            and not self.salts.is_younger(salt, self._replays.proof(msg_id))
        ):
            self._refuse_salt(msg_id, seq_no, now)
        else:
            body = payload[PAYLOAD_HEADER_BYTES : PAYLOAD_HEADER_BYTES + length]
            if length < _CONSTRUCTOR_BYTES:
                # What was read as its constructor is padding.
                constructor = 0
            if constructor == _MSG_CONTAINER:
                self._receive_container(msg_id, seq_no, body, now)
            else:
                self._receive_message(msg_id, seq_no, constructor, body, now)
            self.go_on(now)

    def go_on(self, now: float) -> None:
        """Take the next messages of the container that came last, as many as go into a turn."""
        rest = self._rest
        if rest:
            work = self.services.work
            while rest and not work.slice_is_over():
                self._receive_contained(rest.popleft(), now)
                work.messages += 1
        if self._greets_for and not rest:
            if self.greets_apart:
                self.out.end_container()
            self._say_created(self._greets_for, now)
            self._greets_for = 0

    def push(self, body: bytes, now: float) -> int:
        """Say something that the client has not asked for, e.g. updates; return its msg_id."""
        return self.out.say_content(body, now)

    def _receive_container(self, msg_id: int, seq_no: int, body: bytes, now: float) -> None:
        # A container is not acknowledged, and what is not has an even seq_no; see
        # core.telegram.org/mtproto/description, Message Sequence Number.
        fault = BadMessage.SEQ_NO_MUST_BE_EVEN if seq_no & 1 else self.received.add(msg_id, seq_no)
        if fault:
            self._refuse_order(msg_id, seq_no, fault, now)
        else:
            self._open_container(msg_id, seq_no, body, now)

    def _open_container(self, msg_id: int, seq_no: int, body: bytes, now: float) -> None:
        try:
            messages = parse_container(body, self._max_messages)
        except TLError:
            self._refuse(msg_id, seq_no, BadMessage.INVALID_CONTAINER, now)
            return
        if not self._greeted:
            # The lowest msg_id of all: a client sends again whatever came before first_msg_id; see
            # core.telegram.org/mtproto/service_messages, New Session Creation Notification.
            self._greet(min([message.msg_id for message in messages], default=msg_id), now)
        self._rest.extend(messages)

    def _receive_contained(self, message: ContainedMessage, now: float) -> None:
        msg_id, seq_no, body = message
        # An inner message may be older than 300 s: a container is how it is sent again.
        fault = judge_message_id(msg_id, now)
        if fault and fault != BadMessage.MSG_ID_TOO_LOW:
            self._refuse(msg_id, seq_no, fault, now)
            return
        constructor = int.from_bytes(body[:4], "little")
        self._receive_message(msg_id, seq_no, constructor, body, now, contained=True)

    def _receive_message(
        self,
        msg_id: int,
        seq_no: int,
        constructor: int,
        body: bytes,
        now: float,
        contained: bool = False,
    ) -> None:
        """Take a message that is no container; ``contained`` is whether it stands in one."""
        fault = self.received.add(msg_id, seq_no)
        if fault:
            if fault == BadMessage.REPEATED:
                self._answer_repeated(msg_id, seq_no)
            else:
                self._refuse_order(msg_id, seq_no, fault, now)
            return
        if not self._greeted:
            self._greet(msg_id, now)
        if seq_no & 1 and constructor != _MSGS_ACK:
            # Noted before anything answers: an answer acknowledges by itself, and takes it back.
            # mtcute numbers its msgs_ack as if it wanted one itself, and drops the whole session
            # if it is told that it may not.
            self.out.acks[msg_id] = None
        service = SERVICES.get(constructor)
        try:
            if service is not None:
                service(self.services, msg_id, body, now)
            else:
                self._unwrap(msg_id, seq_no, body, now, contained)
        except TLError:
            self.calls.refuse(msg_id, 400, "INPUT_FETCH_ERROR", now)

    def _unwrap(self, msg_id: int, seq_no: int, body: bytes, now: float, contained: bool) -> None:
        unwrapped = unwrap(body, self.services.work.budget)
        calls = self.calls
        if is_layer(unwrapped.layer) and calls.layer.name(unwrapped.layer):
            calls.events.append(LayerNamed())
        if unwrapped.init is not None:
            calls.events.append(ClientTold(info_of(unwrapped.init, unwrapped.layer)))
        body = unwrapped.body
        constructor = int.from_bytes(body[:4], "little")
        # Anything may be in gzip_packed, service messages and containers as well.
        service = SERVICES.get(constructor)
        if service is not None:
            service(self.services, msg_id, body, now)
        elif constructor == _MSG_CONTAINER:
            self._open_packed_container(msg_id, seq_no, body, contained, now)
        elif not seq_no & 1:
            # Only what wants no acknowledgement has an even one, and a call wants one.
            self._refuse(msg_id, seq_no, BadMessage.SEQ_NO_MUST_BE_ODD, now)
        elif constructor == Constructor.AUTH_BIND_TEMP_AUTH_KEY:
            calls.bind(msg_id, BindTempAuthKey.parse(body), now)
        elif unwrapped.layer and not is_layer(unwrapped.layer):
            calls.refuse(msg_id, 400, "CONNECTION_LAYER_INVALID", now)
        else:
            calls.call(CallWanted(msg_id, body, constructor, unwrapped.layer), now)

    def _open_packed_container(
        self,
        msg_id: int,
        seq_no: int,
        body: bytes,
        contained: bool,
        now: float,
    ) -> None:
        # A container needs no acknowledgement, and none may be in another.
        self.out.acks.pop(msg_id, None)
        if contained:
            self._refuse(msg_id, seq_no, BadMessage.INVALID_CONTAINER, now)
        elif seq_no & 1:
            self._refuse(msg_id, seq_no, BadMessage.SEQ_NO_MUST_BE_EVEN, now)
        else:
            self._open_container(msg_id, seq_no, body, now)

    def _answer_repeated(self, msg_id: int, seq_no: int) -> None:
        """Answer a message that came before: the client has missed what was said to it."""
        answer = self.out.sent.answer_to(msg_id)
        if answer is not None:
            self.services.repeat(answer)
        elif seq_no & 1:
            # It runs still, or its answer was acknowledged: only its acknowledgement can be lost.
            self.out.acks[msg_id] = None

    def _greet(self, first_msg_id: int, now: float) -> None:
        self._greeted = True
        if self.calls.perm_auth_key_id:
            self._say_created(first_msg_id, now)
        else:
            # Behind the answers, as the gateway does it for other backends: whoever reads one
            # packet for his ping finds the pong in it.
            self._greets_for = first_msg_id

    def _say_created(self, first_msg_id: int, now: float) -> None:
        unique_id = int.from_bytes(self._random_bytes(8), "little", signed=True)
        created = NewSessionCreated(first_msg_id, unique_id, self.salts.current(now))
        self.out.say_content(created.pack(), now)

    def _refuse_salt(self, msg_id: int, seq_no: int, now: float) -> None:
        if msg_id <= self._replays_end:
            # The client's next message is newer, but may be up to the same bound.
            right = self.salts.younger_than(self._replays.proof(msg_id), now)
        else:
            right = self.salts.current(now)
        wrong = BadServerSalt(msg_id, seq_no, BadMessage.WRONG_SALT, right)
        self.out.say(wrong.pack(), now, response=True)

    def _refuse_order(self, msg_id: int, seq_no: int, fault: int, now: float) -> None:
        """Refuse a message for what came before it, unless that was by another time.

        The wall clock may have been set back, and the client's after it: its msg_ids begin anew,
        below those that came before. Whether such a message is a recorded one its salt tells.
        """
        received = self.received
        if fault not in _ORDER_FAULTS or not received.was_set_back(now):
            self._refuse(msg_id, seq_no, fault, now)
            return
        # Its msg_id is no proof any more that it is new: a salt that nobody has had is.
        received.begin_anew()
        before_start, forgotten, _ = self._replays
        newest = max(forgotten, received.newest)
        self._replays = ReplayBound(before_start, newest, self.salts.generation)
        self._replays_end = self._replays.msg_id
        self._refuse_salt(msg_id, seq_no, now)

    def _refuse(self, msg_id: int, seq_no: int, fault: int, now: float) -> None:
        # What is refused is sent again under another msg_id, and so not acknowledged under this.
        self.out.acks.pop(msg_id, None)
        self.out.say(BadMsgNotification(msg_id, seq_no, fault).pack(), now, response=True)
