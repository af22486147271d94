"""The record of each connection: of those that are open, and of the last that have ended.

    decided    note_end      the cause is counted, and kept with what was known of it then
    gone       Place.gone    the record is frozen, with what the kernel has counted for the socket

What the kernel counts (bytes, round trip, silence) costs a connection nothing while it lives. The
ended ones are kept in a bounded store in which nobody takes more than others leave to him: when it
is full, the network with most records loses its oldest.
"""

import struct
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from twisted.internet.interfaces import IReactorTime

from gnetway.admission.accounts import Account, Accounts
from gnetway.admission.place import NO_PLACE, Cut, End, Facts, Place
from gnetway.admission.shares import Ranking, client_network
from gnetway.connection.connection import Connection
from gnetway.ends import SOUND, Phase, Stage, hint_of, is_of_exchange, who_ended
from gnetway.events import ConnectionOpened, Events
from gnetway.metrics import Causes
from gnetway.net.open_links import ConnectionCounts, closed, id_of, peer_of, shown
from gnetway.runtime.clocks import WallClock
from gnetway.runtime.shortcuts import read_tcp_info

#: Ended connections that are kept, 5 MiB at most.
MAX_ENDED: Final = 10_000

#: Where in the kernel's struct tcp_info stand: milliseconds since the client has sent something,
#: microseconds of a round trip, bytes sent and received.
_LAST_DATA_AT: Final = 52
_RTT_AT: Final = 68
_BYTES_AT: Final = 120
_NUMBER: Final = struct.Struct("@I")
_BYTES: Final = struct.Struct("@QQ")


#: Ids from here on are of connections that were never let in; those of others are microseconds.
_REFUSED_IDS: Final = 1 << 60


class SocketFacts(NamedTuple):
    """What the kernel knows of a TCP connection; None for what it has not told.

    Bytes are those on the wire, with TLS and all other framing.
    """

    rtt_ms: float | None = None
    silent_ms: int | None = None
    bytes_in: int | None = None
    bytes_out: int | None = None


def socket_facts(tcp_info: bytes) -> SocketFacts:
    """Read a struct tcp_info, see tcp(7); an older kernel's is shorter."""
    if len(tcp_info) < _RTT_AT + 4:
        return SocketFacts()
    (silent_ms,) = _NUMBER.unpack_from(tcp_info, _LAST_DATA_AT)
    (rtt_us,) = _NUMBER.unpack_from(tcp_info, _RTT_AT)
    if len(tcp_info) < _BYTES_AT + _BYTES.size:
        return SocketFacts(rtt_us / 1000, silent_ms)
    acked, received = _BYTES.unpack_from(tcp_info, _BYTES_AT)
    return SocketFacts(rtt_us / 1000, silent_ms, received, acked)


class Record(NamedTuple):
    """A connection at one moment, or at its end.

    ``id`` is one of a kind in this process. Times are in Unix seconds; ``stopped_at`` is 0, and
    ``cause`` empty, for one that is open. ``peer`` is the other end of the socket, which is a
    balancer's where the client's address was told by it.
    """

    id: int
    started_at: float
    stopped_at: float
    cause: str
    detail: str
    facts: Facts
    socket: SocketFacts
    layers: tuple[str, ...]
    peer: str
    listener: str

    @property
    def who(self) -> str:
        """Who has ended it, empty for one that is open."""
        return who_ended(self.cause).value if self.cause else ""

    @property
    def is_failure(self) -> bool:
        """Whether it has ended for what somebody may want to mend."""
        return bool(self.cause) and self.cause not in SOUND

    def as_json(self, keys: str, now: float, prefix: str = "") -> dict[str, object]:
        """Return it for the API; what is not known is left out.

        ``keys`` are the fingerprints of our RSA keys, ``now`` is in Unix seconds. ``prefix`` stands
        before the id.
        """
        facts, known = self.facts, self.socket
        end = self.stopped_at or now
        shown: dict[str, object] = {
            "id": f"{prefix}{self.id}",
            "state": "ended" if self.stopped_at else "open",
            "address": facts.client_ip,
            "peer": self.peer,
            "listener": self.listener,
            "transport": facts.transport,
            "layers": list(self.layers),
            "stage": facts.stage.text,
            "phase": facts.phase.value,
            "started_at": round(self.started_at, 3),
            "uptime_seconds": round(end - self.started_at, 3),
            "messages_in": facts.messages_in,
            "messages_out": facts.messages_out,
            "quick_acks": facts.quick_acks,
            "pending_bytes": facts.pending_bytes,
            "keys": facts.keys,
            "sessions": facts.sessions,
        }
        if self.stopped_at:
            shown["stopped_at"] = round(self.stopped_at, 3)
        if self.cause:
            shown["who"] = self.who
            shown["cause"] = self.cause
            shown["hint"] = hint_of(self.cause, self.detail, keys)
        if self.detail:
            shown["detail"] = self.detail
        if known.silent_ms is not None:
            shown["last_activity_at"] = round(end - known.silent_ms / 1000, 3)
            shown["idle_seconds"] = round(known.silent_ms / 1000, 3)
        for name in ("rtt_ms", "bytes_in", "bytes_out"):
            if (value := getattr(known, name)) is not None:
                shown[name] = value
        if facts.client is not None:
            shown["client"] = {**facts.client._asdict(), "text": facts.client.text}
        return shown


