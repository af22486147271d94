"""The connections of a gateway: those open now, how they leave one that stops, how many there were.

Events tell of the end of each, and counters have it by its cause.
"""

from collections import deque
from typing import Final, Protocol, Self, runtime_checkable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from gnetway.admission.place import End, Endable, Facts, Place
from gnetway.config.limits import DrainConfig
from gnetway.ends import DECODE_ERRORS, Phase, Stage, Who, who_ended
from gnetway.events import ConnectionClosed
from gnetway.metrics import LABEL_END, Series


class ConnectionCounts:
    """Counts connections by their listener's Proto, and ends by who, phase and cause.

    What a client says of itself is no part of any name, or there would be as many as clients like.
    """

    def __init__(self) -> None:
        #: Connections that were let in, and those of them that are gone.
        self.opened: dict[str, int] = {}
        self.closed: dict[str, int] = {}
        self.ends: dict[tuple[Who, Phase, str], int] = {}
        #: Ends by the stage that was reached.
        self.stages: dict[Stage, int] = {}
        #: Ends for what could not be decoded, by carrier and reason.
        self.decode_errors: dict[tuple[str, str], int] = {}

    def let_in(self, port: object) -> None:
        """Count a connection of ``port``, which has the Proto; ``gone`` counts it out again."""
        _count_port(self.opened, port)

    def gone(self, port: object) -> None:
        """Count a connection that has closed."""
        _count_port(self.closed, port)

    def ended(self, end: End) -> None:
        """Count why a connection ends, or was not let in."""
        facts, cause = end.facts, end.cause
        name = (who_ended(cause), facts.phase, cause)
        self.ends[name] = self.ends.get(name, 0) + 1
        self.stages[facts.stage] = self.stages.get(facts.stage, 0) + 1
        reason = DECODE_ERRORS.get(cause)
        if reason is not None:
            error = (_carrier(facts.transport), reason)
            self.decode_errors[error] = self.decode_errors.get(error, 0) + 1

    @property
    def open_now(self) -> int:
        """How many are open."""
        return sum(self.opened.values()) - sum(self.closed.values())

    def totals(self) -> dict[str, Series]:
        """Return all of it, see ``Measures``."""
        return {
            "conn_open": dict(self.opened),
            # Of each that was opened there is one, so that a difference can be taken of them.
            "conn_close": {proto: self.closed.get(proto, 0) for proto in self.opened},
            "connection_ends": {LABEL_END.join(name): n for name, n in self.ends.items()},
            "connection_end_stages": {stage.text: n for stage, n in self.stages.items()},
            "codec_decode_errors": {
                LABEL_END.join(name): n for name, n in self.decode_errors.items()
            },
        }


def _carrier(transport: str) -> str:
    """Return what carries MTProto in a connection, of its transport as facts have it."""
    first = transport.partition(",")[0]
    return first if first in ("websocket", "http") else "tcp"


def _count_port(counts: dict[str, int], port: object) -> None:
    proto: str = getattr(port, "proto", "")
    if proto:
        counts[proto] = counts.get(proto, 0) + 1


#: The end of a connection of which nobody has said why.
_UNTOLD: Final = End("", 0.0, Facts(Stage.ACCEPTED, Phase.ACCEPT, ""))


def closed(place: Place, port: object, now: float) -> ConnectionClosed:
    """Return what is told of a connection of ``port`` that is gone; ``now`` is by its clock."""
    cause, _, facts, detail = place.ended or _UNTOLD
    return ConnectionClosed(
        connection_id=id_of(place),
        address=facts.client_ip,
        listener=shown(port),
        cause=cause,
        detail=detail,
        seconds=now - place.since,
        transport=facts.transport,
        client=facts.client,
    )


def id_of(place: Place) -> int:
    """Return the number of a connection: the microsecond at which it was let in."""
    return round(place.since * 1e6)


