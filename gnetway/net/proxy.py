"""A PROXY protocol header before all else, from those who may send one.

Whoever sends a header can claim any address. So it is read only from trusted networks, and there
it must come: a connection without one would pass for a client with the balancer's address.

Balancers also come to see whether the port is open. What brings nothing, or a header that speaks
for the balancer itself and then nothing, is such a probe.
"""

from ipaddress import IPv4Network, IPv6Network
from typing import NamedTuple

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress, IProtocolFactory
from twisted.internet.protocol import ServerFactory
from twisted.python.failure import Failure

from gnetway.admission.shares import is_in
from gnetway.codec.proxy_protocol import ProxyHeader, ProxyInfo
from gnetway.ends import Phase
from gnetway.errors import FramingError
from gnetway.interfaces import ILinkTransport
from gnetway.net.link_services import LinkServices
from gnetway.net.opening import PROXY_LAYER, Opening
from gnetway.net.peer import UNIX_CLIENT, PeerTransport


class ProxySettings(NamedTuple):
    """Which headers are taken from whom; ``trusted_networks`` is None for everybody.

    Who comes through a socket in the file system is trusted: its mode says who may.
    ``seconds``: until the header is here. Connections that are ``relayed`` by another worker were
    let in there, by the bounds of their network.
    """

    versions: tuple[int, ...] = (1, 2)
    trusted_networks: tuple[IPv4Network | IPv6Network, ...] | None = None
    seconds: float = 5
    relayed: bool = False

    def trusts(self, peer: IAddress) -> bool:
        """Return whether a header from ``peer`` is believed."""
        return isinstance(peer, UNIXAddress) or self.trusts_ip(getattr(peer, "host", ""))

    def trusts_ip(self, client_ip: str) -> bool:
        """Return whether a header from an address, or UNIX_CLIENT, is believed."""
        if self.trusted_networks is None or client_ip == UNIX_CLIENT:
            return True
        return is_in(client_ip, self.trusted_networks)


class ProxyOpening(Opening):
    """Reads a header, and gives what follows a transport with the client's address."""

    phase = Phase.PROXY

    def __init__(
        self, services: LinkServices, settings: ProxySettings, following: IProtocolFactory
    ) -> None:
        super().__init__(services, settings.seconds)
        self._settings = settings
        self._following = following
        self._header = ProxyHeader(settings.versions)
        self._info: ProxyInfo | None = None
        self._spoken = False

    def connectionMade(self) -> None:
        """Refuse whoever is not trusted; of others the header is read."""
        super().connectionMade()
        if not self._settings.trusts(self.transport.getPeer()):
            self.refuse("proxy_untrusted")

    def take(self, data: bytes) -> None:
        """Read the header, then wait for what follows: a probe may bring nothing more."""
        self._spoken = True
        if self._info is None:
            self._header.receive(data)
            try:
                self._info = self._header.result()
            except FramingError as error:
                self.refuse(error.cause)
                return
            if self._info is None:
                return
            self._place.passed(PROXY_LAYER)
            data = self._info.leftover
            self._set_deadline(self._services.limits.handshake_seconds)
            if self._info.source_ip is not None:
                self.name(
                    self._info.source_ip, lambda: self._go_on(data), not self._settings.relayed
                )
                return
        self._go_on(data)

    def _go_on(self, data: bytes) -> None:
        """Let what follows begin with its first bytes: a probe may bring none."""
        assert self._info is not None, "the header is here"
        if data and not self._ending:
            self.pass_on(self._following, data, self._behind(self._info))

    def lost_cause(self, reason: Failure) -> str:
        """See Opening."""
        own_words = self._info is not None and self._info.source_ip is None
        if own_words or not self._spoken:
            return "health_probe"
        return super().lost_cause(reason)

    def late_cause(self) -> str:
        """See Opening."""
        return "proxy_timeout" if self._info is None else super().late_cause()

    def _behind(self, info: ProxyInfo) -> ILinkTransport | None:
        if info.source_ip is None:
            return None
        peer = _address(info.source_ip, info.source_port)
        host = _address(info.target_ip, info.target_port)
        transport: ILinkTransport = PeerTransport(  # type: ignore[assignment]
            self.transport, peer, host
        )
        return transport


def _address(host: str, port: int) -> IPv4Address | IPv6Address:
    kind = IPv6Address if ":" in host else IPv4Address
    return kind("TCP", host, port)


class ProxyFactory(ServerFactory):
    """Makes a :class:`ProxyOpening` for each connection; ``following`` serves what is behind."""

    noisy = False

    def __init__(
        self, services: LinkServices, settings: ProxySettings, following: IProtocolFactory
    ) -> None:
        self._services = services
        self._settings = settings
        self._following = following

    def buildProtocol(self, addr: IAddress | None) -> ProxyOpening:
        """Return the protocol for a connection that was just accepted."""
        return ProxyOpening(self._services, self._settings, self._following)
