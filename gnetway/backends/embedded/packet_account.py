"""What one packet of a client has made its session do, and how much of the reactor that took.

A list of ids and a compressed container are cheap to send, so what they make is bounded:

    msg_ids, wrappers, JSON values, unpacked bytes   see ``gnetway.tl.budget``; refused above
    answers to questions about salts and messages    64 KiB; not answered above
    messages said again                              1 MiB, each once; not said above
    messages of a container                          taken in slices, one a turn of the reactor

A client that has not got an answer asks again.
"""

from typing import Final

from gnetway.backends.embedded.sent import SentMessage
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


class PacketAccount:
    """The account of one packet; ``budget`` is that of its wrappers and lists."""

    __slots__ = ("_answer_bytes", "_messages", "_repeated", "_repeated_bytes", "_told", "budget")

    def __init__(self, limits: UnwrapLimits) -> None:
        self.budget = UnwrapBudget(limits)
        self._messages = 0
        self._answer_bytes = 0
        self._repeated: set[int] = set()
        self._repeated_bytes = 0
        self._told = 0

    def note_message(self) -> None:
        """Count a message of a container."""
        self._messages += 1

    def slice_is_over(self) -> bool:
        """Whether as much was done since ``take_work`` as goes into one turn."""
        return self._work() - self._told >= SLICE_WORK

    def take_work(self) -> int:
        """Return what was done since the last time."""
        work = self._work()
        done = work - self._told
        self._told = work
        return done

    def may_answer(self, size: int) -> bool:
        """Count an answer of so many bytes; returns whether there is room for it."""
        self._answer_bytes += size
        return self._answer_bytes <= MAX_ANSWER_BYTES

    def may_repeat(self, message: SentMessage) -> bool:
        """Count a message that is to be said again; returns whether it is."""
        size = len(message.body)
        if message.msg_id in self._repeated or (
            self._repeated and self._repeated_bytes + size > MAX_REPEATED_BYTES
        ):
            return False
        self._repeated.add(message.msg_id)
        self._repeated_bytes += size
        return True

    def _work(self) -> int:
        budget = self.budget
        limits = budget.limits
        return (
            self._messages * _MESSAGE_WORK
            + (limits.max_values - budget.values_left) * _VALUE_WORK
            + (limits.max_ids - budget.ids_left)
            + (budget.unpacked_bytes + self._repeated_bytes >> _UNPACKED_SHIFT)
        )
