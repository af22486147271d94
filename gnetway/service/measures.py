"""How a running gateway is: what it measures, gathered from all parts when somebody asks for it.

That clients come and cannot be served it tells the operator by itself, and when that is over.
"""

from collections.abc import Callable, Sequence
from resource import RUSAGE_SELF, getrusage
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from gnetway._version import __version__
from gnetway.metrics import LAG, Causes, GatewayCounts, Measures, Series
from gnetway.net.link_services import LinkServices
from gnetway.runtime.machine import resident_bytes
from gnetway.runtime.threads import MAX_WAITING
from gnetway.service.backends import BackendLifecycle
from gnetway.service.factories import ClientPorts

#: Seconds from one look at the reactor's delay to the next.
_LOOK_SECONDS: Final = 1.0

#: Looks after which the longest delay is forgotten, at the earliest: longer than from one scrape of
#: Prometheus to the next as a rule.
_LOOKS: Final = 60


class LoopLag:
    """By how much a timer of the reactor comes late: what every client waits for beside its own."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._timer: IDelayedCall | None = None
        self._due = 0.0
        self._looks = 0
        self._longest = self._longest_before = 0.0

    @property
    def seconds(self) -> float:
        """The longest delay of the last minute or two."""
        return max(self._longest, self._longest_before)

    def start(self) -> None:
        """Begin to look."""
        self._due = self._clock.seconds() + _LOOK_SECONDS
        self._timer = self._clock.callLater(_LOOK_SECONDS, self._look)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        late = self._clock.seconds() - self._due
        self._longest = max(self._longest, late)
        self._looks += 1
        if self._looks == _LOOKS:
            self._looks = 0
            self._longest_before, self._longest = self._longest, 0.0
        self.start()


class Measuring:
    """Counts and measures of one gateway; ``lag`` looks at its reactor from its start on."""

    def __init__(
        self,
        clients: ClientPorts,
        causes: Causes,
        clock: IReactorTime,
    ) -> None:
        self._clients = clients
        self._causes = causes
        self.lag = LoopLag(clock)

    def counts(
        self,
        lifecycle: BackendLifecycle,
        links: LinkServices | None,
        unready: Sequence[str],
    ) -> GatewayCounts:
        """Return all of this moment; ``links`` are None before clients are served."""
        measures = self._of_process().plus(lifecycle.measures())
        counts = GatewayCounts(
            0,
            self._causes.as_dict(),
            lifecycle.pushes(),
            unready=tuple(unready),
            measures=measures,
        )
        if links is None:
            return counts
        connections = links.records.counts
        return counts._replace(
            open_connections=connections.open_now,
            opened=sum(connections.opened.values()),
            keys=links.exchange_driver.keys_made,
            gauges=gauges(links, self.lag.seconds),
            measures=measures.plus(_of_links(links)),
        )

    def _of_process(self) -> Measures:
        """Return the measures of what is there without any client."""
        used = getrusage(RUSAGE_SELF)
        levels: dict[str, Series] = {"rsa_keys": {"": self._clients.rsa_keys}}
        ends = {
            str(listener): certificate.valid_until
            for listener in self._clients.listeners
            if (certificate := self._clients.certificates.of(listener.server)) is not None
        }
        if ends:
            levels["certificate_expiry"] = ends
        return Measures({"process_cpu_seconds": {"": used.ru_utime + used.ru_stime}}, levels)


def gauges(links: LinkServices, lag_seconds: float) -> dict[str, float]:
    """Return what there is now, by the names of ``gnetway.admin.metrics``."""
    bounds = links.admission.bounds
    return {
        "connections_limit": bounds.connections,
        "half_open": links.admission.half_open,
        "half_open_limit": bounds.half_open,
        "held": links.admission.held,
        "held_limit": bounds.held,
        "networks": len(links.accounts),
        "sessions": len(links.registry),
        "exchange_steps": len(links.exchange_driver),
        "unsent_bytes": links.unsent.total_bytes,
        "unsent_bytes_limit": links.unsent.max_bytes,
        "unfinished_bytes": links.unfinished.total_bytes,
        "unfinished_bytes_limit": links.unfinished.max_bytes,
        "resident_bytes": resident_bytes(),
        LAG: lag_seconds,
    }


def _of_links(links: LinkServices) -> Measures:
    traffic, exchanges = links.setup.traffic, links.setup.exchanges
    totals: dict[str, Series] = {
        **links.records.counts.totals(),
        "received_bytes": {"": traffic.bytes_in},
        "sent_bytes": {"": traffic.bytes_out},
        "received_messages": {"": links.handed.messages},
        "sent_messages": {"": traffic.messages_out},
        "msg_quick_ack": {"": traffic.quick_acks},
    }
    levels: dict[str, Series] = {
        "key_exchanges": {"": len(exchanges)},
        "key_exchanges_limit": {"": exchanges.max_exchanges},
        "key_exchange_work": {"": links.key_maker.waiting},
        "key_exchange_work_limit": {"": MAX_WAITING},
    }
    # Of what Teamgram's gateway measures so, the unencrypted messages are steps of key exchanges,
    # most of whose time is that of threads: it is not taken here.
    handed = {"msg_process_duration_ms": {"encrypted": links.handed.as_row()}}
    return Measures(totals, levels, handed).plus(links.keys.measures())


#: How often it is looked, in seconds. What is wanting at one look only is not worth a line: a start
#: has its moments, and a key that is put back has.
LOOK_SECONDS: Final = 1.0

#: Seconds between two lines while it lasts, however often it comes and goes.
REMINDER_SECONDS: Final = 60.0


class Readiness:
    """Looks at ``unready``, which returns what is wanting; nothing when all is well."""

    _log = Logger()

    def __init__(self, clock: IReactorTime, unready: Callable[[], list[str]]) -> None:
        self._clock = clock
        self._unready = unready
        self._since: float | None = None
        self._told = False
        self._next_line = 0.0
        self._timer: IDelayedCall | None = None

    def start(self, told: bool) -> None:
        """Begin to look; ``told`` is whether the log says already that something is wanting."""
        self._told = told
        self._next_line = self._clock.seconds()
        self._look_later()
        self._since = self._clock.seconds() if self._unready() else None

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_later(self) -> None:
        self._timer = self._clock.callLater(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        self._look_later()
        reasons, since, now = self._unready(), self._since, self._clock.seconds()
        if not reasons:
            self._since = None
            if self._told:
                self._told = False
                self._log.info("gnetway {version} is ready", version=__version__)
        elif since is None:
            self._since = now
        elif now >= self._next_line:
            self._next_line = now + REMINDER_SECONDS
            self._told = True
            self._log.warn(
                "not ready for {seconds:.0f} s now: {reasons}",
                seconds=now - since,
                reasons="; ".join(reasons),
            )
