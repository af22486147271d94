"""What serves the connections of a listener: one factory upon another, as it is configured.

    PROXY header → TLS → tcp | websocket | http | several of them | auto

On a listener of its own each of them is a must. Under ``auto`` they are what may come. Where
several listeners have one address, what they speak is told apart, and nothing else is taken.

A factory never changes. Another configuration makes other ones: they serve the connections that
come from then on, and the factories before them live for as long as their last connection.
"""

from collections.abc import Mapping
from typing import NamedTuple, cast

from twisted.internet.defer import Deferred, DeferredList, maybeDeferred, succeed
from twisted.internet.interfaces import IReactorSocket, IReactorUNIX
from twisted.internet.protocol import ServerFactory

from gnetway.config.model import GatewayConfig
from gnetway.config.servers import Proto, ServerConfig
from gnetway.interfaces import IGatewayReactor
from gnetway.net.accepting import Arrivals, ClientPort, IsBalancer
from gnetway.net.http.answers import HttpSettings
from gnetway.net.http.channel import GatewayHttpFactory
from gnetway.net.http.relay import RelayFactory
from gnetway.net.http.sessions import HttpServices
from gnetway.net.link_services import LinkServices
from gnetway.net.open_links import Drain
from gnetway.net.opening import AutoFactory, Routes
from gnetway.net.peer import TrustedProxies
from gnetway.net.proxy import ProxyFactory, ProxySettings
from gnetway.net.tcp import GatewayFactory
from gnetway.runtime.clocks import WallClock
from gnetway.service.endpoints import EndpointPorts
from gnetway.service.link_services import ConfiguredLinks, shown_keys
from gnetway.service.listeners import (
    BACKLOG,
    Listener,
    WorkerListeners,
    bind_all,
    close_all,
    keep_alive,
)
from gnetway.service.prepared import Certificates, check_web_packages
from gnetway.service.sockets import InheritedSockets, UnixPort

#: What a WebSocket frame may have beside a packet: framing of the transport inside.
_FRAME_EXTRA_BYTES = 1024


class ListenerFactories:
    """Makes the factories of all listeners.

    ``http_elsewhere`` has the socket of another worker for each listener whose HTTP is served
    there.
    """

    def __init__(
        self,
        config: GatewayConfig,
        links: LinkServices,
        certificates: Certificates,
        http_elsewhere: Mapping[ServerConfig, str] | None = None,
    ) -> None:
        self._config = config
        self._links = links
        self._certificates = certificates
        self._http_elsewhere = http_elsewhere or {}
        self._http = HttpServices(links, _http_settings(config))

    def take(self, config: GatewayConfig) -> None:
        """Make factories of another configuration, which has the same listeners."""
        servers = zip(self._config.gnetway.servers, config.gnetway.servers, strict=True)
        elsewhere = self._http_elsewhere
        self._http_elsewhere = {
            after: elsewhere[before] for before, after in servers if before in elsewhere
        }
        self._config = config
        # Listeners have copies of it, all with the same sessions.
        self._http.take(_http_settings(config))

    def factory(self, server: ServerConfig) -> ServerFactory:
        """Return what serves the connections of a listener."""
        if server.proto is Proto.AUTO:
            return self._auto(server)
        following = self._of_protos(server)
        following = self._tls(server, following) or following
        return self._proxy(server, following) or following

    def relayed(self, server: ServerConfig) -> ServerFactory:
        """Return what serves the HTTP connections that other workers pass on to here."""
        settings = ProxySettings(versions=(1,), relayed=True)
        return ProxyFactory(self._links, settings, self._http_site(server))

    def balancers(self, server: ServerConfig) -> IsBalancer:
        """Return what tells which addresses a listener believes to be those of balancers."""
        settings = _proxy_settings(server)
        return (lambda _: False) if settings is None else settings.trusts_ip

    def _auto(self, server: ServerConfig) -> ServerFactory:
        routes = Routes(
            tcp=self._of_proto(Proto.TCP, server),
            websocket=self._of_proto(Proto.WEBSOCKET, server),
            http=self._of_proto(Proto.HTTP, server),
        )
        inside_tls = AutoFactory(self._links, routes)
        routes = routes._replace(tls=self._tls(server, inside_tls))
        behind_balancer = AutoFactory(self._links, routes)
        routes = routes._replace(proxy=self._proxy(server, behind_balancer))
        return AutoFactory(self._links, routes)

    def _of_protos(self, server: ServerConfig) -> ServerFactory:
        spoken = {proto: self._of_proto(proto, server) for proto in server.protos}
        if len(spoken) == 1:
            return spoken[server.proto]

        def first(*protos: Proto) -> ServerFactory:
            return next(spoken[proto] for proto in protos if proto in spoken)

        # Of two at least, one stands in each of these; it refuses what the other would take.
        routes = Routes(
            tcp=first(Proto.TCP, Proto.HTTP),
            websocket=first(Proto.WEBSOCKET, Proto.HTTP),
            http=first(Proto.HTTP, Proto.TCP),
        )
        return AutoFactory(self._links, routes)

    def _of_proto(self, proto: Proto, server: ServerConfig) -> ServerFactory:
        if proto is Proto.WEBSOCKET:
            return self._websocket(server)
        if proto is Proto.HTTP:
            return self._http_site(server)
        return GatewayFactory(self._links)

    def _websocket(self, server: ServerConfig) -> ServerFactory:
        # Autobahn is only there where it is asked for: see prepared.py.
        from gnetway.net.websocket.protocol import (  # noqa: PLC0415
            GatewayWebSocketFactory,
            WebSocketSettings,
        )

        max_bytes = self._config.gnetway.limits.max_packet_bytes + _FRAME_EXTRA_BYTES
        settings = WebSocketSettings(
            allowed_origins=server.allowed_origins,
            trusted_proxies=server.trusted_proxies or (),
            ping_seconds=server.websocket.ping_seconds,
            ping_timeout_seconds=server.websocket.ping_timeout_seconds,
            max_frame_bytes=max_bytes,
            max_message_bytes=max_bytes,
        )
        factory: ServerFactory = GatewayWebSocketFactory(self._links.clock, self._links, settings)
        return factory

    def _http_site(self, server: ServerConfig) -> ServerFactory:
        path = self._http_elsewhere.get(server)
        if path is not None:
            reactor = cast(IReactorUNIX, self._links.clock)
            return RelayFactory(self._links, self._http.settings, reactor, path)
        # Sessions and key exchanges go over all listeners; who may come, and from where, does not.
        proxies = TrustedProxies(server.trusted_proxies or ())
        return GatewayHttpFactory(self._http.for_listener(server.allowed_origins, proxies))

    def _tls(self, server: ServerConfig, following: ServerFactory) -> ServerFactory | None:
        certificate = self._certificates.of(server)
        if certificate is None:
            return None
        # pyOpenSSL likewise.
        from gnetway.net.tls import TlsFactory  # noqa: PLC0415

        # A factory of servers as well, though Twisted has it descend from that of clients.
        return cast(ServerFactory, TlsFactory(self._links, certificate, following))

    def _proxy(self, server: ServerConfig, following: ServerFactory) -> ServerFactory | None:
        settings = _proxy_settings(server)
        return None if settings is None else ProxyFactory(self._links, settings, following)


