"""Sockets in the file system, which Twisted would open to everybody.

They are made with their mode, taken over when stale, and removed.
"""

import os
import socket
import stat
from contextlib import suppress
from errno import EADDRINUSE

from twisted.internet import tcp, unix
from twisted.internet.interfaces import IProtocolFactory, IReactorSocket
from twisted.python.failure import Failure

from gnetway.net.accepting import Arrivals, IsBalancer
from gnetway.runtime.try_write import UnixClientTransport


class SocketFile:
    """The file of a socket that was bound here: removed only while it is still the same one.

    One that is ``foreign`` stays where it is: the process that has bound it removes it.
    """

    def __init__(self, path: str, foreign: bool = False) -> None:
        self.path = path
        self._foreign = foreign
        self._lent = False
        self._identity = _identity(path)

    def lend(self, lent: bool) -> None:
        """Leave it where it is as long as it is another gateway's too, or have it back."""
        self._lent = lent

    def remove(self) -> None:
        """Remove the file, unless it is gone or somebody else's by now."""
        if self._foreign or self._lent:
            return
        with suppress(OSError):
            if _identity(self.path) == self._identity:
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


def _identity(path: str) -> tuple[int, int]:
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
