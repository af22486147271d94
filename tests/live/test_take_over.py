"""A second gateway takes the place of one that runs: nobody is refused, and no answer is lost."""

import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from unittest import TestCase

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from gnetway.interfaces import RpcCall
from gnetway.testing import ClientSession
from gnetway.tl.primitives import Constructor
from gnetway.tl.service_messages import BadServerSalt, RpcResult
from tests.live.active_client import ActiveClient, active
from tests.live.client import LiveClient, constructor_of, now
from tests.live.gateway import Gateway, until
from tests.live.handler import LiveHandler, cdn_file, echo
from tests.live.test_admin import AdminPage
from tests.live.web.listeners import dial_unix

#: Where each call is written down that is done; the gateways' environment has it.
JOURNAL = "TAKE_OVER_JOURNAL"

CLIENTS = int(os.environ.get("TAKE_OVER_CLIENTS", "100"))


class JournalHandler(LiveHandler):
    """Writes down the payload of each echo, in whichever process, and answers a moment later."""

    def handle(self, call: RpcCall) -> bytes | Deferred[bytes]:
        from twisted.internet import reactor  # noqa: PLC0415, TID251 (in the gateway's process)

        payload = call.body[5:13]
        with open(os.environ[JOURNAL], "ab") as journal:
            journal.write(payload + b"\n")
        return deferLater(reactor, 0.05, cdn_file, payload)


def payload(client: int, number: int) -> bytes:
    return b"%03d%05d" % (client, number)


def call(number: int, client: LiveClient, session: ClientSession, index: int) -> None:
    """Call, and wait for the answer; a call that is refused for its salt was not done."""
    body = echo(payload(number, index))
    client.send(session.encrypt(body, now()))
    msg_id = session.msg_id
    for said in client.bodies(session):
        match constructor_of(said):
            case Constructor.RPC_RESULT if RpcResult.parse(said).req_msg_id == msg_id:
                return
            case Constructor.BAD_SERVER_SALT:
                refused = BadServerSalt.parse(said)
                session.salt = refused.new_server_salt
                if refused.bad_msg_id == msg_id:
                    client.send(session.encrypt(body, now()))
                    msg_id = session.msg_id
            case Constructor.BAD_MSG_NOTIFICATION:
                raise AssertionError("a sound message is refused")


class TakeOverTests(TestCase):
    def setUp(self) -> None:
        self.gateway = self.beside(None)
        self.path = f"{self.gateway.folder}/clients.sock"
        self.take_over = f"{self.gateway.folder}/take-over.sock"
        self.gateway.config["Gnetway"] = {
            "Server": [{"Addresses": [self.gateway.address, f"unix:{self.path}"]}],
            "TakeOver": f"unix:{self.take_over}",
            "Drain": {"PerSecond": 100},
        }
        self.page = AdminPage()
        self.gateway.config["Admin"] = self.page.config
        self.gateway.write_config()
        self.journal = self.gateway.folder / "journal"
        self.gateway.environment[JOURNAL] = str(self.journal)
        self.gateway.start()

    def beside(self, running: Gateway | None) -> Gateway:
        """Return a gateway that is to start beside another one, by the same file."""
        gateway = Gateway(handler=f"{__name__}.{JournalHandler.__name__}")
        self.addCleanup(gateway.remove)
        if running is not None:
            gateway.config_file, gateway.port = running.config_file, running.port
            gateway.environment = running.environment
        return gateway

    def connect(self, number: int) -> LiveClient:
        """Connect; every fourth client by the socket in the file system."""
        return LiveClient(self.gateway, over=None if number % 4 else dial_unix(self.path))

    @contextmanager
    def probe(self) -> Iterator[None]:
        """Ask all the time whether the gateway is ready, as a balancer does."""
        over, answers = threading.Event(), set[tuple[int, str]]()

        def ask() -> None:
            while not over.wait(0.01):
                answers.add(self.page.ask("/readyz"))

        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        yield
        over.set()
        asking.join()
        self.assertEqual(answers, {(200, "ready\n")})

    def test_active_clients(self) -> None:
        """Each call is done once, and answered."""
        clients = [
            ActiveClient(partial(self.connect, number), LiveClient.make_key, partial(call, number))
            for number in range(CLIENTS)
        ]
        following = self.beside(self.gateway)
        with active(self, clients), self.probe():
            before = self.gateway.pid
            following.start()
            self.assertEqual(self.gateway.wait(), 0)
        self.assertIn(f"process {before} drains", following.log)
        done = Counter(self.journal.read_bytes().split())
        called = [payload(n, i) for n, each in enumerate(clients) for i in range(each.answered)]
        self.assertEqual(done, Counter(called))
        self.assertIn(f"process {following.pid} has taken over", self.gateway.log)
        self.assertIn(f"'gateway_stopped': {CLIENTS}", self.gateway.log)

    def test_one_after_the_other(self) -> None:
        """Files of sockets go with the last one, and one that cannot start changes nothing."""
        first = self.gateway
        broken = self.beside(first)
        config = first.config_file.read_text()
        first.config_file.write_text(config.replace("JournalHandler", "NoHandler"))
        self.assertRaises(AssertionError, broken.start)
        until(lambda: "has not taken over, this one goes on" in first.log, "it is told")
        first.config_file.write_text(config)
        with LiveClient(first) as client:
            client.ping(client.make_key())
            second, third = self.beside(first), self.beside(first)
            second.start()
            self.assertTrue(client.ended())
        self.assertEqual(first.wait(), 0)
        third.start()
        middle = second.pid
        self.assertEqual(second.wait(), 0)
        self.assertIn(f"process {middle} drains", third.log)
        with LiveClient(third, over=dial_unix(self.path)) as client:
            client.ping(client.make_key())
        self.assertEqual(third.stop(), -signal.SIGTERM)
        self.assertFalse(os.path.exists(self.path))
        self.assertFalse(os.path.exists(self.take_over))
