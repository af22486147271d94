"""What a gateway says of itself at start, in a few lines that a person can read."""

import os
import sys
from collections.abc import Iterable

from twisted.logger import Logger

from gnetway._version import __version__
from gnetway.config.model import GatewayConfig
from gnetway.config.rsa_keys import RsaKeyConfig
from gnetway.service.listeners import Listener

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


def announce(config: GatewayConfig, listeners: list[Listener], backend: str) -> None:
    """Log version, addresses, fingerprints, backend, and how to try it."""
    _log.info("gnetway {version} is ready", version=__version__)
    for listener in listeners:
        _log.info("listening on {address} ({proto})", address=listener, proto=listener.server.proto)
    for loaded in config.rsa_keys:
        _log.info(
            "RSA key {fingerprint} ({hex}), public half in {path}",
            fingerprint=loaded.key.fingerprint % (1 << 64),
            hex=loaded.key.fingerprint_hex,
            path=loaded.public_path,
        )
    _log.info("session backend: {backend}", backend=backend)
    if config.unused:
        _log.info("without effect here: {keys}", keys=", ".join(config.unused))
    _log.info(
        "try it: {python} examples/telethon_ping.py --address {address} --key {path}",
        python=sys.executable,
        address=_local(listeners[0]),
        path=config.rsa_keys[0].public_path,
    )


def _local(listener: Listener) -> str:
    """Return the address at which a client on this machine reaches the listener."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listener.host, listener.host)  # noqa: S104
    return f"[{host}]:{listener.port}" if ":" in host else f"{host}:{listener.port}"