class EndedRecords:
    """The last records of connections that have ended, fairly by network."""

    def __init__(self, max_records: int = MAX_ENDED) -> None:
        self._max_records = max_records
        #: The oldest first.
        self._records: dict[int, Record] = {}
        self._by_network: dict[str, deque[int]] = {}
        self._ranking: Ranking[str] = Ranking()

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[Record]:
        """Yield them, the newest first."""
        return reversed(self._records.values())

    def get(self, number: int) -> Record | None:
        """Return the record of that id."""
        return self._records.get(number)

    def add(self, record: Record) -> None:
        """Keep a record, the newest of all."""
        if len(self._records) >= self._max_records:
            self._drop_one()
        network = client_network(record.facts.client_ip)
        ids = self._by_network.setdefault(network, deque())
        ids.append(record.id)
        self._ranking.changed(network, len(ids) - 1, len(ids))
        self._records[record.id] = record

    def _drop_one(self) -> None:
        network = self._ranking.heaviest()
        assert network is not None, "somebody has those that are here"
        ids = self._by_network[network]
        del self._records[ids.popleft()]
        self._ranking.changed(network, len(ids) + 1, len(ids))
        if not ids:
            del self._by_network[network]


class ConnectionRecords:
    """Counts the ends of connections, and keeps their records.

    ``keys`` are the fingerprints of our RSA keys, as hints have them.
    """

    def __init__(
        self,
        clock: IReactorTime,
        wall: WallClock,
        causes: Causes,
        accounts: Accounts,
        keys: str = "",
        events: Events | None = None,
    ) -> None:
        self.keys = keys
        self._events = events or Events()
        self._clock = clock
        self._wall = wall
        self._causes = causes
        self._accounts = accounts
        self.ended = EndedRecords()
        self.counts = ConnectionCounts()
        #: Hears of each end for which somebody may want to do something.
        self.when_failed: Callable[[End], None] = _tell_nobody
        #: The last id of a connection that was refused before it had a place.
        self._refused = _REFUSED_IDS

    # -- ends ----------------------------------------------------------------------------------

    def note_end(
        self, place: Place, cause: str, facts: Facts, detail: str = "", is_counted: bool = False
    ) -> None:
        """Count why a connection ends, unless that was done, and keep it until it is gone."""
        if not is_counted:
            self._causes.count(cause)
        end = End(cause, self._clock.seconds(), facts, detail)
        if place is NO_PLACE:
            self._count(end)
        elif place.ended is None:
            place.ended = end
            self._count(end)

    def refused(self, account: Account, cause: str) -> None:
        """Note a connection that was not let in; its cause is counted elsewhere."""
        network = account.network
        end = End(cause, self._clock.seconds(), Facts(Stage.ACCEPTED, Phase.ACCEPT, network))
        self._count(end)
        self._refused += 1
        now = self._wall()
        self.ended.add(
            Record(self._refused, now, now, cause, "", end.facts, SocketFacts(), (), network, "")
        )

    def let_in(self, place: Place, port: object) -> None:
        """Note a connection that was let in and is served; ``gone`` hears of its end."""
        self.counts.let_in(port)
        if self._events.heard:
            self._events.tell(ConnectionOpened(id_of(place), peer_of(place.transport), shown(port)))

    def gone(self, place: Place, transport: Cut, tcp_info: bytes) -> None:
        """Freeze the record of a connection, whose transport is gone."""
        port = getattr(transport, "server", None)
        self.counts.gone(port)
        ended = place.ended
        if ended is not None:
            self.ended.add(self._record(place, ended.facts, transport, tcp_info, self._wall()))
        if self._events.heard:
            self._events.tell(closed(place, port, self._clock.seconds()))

    def _count(self, end: End) -> None:
        self.counts.ended(end)
        if end.cause not in SOUND:
            self.when_failed(end)

    # -- reading -------------------------------------------------------------------------------

    def places(self) -> list[Place]:
        """Return the places of all open connections, in no order."""
        return [
            place
            for account in self._accounts
            for places in (account.half_open_places, account.open_places)
            for place in places
        ]

    def facts_of(self, place: Place) -> Facts | None:
        """Return what serves a connection says of it; None where it is just coming or going."""
        if place.transport is None:
            return None
        if place.ended is not None:
            return place.ended.facts._replace(phase=Phase.ENDING)
        return None if place.served is None else place.served.facts()

    def record_of(self, place: Place) -> Record | None:
        """Return what is known of a connection now; None where it is just coming or going."""
        facts, transport = self.facts_of(place), place.transport
        if facts is None or transport is None:
            return None
        connected = getattr(transport, "socket", None)
        tcp_info = b"" if connected is None else read_tcp_info(connected)
        return self._record(place, facts, transport, tcp_info, 0.0)

    def find(self, number: int) -> Place | None:
        """Return the place of an open connection."""
        return next((place for place in self.places() if id_of(place) == number), None)

    def _record(
        self, place: Place, facts: Facts, transport: Cut, tcp_info: bytes, stopped_at: float
    ) -> Record:
        ended = place.ended
        age = self._clock.seconds() - place.since
        return Record(
            id_of(place),
            self._wall() - age,
            stopped_at,
            "" if ended is None else ended.cause,
            "" if ended is None else ended.detail,
            facts,
            socket_facts(tcp_info),
            place.layers,
            peer_of(transport) or facts.client_ip,
            shown(getattr(transport, "server", None)),
        )


