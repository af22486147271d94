"""Listening sockets: bound before anything else runs, served once the backend is ready.

Binding early gives a taken port its line on the terminal even where twistd becomes a daemon, and
clients that come during the start wait in the backlog instead of being refused.
"""

import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeAlias, TypeVar

from gnetway.config.addresses import Address, UnixAddress
from gnetway.config.limits import LimitsConfig
from gnetway.config.model import GatewayConfig
from gnetway.config.servers import ServerConfig
from gnetway.errors import ConfigError
from gnetway.service.sockets import InheritedSockets, SocketFile, bind_unix

#: Connections that may wait to be accepted; the kernel cuts it to its own limit.
BACKLOG: Final = 1024

#: What one listener is bound to.
ListenAddress: TypeAlias = Address | UnixAddress

B = TypeVar("B", bound="BoundSocket")


@dataclass(slots=True)
class BoundSocket:
    """A socket that listens.

    ``host`` and ``port`` are what it is bound to: a real port where the file says 0. A socket in
    the file system has its ``file`` instead.
    """

    bound: socket.socket
    host: str = ""
    port: int = 0
    file: SocketFile | None = None

    def __str__(self) -> str:
        if self.file is not None:
            return str(UnixAddress(self.file.path))
        return str(Address(self.host, self.port))

    def close(self) -> None:
        """Close the socket, unless it is being served."""
        self.bound.close()
        if self.file is not None:
            self.file.remove()


@dataclass(slots=True)
class Listener(BoundSocket):
    """A socket for clients, and what is spoken on it."""

    server: ServerConfig = field(kw_only=True)


def bind_all(config: GatewayConfig, inherited: InheritedSockets | None = None) -> list[Listener]:
    """Bind every address of the configuration for which no socket is ``inherited``.

    :raises ConfigError: with each address that cannot be bound; nothing stays bound then.
    """

    def adopt_or_bind(server: ServerConfig, address: ListenAddress) -> list[Listener]:
        return adopt(server, address, inherited) or [bind(server, address)]

    return [listener for listeners in bind_each(config, adopt_or_bind) for listener in listeners]


def adopt(
    server: ServerConfig, address: ListenAddress, inherited: InheritedSockets | None
) -> list[Listener]:
    """Return the sockets for clients that are there for an address.

    :raises OSError: the address cannot be resolved.
    """
    return [Listener(*fields, server=server) for fields in adopt_address(address, inherited)]


def bind_each(
    config: GatewayConfig, bind_one: Callable[[ServerConfig, ListenAddress], list[Listener]]
) -> list[list[Listener]]:
    """Return what ``bind_one`` makes of every address of the configuration, in their order.

    :raises ConfigError: with each address for which it raises OSError; nothing stays bound then.
    """

    def bind_and_keep_alive(server: ServerConfig, address: ListenAddress) -> list[Listener]:
        listeners = bind_one(server, address)
        for listener in listeners:
            keep_alive(listener.bound, config.gnetway.limits)
        return listeners

    return bind_or_tell(
        config,
        [
            (address, partial(bind_and_keep_alive, server, address))
            for server in config.gnetway.servers
            for address in server.addresses
        ],
    )


def bind_or_tell(
    config: GatewayConfig, wanted: Iterable[tuple[ListenAddress, Callable[[], list[B]]]]
) -> list[list[B]]:
    """Return what is made for each address, in their order.

    :raises ConfigError: with each address for which OSError is raised; nothing stays bound then.
    """
    bound: list[list[B]] = []
    faults: list[str] = []
    for address, make in wanted:
        try:
            bound.append(make())
        except OSError as error:
            found = f"{address}, which cannot be bound: {error.strerror or error}"
            faults.append(config.fault(address.path, found, "an address that is free"))
    if faults:
        for sockets in bound:
            close_all(sockets)
        raise ConfigError(faults)
    return bound


def keep_alive(bound: socket.socket, limits: LimitsConfig) -> None:
    """Have the kernel find out which clients of a listening socket are gone.

    Accepted sockets have what is set here, without a call for each.
    """
    if bound.family == socket.AF_UNIX:
        return
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", limits.keep_alive_seconds),
        ("TCP_KEEPINTVL", limits.keep_alive_interval_seconds),
        ("TCP_KEEPCNT", limits.keep_alive_probes),
        ("TCP_USER_TIMEOUT", limits.unacknowledged_seconds * 1000),
    ):
        # Not every system has all of them.
        option = getattr(socket, name, None)
        if option is not None:
            bound.setsockopt(socket.IPPROTO_TCP, option, value)


def close_all(sockets: Iterable[BoundSocket]) -> None:
    """Close the sockets that are not served."""
    for bound in sockets:
        bound.close()


def bind(server: ServerConfig, address: ListenAddress, reuse_port: bool = False) -> Listener:
    """Return a socket for clients; with ``reuse_port`` others of this user may share the port.

    :raises OSError: it cannot be bound.
    """
    return Listener(*bind_address(address, server.unix_mode, reuse_port), server=server)


def adopt_address(
    address: ListenAddress, inherited: InheritedSockets | None
) -> list[tuple[socket.socket, str, int, SocketFile | None]]:
    """Return the fields of a BoundSocket for each socket that is there for an address.

    :raises OSError: the address cannot be resolved.
    """
    adopted: list[tuple[socket.socket, str, int, SocketFile | None]] = []
    for each in [] if inherited is None else inherited.take(address):
        if isinstance(address, UnixAddress):
            file = SocketFile(address.file, each.foreign)
            # Until the other gateway has heard that it is to leave, the file is that one's.
            file.lend(True)
            adopted.append((each.bound, "", 0, file))
        else:
            host, port = each.bound.getsockname()[:2]
            adopted.append((each.bound, host, port, None))
    return adopted


def bind_address(
    address: ListenAddress, unix_mode: int, reuse_port: bool = False
) -> tuple[socket.socket, str, int, SocketFile | None]:
    """Return the fields of a BoundSocket.

    :raises OSError: it cannot be bound.
    """
    if isinstance(address, UnixAddress):
        bound = bind_unix(address.file, unix_mode, BACKLOG)
        return bound, "", 0, SocketFile(address.file)
    bound = _bind_tcp(address, reuse_port)
    host, port = bound.getsockname()[:2]
    return bound, host, port, None


def _bind_tcp(address: Address, reuse_port: bool) -> socket.socket:
    family, kind, proto, _, where = socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    bound = socket.socket(family, kind, proto)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            # [::] and 0.0.0.0 may stand beside each other in the file.
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind(where)
        bound.listen(BACKLOG)
        bound.setblocking(False)
    except OSError:
        bound.close()
        raise
    return bound


@dataclass(frozen=True, slots=True)
class WorkerListeners:
    """The sockets of one worker; its parent has bound them, and speaks for all workers.

    One worker serves all of HTTP: ``relayed`` are the sockets by which others carry it there, and
    ``http_elsewhere`` are the paths of those for the others; see ``net/http/relay.py``.
    """

    listeners: list[Listener]
    relayed: list[Listener] = field(default_factory=list)
    http_elsewhere: Mapping[ServerConfig, str] = field(default_factory=dict)
    number: int = 0
