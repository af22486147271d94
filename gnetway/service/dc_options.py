"""Which addresses clients are told by help.getConfig: of listeners that they can dial.

tcp, auto             its own address, or PublicAddress in its place
behind a balancer     PublicAddress alone: whoever dials it without a PROXY header is refused
a socket file, TLS    likewise: no client dials the one, and the other only behind something
websocket, http       none: browsers take no address from a config
"""

import socket
from collections.abc import Callable, Iterable

from gnetway.backends.embedded.server_config import DcAddress
from gnetway.config.addresses import PublicAddressConfig
from gnetway.config.model import GatewayConfig
from gnetway.config.servers import Proto, ServerConfig
from gnetway.errors import ConfigError
from gnetway.service.listeners import Listener

#: Takes a host name, and whether IPv6 is wanted too; returns IP addresses, or raises OSError.
Resolve = Callable[[str, bool], list[str]]

#: The IP addresses of each public address.
Resolved = dict[PublicAddressConfig, list[str]]


def resolve(host: str, ipv6: bool) -> list[str]:
    """Return the IP addresses of a host, those of IPv4 alone unless ``ipv6``; may wait for DNS.

    :raises OSError: there are none.
    """
    is_literal = ":" in host
    family = socket.AF_UNSPEC if ipv6 or is_literal else socket.AF_INET
    found = socket.getaddrinfo(host, None, family, socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def resolve_public(config: GatewayConfig, find: Resolve = resolve) -> Resolved:
    """Return the IP addresses of all public addresses.

    :raises ConfigError: with a line for each name that has none; or for the last address, if all
        of them are for media only, so that clients would have none for anything else.
    """
    resolved: Resolved = {}
    faults: list[str] = []
    told = [public for server in config.gnetway.servers for public in _public(server)]
    for public in told:
        try:
            resolved[public] = find(public.host, public.ipv6)
        except OSError as error:
            found = f"{public.host}, which cannot be resolved: {error.strerror or error}"
            faults.append(config.fault(public.path, found, "an IP address, or a name that has one"))
    is_plain = any(not public.media_only for public in told) or any(
        _is_dialled(server) for server in config.gnetway.servers
    )
    if told and not is_plain:
        found, allowed = "only addresses with MediaOnly", "one without, for all else"
        faults.append(config.fault(told[-1].path, found, allowed))
    if faults:
        raise ConfigError(faults)
    return resolved


def dc_addresses(listeners: Iterable[Listener], resolved: Resolved) -> list[DcAddress]:
    """Return what clients are told, in the order of the listeners."""
    told: list[DcAddress] = []
    for listener in listeners:
        server = listener.server
        for public in _public(server):
            port = public.port or listener.port
            if port:
                told += [DcAddress(host, port, public.media_only) for host in resolved[public]]
        if _is_dialled(server) and listener.file is None:
            told.append(DcAddress(listener.host, listener.port))
    return told


def _public(server: ServerConfig) -> tuple[PublicAddressConfig, ...]:
    return server.public_addresses if server.speaks_tcp else ()


def _is_dialled(server: ServerConfig) -> bool:
    """Tell whether clients dial the very addresses that the listener has."""
    hidden = server.proxy is not None or (server.proto is Proto.TCP and server.tls is not None)
    return server.speaks_tcp and not hidden and not server.public_addresses