#: Nothing follows our resPQ: the commonest failure of all, a client with another server's RSA key,
#: which says so to nobody.
_GAVE_UP: Final = "gave_up_at_res_pq"

#: What a connection is at that has got so far, and waits for nothing special.
_PHASES: Final = {
    Stage.ACCEPTED: Phase.TRANSPORT,
    Stage.TRANSPORT_KNOWN: Phase.TRANSPORT,
    Stage.EXCHANGE_1: Phase.EXCHANGE_1,
    Stage.EXCHANGE_2: Phase.EXCHANGE_2,
    Stage.EXCHANGE_3: Phase.EXCHANGE_3,
}

_STEPS: Final = (Phase.EXCHANGE_1, Phase.EXCHANGE_2, Phase.EXCHANGE_3)


def link_facts(
    connection: Connection,
    waits_for: Phase | None,
    cause: str,
    client_ip: str,
    carrier: str,
) -> Facts:
    """Return the facts of a connection with an MTProto stack of its own.

    ``waits_for`` is what it is at while it waits, ``cause`` why it ends, empty while it is open.
    ``carrier`` is what comes before the framing's name, as ``websocket``; empty for plain TCP.
    """
    stage, step = connection.stage, connection.exchange_step
    if step and is_of_exchange(cause):
        # Also of one that is in use: clients make other keys on a live connection.
        phase = _STEPS[step - 1]
    else:
        phase = waits_for or _PHASES.get(stage, Phase.IN_USE)
    keys = connection.keys
    return Facts(
        stage,
        phase,
        client_ip,
        ", ".join(filter(None, (carrier, connection.codec_name))),
        next((key.client for key in keys if key.client is not None), None),
        connection.messages,
        connection.output.messages,
        connection.output.quick_acks,
        keys=len(keys),
    )


def loss_cause(
    connection: Connection, clean: bool, waits: bool, backend_cause: Callable[[str], str]
) -> str:
    """Return why the client of an open link has left it; ``clean`` is whether in due form.

    ``waits`` is whether the link has waited for something, ``backend_cause`` is that of
    LinkServices.
    """
    if connection.stage is Stage.EXCHANGE_1:
        return _GAVE_UP
    cause = "client_closed" if clean else "client_lost"
    makes_key = connection.whole_messages and not connection.keys
    # The client may have given up what nobody could do for it.
    return backend_cause(cause) if waits or makes_key else cause


def silence_cause(connection: Connection) -> str:
    """Return why a link is ended of which nothing has come for too long."""
    if connection.stage is Stage.EXCHANGE_1:
        return _GAVE_UP
    return "idle" if connection.whole_messages else "handshake_timeout"


def _tell_nobody(end: End) -> None:
    """Stand for a listener that is not there."""
