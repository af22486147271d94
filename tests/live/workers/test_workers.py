"""Two workers before foreign session services: spread, registered, restarted, and all gone."""

import contextlib
import os
import signal
import socket
from pathlib import Path
from typing import ClassVar

from gnetway.config.session import Carrier
from gnetway.crypto.rsa import RsaKey, generate_pem
from gnetway.testing import ClientSession
from gnetway.workers.supervisor import ANSWER_SECONDS, SILENT_SECONDS
from tests.live.active_client import ActiveClient, active
from tests.live.client import LiveClient
from tests.live.cluster.cluster import GATEWAYS
from tests.live.cluster.foreign import ForeignTestCase
from tests.live.gateway import PATIENCE_SECONDS, Gateway, until
from tests.live.loadgen import LoadgenSession


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def has_connection(pid: int, client: socket.socket) -> bool:
    """Tell whether a process has the other end, once anybody has accepted it."""
    port = f":{client.getsockname()[1]:04X}"

    def accepted() -> str:
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[2].endswith(port):
                return fields[9]
        return "0"

    until(lambda: accepted() != "0", "a connection is accepted")
    sought = f"socket:[{accepted()}]"
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            if os.readlink(descriptor) == sought:
                return True
    return False


def unclosed(port: int) -> int:
    """Return how many connections to a port its listener's side has not closed."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    # ESTABLISHED, and CLOSE_WAIT after the client's own end.
    return sum(line[1].endswith(f":{port:04X}") and line[3] in ("01", "08") for line in lines)


class WorkersCase(ForeignTestCase):
    by_stream = True
    carrier = Carrier.NATIVE
    proto: ClassVar[str] = "tcp"

    def setUp(self) -> None:
        # After the gateway's own end, which is a sudden one.
        self.seen: set[int] = set()
        self.addCleanup(lambda: self.assert_none_left(self.seen))
        super().setUp()
        self.addCleanup(lambda: self.seen.update(self.workers().values()))
        self.gateway.config |= {
            "Workers": 2,
            "Gnetway": {"Server": [{"Proto": self.proto, "Addresses": [self.gateway.address]}]},
        }
        self.gateway.write_config()

    def serve(self) -> list[LoadgenSession]:
        """Start a session service and the gateway; return when both workers know it."""
        services = self.start_foreign(1, 40)
        for number in range(2):
            self.knows(number, services[0].address)
        until(lambda: self.registered() == self.addresses(), "both are registered")
        self.seen.update(self.workers().values())
        return services

    def knows(self, number: int, node: str) -> None:
        """Wait until a worker has heard of a session node."""
        line = f"worker {number}: session node {node} joins"
        until(lambda: line in self.gateway.log, line)

    def workers(self) -> dict[int, int]:
        """Return the number of each worker, and the process that it has had last."""
        if not self.gateway.log_file.exists():
            return {}
        lines = [line for line in self.gateway.log.splitlines() if " serves, process " in line]
        return {
            int(number): int(pid)
            for line in lines
            for number, pid in [line.partition("#info] worker ")[2].split(" serves, process ")]
        }

    def registered(self) -> set[str]:
        return set(self.etcd.read(GATEWAYS).values())

    def address(self, number: int) -> str:
        host, _, port = self.gateway.grpc_address.rpartition(":")
        return f"{host}:{int(port) + number}"

    def addresses(self) -> set[str]:
        return {self.address(0), self.address(1)}

    def assert_none_left(self, workers: set[int]) -> None:
        until(lambda: not any(map(alive, workers)), "no worker is left")

    # -- clients -------------------------------------------------------------------------------

    def known(self, number: int) -> ClientSession:
        """Return a session of a key that the service knows."""
        key, salt = self.keys.read()[number]
        return ClientSession(key, salt, os.urandom)

    def connect_to(self, worker: int) -> LiveClient:
        """Return a connection that the kernel has given to this worker."""
        while True:
            connected = socket.create_connection(("127.0.0.1", self.gateway.port))
            client = LiveClient(self.gateway, over=connected)
            if has_connection(self.workers()[worker], connected):
                self.addCleanup(connected.close)
                return client
            connected.close()


class WorkersTests(WorkersCase):
    def test_both_serve_until_the_stop(self) -> None:
        services = self.serve()
        self.assert_no_errors(self.start_clients(40, 4, 3).result())
        counters = self.settled(services)
        self.assert_sound(counters)
        self.assertEqual(counters[0]["gateway_streams"], 2)
        os.kill(self.gateway.pid, signal.SIGUSR2)
        told = "connections ended, by cause: {'client_closed': 40}"
        until(lambda: told in self.gateway.log, "counts in the log")
        workers = self.workers()
        self.assertEqual(self.gateway.stop(), -signal.SIGTERM)
        self.assertEqual(self.registered(), set())
        self.assertFalse(any(map(alive, workers.values())))
        for number in workers:
            self.assertIn(f"worker {number}: pushes, by outcome: {{'delivered'", self.gateway.log)

    def test_one_is_killed(self) -> None:
        """The connections of the other go on; it comes back under the same address."""
        self.serve()
        before, dead = self.workers(), self.etcd.read(GATEWAYS).items()
        other, dying = self.connect_to(0), self.connect_to(1)
        session = self.known(0)
        other.ping(session, 1)
        dying.ping(self.known(1), 1)
        os.kill(before[1], signal.SIGKILL)
        self.assertTrue(dying.ended())
        until(lambda: self.workers()[1] != before[1], "another worker")
        other.ping(session, 2)
        self.assertEqual(self.workers()[0], before[0])
        self.assertIn("worker 1 has ended by SIGKILL", self.gateway.log)
        # Under another lease than the dead one, which has not run out.
        until(
            lambda: self.address(1) in dict(self.etcd.read(GATEWAYS).items() - dead).values(),
            "registered anew",
        )
        self.connect_to(1).ping(self.known(2), 3)

    def test_new_connections_go_to_the_other_while_one_is_gone(self) -> None:
        self.serve()
        os.kill(self.workers()[0], signal.SIGKILL)
        until(lambda: "worker 0 has ended by SIGKILL" in self.gateway.log, "it is seen to be gone")
        for number in range(10):
            with LiveClient(self.gateway) as client:
                client.ping(self.known(number), 1)

    def test_a_reload_and_sigterm_to_a_worker(self) -> None:
        """Both take it while their clients talk; one that ends is followed by one that has it."""
        self.serve()
        clients = [(self.connect_to(number), self.known(number)) for number in range(2)]
        for client, session in clients:
            client.ping(session, 1)
        (self.gateway.folder / "new.key").write_bytes(generate_pem())
        self.gateway.config["RSAKey"] = [{"KeyFile": "./new.key"}]
        self.gateway.write_config()
        os.kill(self.gateway.pid, signal.SIGHUP)
        until(lambda: "reload 1: taken are RSAKey; the" in self.gateway.log, "it is taken")
        before = self.workers()
        os.kill(before[1], signal.SIGTERM)
        clients[0][0].ping(clients[0][1], 2)
        until(lambda: self.workers()[1] != before[1], "another worker")
        self.gateway.rsa = RsaKey.from_pem((self.gateway.folder / "new.key").read_bytes())
        for number in range(2):
            self.connect_to(number).make_key()
        self.assertIn("worker 1 has ended with status 0", self.gateway.log)
        self.assertEqual(self.workers()[0], before[0])

    def test_the_parent_is_killed(self) -> None:
        """The workers leave etcd and end, and a new parent has the ports again."""
        self.serve()
        os.kill(self.gateway.pid, signal.SIGKILL)
        self.gateway.wait()
        self.assert_none_left(self.seen)
        self.assertEqual(self.registered(), set())
        self.gateway.start()
        until(lambda: self.registered() == self.addresses(), "both are registered")


class TakeOverTests(WorkersCase):
    def test_active_clients(self) -> None:
        """From parent to parent; pushes for those who are left reach the old workers."""
        gateway = self.gateway
        gateway.config["Gnetway"] = {
            "Server": [{"Addresses": [gateway.address]}],
            "TakeOver": "unix:take-over.sock",
        }
        gateway.write_config()
        services = self.serve()
        following = Gateway()
        self.addCleanup(following.remove)
        self.addCleanup(self.assert_no_faults, following)
        following.config_file = gateway.config_file

        def call(client: LiveClient, session: ClientSession, index: int) -> None:
            client.ping(session, index)

        def client(number: int) -> ActiveClient:
            return ActiveClient(lambda: LiveClient(gateway), lambda _: self.known(number), call)

        clients = [client(number) for number in range(40)]
        with active(self, clients):
            following.start()
            self.assertEqual(gateway.wait(), 0)
        self.assert_none_left(self.seen)
        self.assertEqual(len(self.registered() - self.addresses()), 2)
        self.assertEqual(len(self.registered()), 2)
        self.assert_sound(self.settled(services))
        # That it has another port than ListenOn is no change of the file.
        os.kill(following.pid, signal.SIGHUP)
        until(lambda: "reload 1: nothing differs" in following.log, "it is reloaded")
        self.assertNotIn("need a restart", following.log)
        self.assertEqual(following.stop(), -signal.SIGTERM)
        self.assertEqual(self.registered(), set())


class HangTests(WorkersCase):
    def assert_no_faults(self, gateway: Gateway) -> None:
        """None but the one that this is about."""
        lines = [
            line
            for line in gateway.log.splitlines()
            if any(sign in line for sign in ("Traceback", "#error", "#critical"))
        ]
        self.assertEqual([" hangs: " in line for line in lines], [True], lines)

    def test_one_that_hangs_is_replaced(self) -> None:
        self.serve()
        before = self.workers()
        hanging = self.connect_to(1)
        hanging.ping(self.known(0), 1)
        os.kill(before[1], signal.SIGSTOP)
        until(
            lambda: f"worker 1, process {before[1]}, hangs" in self.gateway.log,
            "it is noticed",
            SILENT_SECONDS + ANSWER_SECONDS + PATIENCE_SECONDS,
        )
        self.assertTrue(hanging.ended())
        until(lambda: self.workers()[1] != before[1], "another worker")
        self.assertIn("worker 1 has ended by SIGKILL", self.gateway.log)
        self.connect_to(1).ping(self.known(1), 2)
        self.assertEqual(self.workers()[0], before[0])


class GrpcioTests(WorkersCase):
    carrier = Carrier.GRPCIO

    def test_both_serve_until_the_stop(self) -> None:
        services = self.serve()
        self.assert_no_errors(self.start_clients(40, 4, 3).result())
        self.assert_sound(self.settled(services))
        self.assertEqual(self.gateway.stop(), -signal.SIGTERM)
        self.assertEqual(self.registered(), set())


class HttpTests(WorkersCase):
    """One worker serves HTTP, whichever the kernel gives a connection to."""

    by_stream = False
    proto = "auto"

    def test_key_exchanges_and_messages(self) -> None:
        services = self.serve()
        rsa = f"-rsa={self.gateway.public_key_file}"
        over = "-transport=http"
        made = self.start_clients(4, 1, 2, over, "-mode=handshake", rsa).result()
        self.assert_no_errors(made)
        self.assert_no_errors(self.start_clients(20, 1, 2, over).result())
        # What is open at the stop would be counted.
        until(lambda: not unclosed(self.gateway.port), "connections are closed")
        self.gateway.stop()
        (counters,) = self.settled(services)
        self.assertEqual((counters["reply_errors"], counters["bad"]), (0, 0))
        self.assertIn("worker 1: connections ended, by cause: {}", self.gateway.log)
        self.assertNotIn("worker 0: connections ended, by cause: {}", self.gateway.log)


class FaultTests(WorkersCase):
    def test_a_taken_grpc_port(self) -> None:
        """By a listener of the same gateway: it is told before anything runs."""
        server = {"Addresses": [self.gateway.address, self.address(1)]}
        self.gateway.config["Gnetway"] = {"Server": [server]}
        self.gateway.write_config()
        with self.assertRaises(AssertionError) as caught:
            self.gateway.start()
        self.assertIn(
            f"ListenOn: found {self.address(1)}, which cannot be bound", str(caught.exception)
        )
        self.assertNotIn("Traceback", self.gateway.log)
