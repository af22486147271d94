"""Listening sockets beyond the usual: those that somebody else has opened, and socket files.

    a socket of a configured address     is adopted there
    what is left over                    is named in a warning: nobody accepts there
    an address without a socket          is bound as ever

So the same configuration does with sockets and without. Inherited ones are systemd's, or those of a
gateway that this one takes over from (take_over.py); that one hands on other open files too.

Twisted would open a socket in the file system to everybody. Those here are made with their mode,
taken over when stale, and removed.
"""

import os
import socket
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from errno import EADDRINUSE
from typing import Protocol

from twisted.internet import tcp, unix
from twisted.internet.interfaces import IProtocolFactory, IReactorSocket
from twisted.logger import Logger
from twisted.python.failure import Failure

from gnetway.config.addresses import Address, UnixAddress
from gnetway.net.accepting import Arrivals, IsBalancer
from gnetway.runtime.shortcuts import UnixClientTransport
from gnetway.runtime.systemd import Passed


@dataclass(slots=True)
class InheritedSocket:
    """One of them; ``name`` says where it is from.

    ``foreign`` is one whose opener goes on having it, as systemd does.
    """

    bound: socket.socket
    name: str
    foreign: bool = True

    def __str__(self) -> str:
        return f"{_place(self.bound) or 'no listening stream socket'} ({self.name})"


class Estate(Protocol):
    """A part of a gateway that has what another gateway may take over."""

    def descriptors(self) -> list[int]:
        """Return the sockets that listen, and other files that are open."""

    def lend(self, lent: bool) -> None:
        """Treat them as another gateway's from now on, or as one's own again."""


class InheritedSockets:
    """Finds them by address; each is taken once."""

    _log = Logger()

    def __init__(self, passed: Iterable[Passed] = ()) -> None:
        self._left: list[InheritedSocket] = []
        #: Whether a gateway that runs has handed on its own.
        self.of_another = False
        #: Descriptors that are no sockets, with what is said of them.
        self._files: dict[int, str] = {}
        for descriptor, name in passed:
            self._add(descriptor, f"descriptor {descriptor}{name and f' {name}'} of systemd", True)

    def add(self, descriptors: Iterable[int]) -> None:
        """Take those of another gateway as well, in whose place this one comes."""
        self.of_another = True
        for descriptor in descriptors:
            self._add(descriptor, "of the other gateway", False)

    def _add(self, descriptor: int, name: str, foreign: bool) -> None:
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            self._files[descriptor] = name
            return
        # systemd may have started both gateways, with the same sockets.
        known = {_identity_of(each.bound.fileno()) for each in self._left}
        if _identity_of(descriptor) in known:
            os.close(descriptor)
        else:
            bound = socket.socket(fileno=descriptor)
            self._left.append(InheritedSocket(bound, name, foreign))

    def take(self, address: Address | UnixAddress) -> list[InheritedSocket]:
        """Return all that listen at an address, none of which is left over then.

        :raises OSError: the address cannot be resolved.
        """
        if not self._left:
            return []
        wanted = _wanted(address)
        taken = [left for left in self._left if _place(left.bound) == wanted]
        self._left = [left for left in self._left if left not in taken]
        for each in taken:
            each.bound.setblocking(False)
        return taken

    def take_file(self, path: str) -> int | None:
        """Return the descriptor of a file that the other gateway has open, None if there is none.

        Its locks come along: they belong to the open file, whichever process has it.
        """
        try:
            status = os.stat(path)
        except OSError:
            return None
        for descriptor in self._files:
            if _identity_of(descriptor) == (status.st_dev, status.st_ino):
                del self._files[descriptor]
                return descriptor
        return None

    def tell_left_over(self) -> None:
        """Warn of those that nobody has taken, and close those that nobody else serves."""
        left = [*map(str, self._left), *(f"no socket ({name})" for name in self._files.values())]
        for each in self._left:
            if not each.foreign:
                each.bound.close()
        if left:
            self._log.warn(
                "passed and not used, as no address of the configuration is theirs: {sockets}",
                sockets=", ".join(left),
            )


def _identity_of(descriptor: int) -> tuple[int, int]:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino


def _wanted(address: Address | UnixAddress) -> str:
    """Return where a socket of that address listens, as ``_place`` has it."""
    if isinstance(address, UnixAddress):
        return str(UnixAddress(os.path.realpath(address.file)))
    host, port = socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0][4][:2]
    return str(Address(str(host), int(port)))


