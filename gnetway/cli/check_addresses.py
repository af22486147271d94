"""Addresses: whether they are free, who has them where they are not, and who reaches them.

Nothing here disturbs a gateway that runs: a port is only bound for a moment, and never listens.
"""

import os
import socket
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from errno import EACCES, EADDRINUSE, EADDRNOTAVAIL
from pathlib import Path
from typing import Final

from gnetway.cli.asking import DEFAULT_CONFIG
from gnetway.cli.terminal import Report
from gnetway.config.addresses import Address, UnixAddress, is_loopback
from gnetway.config.model import GatewayConfig
from gnetway.errors import ConfigError
from gnetway.runtime.machine import (
    POD_IP,
    NoAddress,
    is_public,
    machine_addresses,
    published_host,
)
from gnetway.workers.pipe import processors, shares

# Who listens where, as far as /proc tells.

#: The state of a listening socket. Source: include/net/tcp_states.h
_LISTENS: Final = "0A"

_WORKER: Final = "gnetway.workers.main"

_PROC: Final = Path("/proc")

#: What listens for a service until that takes the sockets: see docs/systemd.md.
_SYSTEMD: Final = "systemd"


@dataclass(frozen=True, slots=True)
class Owner:
    """A process; ``is_this_gateway`` is whether it is a gateway of the same configuration."""

    pid: int
    name: str
    is_this_gateway: bool

    def __str__(self) -> str:
        return f"{self.name}, process {self.pid}"


class ListeningSockets:
    """Finds owners of sockets; ``config_file`` is that of the gateway that is looked for.

    Of other users' processes only root sees the sockets.
    """

    def __init__(self, config_file: str, proc: Path = _PROC) -> None:
        self._config_file = os.path.realpath(config_file)
        self._proc = proc

    def is_taken(self, place: UnixAddress) -> bool:
        """Return whether somebody has bound the socket at a path."""
        return any(True for _ in self._inodes(place))

    def owner(self, place: Address | UnixAddress) -> Owner | None:
        """Return who listens there, None where that cannot be seen."""
        wanted = {f"socket:[{inode}]" for inode in self._inodes(place)}
        if not wanted:
            return None
        pids = sorted(int(entry.name) for entry in self._proc.iterdir() if entry.name.isdigit())
        for pid in pids:
            if self._holds(pid, wanted):
                return Owner(pid, self._name(pid), self._is_this_gateway(pid))
        return None

    def _inodes(self, place: Address | UnixAddress) -> Iterator[str]:
        if isinstance(place, UnixAddress):
            # Num RefCount Protocol Flags Type St Inode Path
            for fields in self._table("net/unix"):
                if fields[-1] == place.file:
                    yield fields[6]
            return
        for name in ("net/tcp", "net/tcp6"):
            # sl local_address rem_address st … inode, which is the tenth
            for fields in self._table(name):
                port = int(fields[1].rpartition(":")[2], 16)
                if fields[3] == _LISTENS and port == place.port:
                    yield fields[9]

    def _table(self, name: str) -> Iterator[list[str]]:
        with suppress(OSError):
            for line in (self._proc / name).read_text().splitlines()[1:]:
                yield line.split()

    def _holds(self, pid: int, wanted: set[str]) -> bool:
        with suppress(OSError):
            for descriptor in (self._proc / str(pid) / "fd").iterdir():
                with suppress(OSError):
                    if os.readlink(descriptor) in wanted:
                        return True
        return False

    def _name(self, pid: int) -> str:
        with suppress(OSError):
            return (self._proc / str(pid) / "comm").read_text().strip()
        return "a process"

    def _is_this_gateway(self, pid: int) -> bool:
        arguments = self._arguments(pid)
        if _WORKER in arguments:
            arguments, pid = self._arguments(parent := self._parent(pid)), parent
        named = _config_of(arguments)
        if named is None:
            return False
        with suppress(OSError):
            named = os.path.join(os.readlink(self._proc / str(pid) / "cwd"), named)
        return os.path.realpath(named) == self._config_file

    def _arguments(self, pid: int) -> list[str]:
        with suppress(OSError):
            return (self._proc / str(pid) / "cmdline").read_bytes().decode().split("\0")
        return []

    def _parent(self, pid: int) -> int:
        with suppress(OSError):
            for line in (self._proc / str(pid) / "status").read_text().splitlines():
                if line.startswith("PPid:"):
                    return int(line.split()[1])
        return 0


def _config_of(arguments: Sequence[str]) -> str | None:
    """Return the file that a command line of twistd names, None for that of another program."""
    if "gnetway" not in arguments:
        return None
    own = list(arguments[arguments.index("gnetway") + 1 :])
    for number, argument in enumerate(own):
        if argument in ("-c", "--config"):
            return own[number + 1] if number + 1 < len(own) else None
        if argument.startswith(("--config=", "-c")):
            return argument.removeprefix("--config=").removeprefix("-c")
    return DEFAULT_CONFIG


# Whether an address can be bound.


def addresses(report: Report, config: GatewayConfig, proc: Path = _PROC) -> None:
    """Look whether everything that is listened on is free."""
    sockets = ListeningSockets(config.source, proc)
    for server in config.gnetway.servers:
        for place in server.addresses:
            _look_at_address(report, "port", place, sockets)
    for listen_on in _all_listen_on(report, config):
        _look_at_address(report, "port", listen_on, sockets)
    admin, prometheus = config.admin, config.prometheus
    if admin is not None:
        for place in admin.addresses:
            _look_at_address(report, "admin", place, sockets)
        if admin.open_to_others:
            text = f"open to everybody who reaches {', '.join(admin.open_to_others)}"
            report.warn("admin", text, "Admin.Token, or an address of the loopback interface")
    if prometheus is not None:
        place = Address(prometheus.host, prometheus.port, "Prometheus")
        _look_at_address(report, "admin", place, sockets)


