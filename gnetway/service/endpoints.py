r"""Twisted's endpoints: a gateway's clients may come by any of them, and one string is a gateway.

    gateway.endpoints.listen(endpoint)       clients of a gateway, beside those of its listeners
    mtproto:tcp\:10443:key=server.key        an endpoint that has a gateway of its own

What an endpoint accepts has its place in the gateway's admission as every connection has, though a
little later: Twisted has accepted it by then, and made its transport.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeAlias, cast

from twisted.internet.abstract import FileDescriptor
from twisted.internet.defer import Deferred, DeferredList, fail, maybeDeferred
from twisted.internet.endpoints import (
    AdoptedStreamServerEndpoint,
    TCP4ServerEndpoint,
    TCP6ServerEndpoint,
    serverFromString,
)
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHalfCloseableProtocol,
    IListeningPort,
    IProtocol,
    IProtocolFactory,
    IReactorCore,
    IStreamServerEndpoint,
)
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.python.failure import Failure
from zope.interface import Interface, directlyProvides, implementer, providedBy

from gnetway.admission.accounts import Account, AddressDenied, NotAdmitted, TooManyNewConnections
from gnetway.admission.place import Place
from gnetway.application import HandlerFactory
from gnetway.config.addresses import Address
from gnetway.config.model import GatewayConfig
from gnetway.config.servers import Proto, ServerConfig
from gnetway.errors import ConfigError, GatewayError
from gnetway.interfaces import IGatewayReactor, ILinkTransport
from gnetway.net.link_services import BUSY_SECONDS, LinkServices
from gnetway.net.peer import client_ip
from gnetway.service.prepared import check_web_packages

if TYPE_CHECKING:
    # It has the endpoints of every gateway, which are this module's.
    from gnetway.service.gateway import GatewayService

#: Endpoints whose connections are TCP and nothing else: clients can be told to dial them.
_PLAIN: Final = (TCP4ServerEndpoint, TCP6ServerEndpoint, AdoptedStreamServerEndpoint)

#: Makes what serves the connections of a listener.
MakeFactory: TypeAlias = Callable[[ServerConfig], ServerFactory]


class NotServing(GatewayError):
    """The gateway does not serve: it has not started, could not, or has stopped."""


@dataclass(slots=True)
class EndpointPort:
    """One endpoint that is listened on; ``shown`` and ``proto`` are what records have of it."""

    server: ServerConfig
    factory: IProtocolFactory
    shown: str = "endpoint"
    proto: str = ""
    port: IListeningPort | None = None


class _EndpointTransport:
    """A transport of any endpoint, as a client link and its records want it."""

    def __init__(self, transport: ILinkTransport, place: Place, port: EndpointPort) -> None:
        self._transport = transport
        self.place = place
        self.server = port
        self.write = transport.write
        if not isinstance(transport, FileDescriptor):
            # Half a close of what is around a socket, such as TLS, would cut what is inside.
            self.loseWriteConnection = transport.loseConnection
        directlyProvides(self, providedBy(transport))

    def setTcpNoDelay(self, enabled: bool) -> None:  # noqa: N802
        """Send small messages at once, where that means anything."""
        with suppress(AttributeError, OSError):
            self._transport.setTcpNoDelay(enabled)

    def setTcpKeepAlive(self, enabled: bool) -> None:  # noqa: N802
        """Have the kernel look for clients that are gone, where it can."""
        with suppress(AttributeError, OSError):
            self._transport.setTcpKeepAlive(enabled)

    def __getattr__(self, name: str) -> object:
        return getattr(self._transport, name)


class _Arriving(Protocol):
    """One connection of an endpoint: it is let in, waits for its turn, or is refused."""

    transport: ILinkTransport

    def __init__(self, links: LinkServices, port: EndpointPort) -> None:
        self._links = links
        self._port = port
        self._next: IProtocol | None = None
        self._carried: _EndpointTransport | None = None
        self._waiting: tuple[IDelayedCall, Account] | None = None

    def connectionMade(self) -> None:
        """Ask for a place."""
        links = self._links
        now = links.clock.seconds()
        account = links.accounts.of(client_ip(self.transport), now)
        try:
            wait = links.admission.turn_of(account, now)
        except NotAdmitted as refusal:
            self._refuse(account, refusal)
            return
        if not wait:
            self._let_in(account)
        elif not self._hold(account, wait, lambda: self._turn(account)):
            self._refuse(account, TooManyNewConnections())

    def _turn(self, account: Account) -> None:
        self._release()
        self.transport.resumeProducing()
        self._let_in(account)

    def _let_in(self, account: Account) -> None:
        links = self._links
        try:
            place = links.admission.admit(account, links.clock.seconds())
        except NotAdmitted as refusal:
            self._refuse(account, refusal)
            return
        following = self._port.factory.buildProtocol(self.transport.getPeer())
        assert following is not None, "our factories refuse nobody"
        carried = self._carried = _EndpointTransport(self.transport, place, self._port)
        self._next = following
        place.carried(cast(ILinkTransport, carried))
        links.records.let_in(place, self._port)
        following.makeConnection(cast(ILinkTransport, carried))

    def _refuse(self, account: Account, refusal: NotAdmitted) -> None:
        """Close without a word, as a rule not yet: the client would be back at once."""
        self._links.causes.count(refusal.cause)
        self._links.records.refused(account, refusal.cause)
        abort = self.transport.abortConnection
        if isinstance(refusal, AddressDenied) or not self._hold(account, BUSY_SECONDS, abort):
            abort()

    def _hold(self, account: Account, seconds: float, then: Callable[[], object]) -> bool:
        if not self._links.admission.hold(account):
            return False
        self.transport.pauseProducing()
        self._waiting = self._links.clock.callLater(seconds, then), account
        return True

    def _release(self) -> None:
        if self._waiting is not None:
            call, account = self._waiting
            self._waiting = None
            self._links.admission.release(account)
            if call.active():
                call.cancel()

    def dataReceived(self, data: bytes) -> None:
        """Pass it on; who has no place is not read."""
        if self._next is not None:
            self._next.dataReceived(data)

    def __conform__(self, interface: type[Interface]) -> object:
        """Let the transport ask whoever serves the connection what becomes of a half-close."""
        if interface is IHalfCloseableProtocol and self._next is not None:
            return interface(self._next, None)
        return None

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Give the place back, and tell whoever serves the connection."""
        self._release()
        following, self._next = self._next, None
        carried, self._carried = self._carried, None
        if following is not None and carried is not None:
            carried.place.left()
            following.connectionLost(reason)
            carried.place.gone(cast(ILinkTransport, carried), b"")


