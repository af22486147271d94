"""What the connections of a gateway share, their deadlines on one timer among it.

``IdleWheel`` is a lazy timing wheel: moving a deadline only stores a number. The slot in which a
connection was filed is visited when its time comes; a connection whose deadline moved is inserted
again. A slot is one second wide and visited once a second, so a deadline is met up to two seconds
late, never early. A connection whose deadline is far ahead is visited before that, so that it can
let go of what it does not use.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil
from typing import ClassVar, Final, Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from gnetway.admission.accounts import AccountLimits, Accounts, ByteBudget
from gnetway.admission.admission import Admission, Bounds
from gnetway.connection.events import ConnectionSetup
from gnetway.events import Events
from gnetway.interfaces import IKeyLookup, ISessionBackend
from gnetway.metrics import HANDED_MS, Causes, Histogram
from gnetway.net.exchange_driver import ExchangeDriver, KeyMaker
from gnetway.net.open_links import OpenLinks
from gnetway.net.peer import RefusedOrigins
from gnetway.net.records import ConnectionRecords
from gnetway.net.registry import SessionRegistry
from gnetway.runtime.clocks import TurnEnd, WallClock

#: Width of a slot in seconds.
SLOT_SECONDS: Final = 1.0

#: The longest time between two visits, in seconds. 10,000 connections at rest cost 0.03 % of a
#: processor by it.
VISIT_SECONDS: Final = 30.0


class Watched(Protocol):
    """What the wheel watches."""

    @property
    def deadline(self) -> float:
        """When it is late, in the clock's seconds; may be moved at any time."""

    #: Belongs to the wheel: where the object is filed, -1 while it is not.
    wheel_slot: int

    def visited(self, now: float) -> None:
        """The deadline has not passed yet: let go of what is not used. Every half minute or so."""

    def deadline_passed(self) -> None:
        """The deadline has passed; the wheel has forgotten the object by then."""


