"""Which messages of a client were received: repeats, too old ones, and the order of seq_no.

Source: core.telegram.org/mtproto/service_messages_about_messages
"""

from array import array
from bisect import bisect_left
from enum import IntEnum
from typing import Final, NamedTuple

from gnetway.mtproto.message import MAX_FUTURE_SECONDS

#: How many msg_ids are remembered at least; memory is 12 bytes for each, up to three times this.
REMEMBERED_MESSAGES: Final = 512

#: Forgetting happens in blocks, so that it costs next to nothing a message. The room above also
#: takes a whole container of 1024, whose first messages must not be too old for its last.
_PRUNE_ABOVE: Final = 3 * REMEMBERED_MESSAGES

#: A newest msg_id that is further ahead of the wall clock than this, in seconds, has come before
#: the clock was set back, if what comes now is below it: nearly all that a client may be ahead.
SET_BACK_SECONDS: Final = MAX_FUTURE_SECONDS - 10


class BadMessage(IntEnum):
    """Codes of bad_msg_notification and bad_server_salt; 0 is no fault.

    The first three are told by :func:`gnetway.mtproto.message.judge_message_id`.
    """

    NONE = 0
    MSG_ID_TOO_LOW = 16
    MSG_ID_TOO_HIGH = 17
    MSG_ID_NOT_DIVISIBLE = 18
    REPEATED = 19
    TOO_OLD = 20
    SEQ_NO_TOO_LOW = 32
    SEQ_NO_TOO_HIGH = 33
    SEQ_NO_MUST_BE_EVEN = 34
    SEQ_NO_MUST_BE_ODD = 35
    WRONG_SALT = 48
    INVALID_CONTAINER = 64


class MessageState(IntEnum):
    """What msgs_state_info says of one message; the last two are added to RECEIVED."""

    FORGOTTEN = 1
    NOT_RECEIVED = 2
    NOT_YET = 3
    RECEIVED = 4
    RUNNING = 32
    ANSWERED = 64


class ReplayBound(NamedTuple):
    """Which messages of a new session may have been taken before, by one that is forgotten.

    Up to ``before_start``, a msg_id, by a process before this one; up to ``forgotten`` by a
    session of this process that had to leave, when the salts of its key were of ``generation``
    (see SaltSchedule) or older.
    """

    before_start: int
    forgotten: int
    generation: int

    @property
    def msg_id(self) -> int:
        """No message after this one can have been taken before."""
        return max(self.before_start, self.forgotten)

    def proof(self, msg_id: int) -> int:
        """Return the generation that the salt of such a message must be younger than."""
        # Every salt of this process is younger than the process before.
        return self.generation if msg_id <= self.forgotten else 0


#: For a session before which there was none.
NO_REPLAYS: Final = ReplayBound(0, 0, 0)


class ReceivedMessages:
    """The newest msg_ids of one session with their seq_nos, both growing.

    Once the wall clock was set back, and the client's with it, they grow from there again. What had
    come before is known still, until that happens the next time.
    """

    __slots__ = ("_before", "_highest_before", "_msg_ids", "_pruned", "_seq_nos")

    def __init__(self) -> None:
        self._msg_ids = array("q")
        self._seq_nos = array("i")
        self._pruned = False
        #: Those from before the wall clock was set back.
        self._before: array[int] | None = None
        self._highest_before = 0

    def add(self, msg_id: int, seq_no: int) -> int:
        """Remember a message and return 0, or return its :class:`BadMessage` code.

        A message with a higher msg_id must have a higher seq_no, or the same even one.
        """
        if self._before is not None and _is_in(self._before, msg_id):
            return BadMessage.REPEATED
        msg_ids = self._msg_ids
        # Nearly all come in order, and go to the end without a search.
        position = len(msg_ids)
        if position and msg_id <= msg_ids[-1]:
            position = bisect_left(msg_ids, msg_id)
            if msg_ids[position] == msg_id:
                return BadMessage.REPEATED
            if position == 0 and self._pruned:
                # It may have come, and be forgotten.
                return BadMessage.TOO_OLD
            # An odd seq_no is one message's alone; an even one may be that of several.
            later = self._seq_nos[position]
            if later < seq_no or (later == seq_no and seq_no & 1):
                return BadMessage.SEQ_NO_TOO_HIGH
        if position:
            earlier = self._seq_nos[position - 1]
            if earlier > seq_no or (earlier == seq_no and seq_no & 1):
                return BadMessage.SEQ_NO_TOO_LOW
        msg_ids.insert(position, msg_id)
        self._seq_nos.insert(position, seq_no)
        if len(msg_ids) > _PRUNE_ABOVE:
            del msg_ids[:-REMEMBERED_MESSAGES]
            del self._seq_nos[:-REMEMBERED_MESSAGES]
            self._pruned = True
        return 0

    @property
    def newest(self) -> int:
        """The highest msg_id so far, 0 before the first."""
        return max(self._msg_ids[-1] if self._msg_ids else 0, self._highest_before)

    def was_set_back(self, now: float) -> bool:
        """Whether the wall clock was, by what has come before; ``now`` is in Unix seconds."""
        return bool(self._msg_ids) and self._msg_ids[-1] >> 32 > now + SET_BACK_SECONDS

    def begin_anew(self) -> None:
        """Let msg_ids grow from any one again."""
        self._highest_before = self.newest
        self._before = self._msg_ids
        self._msg_ids = array("q")
        self._seq_nos = array("i")
        self._pruned = False

    def state(self, msg_id: int) -> MessageState:
        """Say whether a message was received."""
        if self._before is not None and _is_in(self._before, msg_id):
            return MessageState.RECEIVED
        msg_ids = self._msg_ids
        if not msg_ids or msg_id > msg_ids[-1]:
            return MessageState.NOT_YET
        position = bisect_left(msg_ids, msg_id)
        if msg_ids[position] == msg_id:
            return MessageState.RECEIVED
        return MessageState.FORGOTTEN if position == 0 else MessageState.NOT_RECEIVED


def _is_in(msg_ids: "array[int]", msg_id: int) -> bool:
    position = bisect_left(msg_ids, msg_id)
    return position < len(msg_ids) and msg_ids[position] == msg_id
