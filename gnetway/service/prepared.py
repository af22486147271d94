"""What a gateway in one process and the parent of several do before they start."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, NamedTuple

from twisted.internet.defer import CancelledError
from twisted.internet.error import ReactorNotRunning
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from gnetway.backends.embedded.sqlite_store import files_of
from gnetway.config.files import PemFile
from gnetway.config.model import GatewayConfig
from gnetway.config.operators import Batcher
from gnetway.config.servers import Proto, ServerConfig
from gnetway.config.session import Carrier
from gnetway.errors import ConfigError, GatewayError
from gnetway.interfaces import IGatewayReactor
from gnetway.runtime.clocks import WallClock, follow_monotonic

if TYPE_CHECKING:
    # At run time it is only there where TLS is asked for: see what_is_missing.
    from gnetway.net.tls import ReadCertificate, ServerTls, TlsSettings


class StartUp:
    """The start of a gateway's service, of which ``check`` is the first part, and done once.

    ``check`` does what can fail for the configuration's sake, and raises ConfigError. ``failure``
    is why the service could not start, or None.
    """

    _log = Logger()

    def __init__(
        self, reactor: IGatewayReactor, wall: WallClock, check: Callable[[], None]
    ) -> None:
        self._reactor = reactor
        self._wall = wall
        self._check = check
        self._checked = False
        self.failure: Failure | None = None

    def prepare(self) -> None:
        """Check, unless that is done.

        :raises ConfigError: with a line for each fault.
        """
        if not self._checked:
            self._check()
            self._checked = True

    def begin(self) -> None:
        """Check, and have the reactor's timers follow CLOCK_MONOTONIC from now on."""
        self.prepare()
        if not follow_monotonic(self._reactor, self._wall):
            self._log.warn(
                "timers follow the time of day, which {reactor} takes them by: while that is set"
                " forward or back, whatever waits ends early or late",
                reactor=type(self._reactor).__name__,
            )

    def failed(self, failure: Failure) -> None:
        """Log why the service cannot start, and give up."""
        if failure.check(CancelledError):
            # By a stop, which ends what there is.
            return
        if isinstance(failure.value, GatewayError):
            self._log.critical("The gateway cannot start: {error}", error=failure.value)
        else:
            self._log.failure("The gateway cannot start", failure)
        self.give_up(failure)

    def give_up(self, failure: Failure) -> None:
        """Stop the reactor: the service cannot start."""
        self.failure = failure
        # It may have failed before the reactor runs, which could not be stopped then.
        self._reactor.callWhenRunning(self._stop_reactor)

    def _stop_reactor(self) -> None:
        # Somebody else may have stopped it for a reason of his own.
        with suppress(ReactorNotRunning):
            self._reactor.stop()


# Packages that must be installed for what a configuration asks for. Nothing is imported to find
# out: grpcio has threads, which do not survive the fork by which twistd becomes a daemon.

#: Modules, and the packages that bring them.
_FOR_WEBSOCKET: Final = {"autobahn": "autobahn", "txaio": "txaio"}
_FOR_TLS: Final = {"OpenSSL": "pyopenssl"}
_FOR_REMOTE: Final = {"google.protobuf": "protobuf", "mmh3": "mmh3"}
_FOR_CARRIER: Final = {Carrier.NATIVE: {"hpack": "hpack"}, Carrier.GRPCIO: {"grpc": "grpcio"}}
_FOR_NATIVE_TLS: Final = _FOR_TLS | {"service_identity": "service-identity"}
_FOR_TRACES: Final = {"opentelemetry.sdk": "opentelemetry-sdk"}
_FOR_BATCHER: Final = {
    Batcher.OTLP_GRPC: {
        "opentelemetry.exporter.otlp.proto.grpc": "opentelemetry-exporter-otlp-proto-grpc"
    },
    Batcher.OTLP_HTTP: {
        "opentelemetry.exporter.otlp.proto.http": "opentelemetry-exporter-otlp-proto-http"
    },
}
_FOR_ETCD: Final = {"grpc": "grpcio", "etcd3": "etcd3"}


_log: Final = Logger("gnetway")


def missing(needed: Mapping[str, str]) -> list[str]:
    """Return the packages whose modules are not there; ``needed`` is module → package."""
    return [package for module, package in needed.items() if not _is_there(module)]


