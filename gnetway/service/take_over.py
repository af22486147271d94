"""A gateway that starts beside a running one takes its place, and no client is refused.

Both meet at a socket in the file system, Gnetway.TakeOver, which only their user may open:

    new → old    sockets           the new one has read its configuration, and bound nothing
    old → new    a line of JSON, with the listening sockets and the lock of the key store
                                   both listen now, but only the old one accepts
    new → old    drain, its pid    the new one serves, on the very same sockets
    old          accepts no more, lets its clients go at the rate of a drain, and ends

The sockets themselves are handed on, and nothing is bound a second time with SO_REUSEPORT: whoever
waits in a socket's queue when it is closed is reset, and one in the file system cannot be bound
twice. If the new gateway ends before it serves, the old one goes on as if nothing had happened.
"""

import json
import os
import socket
from contextlib import suppress
from struct import Struct
from typing import Final, cast

from twisted.internet.error import ReactorNotRunning
from twisted.internet.interfaces import IAddress, IReactorSocket, IUNIXTransport
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from gnetway.config.addresses import UnixAddress
from gnetway.config.model import GatewayConfig
from gnetway.errors import ConfigError
from gnetway.interfaces import IGatewayReactor
from gnetway.service.listeners import BoundSocket, adopt_address, bind_address, bind_or_tell
from gnetway.service.sockets import Estate, InheritedSockets, SocketFilePort

_SOCKETS: Final = b"sockets"
_DRAIN: Final = b"drain"

#: Seconds for the other gateway to hand on its sockets: it only has to look at them.
ANSWER_SECONDS: Final = 10.0

#: Bytes of a line; more is not from a gateway.
_MAX_LINE_BYTES: Final = 4096

_MODE: Final = 0o600

#: Process, user and group at the other end. Source: unix(7), SO_PEERCRED
_CREDENTIALS: Final = Struct("3i")


def _peer(connected: socket.socket) -> tuple[int, int]:
    """Return the process and the user at the other end."""
    found = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    process, user, _ = _CREDENTIALS.unpack(found)
    return process, user


class TakeOver:
    """Both ends: takes over from the gateway that runs, and later hands on to the next one.

    Nothing of it happens without Gnetway.TakeOver.
    """

    _log = Logger()

    def __init__(self, config: GatewayConfig, reactor: IGatewayReactor) -> None:
        self._config = config
        self._reactor = reactor
        self._address = config.gnetway.take_over
        self._other: socket.socket | None = None
        self._other_pid = 0
        self._bound: BoundSocket | None = None
        self._port: SocketFilePort | None = None
        self._estate: tuple[Estate, ...] = ()
        #: The connection by which the estate was handed on, until it has come to a drain or an end.
        self._successor: TakeOverProtocol | None = None
        #: Whether another gateway has taken over, so that this one ends.
        self.is_over = False

    # -- the new gateway -----------------------------------------------------------------------

    def ask(self, inherited: InheritedSockets) -> None:
        """Add what a running gateway hands on to ``inherited``; nothing where none runs.

        Waits for it, so this is for the time before anything runs. Later ends up in ``begin``.

        :raises ConfigError: it cannot be asked, or refuses.
        """
        address = self._address
        if address is None:
            return
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connected.settimeout(ANSWER_SECONDS)
        try:
            connected.connect(address.file)
            if os.geteuid() not in (0, _peer(connected)[1]):
                raise OSError("another user's process listens there")
            connected.sendall(_SOCKETS + b"\n")
            self._other_pid, descriptors = _received(connected)
            inherited.add(descriptors)
        except (FileNotFoundError, ConnectionRefusedError):
            connected.close()
            return
        except (OSError, ValueError) as error:
            connected.close()
            raise self._fault(address, f"the gateway there cannot be asked: {error}") from error
        self._other = connected

    def bind(self, inherited: InheritedSockets) -> None:
        """Bind the socket where the next gateway asks, or adopt it.

        :raises ConfigError: it cannot be bound.
        """
        address = self._address
        if address is None:
            return

        def make() -> list[BoundSocket]:
            adopted = adopt_address(address, inherited)
            return [BoundSocket(*fields) for fields in adopted or [bind_address(address, _MODE)]]

        self._bound = bind_or_tell(self._config, [(address, make)])[0][0]

    def begin(self, estate: tuple[Estate, ...]) -> None:
        """Have the other gateway drain, now that this one serves, and wait for the next one."""
        if self._bound is None or self._bound.file is None:
            return
        self._estate = (*estate, self)
        other, self._other = self._other, None
        if other is not None:
            self._log.info("this gateway serves, and process {pid} drains", pid=self._other_pid)
            # It may be gone by itself.
            with suppress(OSError):
                other.sendall(b"%s %d\n" % (_DRAIN, os.getpid()))
            other.close()
        # What was inherited is this gateway's from now on.
        for part in self._estate:
            part.lend(False)
        reactor = cast(IReactorSocket, self._reactor)
        self._port = SocketFilePort(self._bound.bound, self._bound.file, _Factory(self), reactor)
        self._port.startListening()

    def stop(self) -> None:
        """Hand on nothing more."""
        other, self._other = self._other, None
        if other is not None:
            # This one cannot start, and the other goes on.
            other.close()
        bound, self._bound = self._bound, None
        port, self._port = self._port, None
        if port is not None:
            port.stopListening()  # type: ignore[no-untyped-call]
        elif bound is not None:
            bound.close()

    def _fault(self, address: UnixAddress, found: str) -> ConfigError:
        allowed = "a socket by which a gateway of the same user can be asked, or none yet"
        return ConfigError([self._config.fault(address.path, f"{address}: {found}", allowed)])

    # -- the old one ---------------------------------------------------------------------------

    def descriptors(self) -> list[int]:
        """See Estate: the next but one asks there."""
        return [] if self._bound is None else [self._bound.bound.fileno()]

    def lend(self, lent: bool) -> None:
        """See Estate."""
        if self._bound is not None and self._bound.file is not None:
            self._bound.file.lend(lent)

    def hand_on(self, successor: "TakeOverProtocol") -> list[int]:
        """Return the descriptors for a gateway that takes over.

        :raises ValueError: not now, for the reason that it has.
        """
        if self._port is None:
            raise ValueError("it is ending")
        if self._successor is not None:
            raise ValueError("yet another gateway takes over")
        self._successor = successor
        for part in self._estate:
            part.lend(True)
        return [descriptor for part in self._estate for descriptor in part.descriptors()]

    def drain(self, successor: "TakeOverProtocol", pid: int) -> None:
        """End, as the other gateway serves."""
        if successor is self._successor and not self.is_over:
            self.is_over = True
            self._log.info("process {pid} has taken over; this one drains", pid=pid)
            self.stop()
            with suppress(ReactorNotRunning):
                self._reactor.stop()

    def lost(self, successor: "TakeOverProtocol", pid: int) -> None:
        """Note that the other gateway is gone; before it serves nothing has happened."""
        if successor is self._successor:
            self._successor = None
            if not self.is_over:
                self._log.warn("process {pid} has not taken over, this one goes on", pid=pid)
                for part in self._estate:
                    part.lend(False)


