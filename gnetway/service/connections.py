"""Lists of connections and failures for operators: which of them, in what order, which part.

    query    state, filters, sort, order, limit, offset     as in the address of /api/connections
    page     the rows of that part, and how many there are in all
    summary  how many are open, by transport, stage and application

All connections are looked at, some at a time: between them clients have their turns.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from gnetway.admin.status import QueryFault, Summary
from gnetway.admission.place import Place
from gnetway.admission.shares import is_in, shown_range
from gnetway.ends import Phase, Stage, Who, hint_of, who_ended
from gnetway.net.open_links import id_of
from gnetway.net.records import ConnectionRecords, Record

T = TypeVar("T")

#: Rows of a page, and rows before and in it: each worker brings as many.
MAX_LIMIT: Final = 1000
MAX_ROWS: Final = 10_000
_DEFAULT_LIMIT: Final = 100

#: Connections that are looked at before others have their turn: 2 ms or so.
_AT_ONCE: Final = 128

#: A row with what it is sorted by, the first to be compared.
Row: TypeAlias = tuple[float | str, dict[str, Any]]


_SORTS: Final[dict[str, Callable[[Record], float | str]]] = {
    "started": lambda record: record.started_at,
    "stopped": lambda record: record.stopped_at,
    "uptime": lambda record: (record.stopped_at or _FAR) - record.started_at,
    "idle": lambda record: record.socket.silent_ms or 0,
    "rtt": lambda record: record.socket.rtt_ms or 0,
    "bytes_in": lambda record: record.socket.bytes_in or 0,
    "bytes_out": lambda record: record.socket.bytes_out or 0,
    "pending": lambda record: record.facts.pending_bytes,
    "messages_in": lambda record: record.facts.messages_in,
    "messages_out": lambda record: record.facts.messages_out,
    "stage": lambda record: record.facts.stage.value,
    "address": lambda record: record.facts.client_ip,
    "cause": lambda record: record.cause,
}

#: Behind every end: those that are open are the older, the earlier they have begun.
_FAR: Final = 1e12

_STATES: Final = ("open", "ended", "all")


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is asked for; an empty text, and None, is any."""

    state: str = "open"
    failed: bool = False
    who: str = ""
    phase: str = ""
    stage: str = ""
    cause: str = ""
    address: IPv4Network | IPv6Network | None = None
    transport: str = ""
    client: str = ""
    sort: str = "started"
    descending: bool = True
    limit: int = _DEFAULT_LIMIT
    offset: int = 0

    @classmethod
    def parse(cls, given: Mapping[str, str]) -> "Query":
        """Read a query as an address has it.

        :raises QueryFault: a name is unknown, or a value is none that it may have.
        """
        unknown = sorted(set(given) - _NAMES)
        if unknown:
            raise QueryFault(f"{unknown[0][:40]!r}: there are {', '.join(sorted(_NAMES))}")
        limit = _whole(given, "limit", _DEFAULT_LIMIT, MAX_LIMIT)
        return cls(
            state=_one_of(given, "state", _STATES, "open"),
            failed=_one_of(given, "failed", ("0", "1"), "0") == "1",
            who=_one_of(given, "who", [who.value for who in Who]),
            phase=_one_of(given, "phase", [phase.value for phase in Phase]),
            stage=_one_of(given, "stage", [stage.text for stage in Stage]),
            cause=given.get("cause", ""),
            address=_network(given),
            transport=given.get("transport", "").lower(),
            client=given.get("client", "").lower(),
            sort=_one_of(given, "sort", tuple(_SORTS), "started"),
            descending=_one_of(given, "order", ("asc", "desc"), "desc") == "desc",
            limit=limit,
            offset=_whole(given, "offset", 0, MAX_ROWS - limit),
        )

    def matches(self, record: Record) -> bool:
        """Return whether a connection is among those that are asked for."""
        facts = record.facts
        client = "" if facts.client is None else facts.client.text.lower()
        return (
            (not self.failed or record.is_failure)
            and (not self.who or record.who == self.who)
            and (not self.cause or record.cause == self.cause)
            and (not self.phase or facts.phase.value == self.phase)
            and (not self.stage or facts.stage.text == self.stage)
            and (not self.transport or self.transport in facts.transport)
            and (not self.client or self.client in client)
            and (self.address is None or is_in(facts.client_ip, (self.address,)))
        )

    def sort_value(self, record: Record) -> float | str:
        """Return what a connection is sorted by."""
        return _SORTS[self.sort](record)

    def in_order(self, rows: list[Row]) -> list[Row]:
        """Return the rows before and in the page, in order."""
        rows.sort(key=_value, reverse=self.descending)
        return rows[: self.offset + self.limit]


