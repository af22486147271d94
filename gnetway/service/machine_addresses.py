"""The address by which other machines of the cluster reach this one, where the file has none.

A gateway that listens on all addresses must publish a single one. In a pod that is POD_IP;
elsewhere it is the first private IPv4 address of the machine or, where it has none, the first.
"""

import fcntl
import socket
import struct
from array import array
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network, ip_address
from typing import Final

#: The environment's word for the address of this pod.
POD_IP: Final = "POD_IP"

#: Source: RFC 1918, section 3.
_PRIVATE: Final = tuple(
    IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
)

# Linux's ioctls on network interfaces and their flags, which no module of Python names.
# Source: netdevice(7).
_SIOCGIFCONF: Final = 0x8912
_SIOCGIFFLAGS: Final = 0x8913
_IFF_UP: Final = 0x1
_IFF_LOOPBACK: Final = 0x8
_IFF_RUNNING: Final = 0x40

#: Name (16 bytes), then a union of which the native size is that of ``struct ifmap``.
_REQUEST_BYTES: Final = 16 + (24 if struct.calcsize("P") == 8 else 16)

#: More interfaces than any machine has: a host of containers has some hundreds.
_MAX_INTERFACES: Final = 4096


class NoAddress(Exception):
    """No address can be published; the text says why."""


def published_host(environment: Mapping[str, str]) -> str:
    """Return the IP address to publish for a gateway that listens on all of them.

    :raises NoAddress: POD_IP is no address, or there is none and the machine has loopback alone.
    """
    given = environment.get(POD_IP, "").strip()
    if not given:
        return best_of(machine_addresses())
    try:
        return str(ip_address(given))
    except ValueError:
        raise NoAddress(f"the environment's {POD_IP} is no IP address") from None


def best_of(addresses: Iterable[str]) -> str:
    """Return the first IPv4 address that belongs to a private network, else the first of all.

    :raises NoAddress: there are none.
    """
    given = list(addresses)
    for address in given:
        if any(IPv4Address(address) in network for network in _PRIVATE):
            return address
    if not given:
        raise NoAddress(f"this machine has no address but loopback, and there is no {POD_IP}")
    return given[0]


def is_public(host: str) -> bool:
    """Return whether who listens on a host can be reached at an address that is open to the world.

    ``0.0.0.0`` stands for all that this machine has; whether ``::`` has such ones is not known.
    """
    try:
        address = ip_address(host)
    except ValueError:
        return any(ip_address(found).is_global for found in _resolved(host))
    if not address.is_unspecified:
        return address.is_global
    return address.version == 6 or any(ip_address(own).is_global for own in machine_addresses())


def _resolved(name: str) -> set[str]:
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError:
        return set()
    return {str(address[0]).partition("%")[0] for *_, address in found}


def machine_addresses() -> list[str]:
    """Return the IPv4 addresses of interfaces that are up and no loopback, in their order."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        table = _interface_table(any_socket)
        found = []
        for start in range(0, len(table), _REQUEST_BYTES):
            name = table[start : start + 16]
            if _is_in_use(any_socket, name):
                # struct sockaddr_in: family and port take 4 bytes.
                found.append(socket.inet_ntoa(table[start + 20 : start + 24]))
        return found


def _interface_table(any_socket: socket.socket) -> bytes:
    # struct ifconf has a pointer to memory, which an array can tell of its own.
    table = array("B", bytes(_MAX_INTERFACES * _REQUEST_BYTES))
    request = struct.pack("iP", len(table), table.buffer_info()[0])
    answer = fcntl.ioctl(any_socket.fileno(), _SIOCGIFCONF, request)
    filled_bytes: int = struct.unpack("iP", answer)[0]
    return table[:filled_bytes].tobytes()


def _is_in_use(any_socket: socket.socket, name: bytes) -> bool:
    request = name.ljust(_REQUEST_BYTES, b"\0")
    try:
        answer = fcntl.ioctl(any_socket.fileno(), _SIOCGIFFLAGS, request)
    except OSError:
        # It has gone since the table was read.
        return False
    flags: int = struct.unpack_from("H", answer, 16)[0]
    return flags & (_IFF_UP | _IFF_RUNNING | _IFF_LOOPBACK) == _IFF_UP | _IFF_RUNNING