def peer_of(transport: object) -> str:
    """Return the other end of the socket as host:port; empty for one in the file system."""
    client: object = getattr(transport, "client", None)
    if isinstance(client, tuple) and len(client) >= 2:
        host, port = client[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return ""


def shown(port: object) -> str:
    """Return the listener as records of its connections name it."""
    return str(getattr(port, "shown", ""))


class OpenLinks:
    """The connections that are open now, so that they can be ended together."""

    def __init__(self) -> None:
        self._links: set[Endable] = set()
        #: How many there were, those that are gone included.
        self.opened = 0
        self._waiters: list[Deferred[None]] = []

    def __len__(self) -> int:
        return len(self._links)

    def __contains__(self, link: Endable) -> bool:
        return link in self._links

    def as_list(self) -> list[Endable]:
        """Return them in the order of a set, which is none."""
        return list(self._links)

    def add(self, link: Endable) -> None:
        """Note a connection that was made."""
        self._links.add(link)
        self.opened += 1

    def remove(self, link: Endable) -> None:
        """Note a connection that is gone."""
        self._links.discard(link)
        if not self._links:
            waiters, self._waiters = self._waiters, []
            for all_gone in waiters:
                all_gone.callback(None)

    def when_all_gone(self) -> Deferred[None]:
        """Return what fires when no connection is left, whoever else waits for it."""
        all_gone: Deferred[None] = Deferred()
        if self._links:
            self._waiters.append(all_gone)
        else:
            all_gone.callback(None)
        return all_gone

    def shut_down(self) -> Deferred[None]:
        """End every connection; fires when the last one is gone."""
        all_gone = self.when_all_gone()
        for link in self.as_list():
            link.end("gateway_stopped")
        return all_gone


@runtime_checkable
class Answered(Endable, Protocol):
    """A connection whose client waits for answers."""

    def session_paused(self) -> None:
        """Take nothing more; what was taken is still answered."""

    def end(self, cause: str, told: bool = False) -> None:
        """End it; where it is ``told``, so that nothing is lost of what it was sent.

        A full close with bytes of the client unread would be a reset, behind which he may miss it.
        """


#: Seconds from one step of a drain to the next.
STEP_SECONDS: Final = 0.1

#: Seconds from one line about the progress to the next.
LINE_SECONDS: Final = 5.0

#: Seconds for the answers to what a connection has asked. Longer than nearly all take; whatever it
#: asks meanwhile waits for so long, and is asked again elsewhere.
ANSWER_SECONDS: Final = 0.5


class Drain:
    """Lets the connections of a gateway go at a rate that those who take them over can stand.

    They are served for ``grace`` seconds more. Then ``per_second`` of them are ended a second, and
    what is left after ``seconds``, the grace among them, at once. There is one timer: until the
    grace is over, then until the next step.

    A connection is ended in two steps, so that no client loses the answer to what was done for it:
    nothing more is taken of it, and it is closed when what was taken is answered.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        links: OpenLinks,
        per_second: int,
        grace: float,
        seconds: float,
    ) -> None:
        self._clock = clock
        self._links = links
        self._set(per_second, grace, seconds)
        self._ends_at = 0.0
        self._next_line = 0.0
        self._waiting: deque[Endable] = deque()
        #: With the time when they are to be closed.
        self._leaving: deque[tuple[float, Answered]] = deque()
        self._timer: IDelayedCall | None = None

    @classmethod
    def of(cls, clock: IReactorTime, links: OpenLinks, config: DrainConfig) -> Self:
        """Return one as Drain has it."""
        return cls(clock, links, config.per_second, config.grace_seconds, config.hard_stop_seconds)

    def change(self, config: DrainConfig) -> None:
        """Go by other numbers, if it has not begun."""
        self._set(config.per_second, config.grace_seconds, config.hard_stop_seconds)

    def _set(self, per_second: int, grace: float, seconds: float) -> None:
        self._a_step = max(1, round(per_second * STEP_SECONDS))
        self._per_second = per_second
        self._grace = grace
        self._seconds = seconds

    def start(self) -> Deferred[None]:
        """Begin; fires when the last connection is gone."""
        all_gone = self._links.when_all_gone().addCallback(self._over)
        if len(self._links) > self._a_step:
            self._log.info(
                "draining {number} connections, {rate} a second, within {seconds} s",
                number=len(self._links),
                rate=self._per_second,
                seconds=self._seconds,
            )
        self._ends_at = self._clock.seconds() + self._seconds
        self._next_line = self._clock.seconds() + LINE_SECONDS
        grace = min(self._grace, self._seconds)
        if grace and self._links:
            self._timer = self._clock.callLater(grace, self._end_at_rate)
        else:
            self._end_at_rate()
        return all_gone

    def hurry(self) -> None:
        """End all that are left now, or as soon as it has begun."""
        self._seconds = 0.0
        self._over(None)
        self._links.shut_down()

    def _end_at_rate(self) -> None:
        # Neighbours in time are not ended together: sets have no order.
        self._waiting.extend(self._links.as_list())
        self._step()

    def _step(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        while self._leaving and self._leaving[0][0] <= now:
            self._leaving.popleft()[1].end("gateway_stopped", told=True)
        for _ in range(min(self._a_step, len(self._waiting))):
            link = self._waiting.popleft()
            # Others have gone by themselves meanwhile.
            if link not in self._links:
                continue
            if isinstance(link, Answered):
                link.session_paused()
                self._leaving.append((now + ANSWER_SECONDS, link))
            else:
                link.end("gateway_stopped")
        left = self._ends_at - now
        if left <= 0:
            self._links.shut_down()
        elif self._links:
            if now >= self._next_line:
                self._next_line = now + LINE_SECONDS
                self._log.info(
                    "draining: {number} connections are left, for {seconds:.0f} s at most",
                    number=len(self._links),
                    seconds=left,
                )
            self._timer = self._clock.callLater(min(left, STEP_SECONDS), self._step)

    def _over(self, _: None) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
