"""What a remote session backend is made of, from the configuration; imports their packages."""

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from twisted.internet.defer import Deferred, succeed

from gnetway.backends.remote.backend import RemoteBackend
from gnetway.backends.remote.connections import Announce, OutageLimits, RemoteSettings
from gnetway.config.model import GatewayConfig
from gnetway.config.operators import TelemetryConfig
from gnetway.config.session import EtcdConfig, RpcConfig, RpcTlsConfig, SessionConfig
from gnetway.discovery.etcd import make_etcd_discovery
from gnetway.discovery.etcd_connection import EtcdSettings
from gnetway.discovery.nodes import StaticDiscovery
from gnetway.interfaces import IDiscovery, IGatewayReactor, ISessionBackend
from gnetway.push.server import PushServer
from gnetway.rpc.calls import IRpcCarrier, IRpcReactor, IRpcServer, RpcOptions, TlsOptions
from gnetway.rpc.carriers import carrier
from gnetway.runtime.clocks import TurnEnd
from gnetway.service.prepared import can_trace

if TYPE_CHECKING:
    from gnetway.rpc.traces import Export


class GrpcParts:
    """The parts over a real carrier and real etcd: RemoteParts."""

    def __init__(
        self,
        config: GatewayConfig,
        reactor: IGatewayReactor,
        random_bytes: Callable[[int], bytes],
        turn_end: TurnEnd,
    ) -> None:
        self._config = config
        self._reactor = reactor
        self._random_bytes = random_bytes
        self._options = rpc_options(config.rpc)
        self._carrier = carrier(config.rpc.carrier, cast(IRpcReactor, reactor), turn_end)
        #: Carries what is traced, where anything is: calls to session nodes, and pushes.
        self._traced: IRpcCarrier = self._carrier
        self._export: Export | None = None
        if config.telemetry is not None and can_trace(config.telemetry.batcher):
            self._traced, self._export = _traced(
                self._carrier,
                config.telemetry,
                config.name,
                cast(IRpcReactor, reactor),
                random_bytes,
            )
        self._fixed_nodes = StaticDiscovery(config.session.endpoints or ())
        self.pushes = PushServer()

    def server(self) -> IRpcServer:
        """See RemoteParts."""
        return self._traced.server(
            str(self._config.listen_on), self.pushes.handlers(), self._options
        )

    def backend(self, server_id: str) -> ISessionBackend:
        """See RemoteParts."""
        session = self._config.session
        nodes: IDiscovery = self._fixed_nodes
        if session.etcd is not None:
            nodes = self._etcd_discovery(session.etcd, session.etcd.prefix)
        return RemoteBackend(
            self._reactor,
            self._traced,
            self._options,
            nodes,
            remote_settings(self._config, server_id),
            self._random_bytes,
        )

    def registration(self) -> IDiscovery | None:
        """See RemoteParts."""
        etcd = self._config.etcd
        return None if etcd is None else self._etcd_discovery(etcd, watched=None)

    def take(self, config: GatewayConfig) -> None:
        """See RemoteParts."""
        if config.session.endpoints is not None:
            self._fixed_nodes.change(config.session.endpoints)

    def stop(self) -> Deferred[None]:
        """See RemoteParts."""
        return succeed(None) if self._export is None else self._export.stop()

    def _etcd_discovery(self, etcd: EtcdConfig, watched: str | None) -> IDiscovery:
        return make_etcd_discovery(self._reactor, self._carrier, etcd_settings(etcd), watched)


def _traced(
    carrier: IRpcCarrier,
    telemetry: TelemetryConfig,
    gateway: str,
    reactor: IRpcReactor,
    random_bytes: Callable[[int], bytes],
) -> "tuple[IRpcCarrier, Export]":
    """Return a carrier that is traced, and what has its traces delivered."""
    from gnetway.rpc.traces import Export, TracedCarrier  # noqa: PLC0415 - needs opentelemetry

    export = Export(telemetry, gateway, reactor, random_bytes)
    return TracedCarrier(carrier, export.spans), export


def rpc_options(rpc: RpcConfig) -> RpcOptions:
    """Return Rpc as the carriers want it."""
    return RpcOptions(
        max_message_bytes=rpc.max_message_bytes,
        keepalive_seconds=rpc.keepalive_seconds,
        keepalive_timeout_seconds=rpc.keepalive_timeout_seconds,
        tcp_keepalive_seconds=rpc.tcp_keepalive_seconds,
        allowed_networks=rpc.allowed_networks or (),
        max_connections=rpc.max_connections,
        max_peer_connections=rpc.max_connections_per_peer,
        max_streams=rpc.max_streams,
        max_peer_streams=rpc.max_streams_per_peer,
        max_input_bytes=rpc.max_input_bytes,
        tls=None if rpc.tls is None else _tls_options(rpc.tls),
    )


def _tls_options(tls: RpcTlsConfig | EtcdConfig) -> TlsOptions:
    files = (tls.ca, tls.cert, tls.cert_key)
    ca, cert, key = (None if file is None else file.content for file in files)
    return TlsOptions(ca=ca, cert=cert, key=key)


def remote_settings(config: GatewayConfig, server_id: str) -> RemoteSettings:
    """Return Session as the remote backend wants it."""
    session: SessionConfig = config.session
    return RemoteSettings(
        server_id=server_id,
        use_stream=config.use_stream_session,
        announce=Announce[session.announce.name],
        timeout_seconds=session.timeout_milliseconds / 1000,
        outage=OutageLimits(
            max_messages=session.hold.max_messages,
            max_bytes=session.hold.max_bytes,
            max_seconds=session.hold.seconds,
        ),
        max_message_bytes=session.max_message_bytes,
    )


def etcd_settings(etcd: EtcdConfig) -> EtcdSettings:
    """Return Etcd, or Session.Etcd, as discovery wants it."""
    return EtcdSettings(
        hosts=etcd.hosts,
        user=etcd.user or "",
        password=etcd.password or "",
        tls=None if etcd.ca is None else _tls_options(etcd),
    )
