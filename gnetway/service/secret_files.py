"""Files with secrets that others than their owner may open: told at the start, with the remedy."""

import os
from collections.abc import Iterator
from typing import Final

from twisted.logger import Logger

from gnetway.backends.embedded.sqlite_store import files_of
from gnetway.config.model import GatewayConfig
from gnetway.config.pem_files import PemFile

_log = Logger("gnetway")

#: Mode bits of all but the owner.
_OTHERS: Final = 0o077


def warn_of_open_files(config: GatewayConfig) -> None:
    """Log a warning for each file with a secret that its group or everybody has rights on.

    It is no fault: a container may mount secrets that way, and a group may be meant.
    """
    for secret, path in _private_keys(config):
        mode = _mode(path)
        if mode & _OTHERS:
            _log.warn(
                "{secret} {path} is open to others than its owner (mode {mode}): chmod 600 {path}",
                secret=secret,
                path=path,
                mode=f"{mode:04o}",
            )
    for path in _store_files(config):
        mode = _mode(path)
        if mode & _OTHERS:
            _log.warn(
                "the store {path} was open to others than its owner (mode {mode}), and gets the"
                " mode 0600, as by chmod 600 {path}: its auth keys may be known",
                path=path,
                mode=f"{mode:04o}",
            )


def _private_keys(config: GatewayConfig) -> Iterator[tuple[str, str]]:
    for loaded in config.rsa_keys:
        yield "the RSA private key", loaded.path
    for path in dict.fromkeys(file.path for file in _tls_keys(config) if file is not None):
        yield "the TLS private key", path


def _store_files(config: GatewayConfig) -> list[str]:
    embedded = config.session.embedded
    return [] if embedded is None or embedded.in_memory else files_of(embedded.store)


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
