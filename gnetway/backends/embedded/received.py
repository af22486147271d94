"""What was received, on either side of a session.

``ReceivedMessages`` knows which messages of one client have come: repeats, too old ones, and the
order of their seq_no. ``UnackedBudget`` counts what clients have yet to acknowledge, over all
sessions, also those that are over. Each session has a bound of its own, but whoever opens many
could have them all full. So there is a bound for all, and one for each client network; above it the
network that holds most forgets what one of its largest sessions holds. Its client then hears of an
answer that it asks for again that it is not known, and repeats the call. Whole pages of 4 KiB are
counted, so that the usual session costs nothing: it holds less.

Source: core.telegram.org/mtproto/service_messages_about_messages
"""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Hashable
from enum import IntEnum
from typing import Final, NamedTuple, TypeVar

from gnetway.admission.shares import Ranking, client_network
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


T = TypeVar("T", bound=Hashable)

#: Bits of what is not counted.
_PAGE_BITS: Final = 12
PAGE_BYTES: Final = 1 << _PAGE_BITS

#: What one network may hold of it all.
_NETWORK_PART: Final = 8


class Unacked:
    """What one session holds; ``give_way`` forgets it all."""

    __slots__ = ("_budget", "give_way", "network", "pages")

    def __init__(
        self, budget: "UnackedBudget", client_ip: str, give_way: Callable[[], None]
    ) -> None:
        self._budget = budget
        self.network = client_network(client_ip)
        self.give_way = give_way
        self.pages = 0

    def hold(self, size: int) -> None:
        """Note that the session holds ``size`` bytes; another, or itself, may give way."""
        pages = size >> _PAGE_BITS
        if pages != self.pages:
            self._budget.note(self, pages)

    def move(self, client_ip: str) -> None:
        """Note that the client has come back from another address."""
        network = client_network(client_ip)
        if network != self.network:
            pages = self.pages
            self._budget.note(self, 0)
            self.network = network
            self._budget.note(self, pages)


class _Share:
    """What one network holds, and its sessions by the bits that the number of their pages has."""

    __slots__ = ("pages", "sessions")

    def __init__(self) -> None:
        self.pages = 0
        self.sessions: Ranking[Unacked] = Ranking()


class UnackedBudget:
    """At most ``max_bytes`` over all sessions, and an eighth of that over those of one network."""

    def __init__(self, max_bytes: int, least_bytes: int) -> None:
        """``least_bytes`` is what a network has at least: the bound of one session."""
        self._max_pages = max(max_bytes, least_bytes) >> _PAGE_BITS
        self._max_each = max(max_bytes // _NETWORK_PART, least_bytes) >> _PAGE_BITS
        self._pages = 0
        self._shares: dict[str, _Share] = {}
        self._networks: Ranking[str] = Ranking()

    @property
    def total_bytes(self) -> int:
        """How much is counted now."""
        return self._pages << _PAGE_BITS

    @property
    def max_bytes(self) -> int:
        """How much it may be."""
        return self._max_pages << _PAGE_BITS

    def note(self, unacked: Unacked, pages: int) -> None:
        """See ``Unacked.hold``."""
        network = unacked.network
        share = self._shares.get(network)
        if share is None:
            share = self._shares[network] = _Share()
        more = pages - unacked.pages
        _rank(share.sessions, unacked, unacked.pages, pages)
        _rank(self._networks, network, share.pages, share.pages + more)
        unacked.pages = pages
        share.pages += more
        self._pages += more
        if not share.pages:
            del self._shares[network]
        if more > 0:
            while share.pages > self._max_each:
                _relieve(share)
            while self._pages > self._max_pages:
                heaviest = self._networks.heaviest()
                assert heaviest is not None, "somebody holds these pages"
                _relieve(self._shares[heaviest])


def _rank(ranking: Ranking[T], name: T, before: int, after: int) -> None:
    """Note what ``name`` holds: only its bits, so that it seldom moves, and then by a step."""
    low, high = before.bit_length(), after.bit_length()
    step = 1 if high > low else -1
    for bits in range(low, high, step):
        ranking.changed(name, bits, bits + step)


def _relieve(share: _Share) -> None:
    largest = share.sessions.heaviest()
    assert largest is not None, "a session holds these pages"
    largest.give_way()
    # Whatever it did: what has given way is counted no more.
    largest.hold(0)