def remedy(packages: list[str]) -> str:
    """Return the command that brings packages, wherever gnetway itself has come from."""
    return f"`pip install {' '.join(packages)}`"


def for_remote(config: GatewayConfig) -> Mapping[str, str]:
    """Return what a remote session backend needs: module → package."""
    rpc = config.rpc
    needed = _FOR_REMOTE | _FOR_CARRIER[rpc.carrier]
    etcds = [etcd for etcd in (config.etcd, config.session.etcd) if etcd is not None]
    secured = rpc.tls is not None or any(etcd.ca is not None for etcd in etcds)
    if secured and rpc.carrier is Carrier.NATIVE:
        needed |= _FOR_NATIVE_TLS
    if etcds:
        needed |= _FOR_ETCD
    return needed


def for_traces(batcher: Batcher) -> Mapping[str, str]:
    """Return what traces need: module → package."""
    return _FOR_TRACES | _FOR_BATCHER[batcher]


def can_trace(batcher: Batcher) -> bool:
    """Return whether the packages of traces are there; the log says which are not.

    It is no fault: Teamgram's own files ask for traces, and clients are served without them.
    """
    packages = missing(for_traces(batcher))
    if packages:
        _log.warn(
            "nothing is traced (Telemetry.Endpoint): {packages} are not installed; {remedy}, or"
            " Telemetry: {{Disabled: true}}",
            packages=", ".join(packages),
            remedy=remedy(packages),
        )
    return not packages


def remote_package_faults(config: GatewayConfig) -> list[str]:
    """Return a line if packages are not there that the remote session backend needs."""
    packages = missing(for_remote(config))
    if not packages:
        return []
    path = "Session.Etcd" if config.session.etcd else "Session.Endpoints"
    found = f"it, but without the packages that it needs: {', '.join(packages)}"
    return [config.fault(path, found, f"it after {remedy(packages)}, or Session.Embedded")]


def check_web_packages(config: GatewayConfig) -> None:
    """Look for the packages that listeners ask for.

    :raises ConfigError: with a line for each listener whose packages are not there.
    """
    faults = []
    for server in config.gnetway.servers:
        for name, needed in _needed(server):
            packages = missing(needed)
            if packages:
                found = f"it, but without the packages that it needs: {', '.join(packages)}"
                allowed = f"it after {remedy(packages)}"
                faults.append(config.fault(f"{server.path}.{name}", found, allowed))
    if faults:
        raise ConfigError(faults)


def _needed(server: ServerConfig) -> list[tuple[str, Mapping[str, str]]]:
    needed: list[tuple[str, Mapping[str, str]]] = []
    if server.serves(Proto.WEBSOCKET):
        needed.append(("Proto", _FOR_WEBSOCKET))
    if server.tls is not None:
        needed.append(("TLS", _FOR_TLS))
    return needed


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ImportError:
        # That of the package around it.
        return False


# Files with secrets that others than their owner may open: told at the start, with the remedy.


#: Mode bits of all but the owner.
_OTHERS: Final = 0o077


def warn_of_open_files(config: GatewayConfig) -> None:
    """Log a warning for each file with a secret that its group or everybody has rights on.

    It is no fault: a container may mount secrets that way, and a group may be meant.
    """
    for found in open_files(config):
        if found.is_store:
            _log.warn(
                "the store {path} was open to others than its owner (mode {mode}), and gets the"
                " mode 0600, as by chmod 600 {path}: its auth keys may be known",
                path=found.path,
                mode=found.mode,
            )
        else:
            _log.warn(
                "{secret} {path} is open to others than its owner (mode {mode}): chmod 600 {path}",
                secret=found.secret,
                path=found.path,
                mode=found.mode,
            )


class OpenFile(NamedTuple):
    """A file with a secret that others than its owner may open; ``mode`` is octal digits."""

    secret: str
    path: str
    mode: str
    is_store: bool


def open_files(config: GatewayConfig) -> Iterator[OpenFile]:
    """Yield each file with a secret that its group or everybody has rights on."""
    secrets = [(*secret, False) for secret in _private_keys(config)]
    secrets += [("the store", path, True) for path in _store_files(config)]
    for secret, path, is_store in secrets:
        mode = _mode(path)
        if mode & _OTHERS:
            yield OpenFile(secret, path, f"{mode:04o}", is_store)


def _private_keys(config: GatewayConfig) -> Iterator[tuple[str, str]]:
    for loaded in config.rsa_keys:
        yield "the RSA private key", loaded.path
    for path in dict.fromkeys(file.path for file in _tls_keys(config) if file is not None):
        yield "the TLS private key", path


