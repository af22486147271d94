"""Gnetway.Server.PublicAddress: what clients are told of a listener, where they see another one."""

from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import Final

from gnetway.config.addresses import host_and_port, public_host
from gnetway.config.document import Node
from gnetway.config.faults import shown
from gnetway.config.reader import section
from gnetway.config.section import Reading, key
from gnetway.config.values import flag, list_of, whole

_ALLOWED_HOST: Final = "an IP address of a place, or a host name"
_ALLOWED: Final = "host, host:port or [IPv6]:port, or a mapping with Host"


def _host(node: Node, reading: Reading) -> str:
    host = public_host(node.value) if isinstance(node.value, str) else ""
    if not host or _is_no_place(host):
        reading.reject(node, shown(node.value), _ALLOWED_HOST)
    return host


def _is_no_place(host: str) -> bool:
    """Tell whether it is an address that nobody can dial."""
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return address.is_unspecified or address.is_multicast


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicAddressConfig:
    """One address under which clients reach a listener.

    ``host`` is an IP address in its shortest form, or a host name, which is resolved at start;
    ``port`` is None for the listener's own. ``path`` is the key path for a later fault.
    """

    host: str = field(metadata=key("Host", _host, "", _ALLOWED_HOST))
    port: int | None = field(
        default=None, metadata=key("Port", whole(1, 65535), "", "the listener's own")
    )
    media_only: bool = field(
        default=False,
        metadata=key("MediaOnly", flag, "", "with one such, all files go there and nowhere else"),
    )
    ipv6: bool = field(
        default=False,
        metadata=key("IPv6", flag, "", "of a name: clients dial both, and not every net has it"),
    )
    path: str = field(default="", compare=False, repr=False)


def _one(node: Node, reading: Reading) -> PublicAddressConfig:
    if not isinstance(node.value, str):
        if not isinstance(node.value, dict):
            reading.reject(node, shown(node.value), _ALLOWED)
        return replace(section(PublicAddressConfig)(node, reading), path=node.path)
    host, port = host_and_port(node.value)
    if not host or _is_no_place(host):
        reading.reject(node, shown(node.value), _ALLOWED)
    return PublicAddressConfig(host=host, port=port, path=node.path)


def public_addresses(node: Node, reading: Reading) -> tuple[PublicAddressConfig, ...]:
    """Read one address or a list of them, each as a text or as a mapping."""
    if node.value in (None, "", [], {}):
        return ()
    if isinstance(node.value, list):
        return list_of(_one)(node, reading)
    return (_one(node, reading),)
