"""The listeners of the admin site and of Teamgram's Prometheus block, and what they show."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import cast

from twisted.internet import tcp
from twisted.internet.defer import DeferredList, maybeDeferred
from twisted.internet.interfaces import (
    IProtocolFactory,
    IReactorTime,
)
from twisted.internet.protocol import ServerFactory
from twisted.logger import Logger

from gnetway.admin.status import StatusSource
from gnetway.config.addresses import Address
from gnetway.config.model import GatewayConfig
from gnetway.interfaces import IGatewayReactor
from gnetway.service.listeners import (
    BoundSocket,
    ListenAddress,
    adopt_address,
    bind_address,
    bind_or_tell,
    close_all,
)
from gnetway.service.sockets import InheritedSockets, SocketFile, SocketFilePort

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