def _store_files(config: GatewayConfig) -> list[str]:
    embedded = config.session.embedded
    return files_of(embedded.store_file) if embedded and embedded.store_file else []


def _tls_keys(config: GatewayConfig) -> Iterator[PemFile | None]:
    for server in config.gnetway.servers:
        if server.tls is not None:
            yield server.tls.cert_key
    if config.rpc.tls is not None:
        yield config.rpc.tls.cert_key
    for etcd in (config.etcd, config.session.etcd):
        if etcd is not None:
            yield etcd.cert_key


def _mode(path: str) -> int:
    """Return the permission bits of a file, none if they cannot be seen."""
    try:
        return os.stat(path).st_mode & 0o777
    except OSError:
        return 0


class Certificates:
    """The certificates of all TLS listeners: loaded before the start, read again on request.

    There is one for each pair of files, however many listeners show it. What ``prepare`` has read
    of another configuration, ``take`` takes.
    """

    def __init__(self, config: GatewayConfig, clock: IReactorTime, wall: WallClock) -> None:
        self._config = config
        self._clock = clock
        self._wall = wall
        self._loaded: dict[TlsSettings, ServerTls] = {}
        self._looking = False

    def load(self) -> None:
        """Read every certificate.

        :raises ConfigError: with a line for each that TLS cannot use.
        """
        self.prepare(self._config)()

    def of(self, server: ServerConfig) -> "ServerTls | None":
        """Return the certificate of a listener, None if it has no TLS."""
        return None if server.tls is None else self._loaded[_settings(server)]

    def start(self) -> None:
        """Begin to look whether files have changed."""
        self._looking = True
        for certificate in self._all():
            certificate.start()

    def stop(self) -> None:
        """Look no more."""
        self._looking = False
        for certificate in self._all():
            certificate.stop()

    def reload(self) -> None:
        """Read all files again; one that cannot be used leaves its certificate as it was."""
        for certificate in self._all():
            certificate.reload()

    def prepare(self, config: GatewayConfig) -> Callable[[], None]:
        """Read what another configuration names; return what takes it.

        :raises ConfigError: with a line for each listener whose certificate cannot be used.
        """
        read: dict[TlsSettings, ReadCertificate] = {}
        fresh: dict[TlsSettings, ServerTls] = {}
        faults = []
        for server in config.gnetway.servers:
            if server.tls is not None:
                faults += self._read_again(config, server, fresh, read)
        if faults:
            raise ConfigError(faults)

        def take() -> None:
            for settings, content in read.items():
                fresh[settings].take(content)
            before, self._loaded, self._config = self._loaded, fresh, config
            for settings, certificate in before.items():
                if settings not in fresh:
                    certificate.stop()
            for settings, certificate in fresh.items():
                if settings not in before and self._looking:
                    certificate.start()

        return take

    def _read_again(
        self,
        config: GatewayConfig,
        server: ServerConfig,
        fresh: "dict[TlsSettings, ServerTls]",
        read: "dict[TlsSettings, ReadCertificate]",
    ) -> list[str]:
        """Put the certificate of a listener into both tables, the second if it is in use now."""
        from gnetway.net.tls import CertificateFault, ServerTls  # noqa: PLC0415

        settings = _settings(server)
        running = self._loaded.get(settings)
        try:
            if running is None:
                if settings not in fresh:
                    fresh[settings] = ServerTls(settings, self._clock, self._wall)
            else:
                fresh[settings] = running
                # The configuration was read a moment ago, with the same files.
                read[settings] = running.read(was_sound=True)
        except CertificateFault as fault:
            return [_certificate_fault(config, server, fault)]
        return []

    def _all(self) -> "Iterable[ServerTls]":
        return self._loaded.values()


def _certificate_fault(config: GatewayConfig, server: ServerConfig, fault: Exception) -> str:
    path = f"{server.path}.TLS.CertFile"
    return config.fault(path, str(fault), "a certificate that TLS can use")


def _settings(server: ServerConfig) -> "TlsSettings":
    from gnetway.net.tls import TlsSettings  # noqa: PLC0415

    tls = server.tls
    assert tls is not None, "only for listeners with TLS"
    return TlsSettings(tls.cert.path, tls.cert_key.path, tls.min_version.value)
