"""Etcd and the session nodes, asked as a gateway asks them; nothing is written there."""

from typing import cast

from twisted.internet import defer
from twisted.internet.defer import Deferred, DeferredList

from gnetway.cli.terminal import Report, counted
from gnetway.config.model import GatewayConfig
from gnetway.config.session import EtcdConfig
from gnetway.discovery.etcd_connection import EtcdConnections
from gnetway.discovery.etcd_supervisor import EtcdError, LoginNeeded, NotAllowed, Snapshot
from gnetway.discovery.nodes import ListedNodes
from gnetway.dispatch.encoding import query_request
from gnetway.dispatch.retry import Fault, decide
from gnetway.interfaces import IGatewayReactor
from gnetway.rpc.calls import IRpcCarrier, IRpcReactor
from gnetway.rpc.carriers import carrier
from gnetway.rpc.status import Method, RpcStatus, StatusCode
from gnetway.runtime.clocks import TurnEnd
from gnetway.service.remote_parts import etcd_settings, rpc_options


async def check_peers(
    report: Report, reactor: IGatewayReactor, config: GatewayConfig, seconds: float
) -> list[str]:
    """Ask all of them, and return the session nodes that are known."""
    chosen = carrier(config.rpc.carrier, cast(IRpcReactor, reactor), TurnEnd(reactor))
    peers = _Peers(report, reactor, chosen, seconds)
    if config.etcd is not None:
        await peers.ask_etcd("Etcd", config.etcd)
    nodes = list(config.session.endpoints or ())
    if config.session.etcd is not None:
        nodes = await peers.find_nodes(config.session.etcd)
    if nodes:
        await peers.ask_nodes(nodes, config)
    return nodes


class _Peers:
    def __init__(
        self, report: Report, reactor: IGatewayReactor, chosen: IRpcCarrier, seconds: float
    ) -> None:
        self._report = report
        self._reactor = reactor
        self._carrier = chosen
        self._seconds = seconds

    async def ask_etcd(self, section: str, etcd: EtcdConfig) -> Snapshot | None:
        """Read what stands below a prefix by each host, and return it; None if none answers.

        One host of several is enough to a gateway, which tries them in turn.
        """
        found: Snapshot | None = None
        failed: list[tuple[str, EtcdError]] = []
        for host in etcd.hosts:
            with self._report.busy(f"asking etcd at {host}"):
                try:
                    snapshot = await read_etcd(
                        self._reactor, self._carrier, host, etcd, self._seconds
                    )
                except EtcdError as error:
                    failed.append((host, error))
                    continue
            found = found or snapshot
            keys = counted(len(snapshot.entries), "key")
            self._report.ok("etcd", f"{section}: {host} answers, {keys} below {etcd.prefix}/")
        for host, why in failed:
            tell = self._report.fault if found is None else self._report.warn
            said = str(why).removeprefix(f"{host}: ")
            tell("etcd", f"{section}: {host}: {said}", etcd_remedy(section, why))
        return found

    async def find_nodes(self, etcd: EtcdConfig) -> list[str]:
        """Return the session nodes that etcd names."""
        snapshot = await self.ask_etcd("Session.Etcd", etcd)
        if snapshot is None:
            return []
        listed = ListedNodes()
        listed.replace(snapshot.entries, 0.0)
        nodes = listed.nodes()
        if not nodes:
            self._report.fault(
                "session node",
                f"etcd names none below {etcd.prefix}/",
                "start a session service, or compare Session.Etcd.Key with its own prefix",
            )
        return nodes

    async def ask_nodes(self, nodes: list[str], config: GatewayConfig) -> None:
        """Ask each for a key that nobody has; they are asked at the same time."""
        options = rpc_options(config.rpc)

        async def ask(node: str) -> RpcStatus | None:
            client = self._carrier.client(node, options)
            query = query_request(0)
            try:
                await client.unary(Method.QUERY_AUTH_KEY.path, query, self._seconds)
            except RpcStatus as status:
                return status
            finally:
                await client.close()
            return None

        asked: list[Deferred[RpcStatus | None]] = [
            Deferred.fromCoroutine(ask(node)) for node in nodes
        ]
        with self._report.busy(f"asking {counted(len(nodes), 'session node')}"):
            results = await DeferredList(asked, consumeErrors=True)
        answers = [(node, result) for node, (_, result) in zip(nodes, results, strict=True)]
        well = [node for node, status in answers if not _is_bad(status)]
        for node in well:
            self._report.ok("session node", f"{node} answers by gRPC")
        for node, status in answers:
            if node not in well:
                tell = self._report.warn if well else self._report.fault
                # What a node says of itself may be long.
                tell("session node", f"{node}: {str(status)[:200]}", node_remedy(status))


async def read_etcd(
    reactor: IGatewayReactor, chosen: IRpcCarrier, host: str, etcd: EtcdConfig, seconds: float
) -> Snapshot:
    """Return what stands below the prefix, as one host of etcd has it.

    :raises EtcdError: it does not answer in time, or refuses.
    """
    clients = EtcdConnections(reactor, chosen, etcd_settings(etcd))
    client = clients.client(host)

    async def read() -> Snapshot:
        await client.open()
        return await client.read(f"{etcd.prefix}/")

    asked = Deferred.fromCoroutine(read())
    try:
        return await asked.addTimeout(seconds, reactor)
    except defer.TimeoutError:
        raise EtcdError(f"{host}: no answer in {seconds:g} s") from None
    finally:
        await clients.stop()


def _is_bad(status: object) -> bool:
    """Return whether a gateway would not use a node that answers so."""
    if not isinstance(status, RpcStatus):
        return status is not None
    fault = decide(status, Method.QUERY_AUTH_KEY).fault
    return fault in (Fault.CONNECTION, Fault.SLOW_NODE, Fault.NODE)


def node_remedy(status: object) -> str:
    """Return what to do about a node that answers so, or not at all."""
    code = status.code if isinstance(status, RpcStatus) else None
    if code == StatusCode.UNIMPLEMENTED:
        return "another service listens there: compare its address with the session service's"
    if code in (StatusCode.PERMISSION_DENIED, StatusCode.UNAUTHENTICATED):
        return "what it asks for: compare Rpc.TLS with its own settings"
    return "start it, or see whether a firewall is between, and whether both or neither use TLS"


def etcd_remedy(section: str, error: EtcdError) -> str:
    """Return what to do about an etcd that the configuration's ``section`` names."""
    if isinstance(error, LoginNeeded):
        return f"User and Pass in {section}: this etcd asks who it is"
    if isinstance(error, NotAllowed):
        return f"a role that may read below {section}.Key (etcdctl user grant-role)"
    if "Pass are not etcd's" in str(error):
        return f"compare User and Pass in {section} with etcd's (etcdctl user passwd)"
    return f"start etcd, or compare Hosts in {section} with where it listens, by TLS or not"
