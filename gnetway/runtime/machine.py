"""The machine and this process on it: memory and open files, and the address that others reach.

Memory is that of the machine or of the control group. glibc gives large blocks back to the system
when they are freed, so that each copy of a large message faults its pages in anew: a third of the
CPU time of messages of 512 KiB, measured. With the bounds here they come from memory that stays. An
idle gateway keeps a few megabytes for it. To see it: ``make bench ROWS=bulk-512``, with and without
MALLOC_TRIM_THRESHOLD_=131072 in the environment, which leaves it to glibc. An allocator that keeps
large blocks by itself, as jemalloc or mimalloc by LD_PRELOAD, makes it superfluous.

What clients have had held goes back to the system when they have gone (MemoryReturn). The C library
keeps what lies below something that is still in use, so when the process has grown by much, it is
told to give back whatever pages are free: 1 ms for some 10 MiB of them.

A gateway that listens on all addresses must publish a single one, by which other machines of the
cluster reach it. In a pod that is POD_IP; elsewhere it is the first private IPv4 address of the
machine or, where it has none, the first.
"""

import ctypes
import fcntl
import os
import resource
import socket
import struct
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from ipaddress import IPv4Address, IPv4Network, ip_address
from pathlib import Path
from typing import Final

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

_ROOT = Path("/")


def machine_memory(root: Path = _ROOT) -> int:
    """Return the memory of the machine in bytes, or the bound of the control group below it.

    ``root`` is where /proc and /sys are.
    """
    installed = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([installed, *_group_bounds(root)])


def resident_bytes(root: Path = _ROOT) -> int:
    """Return the size of this process in memory, in bytes; 0 where the system does not tell."""
    try:
        # Source: proc_pid_statm(5), in pages: all, resident, …
        pages = (root / "proc/self/statm").read_text().split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _group_bounds(root: Path) -> Iterator[int]:
    """Yield the bounds of the control group and of those around it, both versions."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, name = line.split(":", 2)
        if not controllers:
            folder, file = root / "sys/fs/cgroup", "memory.max"
        elif "memory" in controllers.split(","):
            folder, file = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
        else:
            continue
        # In a container the name may be that of outside, and its bound stands at the top.
        group = Path(name.lstrip("/"))
        for place in (group, *group.parents):
            try:
                text = (folder / place / file).read_text().strip()
            except OSError:
                continue
            if text.isdigit():
                yield int(text)


#: Where the system has no limit, or one that nobody will reach.
_MOST: Final = 1 << 20

#: Descriptors kept for all else: the store, gRPC with its many addresses, etcd, the log, and
#: connections that are being closed. A sixteenth of them, and no fewer than this.
_LEAST_RESERVED: Final = 64


def raise_limit() -> None:
    """Raise the soft limit of this process to the hard one, which it may always do."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def for_clients() -> int:
    """Return how many descriptors connections of clients may take."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return left_for_clients(soft)


def left_for_clients(limit: int) -> int:
    """Return how many descriptors a limit of open files leaves to connections of clients."""
    most = _MOST if limit == resource.RLIM_INFINITY else min(limit, _MOST)
    return max(1, most - max(_LEAST_RESERVED, most // 16))


#: Numbers of the parameters. Source: malloc.h of glibc
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3

#: Free memory at the end of the heap that is kept, in bytes: the copies of a few large messages.
TRIM_BYTES: Final = 8 * 1024 * 1024

#: Blocks larger than this are never kept, in bytes.
MMAP_BYTES: Final = 2 * 1024 * 1024

#: By these the user has decided.
_DECIDED: Final = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")


def keep_large_blocks(environment: Mapping[str, str]) -> bool:
    """Set the bounds for this process; False where it is not glibc, or the user has decided."""
    if any(name in environment for name in _DECIDED):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, MMAP_BYTES) and mallopt(_M_TRIM_THRESHOLD, TRIM_BYTES))


def give_back() -> bool:
    """Give the pages that are free back to the system; False where it is not glibc."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim is not None and bool(trim(0))


#: How often is looked, in seconds.
LOOK_SECONDS: Final = 2.0

#: So much growth since memory was last given back is worth it, in bytes.
WORTH_BYTES: Final = 16 * 1024 * 1024

#: A process that stays larger by so much than it began tries again after so many looks: what was
#: in use at the last time may be free now.
_LOOKS_BETWEEN: Final = 10


class MemoryReturn:
    """Calls ``give_back`` when the process has grown by much, and does not grow just now.

    ``resident_bytes`` tells its size.
    """

    def __init__(
        self,
        clock: IReactorTime,
        resident_bytes: Callable[[], int],
        give_back: Callable[[], object],
    ) -> None:
        self._resident_bytes = resident_bytes
        self._give_back = give_back
        self._at_start = self._after_last = self._seen = 0
        self._looks = 0
        self._looking = LoopingCall(self._look)
        self._looking.clock = clock

    def start(self) -> None:
        """Look from now on."""
        self._at_start = self._after_last = self._seen = self._resident_bytes()
        self._looking.start(LOOK_SECONDS, now=False)

    def stop(self) -> None:
        """Look no more."""
        if self._looking.running:
            self._looking.stop()

    def _look(self) -> None:
        size, before = self._resident_bytes(), self._seen
        self._seen = size
        self._looks += 1
        has_grown = size - self._after_last >= WORTH_BYTES
        may_be_free = size - self._at_start >= WORTH_BYTES and self._looks >= _LOOKS_BETWEEN
        if size <= before and (has_grown or may_be_free):
            self._give_back()
            self._looks = 0
            self._seen = self._after_last = self._resident_bytes()


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