class TakeOverProtocol(Protocol):
    """The old gateway's end of the connection."""

    def __init__(self, take_over: TakeOver) -> None:
        self._take_over = take_over
        self._line = b""
        self._pid = 0

    def connectionMade(self) -> None:
        """See who is there."""
        handle = cast("socket.socket", self.transport.getHandle())  # type: ignore[union-attr]
        self._pid, user = _peer(handle)
        if user not in (0, os.geteuid()):
            self._refuse("it is another user's")

    def dataReceived(self, data: bytes) -> None:
        """Do what the other gateway wants."""
        *lines, self._line = (self._line + data).split(b"\n")
        for line in lines:
            word, _, pid = line.partition(b" ")
            if word == _SOCKETS:
                self._hand_on()
            elif word == _DRAIN and pid.isdigit():
                # A daemon has another than it had when it connected.
                self._take_over.drain(self, int(pid))
        if len(self._line) > _MAX_LINE_BYTES:
            self._refuse("that is no gateway")

    def _hand_on(self) -> None:
        try:
            descriptors = self._take_over.hand_on(self)
        except ValueError as error:
            self._refuse(str(error))
            return
        transport = cast(IUNIXTransport, self.transport)
        line = json.dumps({"pid": os.getpid(), "descriptors": len(descriptors)}).encode() + b"\n"
        for descriptor in descriptors:
            transport.sendFileDescriptor(descriptor)
        # Each comes with a byte of its own.
        transport.write(line.ljust(len(descriptors), b"\n"))

    def _refuse(self, why: str) -> None:
        assert self.transport is not None
        self.transport.write(json.dumps({"refused": why}).encode() + b"\n")
        self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The other gateway has said all, or is gone."""
        self._take_over.lost(self, self._pid)


class _Factory(Factory):
    noisy = False

    def __init__(self, take_over: TakeOver) -> None:
        self._take_over = take_over

    def buildProtocol(self, addr: IAddress | None) -> TakeOverProtocol:
        """Return the protocol for a connection that was just accepted."""
        return TakeOverProtocol(self._take_over)


def _received(connected: socket.socket) -> tuple[int, list[int]]:
    """Return the process of a running gateway, and the descriptors that it hands on.

    :raises OSError: it does not answer.
    :raises ValueError: it refuses, or has said something else.
    """
    said, descriptors = b"", list[int]()
    while b"\n" not in said or len(descriptors) < _announced(said)[1]:
        data, passed, _, _ = socket.recv_fds(connected, _MAX_LINE_BYTES, 1, socket.MSG_CMSG_CLOEXEC)
        descriptors += passed
        said += data
        if not data or len(said) > _MAX_LINE_BYTES:
            raise ValueError("it has ended the connection")
    return _announced(said)[0], descriptors


def _announced(said: bytes) -> tuple[int, int]:
    match json.loads(said.partition(b"\n")[0]):
        case {"pid": int(pid), "descriptors": int(number)}:
            return pid, number
        case {"refused": str(why)}:
            raise ValueError(why)
    raise ValueError("what is there is no gateway")