class MtprotoFactory(ServerFactory):
    """Lets the connections of an endpoint in; Twisted logs where it begins and ends."""

    noisy = False

    def __init__(self, links: LinkServices, port: EndpointPort) -> None:
        self._links = links
        self._port = port

    def buildProtocol(self, addr: IAddress | None) -> _Arriving:
        """Return the protocol for a connection that was just accepted."""
        return _Arriving(self._links, self._port)


class EndpointPorts:
    """The endpoints of one gateway; ``listen`` is for its application."""

    def __init__(self) -> None:
        self._config: GatewayConfig | None = None
        self._links: LinkServices | None = None
        self._make: MakeFactory | None = None
        self._ports: list[EndpointPort] = []
        #: Hears of the address of each endpoint that native clients can dial.
        self.when_dialled: Callable[[str, int], object] | None = None

    def listen(
        self, endpoint: IStreamServerEndpoint, proto: str | Proto = Proto.AUTO
    ) -> Deferred[IListeningPort]:
        """Serve clients that come by an endpoint; the gateway serves already, see ``when_ready``.

        ``proto`` is as Proto of a listener. Fires with the port once it is listened on; it ends
        with the gateway, if not by ``stopListening`` before. Fails with NotServing, with
        ConfigError where a package is wanting, and with what the endpoint fails with.
        """
        try:
            known = Proto(proto)
        except ValueError:
            return fail(ValueError(f"proto is {proto!r}; it may be {', '.join(Proto)}"))
        server = ServerConfig(proto=known, addresses=(Address("", 0, "endpoint[0]"),))
        if self._links is None or self._make is None or self._config is None:
            return fail(NotServing("the gateway does not serve; wait for when_ready()"))
        try:
            gnetway = replace(self._config.gnetway, servers=(server,))
            check_web_packages(replace(self._config, gnetway=gnetway))
        except ConfigError as error:
            return fail(error)
        added = EndpointPort(server, self._make(server), proto=known.value)

        def listened(port: IListeningPort) -> IListeningPort:
            added.port = port
            host = port.getHost()
            added.shown = f"{type(endpoint).__name__} {host}"
            if self._links is None:
                port.stopListening()
                raise NotServing("the gateway has stopped meanwhile")
            self._ports.append(added)
            if self.when_dialled is not None and server.speaks_tcp and isinstance(endpoint, _PLAIN):
                self.when_dialled(host.host, host.port)  # type: ignore[attr-defined]
            return port

        made: Deferred[IListeningPort] = endpoint.listen(MtprotoFactory(self._links, added))
        return made.addCallback(listened)

    def begin(self, config: GatewayConfig, links: LinkServices, make: MakeFactory) -> None:
        """Let endpoints be listened on."""
        self._config, self._links, self._make = config, links, make

    def take(self, config: GatewayConfig) -> None:
        """Serve the connections to come as another configuration says."""
        self._config = config
        for port in self._ports:
            assert self._make is not None, "begun"
            port.factory = self._make(port.server)

    async def stop(self) -> None:
        """Accept no more; connections that are open stay."""
        self._config = self._links = self._make = None
        ports, self._ports = self._ports, []
        ended = [maybeDeferred(port.port.stopListening) for port in ports if port.port is not None]
        await DeferredList(ended)


