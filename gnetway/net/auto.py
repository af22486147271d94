"""One port for everything: a connection's first bytes tell what it speaks.

    PROXY header            proxy.py          if headers are taken here, and from its sender
    ClientHello             tls_opening.py    if there is a certificate; inside, a new look
    upgrade to WebSocket    websocket.py
    another HTTP request    http_site.py
    anything else           protocol.py       every transport of MTProto

Where a header or TLS is not taken, their first bytes are no MTProto either, which refuses them.
"""

from typing import NamedTuple

from twisted.internet.interfaces import IAddress, IProtocolFactory
from twisted.internet.protocol import ServerFactory

from gnetway.codec.first_bytes import First, FirstBytes, FirstKind
from gnetway.codec.http_head import HeadKind, HttpHead
from gnetway.net.link_services import LinkServices
from gnetway.net.opening import Opening
from gnetway.net.peer import client_ip


class Routes(NamedTuple):
    """Who serves what; None for what is not taken."""

    tcp: IProtocolFactory
    websocket: IProtocolFactory
    http: IProtocolFactory
    tls: IProtocolFactory | None = None
    proxy: IProtocolFactory | None = None


class AutoOpening(Opening):
    """Looks at the first bytes, which then go to whoever serves them."""

    __slots__ = ("_first", "_head", "_routes")

    def __init__(self, services: LinkServices, routes: Routes) -> None:
        super().__init__(services, services.limits.handshake_seconds)
        self._routes = routes
        #: What is looked at now; neither once that has told.
        self._first: FirstBytes | None = FirstBytes()
        self._head: HttpHead | None = None

    def take(self, data: bytes) -> None:
        """See Opening."""
        if self._first is not None:
            self._first.receive(data)
            first = self._first.result()
            if first is None:
                return
            self._first = None
            if first.kind is FirstKind.PROXY and self._routes.proxy is not None:
                # Its header will say to whom the connection counts.
                self._told(first)
            else:
                self.name(client_ip(self.transport), lambda: self._told(first))
        elif self._head is not None:
            self._read_head(data)

    def _told(self, first: First) -> None:
        """Go on with what the first bytes tell."""
        if self._ending:
            return
        if first.kind is not FirstKind.HTTP:
            self.pass_on(self._serves(first.kind), first.data)
            return
        self._head = HttpHead()
        self._read_head(first.data)

    def _read_head(self, data: bytes) -> None:
        assert self._head is not None, "a head is read"
        self._head.receive(data)
        head = self._head.result()
        if head is not None:
            self._head = None
            is_websocket = head.kind is HeadKind.WEBSOCKET
            self.pass_on(self._routes.websocket if is_websocket else self._routes.http, head.data)

    def _serves(self, kind: FirstKind) -> IProtocolFactory:
        routes = self._routes
        if kind is FirstKind.PROXY:
            return routes.proxy or routes.tcp
        if kind is FirstKind.TLS:
            return routes.tls or routes.tcp
        return routes.tcp


class AutoFactory(ServerFactory):
    """Makes an :class:`AutoOpening` for each connection."""

    noisy = False

    def __init__(self, services: LinkServices, routes: Routes) -> None:
        self._services = services
        self._routes = routes

    def buildProtocol(self, addr: IAddress | None) -> AutoOpening:
        """Return the protocol for a connection that was just accepted."""
        return AutoOpening(self._services, self._routes)
