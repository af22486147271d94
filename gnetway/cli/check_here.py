"""What can be looked at without another process: the configuration, its files, this machine."""

import ctypes
import os
import resource
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from cryptography import x509

import gnetway
from gnetway.backends.embedded.handler import load_handler, load_middleware, load_store_class
from gnetway.backends.embedded.sqlite_file import check_file
from gnetway.backends.embedded.store import StoreUnusable
from gnetway.cli.check_addresses import addresses, announced
from gnetway.cli.terminal import Report, counted
from gnetway.config.files import PemFile
from gnetway.config.load import load_file
from gnetway.config.model import GatewayConfig
from gnetway.errors import ConfigError
from gnetway.mtproto.message import MAX_FUTURE_SECONDS, MAX_PAST_SECONDS
from gnetway.runtime.clocks import wall_clock
from gnetway.runtime.machine import left_for_clients
from gnetway.service.backends import HANDLER, MIDDLEWARE, STORE_CLASS, resolve_public
from gnetway.service.prepared import check_web_packages, open_files, remote_package_faults
from gnetway.testing.dial import shown_fingerprint
from gnetway.workers.pipe import processors

#: A certificate is warned of in the last fifth of its time, and two weeks before its end at most:
#: what renews certificates by itself has done so by then.
_LAST_PART: Final = 5
_SOON: Final = timedelta(days=14)

#: Fewer clients than this are hardly meant.
_FEW_CLIENTS: Final = 1000


def configuration(report: Report, path: str) -> GatewayConfig | None:
    """Load the file; None where it has faults, each of which is told."""
    try:
        config = load_file(path)
    except ConfigError as error:
        report.faults("configuration", error.faults)
        return None
    listeners = sum(len(server.addresses) for server in config.gnetway.servers)
    backend = "remote" if config.session.is_remote else "embedded"
    told = f"{counted(listeners, 'listener')}, session backend {backend}"
    report.ok("configuration", f"{path}: {told}")
    for note in config.notes:
        report.note("configuration", note)
    if config.unused:
        report.note("configuration", f"without effect here: {', '.join(config.unused)}")
    return config


def before_peers(report: Report, config: GatewayConfig) -> None:
    """Look at what comes before etcd and the session nodes."""
    rsa_keys(report, config)
    certificates(report, config, wall_clock())
    addresses(report, config)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    descriptors(report, config, hard)
    clock(report, wall_clock(), os.stat(gnetway.__file__).st_mtime, ntp_state())
    packages(report, config)
    if not config.session.is_remote:
        embedded(report, config)


def after_peers(report: Report, config: GatewayConfig, nodes: list[str]) -> None:
    """Look at what comes behind them; ``nodes`` are the session nodes that are known."""
    if config.session.is_remote:
        announced(report, config, nodes, os.environ)
    files(report, config)


# Keys, certificates and files.


def rsa_keys(report: Report, config: GatewayConfig) -> None:
    """Tell the fingerprints that the keys really have."""
    for loaded in config.rsa_keys:
        told = f"{loaded.path}: RSA 2048, {shown_fingerprint(loaded.key.fingerprint)}"
        if loaded.known_to_all:
            report.warn(
                "RSA key",
                f"{told}: ANYBODY CAN POSE AS THIS SERVER, as it is {loaded.known_to_all}, and its"
                " private half is public",
                "gnetway make-key FILE, name it in RSAKey, give FILE.pub to clients, and take this"
                " one out once they have it",
            )
        else:
            report.ok("RSA key", told)


def certificates(report: Report, config: GatewayConfig, now: float) -> None:
    """Look at the dates of every certificate; ``now`` is in Unix seconds."""
    for path, file in _certificates(config):
        for number, certificate in enumerate(x509.load_pem_x509_certificates(file.content)):
            name = f"{path}: {file.path}" + (f", number {number + 1} in it" if number else "")
            _look_at_dates(report, name, certificate, datetime.fromtimestamp(now, UTC))


def _certificates(config: GatewayConfig) -> Iterator[tuple[str, PemFile]]:
    for server in config.gnetway.servers:
        if server.tls is not None:
            yield f"{server.path}.TLS.CertFile", server.tls.cert
    if config.rpc.tls is not None:
        yield "Rpc.TLS.CertFile", config.rpc.tls.cert
        if config.rpc.tls.ca is not None:
            yield "Rpc.TLS.CAFile", config.rpc.tls.ca
    for name, etcd in (("Etcd", config.etcd), ("Session.Etcd", config.session.etcd)):
        if etcd is not None and etcd.cert is not None:
            yield f"{name}.CertFile", etcd.cert
        if etcd is not None and etcd.ca is not None:
            yield f"{name}.CACertFile", etcd.ca


def _look_at_dates(report: Report, name: str, certificate: x509.Certificate, now: datetime) -> None:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    renew = "renew it; a gateway that runs takes the new files by itself, or on SIGHUP"
    if now > end:
        report.fault("certificate", f"{name} has expired at {end:%Y-%m-%d %H:%M} UTC", renew)
    elif now < begin:
        text = f"{name} is not valid before {begin:%Y-%m-%d %H:%M} UTC"
        report.fault("certificate", text, "compare this machine's clock with its dates")
    elif end - now < min(_SOON, (end - begin) / _LAST_PART):
        text = f"{name} expires at {end:%Y-%m-%d %H:%M} UTC, in {(end - now).days} days"
        report.warn("certificate", text, renew)
    else:
        report.ok("certificate", f"{name}, until {end:%Y-%m-%d}")


