"""What must be installed for what a configuration asks for; nothing is imported to find out."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Final

from gnetway.config.model import GatewayConfig
from gnetway.config.rpc import Carrier
from gnetway.config.servers import Proto, ServerConfig
from gnetway.errors import ConfigError

#: Modules, and the packages that bring them.
_FOR_WEBSOCKET: Final = {"autobahn": "autobahn", "txaio": "txaio"}
_FOR_TLS: Final = {"OpenSSL": "pyopenssl"}
_FOR_REMOTE: Final = {"google.protobuf": "protobuf", "mmh3": "mmh3"}
_FOR_CARRIER: Final = {Carrier.NATIVE: {"hpack": "hpack"}, Carrier.GRPCIO: {"grpc": "grpcio"}}
_FOR_NATIVE_TLS: Final = _FOR_TLS | {"service_identity": "service-identity"}
_FOR_ETCD: Final = {"grpc": "grpcio", "etcd3": "etcd3"}


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