def _place(bound: socket.socket) -> str:
    """Return where a socket listens, nothing for one that does not."""
    if bound.type != socket.SOCK_STREAM or not bound.getsockopt(
        socket.SOL_SOCKET, socket.SO_ACCEPTCONN
    ):
        return ""
    name = bound.getsockname()
    if bound.family == socket.AF_UNIX:
        # One that has no place in the file system is told by bytes.
        return str(UnixAddress(os.path.realpath(name))) if name and isinstance(name, str) else ""
    return str(Address(name[0], name[1]))


class SocketFile:
    """The file of a socket that was bound here: removed only while it is still the same one.

    One that is ``foreign`` stays where it is: the process that has bound it removes it.
    """

    def __init__(self, path: str, foreign: bool = False) -> None:
        self.path = path
        self._foreign = foreign
        self._lent = False
        self._identity = _file_identity(path)

    def lend(self, lent: bool) -> None:
        """Leave it where it is as long as it is another gateway's too, or have it back."""
        self._lent = lent

    def remove(self) -> None:
        """Remove the file, unless it is gone or somebody else's by now."""
        if self._foreign or self._lent:
            return
        with suppress(OSError):
            if _file_identity(self.path) == self._identity:
                os.unlink(self.path)


def bind_unix(path: str, mode: int, backlog: int) -> socket.socket:
    """Return a socket that listens at ``path``; one that a dead process has left gives way.

    Nobody can connect before the mode is set, since it does not listen by then.

    :raises OSError: it cannot be bound; with EADDRINUSE where somebody listens, or where the file
        is no socket.
    """
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        try:
            bound.bind(path)
        except OSError as error:
            if error.errno != EADDRINUSE or not _is_stale(path):
                raise
            os.unlink(path)
            bound.bind(path)
        os.chmod(path, mode)
        bound.listen(backlog)
        bound.setblocking(False)
    except OSError:
        bound.close()
        raise
    return bound


class SocketFilePort(unix.Port):
    """Serves a socket that listens already, with the mode that its file has.

    ``adoptStreamPort`` would open it to everybody, and fail to stop where the file is gone.
    """

    #: A shutdown ends the socket for all processes that have it: other workers, and those to come.
    _shouldShutdown = False  # noqa: N815 - Twisted's name

    def __init__(
        self,
        bound: socket.socket,
        file: SocketFile,
        factory: IProtocolFactory,
        reactor: IReactorSocket,
    ) -> None:
        super().__init__(os.fsencode(file.path), factory, reactor=reactor)
        self._file = file
        self._bound = bound
        self._factory = factory

    def startListening(self) -> None:  # noqa: N802
        """Accept connections.

        Twisted would set the mode of the file once more. It is set; and where twistd has changed
        the user since then, the file is another's, and may not be touched.
        """
        # As all of Twisted's ports do, to refuse connections above the limit of open files.
        reserved = getattr(tcp, "_reservedFD", None)
        if reserved is not None:
            reserved.reserve()
        self._factory.doStart()
        self.connected = True
        # Connections that Twisted's own doRead accepts in one turn at first, as it sets it.
        self.numberAccepts = 100
        self.socket = self._bound
        self.fileno = self._bound.fileno  # type: ignore[method-assign]
        self.startReading()  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Failure) -> None:
        """Stop."""
        self._file.remove()
        tcp.Port.connectionLost(self, reason)


class UnixPort(SocketFilePort):
    """Serves clients; ``arrivals`` lets them in."""

    transport = UnixClientTransport

    #: See ClientPort.
    shown = proto = ""

    def __init__(
        self,
        bound: socket.socket,
        file: SocketFile,
        factory: IProtocolFactory,
        reactor: IReactorSocket,
        arrivals: Arrivals,
        is_balancer: IsBalancer,
    ) -> None:
        super().__init__(bound, file, factory, reactor)
        self._arrivals = arrivals
        self.is_balancer = is_balancer

    def doRead(self) -> None:  # noqa: N802
        """Accept connections."""
        self._arrivals.accept(self, self.is_balancer)


def _file_identity(path: str) -> tuple[int, int]:
    status = os.lstat(path)
    return status.st_dev, status.st_ino


def _is_stale(path: str) -> bool:
    """Return whether a file is a socket on which nobody listens."""
    if not stat.S_ISSOCK(os.lstat(path).st_mode):
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        # A full backlog would let it wait.
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return False