# ``mtproto:`` in Twisted's strings for servers.


class RpcFactory(ServerFactory):
    """What an ``mtproto:`` endpoint serves, as a Site is what others serve: a handler of calls.

    ``handler``, called with an IRpcSessions provider, makes the IRpcHandler. ``gateway`` is the
    one that serves it, once ``listen`` was called.
    """

    noisy = False

    def __init__(self, handler: HandlerFactory | None = None) -> None:
        self.handler = handler
        self.gateway: GatewayService | None = None

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        """Refuse an endpoint that would hand over bytes of MTProto.

        :raises TypeError: always; the endpoint is none of ``mtproto:``.
        """
        raise TypeError("RpcFactory is for endpoints of `mtproto:…` alone")


@implementer(IListeningPort)
@dataclass(frozen=True, slots=True)
class GatewayPort:
    """A gateway that clients come to by one endpoint; it ends with it."""

    gateway: "GatewayService"
    port: IListeningPort

    def startListening(self) -> None:  # noqa: N802
        """Do nothing: it listens."""

    def stopListening(self) -> Deferred[None]:  # noqa: N802
        """Let the clients go, and fire when the gateway has ended."""
        return self.gateway.stopService()

    def getHost(self) -> IAddress:  # noqa: N802
        """Return where it listens."""
        return self.port.getHost()


@implementer(IStreamServerEndpoint)
@dataclass(frozen=True, slots=True)
class MtprotoEndpoint:
    """An embedded gateway whose clients come by ``inner``."""

    reactor: IGatewayReactor
    inner: IStreamServerEndpoint
    config: GatewayConfig
    proto: Proto = Proto.AUTO

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:  # noqa: N803
        """Start the gateway; fires with a port that ends it.

        Fails with ConfigError, with what ``inner`` fails with, and with TypeError for a factory
        that is no RpcFactory.
        """
        if not isinstance(protocolFactory, RpcFactory):
            given = type(protocolFactory).__name__
            return fail(TypeError(f"mtproto: serves a gnetway.RpcFactory, not a {given}"))
        return Deferred.fromCoroutine(self._listen(protocolFactory))

    async def _listen(self, factory: RpcFactory) -> IListeningPort:
        from gnetway.service.gateway import GatewayService  # noqa: PLC0415 - see above

        gateway = factory.gateway = GatewayService(self.config, self.reactor, factory.handler)
        gateway.prepare()
        gateway.startService()
        await gateway.when_ready()
        if gateway.failure is not None:
            gateway.failure.raiseException()
        try:
            port = await gateway.endpoints.listen(self.inner, self.proto)
        except BaseException:
            await gateway.stopService()
            raise
        return GatewayPort(gateway, port)


#: The options of ``mtproto:``.
_OPTIONS: Final = ("proto", "key", "store", "dc", "config")


def parse_endpoint(reactor: IReactorCore, *inner: str, **options: str) -> MtprotoEndpoint:
    """Return the endpoint of ``mtproto:inner[:option=value…]``.

    :raises ValueError: an option is not known, or there is not one inner endpoint.
    :raises ConfigError: the gateway cannot be made of what the options say.
    """
    from gnetway.config.load import load_file, load_mapping  # noqa: PLC0415 - takes its time

    # An option inside, such as interface=, has taken what stands before it for its name.
    inner += tuple(f"{name}={options.pop(name)}" for name in list(options) if ":" in name)
    if len(inner) != 1:
        example = r"mtproto:tcp\:10443:key=server.key"
        raise ValueError(f"mtproto: has one endpoint inside, its colons escaped, as {example}")
    unknown = [name for name in options if name not in _OPTIONS]
    if unknown:
        raise ValueError(f"mtproto: has no option {unknown[0]}; there are {', '.join(_OPTIONS)}")
    proto = options.pop("proto", Proto.AUTO.value)
    if proto not in list(Proto):
        raise ValueError(f"mtproto: proto={proto}; it may be {', '.join(Proto)}")
    path = options.pop("config", None)
    if path is not None:
        if options:
            raise ValueError(f"mtproto: config= says all that {', '.join(options)}= could")
        config = load_file(path)
    else:
        embedded: dict[str, object] = {"Store": options.get("store", "memory")}
        if "dc" in options:
            embedded["ThisDC"] = int(options["dc"]) if options["dc"].isdecimal() else options["dc"]
        config = load_mapping(
            {
                "RSAKey": [{"KeyFile": options.get("key", "server_pkcs1.key")}],
                # One there must be. It is taken out again.
                "Gnetway": {"Server": [{"Addresses": ["127.0.0.1:0"]}]},
                "Session": {"Embedded": embedded},
            }
        )
        config = replace(config, gnetway=replace(config.gnetway, servers=()))
    known = cast(IGatewayReactor, reactor)
    return MtprotoEndpoint(known, serverFromString(reactor, inner[0]), config, Proto(proto))
