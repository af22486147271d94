"""A gateway among session services: its own gRPC service, the remote backend, its registration.

Started before the clients come, in this order: the gRPC server (whose port is part of the name by
which session services know this gateway), the backend, which looks for nodes on its own; and when
clients are served, the registration. None of it waits for etcd or a session node.

grpcio has threads of its own, which do not survive the fork by which twistd becomes a daemon, and
what all this needs is installed only where it is wanted. So ``prepare`` looks without touching, and
the imports are made in ``begin``.
"""

import fcntl
import socket
import struct
from array import array
from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network, ip_address
from typing import Final, Protocol, TypeVar

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from gnetway.config.addresses import Address
from gnetway.config.model import GatewayConfig
from gnetway.errors import ConfigError
from gnetway.interfaces import IDiscovery, IGatewayReactor, IPushTarget, ISessionBackend
from gnetway.metrics import Causes
from gnetway.rpc.calls import IRpcServer
from gnetway.rpc.status import ListenFailed
from gnetway.runtime.turn_end import TurnEnd
from gnetway.service.listeners import Listener
from gnetway.service.prepared import for_remote, missing, remedy

# Waiting for what must not be cancelled by whoever waits.

T = TypeVar("T")


def outcome_of(work: Deferred[T]) -> Deferred[T]:
    """Return a Deferred that fires or fails as ``work`` does; cancelling it leaves ``work`` alone.

    ``work`` itself then fires with nothing, so that it can be waited for again without errors.
    """
    waiting: Deferred[T] = Deferred()

    def tell(result: T | Failure) -> None:
        # After a cancel nobody hears it, a failure neither.
        waiting.callback(result)

    work.addBoth(tell)
    return waiting


# The address by which other machines of the cluster reach this one, where the file has none.
#
# A gateway that listens on all addresses must publish a single one. In a pod that is POD_IP;
# elsewhere it is the first private IPv4 address of the machine or, where it has none, the first.

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
    """Tell whether who listens on a host can be reached at an address that is open to the world.

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


#: All addresses of the machine, none of which others can call by this name.
_EVERY_HOST: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104

#: For unary calls that are being answered when the server stops; pushes are answered at once.
GRACE_SECONDS: Final = 1.0


class Pushes(Protocol):
    """The gateway's own service, as far as its life goes."""

    @property
    def counts(self) -> Causes:
        """What became of the pushes."""

    def serve(self, target: IPushTarget) -> None:
        """Hand what comes to ``target`` from now on."""

    def close(self) -> None:
        """End the open streams, after the answers that are due."""


class ClusterParts(Protocol):
    """Makes what a remote session backend needs."""

    @property
    def pushes(self) -> Pushes:
        """The gateway's own service."""

    def server(self) -> IRpcServer:
        """Return the server of ``pushes``, not started."""

    def backend(self, server_id: str) -> ISessionBackend:
        """Return the backend, not started."""

    def registration(self) -> IDiscovery | None:
        """Return where the gateway makes itself known, not started; None for nowhere."""


