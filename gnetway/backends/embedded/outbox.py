"""The server's side of a session: numbering, containers, acknowledgements, sending again.

``say`` and ``say_content`` collect what one turn has to tell; ``take`` makes one plaintext of
it, a container where it is more than one message. An rpc_error is the last of its container: some
clients leave one at its first error. What follows it goes into the next, so all keep their order.

Source: core.telegram.org/mtproto/description#message-sequence-number-msg-seqno
"""

from collections.abc import Callable, Collection
from typing import Final, NamedTuple

from gnetway.backends.embedded.key_state import SaltSchedule
from gnetway.backends.embedded.received import Unacked
from gnetway.errors import PushFailed
from gnetway.mtproto.http_answers import MAX_CONTAINER_BYTES, MAX_CONTAINER_MESSAGES
from gnetway.mtproto.message import MessageIdSource, pack_message
from gnetway.tl.service_messages import ContainedMessage, MsgsAck, pack_container
from gnetway.tl.unwrap import is_error_result

#: Most messages kept for one session.
MAX_KEPT_MESSAGES: Final = 256

#: Most bytes of bodies kept for one session.
MAX_KEPT_BYTES: Final = 2 * 1024 * 1024

#: What a message takes beside its body, about.
_MESSAGE_BYTES: Final = 256

#: What one session may hold at most.
MAX_HELD_BYTES: Final = MAX_KEPT_BYTES + MAX_KEPT_MESSAGES * _MESSAGE_BYTES


class SentMessage(NamedTuple):
    """One message of the server; ``request_msg_id`` is what it answers, 0 for nothing."""

    msg_id: int
    seq_no: int
    body: bytes
    request_msg_id: int


class SentMessages:
    """What the client has not acknowledged, by msg_id, oldest first, kept to be sent again.

    Bounded in number and in bytes: the oldest leaves. A client that never acknowledges therefore
    costs no more than any other. What all sessions keep together is bounded by ``counted``, if it
    is there. ``awaited`` has who waits for an acknowledgement, by msg_id, whether the message is
    kept or not: each hears once why there will be none, or an empty text when it is here.
    """

    __slots__ = ("_answers", "_bytes", "_kept", "awaited", "counted")

    def __init__(self) -> None:
        self._kept: dict[int, SentMessage] = {}
        self._answers: dict[int, int] = {}
        self._bytes = 0
        self.counted: Unacked | None = None
        self.awaited: dict[int, Callable[[str], None]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, message: SentMessage) -> None:
        """Keep a message; one that is larger than the whole bound is not kept."""
        if len(message.body) > MAX_KEPT_BYTES:
            return
        self._kept[message.msg_id] = message
        self._bytes += len(message.body)
        if message.request_msg_id:
            self._answers[message.request_msg_id] = message.msg_id
        while len(self._kept) > MAX_KEPT_MESSAGES or self._bytes > MAX_KEPT_BYTES:
            self._remove(next(iter(self._kept)))
        self._count()

    def get(self, msg_id: int) -> SentMessage | None:
        """Return a kept message."""
        return self._kept.get(msg_id)

    def answer_to(self, request_msg_id: int) -> SentMessage | None:
        """Return the kept answer to a client's message."""
        msg_id = self._answers.get(request_msg_id)
        return None if msg_id is None else self._kept.get(msg_id)

    def drop(self, msg_id: int) -> None:
        """Forget a message, if it is kept."""
        self._remove(msg_id)
        self._count()

    def acknowledge(self, msg_ids: Collection[int]) -> None:
        """Forget what the client says it has got."""
        for msg_id in msg_ids:
            self._remove(msg_id)
        self._count()
        if self.awaited:
            for msg_id in msg_ids:
                if msg_id in self.awaited:
                    self.awaited.pop(msg_id)("")

    def await_nothing(self, reason: str) -> None:
        """Tell all who wait for an acknowledgement that there will be none."""
        while self.awaited:
            self.awaited.popitem()[1](reason)

    def clear(self) -> None:
        """Forget all."""
        self._kept.clear()
        self._answers.clear()
        self._bytes = 0
        self._count()

    def leave(self) -> None:
        """Forget all, and be counted no more: the session is over."""
        self.clear()
        self.counted = None
        self.await_nothing(PushFailed.SESSION_OVER)

    def _remove(self, msg_id: int) -> None:
        message = self._kept.pop(msg_id, None)
        if message is not None:
            self._bytes -= len(message.body)
            self._answers.pop(message.request_msg_id, None)

    def _count(self) -> None:
        if self.counted is not None:
            self.counted.hold(self._bytes + _MESSAGE_BYTES * len(self._kept))


#: Most msg_ids in one msgs_ack.
#: Source: core.telegram.org/mtproto/service_messages_about_messages#acknowledgment-of-receipt
MAX_ACKS: Final = 8192

#: What may wait for a client that is there but takes nothing, as over HTTP between two requests:
#: the bytes of its bodies, and the number of messages. Whoever asks for more is refused before
#: anything is done for it, so that nothing that was said has to be dropped.
MAX_UNSENT_BYTES: Final = 4 * 1024 * 1024
MAX_UNSENT_MESSAGES: Final = 2048


