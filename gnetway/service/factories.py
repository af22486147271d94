"""What serves the connections of a listener: one factory upon another, as it is configured.

    PROXY header → TLS → tcp | websocket | http | several of them | auto

On a listener of its own each of them is a must. Under ``auto`` they are what may come. Where
several listeners have one address, what they speak is told apart, and nothing else is taken.
"""

from collections.abc import Iterable, Mapping
from typing import cast

from twisted.internet.interfaces import IReactorUNIX
from twisted.internet.protocol import ServerFactory

from gnetway.config.model import GatewayConfig
from gnetway.config.servers import Proto, ServerConfig
from gnetway.net.accepting import IsBalancer
from gnetway.net.http.channel import GatewayHttpFactory
from gnetway.net.http.relay import RelayFactory
from gnetway.net.http.sessions import HttpServices
from gnetway.net.http.settings import HttpSettings
from gnetway.net.link_services import LinkServices
from gnetway.net.opening import AutoFactory, Routes
from gnetway.net.peer import TrustedProxies
from gnetway.net.proxy import ProxyFactory, ProxySettings
from gnetway.net.tcp import GatewayFactory
from gnetway.service.listeners import Listener, ListeningPorts
from gnetway.service.prepared import Certificates

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
        self._links = links
        self._certificates = certificates
        self._http_elsewhere = http_elsewhere or {}
        limits = config.gnetway.limits
        self._max_packet_bytes = limits.max_packet_bytes
        http = HttpSettings(
            max_body_bytes=limits.max_packet_bytes, idle_seconds=limits.http_idle_seconds
        )
        self._http = HttpServices(links, http)

    def serve(
        self, ports: ListeningPorts, listeners: Iterable[Listener], relayed: Iterable[Listener]
    ) -> None:
        """Serve clients on ``listeners``, and other workers' HTTP on ``relayed``."""
        for listener in listeners:
            server = listener.server
            ports.serve(listener, self.factory(server), self.balancers(server))
        for listener in relayed:
            # Whoever connects here is another worker, which speaks for its clients.
            ports.serve(listener, self.relayed(listener.server), lambda _: True)

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

        max_bytes = self._max_packet_bytes + _FRAME_EXTRA_BYTES
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
        from gnetway.net.tls.opening import TlsFactory  # noqa: PLC0415

        # A factory of servers as well, though Twisted has it descend from that of clients.
        return cast(ServerFactory, TlsFactory(self._links, certificate, following))

    def _proxy(self, server: ServerConfig, following: ServerFactory) -> ServerFactory | None:
        settings = _proxy_settings(server)
        return None if settings is None else ProxyFactory(self._links, settings, following)


def _proxy_settings(server: ServerConfig) -> ProxySettings | None:
    proxy = server.proxy
    if proxy is None:
        return None
    return ProxySettings(proxy.versions, proxy.trusted_networks, proxy.timeout_seconds)
