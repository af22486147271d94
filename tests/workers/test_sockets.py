import os
import socket
import stat
import tempfile
from contextlib import closing

from gnetway.config.model import GatewayConfig
from gnetway.errors import ConfigError
from gnetway.service.listeners import BACKLOG, bind_all
from gnetway.service.sockets import InheritedSockets
from gnetway.workers.process import WorkerSockets
from tests.ports import free_port
from tests.service.cases import ServiceCase


class SocketsCase(ServiceCase):
    def listening(self, *addresses: str, **keys: object) -> GatewayConfig:
        server = {"Addresses": list(addresses), **keys}
        return self.config(
            {"Endpoints": ["10.0.0.7:20120"]},
            ListenOn="127.0.0.1:0",
            Gnetway={"Server": [{"Addresses": ["127.0.0.1:0"]}, server]},
        )

    def bound(
        self,
        config: GatewayConfig,
        count: int = 2,
        inherited: InheritedSockets | None = None,
    ) -> WorkerSockets:
        sockets = WorkerSockets(config, count, inherited)
        self.addCleanup(sockets.close)
        sockets.bind()
        return sockets

    def accepted(self, listener: socket.socket) -> int:
        """Take all connections that wait, and return their number."""
        number = 0
        while True:
            try:
                listener.accept()[0].close()
            except BlockingIOError:
                return number
            number += 1

    def connect(self, where: tuple[str, int], number: int) -> None:
        for _ in range(number):
            client = socket.create_connection(where)
            self.addCleanup(client.close)


class SpreadTests(SocketsCase):
    def setUp(self) -> None:
        super().setUp()
        self.sockets = self.bound(self.listening("127.0.0.1:0"))
        self.first, self.second = (self.sockets.of(n)[0].bound for n in range(2))
        self.where = self.first.getsockname()

    def test_one_port_for_all(self) -> None:
        self.assertEqual(self.second.getsockname(), self.where)
        self.assertEqual(
            [str(listener) for listener in self.sockets.listeners],
            [f"127.0.0.1:{self.sockets.of(1)[n].port}" for n in range(2)],
        )

    def test_connections_are_spread(self) -> None:
        self.connect(self.where, 60)
        shares = self.accepted(self.first), self.accepted(self.second)
        self.assertEqual(sum(shares), 60)
        self.assertGreater(min(shares), 5)

    def test_those_of_a_worker_that_is_gone_get_none(self) -> None:
        """Until the next one listens on them."""
        self.sockets.shut(0)
        self.sockets.shut(0)
        self.connect(self.where, 20)
        self.assertEqual(self.accepted(self.second), 20)
        self.first.listen(BACKLOG)
        self.connect(self.where, 60)
        self.assertGreater(self.accepted(self.first), 5)

    def test_nobody_else_shares_the_port(self) -> None:
        """Not even another gateway with workers."""
        config = self.listening(f"127.0.0.1:{self.where[1]}")
        for bind in (bind_all, lambda given: WorkerSockets(given, 2).bind()):
            error = self.assertRaises(ConfigError, bind, config)
            self.assertIn("which cannot be bound: Address already in use", error.faults[0])

    def test_closed(self) -> None:
        self.sockets.close()
        self.assertRaises(ConnectionRefusedError, socket.create_connection, self.where)


class InheritedTests(SocketsCase):
    def passed(self, count: int) -> tuple[str, InheritedSockets]:
        """Return an address, and so many sockets of another process that listen there."""
        port, inherited = free_port(), InheritedSockets()
        for _ in range(count):
            bound = socket.socket()
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            bound.bind(("127.0.0.1", port))
            bound.listen()
            inherited.add([bound.detach()])
        return f"127.0.0.1:{port}", inherited

    def test_one_is_shared(self) -> None:
        """The end of a worker does not end it for the others."""
        address, inherited = self.passed(1)
        sockets = self.bound(self.listening(address), 3, inherited)
        sharing = [sockets.of(number)[1] for number in range(3)]
        self.assertEqual(len(set(map(id, sharing))), 1)
        sockets.shut(0)
        host, _, port = address.rpartition(":")
        self.connect((host, int(port)), 1)

    def test_several_are_dealt_out(self) -> None:
        address, inherited = self.passed(2)
        sockets = self.bound(self.listening(address), 3, inherited)
        first, second, third = (sockets.of(number)[1].bound for number in range(3))
        self.assertIs(first, third)
        self.assertIsNot(first, second)

    def test_more_than_workers(self) -> None:
        """What waits in those that nobody serves would be lost."""
        address, inherited = self.passed(3)
        error = self.assertRaises(ConfigError, self.bound, self.listening(address), 2, inherited)
        self.assertIn(f"found {address}, which cannot be bound: there are 3 sock", error.faults[0])


class FileTests(SocketsCase):
    def test_one_in_the_file_system_is_shared(self) -> None:
        path = f"{self.directory}/gateway.sock"
        sockets = self.bound(self.listening(f"unix:{path}"))
        self.assertIs(sockets.of(0)[1].bound, sockets.of(1)[1].bound)
        sockets.shut(0)
        with closing(socket.socket(socket.AF_UNIX)) as client:
            client.connect(path)
        sockets.close()
        self.assertFalse(os.path.exists(path))

    def test_where_http_is_carried(self) -> None:
        """To the first worker, for each listener that has any, by this user alone."""
        sockets = self.bound(self.listening("127.0.0.1:0", Proto="http"), 3)
        sockets.bind_relays()
        ((index, listener),) = sockets.relayed(0).items()
        path = str(listener).removeprefix("unix:")
        self.assertEqual((index, sockets.relayed(1)), (1, {}))
        self.assertEqual([sockets.http_elsewhere(n) for n in range(3)], [{}, {1: path}, {1: path}])
        for place in (path, os.path.dirname(path)):
            self.assertEqual(stat.S_IMODE(os.stat(place).st_mode) & 0o077, 0)
        sockets.close()
        self.assertFalse(os.path.exists(os.path.dirname(path)))

    def test_http_at_an_address_that_is_shared(self) -> None:
        place = f"unix:{self.directory}/gateway.sock"
        items = [{"Proto": proto, "Addresses": [place]} for proto in ("websocket", "http")]
        config = self.config(
            {"Endpoints": ["10.0.0.7:20120"]}, ListenOn="127.0.0.1:0", Gnetway={"Server": items}
        )
        sockets = self.bound(config)
        sockets.bind_relays()
        self.assertEqual(list(sockets.relayed(0)), [0])
        self.assertEqual(list(sockets.http_elsewhere(1)), [0])

    def test_no_folder_without_http(self) -> None:
        """Nobody would remove it after a parent that was killed."""
        self.patch(tempfile, "tempdir", str(self.directory))
        before = os.listdir(self.directory)
        sockets = self.bound(self.listening("127.0.0.1:0"))
        sockets.bind_relays()
        self.assertEqual(os.listdir(self.directory), before)
