"""A gateway of the configuration itself, tried as clients do; or the one that runs.

The one that is started here has free ports of the loopback interface, sockets in a folder of its
own, and the embedded backend with a store in memory: real ports would draw real clients, and real
session nodes would keep the keys. Its keys, certificates, listeners and limits are those of the
file.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import ip_network
from itertools import groupby
from threading import Thread
from typing import Final, NamedTuple, TypeVar, cast

from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogBeginner
from twisted.python.failure import Failure

from gnetway.backends.embedded.help_config import DEFAULT_DC
from gnetway.cli.terminal import Report
from gnetway.config.addresses import Address, UnixAddress
from gnetway.config.files import RsaKeyConfig
from gnetway.config.limits import AdmissionConfig, NetworkConfig
from gnetway.config.model import GatewayConfig
from gnetway.config.servers import Proto, ServerConfig
from gnetway.config.session import MEMORY, EmbeddedConfig, SessionConfig
from gnetway.errors import ConfigError
from gnetway.interfaces import IGatewayReactor
from gnetway.service.gateway import GatewayService
from gnetway.testing.dial import HTTP, OVER_TCP, WEBSOCKET, NotReached, NotServed, Trial, Way
from gnetway.testing.exchange import ServerKey

T = TypeVar("T")

_STEP: Final = "trial"

#: A listener of which so many ways in a row were tried in vain is tried no more.
_ENOUGH: Final = 3

#: Seconds in which a gateway here counts a connection that its client has left.
_COUNTING_SECONDS: Final = 0.1

_LOOPBACK: Final = "127.0.0.1"

#: What a native client would take first.
_USUAL: Final = "obf-intermediate"

#: Levels of what a gateway has to say where it fails.
_TOLD: Final = (LogLevel.warn, LogLevel.error, LogLevel.critical)


class _Target(NamedTuple):
    """A listener that is tried: where, and under which name."""

    server: ServerConfig
    place: Address | UnixAddress
    name: str


def ways(server: ServerConfig, dc_id: int) -> list[Way]:
    """Return how clients may come to a listener.

    Where TLS or a header may come and need not, as under ``auto``, each protocol is tried in TLS,
    and each version of the header once.
    """
    plain = [
        Way(transport, dc_id=dc_id)
        for proto, transports in (
            (Proto.TCP, OVER_TCP),
            (Proto.WEBSOCKET, (WEBSOCKET,)),
            (Proto.HTTP, (HTTP,)),
        )
        if server.serves(proto)
        for transport in transports
    ]
    versions = () if server.proxy is None else server.proxy.versions
    if Proto.AUTO in server.protos:
        usual = [way for way in plain if way.transport in (_USUAL, WEBSOCKET, HTTP)]
        in_tls = [] if server.tls is None else [way._replace(tls=True) for way in usual]
        headed = [usual[0]._replace(proxy_version=version) for version in versions]
        return plain + in_tls + headed
    if server.tls is not None:
        plain = [way._replace(tls=True) for way in plain]
    if not versions:
        return plain
    first, *others = versions
    headed = [way._replace(proxy_version=first) for way in plain]
    return headed + [plain[0]._replace(proxy_version=version) for version in others]


async def try_itself(
    report: Report, reactor: IGatewayReactor, config: GatewayConfig, seconds: float
) -> None:
    """Start a gateway of the configuration, and try every way of every listener, and every key."""
    log = _Log()
    with tempfile.TemporaryDirectory(prefix="gnetway-check-") as folder:
        gateway = GatewayService(_stand_in(config, folder), reactor)
        try:
            gateway.prepare()
            gateway.startService()
            with report.busy("starting a gateway"):
                await gateway.when_ready().addTimeout(seconds, reactor)
            if gateway.failure is None:
                trials = _Trials(report, reactor, config, seconds, gateway)
                await trials.try_all(_targets(config, gateway, folder))
            else:
                text = f"the gateway does not start: {gateway.failure.getErrorMessage()}"
                report.fault(_STEP, text, log.last or "docs/troubleshooting.md")
        except ConfigError as error:
            report.faults(_STEP, error.faults)
        except defer.TimeoutError:
            report.fault(
                _STEP, f"the gateway does not start in {seconds:g} s", "a longer --timeout"
            )
        finally:
            with report.busy("stopping it"):
                # It has said all that it has to say.
                stopped = gateway.stopService().addTimeout(seconds, reactor)
                await stopped.addErrback(lambda failure: failure.trap(defer.TimeoutError))


async def try_running(
    report: Report,
    reactor: IGatewayReactor,
    config: GatewayConfig,
    place: Address,
    seconds: float,
) -> None:
    """Try a gateway that runs, as the listener of the configuration that has its port."""
    servers = config.gnetway.servers
    server = next(
        (one for one in servers if any(place.port == _port(its) for its in one.addresses)), None
    )
    if server is None:
        server = servers[0]
        text = f"no listener has the port {place.port}: taken for {server.path}"
        report.note(_STEP, f"{text}, as a balancer may change it")
    trials = _Trials(report, reactor, config, seconds)
    await trials.try_all([_Target(server, place, f"{place} ({server.path})")])


def _port(address: Address | UnixAddress) -> int | None:
    return address.port if isinstance(address, Address) else None


def _stand_in(config: GatewayConfig, folder: str) -> GatewayConfig:
    """Return the configuration of the gateway that is tried here; ``folder`` is for its files."""
    gnetway, session = config.gnetway, config.session
    this_dc = None if session.embedded is None else session.embedded.this_dc
    loopback = NetworkConfig(networks=(ip_network(_LOOPBACK),), exempt=True)
    return replace(
        config,
        gnetway=replace(
            gnetway,
            servers=tuple(_server(server, folder) for server in gnetway.servers),
            # All that is tried comes from one address, and real ones may be all that is allowed.
            admission=AdmissionConfig(networks=(loopback,)),
        ),
        session=SessionConfig(embedded=EmbeddedConfig(store=MEMORY, this_dc=this_dc)),
        # Their public halves are written beside them.
        rsa_keys=tuple(replace(key, path=_inside(folder, key.path)) for key in config.rsa_keys),
        listen_on=None,
        etcd=None,
        admin=None,
        prometheus=None,
        telemetry=None,
        workers=1,
    )


def _server(server: ServerConfig, folder: str) -> ServerConfig:
    """Return a listener with one address of each kind that it has, behind any balancer."""
    addresses: dict[type, Address | UnixAddress] = {}
    for address in server.addresses:
        is_unix = isinstance(address, UnixAddress)
        addresses.setdefault(
            type(address),
            UnixAddress(_inside(folder, server.path), address.path)
            if is_unix
            else Address(_LOOPBACK, 0, address.path),
        )
    proxy = server.proxy_protocol
    return replace(
        server,
        addresses=tuple(addresses.values()),
        public_addresses=(),
        proxy_protocol=None if proxy is None else replace(proxy, trusted_networks=None),
    )


def _inside(folder: str, name: str) -> str:
    return os.path.join(folder, name.replace("/", "_")[-64:])


def _targets(config: GatewayConfig, gateway: GatewayService, folder: str) -> Iterator[_Target]:
    """Yield where the listeners are tried; real ports stand in their order."""
    real = iter(gateway.addresses)
    for server in config.gnetway.servers:
        for stand_in in _server(server, folder).addresses:
            own = ", ".join(str(one) for one in server.addresses if type(one) is type(stand_in))
            place = Address(*next(real)) if isinstance(stand_in, Address) else stand_in
            yield _Target(server, place, f"{server.path} ({own})")


class _Trials:
    """Tries targets; ``gateway`` is the one that is tried if it is in this process."""

    def __init__(
        self,
        report: Report,
        reactor: IGatewayReactor,
        config: GatewayConfig,
        seconds: float,
        gateway: GatewayService | None = None,
    ) -> None:
        self._report = report
        self._reactor = reactor
        self._config = config
        self._seconds = seconds
        self._gateway = gateway

    async def try_all(self, targets: "Iterator[_Target] | list[_Target]") -> None:
        """Try each way of each target with the first key, and the other keys once."""
        first, *others = self._config.rsa_keys
        embedded = self._config.session.embedded
        this_dc = None if embedded is None else embedded.this_dc
        dc_id = self._config.gnetway.strict_dc or this_dc or DEFAULT_DC
        for target in targets:
            all_ways = ways(target.server, dc_id)
            await self._try(target, all_ways, first)
            for key in others:
                await self._try(target, all_ways[:1], key)
            others = []
        if self._gateway is not None and self._config.session.is_remote:
            text = "the embedded backend has answered in the session nodes' place; --against a"
            self._report.note(_STEP, f"{text} gateway that runs asks the nodes")

    async def _try(self, target: _Target, all_ways: list[Way], key: RsaKeyConfig) -> None:
        """Try ways with one key; all that work are told in one line."""
        well: list[tuple[Way, float, float]] = []
        failed: list[Way] = []
        for number, way in enumerate(all_ways):
            if len(failed) == _ENOUGH and not well:
                rest = _listed(all_ways[number:])
                self._report.note(_STEP, f"{target.name}: not tried any more: {rest}")
                break
            before = self._causes()
            try:
                with self._report.busy(f"trying {target.name} over {way}"):
                    made, pong = await self._in_thread(target.place, way, key)
            except NotReached as error:
                remedy = f"start it, or compare {target.server.path}.Addresses and any firewall"
                self._report.fault(_STEP, f"{target.name}: {error}", remedy)
                return
            except NotServed as error:
                failed.append(way)
                remedy = await self._remedy(target.server, before)
                self._report.fault(_STEP, f"{target.name} over {way}: {error}", remedy)
            else:
                well.append((way, made, pong))
        if well:
            names = _listed([way for way, _, _ in well])
            made = 1000 * sum(made for _, made, _ in well) / len(well)
            pong = 1000 * sum(pong for _, _, pong in well) / len(well)
            which = f" with {key.path}" if key is not self._config.rsa_keys[0] else ""
            text = f"{target.name}{which}: {names}; key {made:.1f} ms, ping {pong:.1f} ms"
            self._report.ok(_STEP, text)

    def _in_thread(
        self, place: Address | UnixAddress, way: Way, key: RsaKeyConfig
    ) -> "Deferred[tuple[float, float]]":
        public = ServerKey(key.key.modulus, key.key.exponent)
        trial = Trial(place, way, public, key.path, self._seconds)

        def work() -> tuple[float, float]:
            made, pong = trial.run(1)
            return made, pong

        return in_thread(self._reactor, work)

    def _causes(self) -> dict[str, int]:
        return {} if self._gateway is None else self._gateway.causes.as_dict()

    async def _remedy(self, server: ServerConfig, before: dict[str, int]) -> str:
        """Return where to read on: the cause that the gateway has counted meanwhile."""
        if self._gateway is None:
            log = "its log and docs/troubleshooting.md have the cause"
            if server.proxy is None or server.proxy.trusted_networks is None:
                return log
            trusted = f"{server.path}.ProxyProtocol.TrustedNetworks"
            return f"try it through the balancer, or have this machine in {trusted}; {log}"
        await deferLater(self._reactor, _COUNTING_SECONDS)
        new = [name for name, count in self._causes().items() if count > before.get(name, 0)]
        counted = ", ".join(new) or "nothing yet"
        return f"docs/troubleshooting.md: the gateway has counted {counted}"


def _listed(some: list[Way]) -> str:
    """Return ways in a few words: those that differ in their transport alone stand together."""
    groups = groupby(some, lambda way: way._replace(transport=""))
    return "; ".join(
        f"{', '.join(way.transport for way in group)}{common}" for common, group in groups
    )


def in_thread(reactor: IGatewayReactor, work: Callable[[], T]) -> Deferred[T]:
    """Do what blocks, beside the reactor."""
    done: Deferred[T] = Deferred()

    def run() -> None:
        try:
            result = work()
        except Exception:  # noqa: BLE001 - it is told by the Deferred
            reactor.callFromThread(done.errback, Failure())
        else:
            reactor.callFromThread(done.callback, result)

    Thread(target=run, daemon=True).start()
    return done


class _Log:
    """Keeps the last thing that the gateway complained of; nothing is printed of its log."""

    def __init__(self) -> None:
        self.last = ""
        observer = cast(ILogObserver, self._take)
        globalLogBeginner.beginLoggingTo([observer], discardBuffer=True, redirectStandardIO=False)

    def _take(self, event: LogEvent) -> None:
        if event["log_level"] in _TOLD:
            self.last = formatEvent(event)