class IdleWheel:
    """Calls ``deadline_passed`` on whoever has not moved its deadline in time.

    The timer runs only while something is watched.
    """

    #: A client that is silent for longer than this is taken to be at rest, in seconds.
    REST_SECONDS: ClassVar = 10.0

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._slots: dict[int, set[Watched]] = {}
        self._timer: IDelayedCall | None = None

    def __len__(self) -> int:
        return sum(map(len, self._slots.values()))

    def add(self, watched: Watched) -> None:
        """Watch an object from now on."""
        self._file(watched, self._clock.seconds())
        self._wind()

    def _file(self, watched: Watched, now: float) -> None:
        slot = ceil(min(watched.deadline, now + VISIT_SECONDS) / SLOT_SECONDS)
        watched.wheel_slot = slot
        self._slots.setdefault(slot, set()).add(watched)

    def remove(self, watched: Watched) -> None:
        """Watch it no more."""
        slot, watched.wheel_slot = watched.wheel_slot, -1
        members = self._slots.get(slot)
        if members is None:
            return
        members.discard(watched)
        if not members:
            del self._slots[slot]
        if not self._slots and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wind(self) -> None:
        if self._slots and self._timer is None:
            self._timer = self._clock.callLater(SLOT_SECONDS, self._turn)

    def _turn(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        for slot in [slot for slot in self._slots if slot * SLOT_SECONDS <= now]:
            for watched in self._slots.pop(slot):
                # One that an earlier one's end has taken along is not filed any more.
                if watched.wheel_slot == slot:
                    self._visit(watched, now)
        self._wind()

    def _visit(self, watched: Watched, now: float) -> None:
        if watched.deadline > now:
            self._file(watched, now)
            watched.visited(now)
        else:
            watched.wheel_slot = -1
            watched.deadline_passed()


#: What later turns get in one turn of the reactor, in seconds, and the rest of a piece of work.
TURN_SECONDS: Final = 0.005

#: What a link may have done in one turn of the reactor: a message counts for 1 and each KiB of it
#: for 1 more. With more than that others come between: a segment of the socket may hold 1,000.
TURN_MESSAGES: Final = 64

#: Reads of clients of which one is timed for the metrics, less that one.
UNTIMED_READS: Final = 7

#: What counts for so many messages: a step of a key exchange, a look-up, 16 packets answered by
#: the core alone.
EVENT_MESSAGES: Final = 8

#: So much is encrypted and written for a link in one turn of the reactor, and one message more.
TURN_BYTES: Final = 256 * 1024


class LaterTurns:
    """The next turns of connections that have had their share of one: it runs them in order.

    However many they are, they get a few milliseconds together at the end of each turn of the
    reactor. Then come the others, whose first messages wait for no longer than that.
    """

    __slots__ = ("_clock", "_turn_end", "_waiting")

    def __init__(self, clock: IReactorTime, turn_end: TurnEnd) -> None:
        self._clock = clock
        self._turn_end = turn_end
        self._waiting: deque[Callable[[], object]] = deque()

    def call(self, work: Callable[[], object]) -> None:
        """Have ``work`` run when it is its turn."""
        if not self._waiting:
            self._turn_end.call(self._run)
        self._waiting.append(work)

    def _run(self) -> None:
        # What is put off meanwhile comes in the next turn.
        waiting, self._waiting = self._waiting, deque()
        end = self._clock.seconds() + TURN_SECONDS
        try:
            while waiting:
                waiting.popleft()()
                if self._clock.seconds() >= end:
                    break
        finally:
            if waiting:
                if not self._waiting:
                    self._turn_end.call(self._run)
                waiting.extend(self._waiting)
                self._waiting = waiting


#: The cause of the end of whoever wanted something of the session backend while there was no node.
NO_SESSION_NODE: Final = "no_session_node"

#: How long a client is kept for whom there is no room, in seconds: closed at once it would come
#: back at once, to no better end.
BUSY_SECONDS: Final = 5.0

#: How long a connection that is ending may take to write what it still has, in seconds.
LINGER_SECONDS: Final = 3.0

#: Eight connections at their own bound.
DEFAULT_MAX_UNSENT_BYTES: Final = 256 * 1024 * 1024

#: Sixteen of the largest packets.
DEFAULT_MAX_UNFINISHED_BYTES: Final = 256 * 1024 * 1024


def _unlimited_accounts() -> Accounts:
    return Accounts(lambda network: AccountLimits())


@dataclass(frozen=True, slots=True)
class LinkLimits:
    """Bounds of one connection, in seconds and bytes.

    ``handshake_seconds``: until the first whole message. ``idle_seconds``: from one read to the
    next, to which each connection adds its own 0 to 9 seconds, so that many that came at once do
    not leave at once. ``bind_seconds``: for the backend to decide on a bind.
    ``max_unsent_bytes``: what may wait for a client that does not read. A packet of which a part
    is here is whole in ``packet_seconds``, and as much longer as it takes at
    ``packet_bytes_per_second``. ``tell_too_many``: whether -429 is sent at all.
    """

    handshake_seconds: float = 30
    idle_seconds: float = 300
    bind_seconds: float = 10
    max_unsent_bytes: int = 4 * 1024 * 1024
    packet_seconds: float = 120
    packet_bytes_per_second: float = 16 * 1024
    tell_too_many: bool = False
    #: What the connections choose from: a float of its own would be 1 % of an idle one's memory.
    idle_choices: tuple[float, ...] = field(init=False)

    def __post_init__(self) -> None:
        choices = tuple(self.idle_seconds + more for more in range(10))
        object.__setattr__(self, "idle_choices", choices)


class HandedOver:
    """How long messages take from their decryption until the session backend has them.

    One of a few reads of clients is timed, and stands for those since the last one: to ask the
    clock for each, and to look for its place among the bounds, would be 3 % of what it costs.
    """

    __slots__ = ("_clock", "_counted", "_last", "_milliseconds", "_untimed", "messages")

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._milliseconds = Histogram(HANDED_MS)
        #: All of them, and how many of those the histogram has.
        self.messages = 0
        self._counted = 0
        #: Milliseconds of the message that was timed last, and reads until the next is.
        self._last = 0.0
        self._untimed = 0

    def note(self, messages: int, since: float) -> None:
        """Note messages, if any, that were decrypted and handed to the backend since then."""
        if messages:
            self.messages += messages
            if self._untimed:
                self._untimed -= 1
            else:
                self._untimed = UNTIMED_READS
                # Each of those that were read together counts with its part.
                self._last = (self._clock.seconds() - since) * 1000 / messages
                self._count()

    def as_row(self) -> list[float]:
        """Return the histogram, with those that were not timed."""
        self._count()
        return self._milliseconds.as_row()

    def _count(self) -> None:
        self._milliseconds.observe(self._last, self.messages - self._counted)
        self._counted = self.messages


def _open_to_all() -> Admission:
    return Admission(Bounds(), lambda cause: None)


@dataclass(slots=True, eq=False)
class LinkServices:
    """What a connection's shell works with; one for the whole gateway.

    ``unsent`` counts what waits for clients that do not read, ``unfinished`` what is here of
    packets that are not whole, both by ``accounts``. A reload sets other ``limits``, which open
    connections see as they read them here, and another ``setup`` for the connections to come.
    """

    clock: IReactorTime
    wall: WallClock
    setup: ConnectionSetup
    backend: ISessionBackend
    keys: IKeyLookup
    registry: SessionRegistry
    key_maker: KeyMaker
    exchange_driver: ExchangeDriver
    wheel: IdleWheel
    open_links: OpenLinks
    causes: Causes
    records: ConnectionRecords
    random_bytes: Callable[[int], bytes]
    limits: LinkLimits
    turn_end: TurnEnd
    later_turns: LaterTurns
    accounts: Accounts = field(default_factory=_unlimited_accounts)
    admission: Admission = field(default_factory=_open_to_all)
    unsent: ByteBudget = field(default_factory=lambda: ByteBudget(DEFAULT_MAX_UNSENT_BYTES))
    unfinished: ByteBudget = field(default_factory=lambda: ByteBudget(DEFAULT_MAX_UNFINISHED_BYTES))
    refused_origins: RefusedOrigins = field(default_factory=RefusedOrigins)
    events: Events = field(default_factory=Events)
    handed: HandedOver = field(init=False)

    def __post_init__(self) -> None:
        self.handed = HandedOver(self.clock)

    def backend_cause(self, cause: str) -> str:
        """Return the cause of an end while something was wanted of the backend."""
        return NO_SESSION_NODE if self.backend.unready() else cause