def _http_settings(config: GatewayConfig) -> HttpSettings:
    limits = config.gnetway.limits
    return HttpSettings(
        max_body_bytes=limits.max_packet_bytes, idle_seconds=limits.http_idle_seconds
    )


def _proxy_settings(server: ServerConfig) -> ProxySettings | None:
    proxy = server.proxy
    if proxy is None:
        return None
    return ProxySettings(proxy.versions, proxy.trusted_networks, proxy.timeout_seconds)


class _Served(NamedTuple):
    """A listener that is being served, and whether other workers carry HTTP to it."""

    listener: Listener
    relayed: bool
    port: ClientPort | UnixPort


class ClientPorts:
    """The listeners of clients while they are served: how clients come, and how they leave."""

    def __init__(
        self,
        config: GatewayConfig,
        reactor: IGatewayReactor,
        wall: WallClock,
        worker: WorkerListeners | None,
        inherited: InheritedSockets,
    ) -> None:
        self._config = config
        self._reactor = reactor
        self._worker = worker
        self._inherited = inherited
        self.listeners: list[Listener] = []
        self.certificates = Certificates(config, reactor, wall)
        self._links: ConfiguredLinks | None = None
        self._arrivals: Arrivals | None = None
        self._factories: ListenerFactories | None = None
        self._served: list[_Served] = []
        self._drain: Drain | None = None
        #: Where clients come besides, by endpoints of Twisted's.
        self.endpoints = EndpointPorts()
        #: Whether another gateway takes over, and has the sockets too.
        self.lent = False

    def descriptors(self) -> list[int]:
        """See Estate."""
        return [each.port.socket.fileno() for each in self._served]

    def lend(self, lent: bool) -> None:
        """See Estate."""
        self.lent = lent
        for each in self._served:
            if each.listener.file is not None:
                each.listener.file.lend(lent)

    def keys(self) -> str:
        """Return the fingerprints of our RSA keys, as hints have them."""
        return shown_keys(self._config)

    @property
    def rsa_keys(self) -> int:
        """How many RSA keys clients may use."""
        return len(self._config.rsa_keys)

    def bind(self) -> None:
        """Read the certificates and bind every socket, unless a parent has.

        :raises ConfigError: with a line for each fault; nothing stays bound then.
        """
        check_web_packages(self._config)
        self.certificates.load()
        worker = self._worker
        self.listeners = worker.listeners if worker else bind_all(self._config, self._inherited)

    def close(self) -> None:
        """Close the sockets that are bound and not served."""
        listeners, self.listeners = self.listeners, []
        close_all(listeners)

    def begin(self, config: GatewayConfig, configured: ConfiguredLinks) -> None:
        """Accept connections on the bound sockets from now on."""
        links = configured.services
        worker = self._worker or WorkerListeners(self.listeners)
        self._config, self._links = config, configured
        self._drain = Drain.of(self._reactor, links.open_links, config.gnetway.drain)
        self._arrivals = Arrivals(
            self._reactor, links.accounts, links.admission, links.causes, links.records
        )
        elsewhere = worker.http_elsewhere
        self._factories = ListenerFactories(config, links, self.certificates, elsewhere)
        for listener in worker.listeners:
            self._serve(listener, self._arrivals, relayed=False)
        for listener in worker.relayed:
            self._serve(listener, self._arrivals, relayed=True)
        self.endpoints.begin(config, links, self._factories.factory)
        self.certificates.start()

    def take(self, config: GatewayConfig) -> None:
        """Serve the connections to come as another configuration says; it has the same listeners.

        Those that are open go on as they were served before.

        :raises ConfigError: a certificate or a package is wanting; nothing has changed.
        """
        assert self._links is not None and self._factories is not None, "begun"
        check_web_packages(config)
        take_certificates = self.certificates.prepare(config)
        # From here on nothing can fail for the configuration's sake.
        take_certificates()
        self._links.take(config)
        self._factories.take(config)
        before, self._config = self._config.gnetway.servers, config
        for listener, relayed, port in self._served:
            listener.server = config.gnetway.servers[before.index(listener.server)]
            old = port.factory
            port.factory, port.is_balancer = self._factory(listener.server, relayed)
            # As a port does with its own when it begins, and with the last one when it ends.
            port.factory.doStart()
            assert old is not None
            old.doStop()
            keep_alive(port.socket, config.gnetway.limits)
        self.endpoints.take(config)
        if self._drain is not None:
            self._drain.change(config.gnetway.drain)

    def _factory(self, server: ServerConfig, relayed: bool) -> tuple[ServerFactory, IsBalancer]:
        assert self._factories is not None, "begun"
        if relayed:
            # Whoever connects here is another worker, which speaks for its clients.
            return self._factories.relayed(server), lambda _: True
        return self._factories.factory(server), self._factories.balancers(server)

    def _serve(self, listener: Listener, arrivals: Arrivals, relayed: bool) -> None:
        bound, file = listener.bound, listener.file
        factory, is_balancer = self._factory(listener.server, relayed)
        port: ClientPort | UnixPort
        if file is None:
            # A second time, where a worker takes over the socket of one that has died.
            bound.listen(BACKLOG)
            port = _client_port(self._reactor, listener, factory)
            port.arrivals, port.is_balancer = arrivals, is_balancer
        else:
            port = UnixPort(bound.dup(), file, factory, self._reactor, arrivals, is_balancer)
        port.shown = str(listener)
        # Of whom another worker carries here, that one has counted the connection.
        port.proto = "" if relayed else listener.server.proto.value
        port.startListening()
        # The port works on a duplicate of the descriptor.
        bound.close()
        self._served.append(_Served(listener, relayed, port))

    async def stop(self) -> None:
        """Accept no more connections; those that are open stay."""
        self.certificates.stop()
        if self._links is not None:
            self._links.stop()
        if self._arrivals is not None:
            self._arrivals.stop()
        served, self._served = self._served, []
        await self.endpoints.stop()
        await DeferredList([maybeDeferred(each.port.stopListening) for each in served])
        # Where it stops before it serves.
        close_all(self.listeners)

    def drain(self) -> Deferred[None]:
        """Let the clients go; fires when the last one has gone."""
        return succeed(None) if self._drain is None else self._drain.start()

    def hurry(self) -> None:
        """Drain no longer: end all connections now."""
        if self._drain is not None:
            self._drain.hurry()


def _client_port(reactor: IReactorSocket, listener: Listener, factory: ServerFactory) -> ClientPort:
    """Return a port of ours, made as ``adoptStreamPort`` makes Twisted's."""
    bound = listener.bound
    port: ClientPort = ClientPort._fromListeningDescriptor(  # type: ignore[no-untyped-call] # noqa: SLF001
        reactor, bound.fileno(), bound.family, factory
    )
    return port