def _all_listen_on(report: Report, config: GatewayConfig) -> list[Address]:
    """Return where session services are served: each worker has a port of its own."""
    count = config.worker_count(processors())
    if config.listen_on is None or count == 1:
        return [] if config.listen_on is None else [config.listen_on]
    try:
        each = [share.listen_on for share in shares(config, count)]
    except ConfigError as error:
        report.faults("port", error.faults)
        return []
    return [listen_on for listen_on in each if listen_on is not None]


def _look_at_address(
    report: Report, step: str, place: Address | UnixAddress, sockets: ListeningSockets
) -> None:
    name = f"{place} ({place.path})"
    with report.busy(f"looking at {place}"):
        if isinstance(place, UnixAddress):
            problem = _why_no_file(place, sockets)
        else:
            problem = _why_not_bound(place)
    if problem is None:
        report.ok(step, f"{name} is free")
        return
    owner = sockets.owner(place) if problem.errno == EADDRINUSE else None
    if owner is not None and owner.is_this_gateway:
        report.note(step, f"{name} is the gateway's that runs ({owner})")
    elif owner is not None and owner.name == _SYSTEMD:
        text = "is open already, which is well if it is for the gateway (docs/systemd.md)"
        report.note(step, f"{name} {text}: {owner}")
    elif problem.errno == EADDRINUSE:
        who = f"by {owner}" if owner else "by a process of which only root sees the name"
        report.fault(step, f"{name} is taken {who}", f"end that, or change {place.path}")
    else:
        said = problem.strerror or str(problem)
        report.fault(step, f"{name} cannot be bound: {said}", _remedy(problem, place))


def _remedy(error: OSError, place: Address | UnixAddress) -> str:
    if error.errno == EACCES and isinstance(place, Address):
        return "start as root with twistd's --uid, allow CAP_NET_BIND_SERVICE, or a port from 1024"
    if error.errno == EADDRNOTAVAIL:
        return f"an address of this machine in {place.path}, or 0.0.0.0 for all"
    return f"change {place.path}"


def _why_not_bound(place: Address) -> OSError | None:
    """Return why an address cannot be bound; whoever calls there meanwhile finds nobody.

    Linux minds another listener before anyone listens here.
    """
    try:
        family, kind, proto, _, where = socket.getaddrinfo(
            place.host, place.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, proto) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(where)
    except OSError as error:
        return error
    return None


def _why_no_file(place: UnixAddress, sockets: ListeningSockets) -> OSError | None:
    """Return why a socket cannot be made at a path; one that nobody listens on gives way."""
    folder = os.path.dirname(place.file)
    try:
        mode = os.lstat(place.file).st_mode
    except FileNotFoundError:
        if not os.path.isdir(folder):
            return OSError(0, f"there is no {folder}")
        writable = os.access(folder, os.W_OK | os.X_OK)
        return None if writable else OSError(EACCES, f"{folder} cannot be written")
    except OSError as error:
        return error
    if not stat.S_ISSOCK(mode):
        return OSError(0, "it is a file, and no socket")
    return OSError(EADDRINUSE, "taken") if sockets.is_taken(place) else None


# ListenOn: how session services come back.


def announced(
    report: Report, config: GatewayConfig, nodes: list[str], environment: Mapping[str, str]
) -> None:
    """Look whether session services reach the address by which they know this gateway."""
    listen_on = config.listen_on
    assert listen_on is not None, "a remote session backend comes with ListenOn"
    host, is_every = listen_on.host, listen_on.host in ("0.0.0.0", "::")  # noqa: S104
    if is_every:
        try:
            host = published_host(environment)
        except NoAddress as error:
            text = f"{listen_on} is all addresses of this machine, but {error}"
            report.fault("ListenOn", text, f"a host that session services reach, or {POD_IP}")
            return
    told = f"session services are told {Address(host, listen_on.port)}"
    own = {*machine_addresses(), "localhost"}
    etcds = [etcd for etcd in (config.etcd, config.session.etcd) if etcd is not None]
    peers = {*nodes, *(peer for etcd in etcds for peer in etcd.hosts)}
    hosts = {peer: peer.rpartition(":")[0].strip("[]") for peer in peers}
    far = sorted(peer for peer in peers if not _is_here(hosts[peer], own))
    if is_loopback(host) and far:
        text = f"{told}, which on another machine is that itself, and {', '.join(far)} is elsewhere"
        remedy = f"an address of this machine in ListenOn, or 0.0.0.0 with {POD_IP}"
        report.fault("ListenOn", text, remedy)
    elif is_every and environment.get(POD_IP) and not _is_here(host, own):
        text = f"{told}, as {POD_IP} says, and this machine has no such address"
        report.warn("ListenOn", text, f"compare {POD_IP} with the addresses of this machine")
    elif config.rpc.tls is None and is_public(listen_on.host):
        text = f"{told}, in plaintext on an address that is neither loopback nor private"
        report.warn("ListenOn", text, "Rpc.TLS with a CAFile, or at least Rpc.AllowedNetworks")
    else:
        report.ok("ListenOn", told)


def _is_here(host: str, own: set[str]) -> bool:
    return host in own or is_loopback(host)