_NAMES: Final = frozenset(
    {"order", *Query.__dataclass_fields__} - {"descending"}  # as an address has it
)


def _value(row: Row) -> float | str:
    return row[0]


def _one_of(given: Mapping[str, str], name: str, allowed: Any, usual: str = "") -> str:
    value = given.get(name, usual)
    if value and value not in allowed:
        raise QueryFault(f"{name}={value[:40]}: it may be {', '.join(allowed)}")
    return value


def _whole(given: Mapping[str, str], name: str, usual: int, highest: int) -> int:
    text = given.get(name, str(usual))
    # Short ones only: int() takes its time for millions of digits.
    if not (text.isascii() and text.isdecimal() and len(text) < 10) or int(text) > highest:
        raise QueryFault(f"{name}={text[:40]}: it may be 0 to {highest}; narrow it by a filter")
    return int(text)


def _network(given: Mapping[str, str]) -> IPv4Network | IPv6Network | None:
    text = given.get("address", "")
    if not text:
        return None
    try:
        return ip_network(text, strict=False)
    except ValueError:
        raise QueryFault(f"address={text[:60]}: it may be an address, or a network") from None


class Page(NamedTuple):
    """A part of a list: of ``total`` connections ``matched`` are asked for."""

    rows: list[Row]
    matched: int
    total: int

    @classmethod
    def of_all(cls, pages: Iterable["Page"], query: Query) -> "Page":
        """Return the page of several processes together."""
        pages = list(pages)
        rows = query.in_order([row for page in pages for row in page.rows])
        return cls(rows, sum(page.matched for page in pages), sum(page.total for page in pages))

    def as_json(self, query: Query, now: float) -> dict[str, Any]:
        """Return it for the API."""
        return {
            "now": round(now, 3),
            "total": self.total,
            "matched": self.matched,
            "offset": query.offset,
            "limit": query.limit,
            "connections": [shown for _, shown in self.rows[query.offset :]],
        }


#: How failures are told apart: who, phase, cause, application.
Kind: TypeAlias = tuple[str, str, str, str]


class Failures(NamedTuple):
    """The failures of one kind, among the connections that are kept."""

    times: int
    last_at: float
    detail: str
    networks: dict[str, int]

    def plus(self, other: "Failures") -> "Failures":
        """Return both together."""
        newer = max(self, other, key=lambda failures: failures.last_at)
        networks = {
            name: self.networks.get(name, 0) + other.networks.get(name, 0)
            for name in (*self.networks, *other.networks)
        }
        return Failures(self.times + other.times, newer.last_at, newer.detail, networks)


#: Networks that are named for a kind of failures.
_SHOWN_NETWORKS: Final = 5


def failures_as_json(kinds: Mapping[Kind, Failures], keys: str) -> list[dict[str, Any]]:
    """Return kinds of failures for the API, the most frequent first."""
    shown = []
    most_first = sorted(kinds.items(), key=lambda item: -item[1].times)
    for (who, phase, cause, application), failures in most_first:
        networks = sorted(failures.networks.items(), key=lambda item: -item[1])
        shown.append(
            {
                "who": who,
                "phase": phase,
                "cause": cause,
                "application": application,
                "count": failures.times,
                "last_at": round(failures.last_at, 3),
                "networks": dict(networks[:_SHOWN_NETWORKS]),
                "hint": hint_of(cause, failures.detail, keys),
            }
        )
    return shown


#: Seconds for which a count of all connections is new enough: many who look at the status page then
#: cost no more than one.
SUMMARY_SECONDS: Final = 5.0


#: A connection that is drained ends when it has been silent for so long, or after so long in all.
SILENT_SECONDS: Final = 1.0
DRAIN_SECONDS: Final = 30.0
_LOOK_SECONDS: Final = 0.25