class ClusterSide:
    """The remote session backend and all that belongs to it: a BackendSide."""

    _log = Logger()

    def __init__(
        self,
        config: GatewayConfig,
        reactor: IGatewayReactor,
        random_bytes: Callable[[int], bytes],
        environment: Mapping[str, str],
        turn_end: TurnEnd,
        make_parts: Callable[[], ClusterParts] | None = None,
    ) -> None:
        assert config.listen_on is not None, "a remote session backend comes with ListenOn"
        self._config = config
        self._listen_on: Address = config.listen_on
        self._environment = environment
        self._make_parts = make_parts or (
            lambda: _load_parts(config, reactor, random_bytes, turn_end)
        )
        self._host = ""
        self._pushes: Pushes | None = None
        self._server: IRpcServer | None = None
        self._listening: Deferred[int] | None = None
        self._backend: ISessionBackend | None = None
        self._registration: IDiscovery | None = None
        #: The name by which session services know this gateway: the host:port they call.
        self.server_id = ""

    def prepare(self) -> None:
        """See BackendSide."""
        faults = self._missing_packages()
        problem = _why_not_free(self._listen_on)
        if problem:
            faults.append(self._listen_fault(problem))
        try:
            self._host = self._published()
        except NoAddress as error:
            found = f"{self._listen_on} to listen on, but {error}"
            allowed = "a host that session services reach, or its address as POD_IP"
            faults.append(self._config.fault("ListenOn", found, allowed))
        if faults:
            raise ConfigError(faults)

    def begin(self, listeners: list[Listener]) -> Deferred[ISessionBackend]:
        """See BackendSide."""
        return Deferred.fromCoroutine(self._begin())

    async def _begin(self) -> ISessionBackend:
        parts = self._make_parts()
        self._pushes = parts.pushes
        self._server = parts.server()
        self._listening = self._server.start()
        try:
            # A server that is starting cannot be stopped, only waited for; so a stop of the
            # gateway must not cancel this.
            port = await outcome_of(self._listening)
        except ListenFailed as error:
            raise ConfigError([self._listen_fault(str(error))]) from error
        self.server_id = str(Address(self._host, port))
        self._backend = parts.backend(self.server_id)
        self._registration = parts.registration()
        return self._backend

    def serve(self, target: IPushTarget) -> Deferred[None]:
        """See BackendSide."""
        assert self._pushes is not None and self._backend is not None, "begin comes first"
        self._pushes.serve(target)
        if self._config.rpc.tls is None and is_public(self._listen_on.host):
            self._log.warn(
                "ListenOn {address} is plaintext on an address that is neither loopback nor"
                " private: whoever is on the way reads what is pushed, and whoever reaches it"
                " pushes to clients; set Rpc.TLS with a CAFile, or at least Rpc.AllowedNetworks",
                address=self._listen_on,
            )
        self._log.info(
            "serving session services on {address}, known to them as {server_id}",
            address=self._listen_on,
            server_id=self.server_id,
        )
        return self._backend.start(target)

    def publish(self) -> None:
        """See BackendSide; an etcd that is not there is waited for, beside everything else."""
        registration, etcd = self._registration, self._config.etcd
        if registration is not None and etcd is not None:
            registration.register(etcd.prefix, self.server_id)
            registration.start().addErrback(self._registration_failed)

    def withdraw(self) -> Deferred[None]:
        """See BackendSide: no new session comes to name this gateway."""
        return succeed(None) if self._registration is None else self._registration.withdraw()

    def stop(self) -> Deferred[None]:
        """See BackendSide; pushes are answered until the session nodes have heard of each end."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        if self._backend is not None:
            await self._backend.stop()
        if self._listening is not None:
            await outcome_of(self._listening)
        if self._pushes is not None:
            self._pushes.close()
        if self._server is not None:
            await self._server.stop(GRACE_SECONDS)
        if self._registration is not None:
            await self._registration.stop()

    def unready(self) -> list[str]:
        """See BackendSide: session nodes, or the registration by which they find us."""
        reasons = [part.unready() for part in (self._backend, self._registration) if part]
        return [reason for reason in reasons if reason]

    def pushes(self) -> Mapping[str, int]:
        """See BackendSide."""
        return {} if self._pushes is None else self._pushes.counts.as_dict()

    def _registration_failed(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self._log.failure("The gateway cannot make itself known", failure)

    def _published(self) -> str:
        if self._listen_on.host in _EVERY_HOST:
            return published_host(self._environment)
        return self._listen_on.host

    def _listen_fault(self, problem: str) -> str:
        found = f"{self._listen_on}, which cannot be bound: {problem}"
        return self._config.fault("ListenOn", found, "an address that is free")

    def _missing_packages(self) -> list[str]:
        packages = missing(for_remote(self._config))
        if not packages:
            return []
        path = "Session.Etcd" if self._config.session.etcd else "Session.Endpoints"
        found = f"it, but without the packages that it needs: {', '.join(packages)}"
        allowed = f"it after {remedy(packages)}, or Session.Embedded"
        return [self._config.fault(path, found, allowed)]


def _why_not_free(address: Address) -> str:
    """Return why an address cannot be bound, or an empty text.

    It is bound and let go again: no carrier takes a socket of ours.
    """
    try:
        family, kind, proto, _, where = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, proto) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
            # Only then does Linux mind another listener.
            probe.listen(1)
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _load_parts(
    config: GatewayConfig,
    reactor: IGatewayReactor,
    random_bytes: Callable[[int], bytes],
    turn_end: TurnEnd,
) -> ClusterParts:
    from gnetway.service.cluster_parts import GrpcParts  # noqa: PLC0415 - see the head of the file

    return GrpcParts(config, reactor, random_bytes, turn_end)