class Outbox:
    """What one session sends.

    ``acks`` are the client's messages that nothing said so far acknowledges; ``sent`` is what
    the client has yet to acknowledge.
    """

    __slots__ = (
        "_content_count",
        "_ends_at",
        "_highest",
        "_msg_ids",
        "_out",
        "_salts",
        "_session_id",
        "_taken",
        "_unsent_bytes",
        "acks",
        "sent",
    )

    def __init__(self, session_id: int, salts: SaltSchedule) -> None:
        self._session_id = session_id
        self._salts = salts
        self._msg_ids = MessageIdSource()
        self._content_count = 0
        #: The highest msg_id of what was taken; a lower one goes only inside of a container.
        self._highest = 0
        self._out: list[ContainedMessage] = []
        self._taken: list[ContainedMessage] = []
        #: How many messages the next container ends behind, 0 for any number.
        self._ends_at = 0
        self._unsent_bytes = 0
        self.acks: dict[int, None] = {}
        self.sent = SentMessages()

    @property
    def is_full(self) -> bool:
        """Whether as much waits for the client as may; see ``MAX_UNSENT_BYTES``."""
        return self._unsent_bytes >= MAX_UNSENT_BYTES or self.has_too_many

    @property
    def has_too_many(self) -> bool:
        """Whether as many messages wait for the client as may."""
        return len(self._out) >= MAX_UNSENT_MESSAGES

    def say(self, body: bytes, now: float, response: bool) -> None:
        """Add a service message, which the client need not acknowledge.

        ``response`` tells whether it answers a message of the client.
        """
        msg_id = self._msg_ids.next_id(now, response)
        self._out.append(ContainedMessage(msg_id, 2 * self._content_count, body))
        self._unsent_bytes += len(body)

    def say_content(self, body: bytes, now: float, request_msg_id: int = 0) -> int:
        """Add a message that is kept until the client acknowledges it; return its msg_id.

        ``request_msg_id`` is what it answers, which thereby is acknowledged.
        """
        msg_id = self._msg_ids.next_id(now, request_msg_id != 0)
        # Twice the number of such messages before it, plus one as it is such a message itself.
        seq_no = 2 * self._content_count + 1
        self._content_count += 1
        self._out.append(ContainedMessage(msg_id, seq_no, body))
        self._unsent_bytes += len(body)
        self.sent.add(SentMessage(msg_id, seq_no, body, request_msg_id))
        if request_msg_id:
            self.acks.pop(request_msg_id, None)
        return msg_id

    def repeat(self, message: SentMessage) -> None:
        """Add a message that was said before, under its first msg_id and seq_no."""
        self._out.append(ContainedMessage(message.msg_id, message.seq_no, message.body))
        self._unsent_bytes += len(message.body)

    def end_container(self) -> None:
        """Keep what is said from now on out of the packet of what was said so far."""
        self._ends_at = len(self._out)

    def take(self, now: float) -> bytes:
        """Return the next plaintext to send, empty if there is nothing to tell."""
        if self.acks:
            msg_ids = list(self.acks)
            self.acks.clear()
            for start in range(0, len(msg_ids), MAX_ACKS):
                acks = MsgsAck(msg_ids[start : start + MAX_ACKS])
                self.say(acks.pack(), now, response=False)
        out = self._out
        if not out:
            # What was taken last has got away.
            self._taken = []
            return b""
        salt = self._salts.current(now)
        taken = self._taken = self._split_off()
        if len(taken) == 1 and taken[0].msg_id > self._highest:
            msg_id, seq_no, body = taken[0]
            self._highest = msg_id
            return pack_message(salt, self._session_id, msg_id, seq_no, body)
        # A message said again has an old msg_id, which a client takes only inside of a container.
        container = pack_container(taken)
        msg_id = self._msg_ids.next_id(now, response=False)
        contained = max([message.msg_id for message in taken])
        if msg_id < contained:
            # From before the wall clock was set back; what contains them is higher all the same.
            msg_id = (max(contained, self._highest) | 3) + 4
        self._highest = msg_id
        return pack_message(salt, self._session_id, msg_id, 2 * self._content_count, container)

    def take_empty(self, now: float) -> bytes:
        """Return an empty container: the end of a long poll.

        Source: core.telegram.org/mtproto/service_messages#http-wait-long-poll
        """
        msg_id = self._msg_ids.next_id(now, response=False)
        salt = self._salts.current(now)
        return pack_message(
            salt, self._session_id, msg_id, 2 * self._content_count, pack_container([])
        )

    def put_back(self) -> None:
        """Keep what ``take`` gave last for the next time: nobody was there to get it."""
        self._out = self._taken + self._out
        self._taken = []
        self.trim()

    def trim(self) -> None:
        """Drop what is not kept in ``sent``: the client has gone, and may never come back.

        Service messages are among it: they only made sense at that moment.
        """
        sent = self.sent
        self._out = [message for message in self._out if sent.get(message.msg_id) is not None]
        self._taken = []
        self._ends_at = 0
        self._unsent_bytes = _size(self._out)

    def _split_off(self) -> list[ContainedMessage]:
        out = self._out
        if len(out) == 1:
            self._out = []
            self._ends_at = 0
            self._unsent_bytes = 0
            return out
        size = count = 0
        ends_at = min(self._ends_at or MAX_CONTAINER_MESSAGES, MAX_CONTAINER_MESSAGES)
        for message in out:
            size += len(message.body)
            if count and (count == ends_at or size > MAX_CONTAINER_BYTES):
                break
            count += 1
            if is_error_result(message.body):
                break
        self._out = out[count:]
        self._ends_at = max(0, self._ends_at - count)
        self._unsent_bytes -= _size(out[:count])
        return out[:count]


def _size(messages: list[ContainedMessage]) -> int:
    return sum([len(message.body) for message in messages])
