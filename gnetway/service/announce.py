"""What a gateway says of itself at start, in a few lines that a person can read."""

import os
import shlex
import sys
from collections.abc import Iterable
from typing import NamedTuple

from twisted.logger import Logger

from gnetway._version import __version__, core_build
from gnetway.config.addresses import Address
from gnetway.config.files import RsaKeyConfig
from gnetway.config.limits import MIB
from gnetway.config.model import GatewayConfig, memory_terms
from gnetway.config.servers import Proto
from gnetway.crypto.powers import in_use
from gnetway.metrics import GatewayCounts
from gnetway.runtime.shortcuts import WHY_NOT_TRIED, why_no_loop
from gnetway.service.listeners import Listener

# Which of the gateway's fast paths run here, and why others do not.


class SlowPath(NamedTuple):
    """A fast path that is not taken, and why."""

    name: str
    why: str


def slow_paths(config: GatewayConfig, reactor: object, own_process: bool) -> list[SlowPath]:
    """Return the fast paths that are not taken; everything works without them, at 10 to 40 % more.

    ``own_process`` is as in GatewayService.
    """
    other = "the process is another application's"
    reasons = {
        "the loop for epoll": why_no_loop(reactor) if own_process else other,
        "sends without a wait for the socket": WHY_NOT_TRIED,
        "plain WebSocket frames": _why_not_websocket(config),
    }
    return [SlowPath(name, why) for name, why in reasons.items() if why]


def _why_not_websocket(config: GatewayConfig) -> str:
    if not any(server.serves(Proto.WEBSOCKET) for server in config.gnetway.servers):
        return ""
    # Its package need not be there where nothing listens for it.
    from gnetway.net.websocket import frames  # noqa: PLC0415

    return frames.why_not()


_log = Logger("gnetway")


def write_public_keys(keys: Iterable[RsaKeyConfig]) -> None:
    """Write the public half of each key beside it, for clients to take.

    A directory that cannot be written is no fault: the operator may have the file elsewhere.
    """
    for loaded in keys:
        if os.path.exists(loaded.public_path):
            continue
        try:
            with open(loaded.public_path, "xb") as file:
                file.write(loaded.key.public_pem)
        except OSError as error:
            _log.warn(
                "The public key could not be written to {path}: {error}",
                path=loaded.public_path,
                error=error.strerror,
            )


def announce(
    config: GatewayConfig,
    listeners: list[Listener],
    backend: str,
    slow: Iterable[SlowPath],
    waits: str = "",
) -> None:
    """Log version, build of the core, addresses, fingerprints, backend, and how to try it.

    The memory in ``config`` is shared out. ``slow`` are the fast paths that are not taken.
    ``waits`` says what clients may have to wait for, empty where they can be served.
    """
    if waits:
        _log.info("gnetway {version} has started, {waits}", version=__version__, waits=waits)
    else:
        _log.info("gnetway {version} is ready", version=__version__)
    _log.info("core: {build}", build=core_build())
    for path in slow:
        _log.info("slower without {path}: {why}", path=path.name, why=path.why)
    for listener in listeners:
        _log.info("listening on {address} ({spoken})", address=listener, spoken=_spoken(listener))
    for loaded in config.rsa_keys:
        _log.info(
            "RSA key {fingerprint} ({hex}), public half in {path}",
            fingerprint=loaded.key.fingerprint % (1 << 64),
            hex=loaded.key.fingerprint_hex,
            path=loaded.public_path,
        )
        if loaded.known_to_all:
            _log.warn(
                "ANYBODY CAN POSE AS THIS SERVER: RSA key {fingerprint} of {path} is {whose}, and"
                " its private half is public. Make one of your own (gnetway make-key FILE), name"
                " it in RSAKey, give FILE.pub to clients, and take this one out once they have it",
                fingerprint=loaded.key.fingerprint % (1 << 64),
                path=loaded.path,
                whose=loaded.known_to_all,
            )
    _log.info("powers of secrets by {library}", library=in_use())
    _log.info("session backend: {backend}", backend=backend)
    _log.info(
        "memory that clients can have held, in each process: {budget} MiB; {terms}",
        budget=config.gnetway.limits.memory_budget,
        terms=", ".join(f"{path} {size / MIB:.0f} MiB" for path, size in memory_terms(config)),
    )
    for note in config.notes:
        _log.info("{note}", note=note)
    if config.unused:
        _log.info("without effect here: {keys}", keys=", ".join(config.unused))
    for listener in filter(_takes_pings, listeners):
        _log.info("try it: {command}", command=_ping_command(listener, config.rsa_keys[0]))
        break


def status_line(counts: GatewayCounts, is_stopping: bool) -> str:
    """Return how a gateway is in a line, for `systemctl status`."""
    clients = f"{counts.open_connections} connections"
    if is_stopping:
        return f"stopping, {clients} left"
    if counts.unready:
        return f"not ready: {'; '.join(counts.unready)}; {clients}"
    return f"serving {clients}"


def tell_all_counts(counts: GatewayCounts) -> None:
    """Log how many connections are open as well."""
    _log.info("connections open: {number}", number=counts.open_connections)
    tell_counts(counts)


def tell_counts(counts: GatewayCounts) -> None:
    """Log what a gateway has counted; nothing of pushes where there can be none."""
    if counts.pushes:
        _log.info("pushes, by outcome: {counts}", counts=dict(counts.pushes))
    _log.info("connections ended, by cause: {causes}", causes=dict(counts.causes))


def _spoken(listener: Listener) -> str:
    """Return what a listener speaks, and what may or must come before it."""
    server = listener.server
    words = [" and ".join(server.protos)]
    if server.tls is not None:
        words.append("TLS")
    if server.proxy is not None:
        words.append("PROXY protocol")
    return ", ".join(words)


def _takes_pings(listener: Listener) -> bool:
    """Return whether a plain client on this machine can connect."""
    server = listener.server
    if listener.file is not None:
        return False
    plain = server.tls is None and server.proxy is None
    if Proto.AUTO in server.protos:
        return True
    return plain and (server.serves(Proto.TCP) or server.serves(Proto.WEBSOCKET))


def _ping_command(listener: Listener, key: RsaKeyConfig) -> str:
    """Return the command that tries a listener, for any shell and any folder."""
    # Where the listener has all addresses, a client on this machine takes the loopback's.
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listener.host, listener.host)  # noqa: S104
    address = str(Address(host, listener.port))
    command = [sys.executable, "-m", "gnetway", "ping", address, "--key", key.public_path]
    if not listener.server.serves(Proto.TCP):
        command += ["--transport", "ws"]
    return shlex.join(command)