def files(report: Report, config: GatewayConfig) -> None:
    """Look who may open the files with secrets."""
    found = list(open_files(config))
    for file in found:
        text = f"{file.secret} {file.path} is open to others than its owner (mode {file.mode})"
        report.warn("files", text, f"chmod 600 {file.path}")
    if not found:
        report.ok("files", "those with secrets are their owners' alone")


# This machine.


def descriptors(report: Report, config: GatewayConfig, limit: int) -> None:
    """Hold the limit of open files, to which a gateway raises its own, against Connections."""
    room = left_for_clients(limit)
    workers = config.worker_count(processors())
    wanted = config.gnetway.admission.share(workers).connections
    each = " in each process" if workers > 1 else ""
    text = f"{limit} open files leave {room} connections{each}"
    remedy = f"LimitNOFILE={2 * max(wanted, _FEW_CLIENTS)} in systemd's unit, or ulimit -Hn"
    if wanted > room:
        text += f", fewer than the {wanted} of Gnetway.Admission.Connections"
        report.fault("descriptors", text, f"{remedy}, or lower Connections")
    elif room < _FEW_CLIENTS:
        report.warn("descriptors", text, remedy)
    else:
        report.ok("descriptors", text)


def clock(report: Report, now: float, installed: float, ntp: bool | None) -> None:
    """Look whether the time can be right; all times are in Unix seconds.

    ``installed`` is when this program was, ``ntp`` whether the kernel says that something keeps
    the clock, None where it does not say.
    """
    shown = f"{datetime.fromtimestamp(now, UTC):%Y-%m-%d %H:%M:%S} UTC"
    remedy = "set the clock, and have systemd-timesyncd or chrony keep it"
    if now < installed - timedelta(days=1).total_seconds():
        report.fault("clock", f"{shown}, before this program was installed", remedy)
    elif ntp is False:
        bounds = f"{MAX_PAST_SECONDS} s behind it or {MAX_FUTURE_SECONDS} s ahead"
        text = f"{shown}, and nothing keeps it, though messages {bounds} are refused"
        report.warn("clock", text, remedy)
    else:
        report.ok("clock", f"{shown}, {'kept by NTP' if ntp else 'who keeps it is not known'}")


#: Where ``struct timex`` has its status, in longs, and its flag for a clock that nobody keeps. With
#: modes 0 nothing is changed. Source: adjtimex(2), linux/timex.h
_TIMEX_LONGS: Final = 64
_TIMEX_STATUS: Final = 5
_STA_UNSYNC: Final = 0x40


def ntp_state() -> bool | None:
    """Return whether the kernel's clock is kept by NTP, None where that cannot be asked."""
    timex = (ctypes.c_long * _TIMEX_LONGS)()
    try:
        state = ctypes.CDLL(None).adjtimex(timex)
    except (AttributeError, OSError):
        return None
    if state < 0:
        return None
    status = ctypes.c_int.from_buffer(timex, _TIMEX_STATUS * ctypes.sizeof(ctypes.c_long)).value
    return not status & _STA_UNSYNC


def packages(report: Report, config: GatewayConfig) -> None:
    """Look for the packages that the configuration asks for."""
    faults = _web_package_faults(config)
    if config.session.is_remote:
        faults += remote_package_faults(config)
    report.faults("packages", faults)
    if not faults:
        report.ok("packages", "all that is asked for are there")


def has_web_packages(config: GatewayConfig) -> bool:
    """Return whether listeners can be opened here."""
    return not _web_package_faults(config)


def has_remote_packages(config: GatewayConfig) -> bool:
    """Return whether etcd and session nodes can be spoken to here."""
    return not remote_package_faults(config)


def _web_package_faults(config: GatewayConfig) -> list[str]:
    try:
        check_web_packages(config)
    except ConfigError as error:
        return error.faults
    return []


def embedded(report: Report, config: GatewayConfig) -> None:
    """Look at the store, the handler, and the addresses that clients are told."""
    backend = config.session.embedded
    assert backend is not None, "only for the embedded backend"
    if backend.store_file:
        try:
            check_file(backend.store_file)
        except StoreUnusable as error:
            remedy = "an SQLite file of this program in Session.Embedded.Store, or none yet"
            report.fault("store", str(error), remedy)
        else:
            is_new = "" if os.path.exists(backend.store_file) else " will be made"
            report.ok("store", f"{backend.store_file}{is_new}")
    store = backend.store_class
    if store:
        _attempt(report, "store", store, lambda: load_store_class(store), STORE_CLASS)
    if backend.handler is not None:
        handler = backend.handler
        _attempt(report, "handler", handler, lambda: load_handler(handler), HANDLER)
    for middleware in backend.middleware or ():
        load = partial(load_middleware, middleware)
        _attempt(report, "middleware", middleware, load, MIDDLEWARE)
    _attempt(report, "PublicAddress", "", lambda: resolve_public(config))


def _attempt(
    report: Report, step: str, name: str, work: Callable[[], object], remedy: str = ""
) -> None:
    try:
        with report.busy(f"looking at {step}"):
            work()
    except ConfigError as error:
        if remedy:
            report.fault(step, str(error), remedy)
        else:
            report.faults(step, error.faults)
    else:
        if name:
            report.ok(step, f"{name} can be loaded")