class Connections:
    """The connections of one process.

    ``prefix`` is what stands before the ids of a process that is one of several.
    """

    def __init__(self, reactor: IReactorTime, records: ConnectionRecords, prefix: str = "") -> None:
        self._reactor = reactor
        self._records = records
        self._prefix = prefix
        self._summary: Summary | None = None
        self._summary_due = 0.0

    async def page(self, query: Query, now: float) -> Page:
        """Return the rows before and in a page; ``now`` is in Unix seconds."""
        keys = self._records.keys
        found: list[tuple[float | str, Record]] = []
        total = 0
        async for record in self._in_turns(self._each(query.state)):
            if record is not None:
                total += 1
                if query.matches(record):
                    found.append((query.sort_value(record), record))
        matched = len(found)
        found.sort(key=lambda row: row[0], reverse=query.descending)
        rows: list[Row] = []
        async for value, record in self._in_turns(found[: query.offset + query.limit]):
            rows.append((value, record.as_json(keys, now, self._prefix)))
        return Page(rows, matched, total)

    async def _in_turns(self, items: Iterable[T]) -> AsyncIterator[T]:
        """Yield some at a time: between them clients have their turns."""
        for number, item in enumerate(items):
            if number % _AT_ONCE == _AT_ONCE - 1:
                await deferLater(self._reactor, 0)
            yield item

    def _each(self, state: str) -> Iterator[Record | None]:
        records = self._records
        if state != "ended":
            # The same order each time, or what is equal would stand on two pages, or on none.
            for place in sorted(records.places(), key=id_of):
                yield records.record_of(place)
        if state != "open":
            # As it is now: others end meanwhile.
            yield from list(records.ended)

    async def summary(self) -> Summary:
        """Return how many open connections there are of each kind, now or some seconds ago."""
        now = self._reactor.seconds()
        if self._summary is not None and now < self._summary_due:
            return self._summary
        # From here on, so that those who ask while it is counted do not have it counted again.
        self._summary_due = now + SUMMARY_SECONDS
        summary = Summary.none()
        async for place in self._in_turns(self._records.places()):
            facts = self._records.facts_of(place)
            if facts is not None:
                summary.add(facts)
        self._summary = summary
        return summary

    async def failures(self) -> dict[Kind, Failures]:
        """Return the failures among the connections that have ended, by kind."""
        kinds: dict[Kind, Failures] = {}
        async for record in self._in_turns(list(self._records.ended)):
            if not record.is_failure:
                continue
            facts = record.facts
            application = "" if facts.client is None else facts.client.application
            kind = (who_ended(record.cause).value, facts.phase.value, record.cause, application)
            network = {shown_range(facts.client_ip): 1}
            one = Failures(1, record.stopped_at, record.detail, network)
            before = kinds.get(kind)
            kinds[kind] = one if before is None else before.plus(one)
        return kinds

    def find(self, number: int, now: float) -> dict[str, Any] | None:
        """Return one connection for the API, open or ended; None where nothing is known of it."""
        place = self._records.find(number)
        record = self._records.record_of(place) if place is not None else None
        record = record or self._records.ended.get(number)
        return None if record is None else record.as_json(self._records.keys, now, self._prefix)

    def end(self, number: int) -> bool:
        """End an open connection; False where there is none of that id."""
        place = self._records.find(number)
        if place is None or place.served is None:
            return False
        place.served.end("ended_by_operator")
        return True

    def drain(self, number: int) -> bool:
        """End an open connection as soon as nothing is under way on it; False as in ``end``."""
        place = self._records.find(number)
        if place is None:
            return False
        Deferred.fromCoroutine(self._drain(place))
        return True

    async def _drain(self, place: Place) -> None:
        latest = self._reactor.seconds() + DRAIN_SECONDS
        while self._reactor.seconds() < latest:
            record = self._records.record_of(place)
            if record is None or record.cause:
                return
            silent_ms = record.socket.silent_ms or 0
            if not record.facts.pending_bytes and silent_ms >= SILENT_SECONDS * 1000:
                break
            await deferLater(self._reactor, _LOOK_SECONDS)
        if place.served is not None:
            place.served.end("drained_by_operator")
