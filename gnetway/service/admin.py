"""The listeners of the admin site, and of Teamgram's Prometheus block."""

import socket
from typing import Final, cast

from twisted.internet.defer import DeferredList, maybeDeferred
from twisted.internet.interfaces import IDelayedCall, IListeningPort, IReactorTime
from twisted.internet.protocol import ServerFactory
from twisted.logger import Logger
from twisted.protocols.policies import WrappingFactory

from gnetway.admin.status import StatusSource
from gnetway.config.addresses import Address, UnixAddress
from gnetway.config.model import GatewayConfig
from gnetway.errors import ConfigError
from gnetway.interfaces import IGatewayReactor
from gnetway.service.listeners import SocketFile, bind_tcp, bind_unix

#: Connections that may wait to be accepted: the site serves some dozens.
_BACKLOG: Final = 64

_PROMETHEUS: Final = "Prometheus"


class AdminListeners:
    """Listen where Admin and Prometheus say; nowhere without them."""

    _log = Logger()

    def __init__(self, config: GatewayConfig, reactor: IGatewayReactor) -> None:
        self._config = config
        self._reactor = reactor
        self._bound: list[tuple[socket.socket, SocketFile | None, bool]] = []
        self._ports: list[IListeningPort] = []
        self._files: list[SocketFile] = []

    def bind(self) -> None:
        """Bind every address.

        :raises ConfigError: with each address that cannot be bound; nothing stays bound then.
        """
        faults = []
        for address, mode, is_admin in self._wanted():
            try:
                if isinstance(address, UnixAddress):
                    bound = bind_unix(address.file, mode, _BACKLOG)
                    self._bound.append((bound, SocketFile(address.file), is_admin))
                else:
                    self._bound.append((bind_tcp(address, reuse_port=False), None, is_admin))
            except OSError as error:
                found = f"{address}, which cannot be bound: {error.strerror or error}"
                faults.append(self._config.fault(address.path, found, "an address that is free"))
        if faults:
            self.close()
            raise ConfigError(faults)

    def _wanted(self) -> list[tuple[Address | UnixAddress, int, bool]]:
        wanted: list[tuple[Address | UnixAddress, int, bool]] = []
        admin, prometheus = self._config.admin, self._config.prometheus
        if admin is not None:
            wanted += [(address, admin.unix_mode, True) for address in admin.addresses]
        if prometheus is not None:
            wanted.append((Address(prometheus.host, prometheus.port, _PROMETHEUS), 0, False))
        return wanted

    @property
    def addresses(self) -> list[str]:
        """Where the admin site is, as text: real ports where the file says 0."""
        return [
            f"unix:{file.path}" if file else str(Address(*bound.getsockname()[:2]))
            for bound, file, is_admin in self._bound
            if is_admin
        ]

    def serve(self, source: StatusSource) -> None:
        """Answer from now on, also while clients are not served yet."""
        if not self._bound:
            return
        # With twisted.web and prometheus-client; no gateway needs them that nobody asks.
        from gnetway.admin.site import admin_site, metrics_site  # noqa: PLC0415

        admin, prometheus = self._config.admin, self._config.prometheus
        for bound, file, is_admin in self._bound:
            factory: WrappingFactory
            if is_admin:
                assert admin is not None
                factory = admin_site(source, admin.token, self._reactor)
            else:
                assert prometheus is not None
                factory = metrics_site(source, prometheus.path, self._reactor)
            port = self._reactor.adoptStreamPort(
                bound.fileno(), bound.family, cast("ServerFactory", factory)
            )
            self._ports.append(port)
            if file is not None:
                self._files.append(file)
        if admin is not None:
            self._log.info("admin site: {addresses}", addresses=", ".join(self.addresses))
            if admin.open_to_others:
                self._log.warn(
                    "the admin site is open to everybody who reaches {addresses}: Admin.Token"
                    " would ask who it is",
                    addresses=", ".join(admin.open_to_others),
                )
        for bound, _, _ in self._bound:
            # The port works on a duplicate of the descriptor.
            bound.close()
        self._bound = []

    def close(self) -> None:
        """Close what is bound and not served."""
        for bound, file, _ in self._bound:
            bound.close()
            if file is not None:
                file.remove()
        self._bound = []

    async def stop(self) -> None:
        """Listen no more."""
        self.close()
        ports, self._ports = self._ports, []
        await DeferredList([maybeDeferred(port.stopListening) for port in ports])
        for file in self._files:
            file.remove()
        self._files = []


#: Seconds from one look at the reactor's delay to the next.
_LOOK_SECONDS: Final = 1.0

#: Looks after which the longest delay is forgotten, at the earliest: longer than from one scrape of
#: Prometheus to the next as a rule.
_LOOKS: Final = 60


class LoopLag:
    """By how much a timer of the reactor comes late: what every client waits for beside its own."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._timer: IDelayedCall | None = None
        self._due = 0.0
        self._looks = 0
        self._longest = self._longest_before = 0.0

    @property
    def seconds(self) -> float:
        """The longest delay of the last minute or two."""
        return max(self._longest, self._longest_before)

    def start(self) -> None:
        """Begin to look."""
        self._due = self._clock.seconds() + _LOOK_SECONDS
        self._timer = self._clock.callLater(_LOOK_SECONDS, self._look)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        late = self._clock.seconds() - self._due
        self._longest = max(self._longest, late)
        self._looks += 1
        if self._looks == _LOOKS:
            self._looks = 0
            self._longest_before, self._longest = self._longest, 0.0
        self.start()
