"""What comes on a connection before the protocol that serves it.

    PROXY header    net/proxy.py         the client's own address
    TLS             net/tls.py           its handshake
    auto            AutoOpening, below   a look at the first bytes

Each is a protocol that makes the next one when its own part is done, and passes on to it what
comes from then on. So the last one, which has the client link, sees nothing but a transport.
"""

from collections.abc import Callable
from typing import ClassVar, Final, NamedTuple

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHalfCloseableProtocol,
    IProtocol,
    IProtocolFactory,
)
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.python.failure import Failure
from zope.interface import Interface

from gnetway.admission.accounts import Account, NotAdmitted
from gnetway.admission.place import NO_PLACE, Facts, place_of
from gnetway.codec.detect import First, FirstBytes, FirstKind, HeadKind, HttpHead
from gnetway.ends import Phase, Stage
from gnetway.interfaces import ILinkTransport
from gnetway.net.link_services import BUSY_SECONDS, LINGER_SECONDS, LinkServices
from gnetway.net.peer import client_ip

#: The layer of a connection, see Place, whose client was named by a PROXY header.
PROXY_LAYER: Final = "PROXY"


class Opening(Protocol):
    """The first part of a connection: it has ``seconds`` to come to its end.

    Subclasses take the first bytes and then either ``pass_on`` or ``refuse``.
    """

    __slots__ = (
        "_call",
        "_ending",
        "_held",
        "_next",
        "_place",
        "_refused",
        "_services",
        "connected",
        "deadline",
        "factory",
        "transport",
        "wheel_slot",
    )

    #: What the connection is at in this part, and how far it has come by then.
    phase: ClassVar[Phase] = Phase.TRANSPORT
    stage: ClassVar[Stage] = Stage.ACCEPTED

    transport: ILinkTransport

    def __init__(self, services: LinkServices, seconds: float) -> None:
        self._services = services
        self._next: IProtocol | None = None
        self._ending = False
        self._place = NO_PLACE
        #: Goes on when the connection's turn has come.
        self._call: IDelayedCall | None = None
        #: Why the connection will be closed, and as what it is held until then.
        self._refused = ""
        self._held: Account | None = None
        self.deadline = services.clock.seconds() + seconds
        self.wheel_slot = -1

    # -- what subclasses say -------------------------------------------------------------------

    def take(self, data: bytes) -> None:
        """Take the next bytes of this part."""

    def lost_cause(self, reason: Failure) -> str:
        """Return what a connection is counted under that was lost in this part."""
        return "client_closed" if isinstance(reason.value, ConnectionDone) else "client_lost"

    def late_cause(self) -> str:
        """Return what a connection is counted under that took too long."""
        return "handshake_timeout"

    # -- what the transport calls --------------------------------------------------------------

    def connectionMade(self) -> None:
        """Start the deadline of this part."""
        self._place = place_of(self.transport)
        self._place.serves(self)
        self._services.wheel.add(self)
        self._services.open_links.add(self)

    def dataReceived(self, data: bytes) -> None:
        """Take what came, or pass it on."""
        if self._next is not None:
            self._next.dataReceived(data)
        elif not self._ending and not self._refused:
            self.take(data)

    def __conform__(self, interface: type[Interface]) -> object:
        """Let the transport ask whoever serves the connection what becomes of a half-close."""
        if interface is IHalfCloseableProtocol and self._next is not None:
            return interface(self._next, None)
        return None

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Count the end, or let the next protocol do so."""
        if self._next is not None:
            following, self._next = self._next, None
            following.connectionLost(reason)
            return
        if not self._ending:
            self._ending = True
            self._note_end(self.lost_cause(reason))
        self._leave()

    # -- to whom it counts ---------------------------------------------------------------------

    def name(self, client_ip: str, go_on: Callable[[], None], bounded: bool = True) -> None:
        """Count the connection to its client's address, and go on when its turn has come.

        ``bounded`` is as in Place. One that was named before goes on.
        """
        services = self._services
        now = services.clock.seconds()
        account = services.accounts.of(client_ip, now)
        try:
            wait = self._place.name(account, now, bounded)
        except NotAdmitted as refusal:
            self._refuse_later(refusal.cause, account)
            return
        if not wait:
            go_on()
            return

        def turn() -> None:
            self._call = None
            self.transport.resumeProducing()
            go_on()

        self.transport.pauseProducing()
        self._call = services.clock.callLater(wait, turn)

    def _refuse_later(self, cause: str, account: Account) -> None:
        """Close without a word, but not yet: closed at once the client would be back at once."""
        if not self._place.hold(account):
            self.refuse(cause)
            return
        self._refused, self._held = cause, account
        self.transport.pauseProducing()
        self._set_deadline(BUSY_SECONDS)

    # -- ends of this part ---------------------------------------------------------------------

    def pass_on(
        self, factory: IProtocolFactory, data: bytes, transport: ILinkTransport | None = None
    ) -> None:
        """Make the next protocol, which begins with ``data``; None for this part's transport."""
        following = factory.buildProtocol(self.transport.getPeer())
        assert following is not None, "our factories refuse nobody"
        self._next = following
        # It has a deadline and is known to the gateway before this one has and is no more.
        following.makeConnection(transport or self.transport)
        self._leave()
        if data:
            following.dataReceived(data)

    def refuse(self, cause: str) -> None:
        """Close without a word."""
        self._note_end(cause)
        self._ending = True
        self._wait_no_more()
        self._set_deadline(LINGER_SECONDS)
        self.transport.loseConnection()

    def end(self, cause: str) -> None:
        """End the connection: the gateway stops."""
        if not self._ending:
            self.refuse(cause)

    def facts(self) -> Facts:
        """See Served."""
        stage = self.stage
        if stage is Stage.ACCEPTED and self._place.layers:
            stage = Stage.TLS_DONE if self._place.layers[-1] != PROXY_LAYER else Stage.PROXY_READ
        return Facts(stage, self.phase, client_ip(self.transport))

    def _note_end(self, cause: str) -> None:
        self._services.records.note_end(self._place, cause, self.facts())

    def visited(self, now: float) -> None:
        """Keep all there is."""

    def deadline_passed(self) -> None:
        """Refuse a connection that is late, or cut one that was refused."""
        if self._ending:
            self.transport.abortConnection()
        else:
            self.refuse(self._refused or self.late_cause())

    def _set_deadline(self, seconds: float) -> None:
        self._services.wheel.remove(self)
        self.deadline = self._services.clock.seconds() + seconds
        self._services.wheel.add(self)

    def _wait_no_more(self) -> None:
        if self._call is not None:
            self._call.cancel()
            self._call = None
        if self._held is not None:
            self._place.release(self._held)
            self._held = None

    def _leave(self) -> None:
        self._wait_no_more()
        self._services.wheel.remove(self)
        self._services.open_links.remove(self)


class Routes(NamedTuple):
    """Who serves what; None for what is not taken."""

    tcp: IProtocolFactory
    websocket: IProtocolFactory
    http: IProtocolFactory
    tls: IProtocolFactory | None = None
    proxy: IProtocolFactory | None = None


class AutoOpening(Opening):
    """One port for everything: a connection's first bytes tell what it speaks.

        PROXY header            net/proxy.py        if headers are taken here, from its sender
        ClientHello             net/tls.py          if there is a certificate; inside, a new look
        upgrade to WebSocket    net/websocket/
        another HTTP request    net/http/
        anything else           net/tcp.py          every transport of MTProto

    Where a header or TLS is not taken, their first bytes are no MTProto either, which refuses them.
    """

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
