"""A handler that does everything wrong: its clients are answered and keep their connections."""

from unittest import TestCase

from gnetway.tl.primitives import Constructor, pack_uint32
from gnetway.tl.service_messages import RpcErrorObject, RpcResult
from tests.live.client import LiveClient, constructor_of, now
from tests.live.gateway import TWISTD, Gateway, run
from tests.live.wild_handler import CANCELLED_LINE, WAIT, WAYS, wild

#: So many failing calls are sent at once.
MANY = 1000

#: The way of a plain exception.
FAILING = 9


class WildHandlerTests(TestCase):
    def setUp(self) -> None:
        self.gateway = Gateway(handler="tests.live.wild_handler.WildHandler")
        self.addCleanup(self.gateway.remove)
        self.gateway.start()

    def test_each_call_is_answered_on_the_same_connection(self) -> None:
        with LiveClient(self.gateway) as client:
            session = client.make_key()
            for which in range(len(WAYS)):
                with self.subTest(which):
                    error = RpcErrorObject.parse(client.call(session, wild(which)))
                    self.assertEqual((error.code, error.text), (500, "INTERNAL"))
        self.assertNotIn("Unhandled", self.gateway.log)

    def test_log_stays_small(self) -> None:
        with LiveClient(self.gateway) as client:
            session = client.make_key()
            client.ping(session)
            for _ in range(MANY):
                client.send(session.encrypt(wild(FAILING), now()))
            answered = 0
            for said in client.bodies(session):
                if constructor_of(said) == Constructor.RPC_RESULT:
                    RpcErrorObject.parse(RpcResult.parse(said).result)
                    answered += 1
                if answered == MANY:
                    break
        self.assertEqual(self.gateway.log.count("Traceback"), 1)
        self.assertLess(len(self.gateway.log), 20_000)
        self.gateway.stop()
        self.assertIn(f"The handler failed {MANY - 1} times more", self.gateway.log)

    def test_calls_are_cancelled_at_the_stop(self) -> None:
        with LiveClient(self.gateway) as client:
            session = client.make_key()
            client.send(session.encrypt(pack_uint32(WAIT), now()))
            client.ping(session)
            self.gateway.stop()
        self.assertEqual(self.gateway.log.count(CANCELLED_LINE), 1)
        self.assertNotIn("Traceback", self.gateway.log)


class RefusedHandlerTests(TestCase):
    def test_handler_that_takes_no_call_is_told_at_the_start(self) -> None:
        gateway = Gateway(handler="tests.live.wild_handler.NoCallHandler")
        self.addCleanup(gateway.remove)
        done = run(TWISTD, "-n", "--pidfile=", "gnetway", "-c", str(gateway.config_file))
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        [line] = done.stderr.splitlines()
        for words in ("Session.Embedded.Handler", "NoCallHandler", "one argument, the call"):
            self.assertIn(words, line)
