import os
import socket
import stat
from errno import EADDRINUSE
from pathlib import Path
from typing import cast

from twisted.internet import reactor  # noqa: TID251 (real sockets: trial runs this one)
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint, connectProtocol
from twisted.internet.interfaces import IReactorSocket, IReactorTime, IReactorUNIX
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from gnetway.admission.accounts import AccountLimits, Accounts
from gnetway.admission.admission import Admission, Bounds
from gnetway.metrics import Causes
from gnetway.net.accepting import Arrivals
from gnetway.net.records import ConnectionRecords
from gnetway.service.sockets import SocketFile, UnixPort, bind_unix


class BindTests(TestCase):
    def setUp(self) -> None:
        self.path = str(Path(self.mktemp()))

    def bind(self, mode: int = 0o600) -> socket.socket:
        bound = bind_unix(self.path, mode, 5)
        self.addCleanup(bound.close)
        return bound

    def assert_in_use(self) -> None:
        before = os.lstat(self.path).st_ino
        error = self.assertRaises(OSError, bind_unix, self.path, 0o600, 5)
        self.assertEqual(error.errno, EADDRINUSE)
        self.assertEqual(os.lstat(self.path).st_ino, before)

    def test_mode(self) -> None:
        for mode in (0o600, 0o660, 0o666):
            self.bind(mode)
            self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), mode)
            os.unlink(self.path)

    def test_it_listens(self) -> None:
        bound = self.bind()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(self.path)
            accepted, _ = bound.accept()
            accepted.close()
        self.assertFalse(bound.getblocking())

    def test_a_stale_one_gives_way(self) -> None:
        bind_unix(self.path, 0o600, 5).close()
        self.assertTrue(os.path.exists(self.path))
        self.bind(0o666)
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o666)

    def test_one_that_is_served_does_not(self) -> None:
        self.bind()
        self.assert_in_use()

    def test_one_that_is_busy_does_not(self) -> None:
        """Nobody accepts, and the backlog is full."""
        bind = socket.socket(socket.AF_UNIX)
        self.addCleanup(bind.close)
        bind.bind(self.path)
        bind.listen(0)
        for _ in range(3):
            client = socket.socket(socket.AF_UNIX)
            self.addCleanup(client.close)
            client.setblocking(False)
            client.connect_ex(self.path)
        self.assert_in_use()

    def test_what_is_no_socket_does_not(self) -> None:
        Path(self.path).write_text("precious")
        self.assert_in_use()
        os.unlink(self.path)
        os.symlink("/nowhere", self.path)
        self.assert_in_use()

    def test_no_directory(self) -> None:
        self.assertRaises(FileNotFoundError, bind_unix, f"{self.path}/x", 0o600, 5)


class SocketFileTests(TestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        bind_unix(str(self.path), 0o600, 5).close()
        self.file = SocketFile(str(self.path))

    def test_removed_once(self) -> None:
        self.file.remove()
        self.assertFalse(self.path.exists())
        self.file.remove()

    def test_a_successor_stays(self) -> None:
        """Another gateway may have taken over the path."""
        self.path.rename(self.path.with_suffix(".old"))
        bind_unix(str(self.path), 0o600, 5).close()
        self.file.remove()
        self.assertTrue(self.path.exists())


class Greeter(Protocol):
    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(b"hello")
        self.transport.loseConnection()


class Listener(Protocol):
    def __init__(self) -> None:
        self._data = b""
        self.heard: Deferred[bytes] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self._data += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.heard.callback(self._data)


class PortTests(TestCase):
    def setUp(self) -> None:
        self.path = str(Path(self.mktemp()))
        bound = bind_unix(self.path, 0o600, 5)
        causes = Causes()
        accounts = Accounts(lambda network: AccountLimits())
        self.port = UnixPort(
            bound,
            SocketFile(self.path),
            Factory.forProtocol(Greeter),
            cast(IReactorSocket, reactor),
            Arrivals(
                cast(IReactorTime, reactor),
                accounts,
                Admission(Bounds(), causes.count),
                causes,
                ConnectionRecords(cast(IReactorTime, reactor), lambda: 1e9, causes, accounts),
            ),
            lambda _: False,
        )
        # As for a user that is not the one who has bound it.
        self.patch(os, "chmod", self.refuse)
        self.port.startListening()

    def refuse(self, *_: object) -> None:
        raise PermissionError("not yours")

    def stop(self) -> Deferred[None]:
        stopped: Deferred[None] = self.port.stopListening()
        return stopped

    async def test_serves_and_keeps_its_mode(self) -> None:
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)
        endpoint = UNIXClientEndpoint(cast(IReactorUNIX, reactor), self.path)
        listener: Listener = await connectProtocol(endpoint, Listener())
        self.assertEqual(await listener.heard, b"hello")
        await self.stop()
        self.assertRaises(FileNotFoundError, os.stat, self.path)

    async def test_stops_without_its_file(self) -> None:
        os.unlink(self.path)
        await self.stop()

    async def test_another_process_goes_on_with_the_socket(self) -> None:
        """As workers do with one that they share."""
        shared = socket.fromfd(self.port.fileno(), socket.AF_UNIX, socket.SOCK_STREAM)
        self.addCleanup(shared.close)
        os.link(self.path, f"{self.path}-too")
        await self.stop()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(f"{self.path}-too")
