"""The certificates of all TLS listeners: loaded before the start, read again on request."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IReactorTime

from gnetway.config.model import GatewayConfig
from gnetway.config.servers import ServerConfig
from gnetway.errors import ConfigError
from gnetway.runtime.wall_clock import WallClock

if TYPE_CHECKING:
    # At run time it is only there where TLS is asked for: see packages.py.
    from gnetway.net.tls.context import ServerTls, TlsSettings


class Certificates:
    """One for each pair of files, however many listeners show it."""

    def __init__(self, config: GatewayConfig, clock: IReactorTime, wall: WallClock) -> None:
        self._config = config
        self._clock = clock
        self._wall = wall
        self._loaded: dict[TlsSettings, ServerTls] = {}

    def load(self) -> None:
        """Read every certificate.

        :raises ConfigError: with a line for each that TLS cannot use.
        """
        faults = []
        for server in self._config.gnetway.servers:
            if server.tls is not None:
                faults += self._load(server, f"{server.path}.TLS.CertFile")
        if faults:
            raise ConfigError(faults)

    def of(self, server: ServerConfig) -> "ServerTls | None":
        """Return the certificate of a listener, None if it has no TLS."""
        return None if server.tls is None else self._loaded[_settings(server)]

    def start(self) -> None:
        """Begin to look whether files have changed."""
        for certificate in self._all():
            certificate.start()

    def stop(self) -> None:
        """Look no more."""
        for certificate in self._all():
            certificate.stop()

    def reload(self) -> None:
        """Read all files again; one that cannot be used leaves its certificate as it was."""
        for certificate in self._all():
            certificate.reload()

    def _all(self) -> "Iterable[ServerTls]":
        return self._loaded.values()

    def _load(self, server: ServerConfig, path: str) -> list[str]:
        from gnetway.net.tls.certificate import CertificateFault  # noqa: PLC0415
        from gnetway.net.tls.context import ServerTls  # noqa: PLC0415

        settings = _settings(server)
        try:
            if settings not in self._loaded:
                self._loaded[settings] = ServerTls(settings, self._clock, self._wall)
        except CertificateFault as fault:
            return [self._config.fault(path, str(fault), "a certificate that TLS can use")]
        return []


def _settings(server: ServerConfig) -> "TlsSettings":
    from gnetway.net.tls.context import TlsSettings  # noqa: PLC0415

    tls = server.tls
    assert tls is not None, "only for listeners with TLS"
    return TlsSettings(tls.cert.path, tls.cert_key.path, tls.min_version.value)
