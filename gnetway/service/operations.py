"""What operators reach: the listeners of the admin site, and what they ask of the connections.

Teamgram's Prometheus block has listeners as well. What is asked is answered by one process or by
several:

    question    →  part of each process   ``part_of``    plain data, which pipes carry
    parts       →  the answer             ``joined``

A gateway in one process has one part, and answers for itself: ``Operations``.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any, Final, cast

from twisted.internet import tcp
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.interfaces import (
    IProtocolFactory,
    IReactorTime,
)
from twisted.internet.protocol import ServerFactory
from twisted.logger import Logger

from gnetway.admin.status import NotFound, QueryFault, Status, StatusSource, Summary
from gnetway.config.addresses import Address
from gnetway.config.model import GatewayConfig
from gnetway.interfaces import IGatewayReactor
from gnetway.runtime.clocks import WallClock
from gnetway.service.connections import (
    Connections,
    Failures,
    Kind,
    Page,
    Query,
    failures_as_json,
)
from gnetway.service.listeners import (
    BoundSocket,
    ListenAddress,
    adopt_address,
    bind_address,
    bind_or_tell,
    close_all,
)
from gnetway.service.reload import Reloads
from gnetway.service.sockets import InheritedSockets, SocketFile, SocketFilePort

Part = dict[str, Any]

#: Questions about one connection, whose id says which process has it.
OF_ONE: Final = frozenset({"connection", "end", "drain"})


def split_id(given: Mapping[str, str]) -> tuple[int | None, int]:
    """Return the worker that has the connection of an id, None for none, and its number there.

    :raises QueryFault: it is no id.
    """
    text = given.get("id", "")
    worker, dash, number = text.rpartition("-")
    if not (_is_whole(number) and (not dash or _is_whole(worker))):
        raise QueryFault(f"id={text[:40]}: it is none that a list has")
    return int(worker) if dash else None, int(number)


def _is_whole(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 20


async def part_of(
    connections: Connections, what: str, given: Mapping[str, str], now: float
) -> Part:
    """Return what one process knows; ``now`` is in Unix seconds.

    :raises QueryFault: there is no such question, or its parameters are none.
    """
    if what == "connections":
        page = await connections.page(Query.parse(given), now)
        return page._asdict()
    if what == "summary":
        return (await connections.summary())._asdict()
    if what == "failures":
        kinds = await connections.failures()
        return {"kinds": [[list(kind), *failures] for kind, failures in kinds.items()]}
    if what not in OF_ONE:
        raise QueryFault(f"{what[:40]}: there is no such question")
    _, number = split_id(given)
    if what == "connection":
        return {"found": connections.find(number, now)}
    return {"done": connections.end(number) if what == "end" else connections.drain(number)}


def joined(
    what: str, given: Mapping[str, str], parts: list[Part], keys: str, now: float
) -> dict[str, Any]:
    """Return the answer to a question; ``keys`` are the fingerprints of our RSA keys as text.

    :raises NotFound: no process has such a connection.
    """
    if what == "connections":
        query = Query.parse(given)
        pages = [
            Page([(value, shown) for value, shown in part["rows"]], part["matched"], part["total"])
            for part in parts
        ]
        return Page.of_all(pages, query).as_json(query, now)
    if what == "summary":
        counts = [[part[name] for name in Summary._fields] for part in parts]
        return Summary.of_all(counts).as_json(now)
    if what == "failures":
        return {"now": round(now, 3), "failures": failures_as_json(_kinds(parts), keys)}
    found = next((part for part in parts if part.get("found") or part.get("done")), None)
    if found is None:
        raise NotFound("no connection of that id is open or remembered")
    return found["found"] if what == "connection" else {"id": given.get("id", ""), "done": what}


def _kinds(parts: list[Part]) -> dict[Kind, Failures]:
    kinds: dict[Kind, Failures] = {}
    for part in parts:
        for (who, phase, cause, application), *rest in part["kinds"]:
            kind, failures = (who, phase, cause, application), Failures(*rest)
            kinds[kind] = kinds[kind].plus(failures) if kind in kinds else failures
    return kinds


async def of_configuration(reloads: Reloads, what: str) -> dict[str, Any] | None:
    """Answer what concerns the configuration of all processes; None for any other question."""
    if what == "reload":
        return (await reloads.reload()).as_json()
    if what == "reloads":
        # The newest first.
        return {"reloads": [result.as_json() for result in reversed(reloads.results)]}
    return None


class Operations:
    """A StatusSource over a gateway in one process.

    ``connections`` returns None while no client is served yet, ``keys`` the fingerprints of our RSA
    keys. ``stop`` ends the gateway where
    that is nobody else's to say, and is None elsewhere.
    """

    def __init__(
        self,
        status: Callable[[], Deferred[Status]],
        connections: Callable[[], Connections | None],
        keys: Callable[[], str],
        wall: WallClock,
        reloads: Reloads,
        stop: Callable[[], object] | None,
    ) -> None:
        self._reloads = reloads
        self.status = status
        self._connections = connections
        self._keys = keys
        self._wall = wall
        self._stop = stop

    def ask(self, what: str, given: Mapping[str, str]) -> Deferred[dict[str, Any]]:
        """See StatusSource."""
        return Deferred.fromCoroutine(self._ask(what, given))

    async def _ask(self, what: str, given: Mapping[str, str]) -> dict[str, Any]:
        answer = await of_configuration(self._reloads, what)
        if answer is not None:
            return answer
        connections, now = self._connections(), self._wall()
        parts = [] if connections is None else [await part_of(connections, what, given, now)]
        return joined(what, given, parts, self._keys(), now)

    def drain(self) -> bool:
        """See StatusSource."""
        if self._stop is None:
            return False
        self._stop()
        return True


#: Makes what answers at an address.
_MakeSite = Callable[[StatusSource], IProtocolFactory]


# Both import twisted.web and prometheus-client when somebody listens: no other gateway needs them.


def _admin_site(token: str, clock: IReactorTime, source: StatusSource) -> IProtocolFactory:
    from gnetway.admin.site import admin_site  # noqa: PLC0415

    return admin_site(source, token, clock)


def _metrics_site(path: str, clock: IReactorTime, source: StatusSource) -> IProtocolFactory:
    from gnetway.admin.site import metrics_site  # noqa: PLC0415

    return metrics_site(source, path, clock)


@dataclass(slots=True)
class _SiteSocket(BoundSocket):
    """A socket of operators, and what answers there."""

    make_site: _MakeSite = field(kw_only=True)


def _shown(site: _SiteSocket) -> str:
    return str(site) if site.file is not None else f"http://{site}"


class AdminListeners:
    """Listen where Admin and Prometheus say; nowhere without them."""

    _log = Logger()

    def __init__(
        self,
        config: GatewayConfig,
        reactor: IGatewayReactor,
        inherited: InheritedSockets | None = None,
    ) -> None:
        self._config = config
        self._reactor = reactor
        self._inherited = inherited or InheritedSockets()
        self._later: StatusSource | None = None
        self._sockets: list[_SiteSocket] = []
        self._ports: list[tcp.Port] = []
        self._files: list[SocketFile] = []

    def descriptors(self) -> list[int]:
        """See Estate."""
        return [port.fileno() for port in self._ports]

    def lend(self, lent: bool) -> None:
        """See Estate."""
        later, self._later = self._later, None
        if later is not None and not lent:
            self._serve(later)
        for file in self._files:
            file.lend(lent)

    def bind(self) -> None:
        """Bind every address.

        :raises ConfigError: with each address that cannot be bound; nothing stays bound then.
        """
        self._sockets = list(chain(*bind_or_tell(self._config, self._wanted())))

    def _wanted(self) -> Iterator[tuple[ListenAddress, Callable[[], list[_SiteSocket]]]]:
        def make(address: ListenAddress, mode: int, make_site: _MakeSite) -> list[_SiteSocket]:
            adopted = adopt_address(address, self._inherited)
            bound = adopted or [bind_address(address, mode)]
            return [_SiteSocket(*fields, make_site=make_site) for fields in bound]

        admin, prometheus = self._config.admin, self._config.prometheus
        if admin is not None:
            site = partial(_admin_site, admin.token, self._reactor)
            for address in admin.addresses:
                yield address, partial(make, address, admin.unix_mode, site)
        if prometheus is not None:
            place = Address(prometheus.host, prometheus.port, "Prometheus")
            site = partial(_metrics_site, prometheus.path, self._reactor)
            yield place, partial(make, place, 0, site)

    def serve(self, source: StatusSource) -> None:
        """Answer from now on, also while clients are not served yet.

        Where another gateway answers there, which serves them, only when it is told to end.
        """
        if self._inherited.of_another:
            self._later = source
        else:
            self._serve(source)

    def _serve(self, source: StatusSource) -> None:
        for site in self._sockets:
            self._ports.append(self._listen(site, site.make_site(source)))
            # The port works on a duplicate of the descriptor.
            site.bound.close()
        admin = self._config.admin
        if admin is not None:
            # Those of Prometheus stand behind them.
            shown = ", ".join(map(_shown, self._sockets[: len(admin.addresses)]))
            self._log.info("admin site: {addresses}", addresses=shown)
            if admin.open_to_others:
                self._log.warn(
                    "the admin site is open to everybody who reaches {addresses}: Admin.Token"
                    " would ask who it is",
                    addresses=", ".join(admin.open_to_others),
                )
        self._sockets = []

    def _listen(self, site: _SiteSocket, factory: IProtocolFactory) -> tcp.Port:
        if site.file is None:
            bound = site.bound
            adopted = self._reactor.adoptStreamPort(
                bound.fileno(), bound.family, cast("ServerFactory", factory)
            )
            return cast(tcp.Port, adopted)
        self._files.append(site.file)
        port = SocketFilePort(site.bound.dup(), site.file, factory, self._reactor)
        port.startListening()
        return port

    def close(self) -> None:
        """Close what is bound and not served."""
        close_all(self._sockets)
        self._sockets = []

    async def stop(self) -> None:
        """Listen no more."""
        self.close()
        ports, self._ports = self._ports, []
        await DeferredList([maybeDeferred(port.stopListening) for port in ports])
