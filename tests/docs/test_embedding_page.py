"""docs/embedding.md: its examples run, and each event is there."""

import os
import re
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from gnetway import events
from gnetway.errors import PushFailed, RpcError, TransportError
from gnetway.events import Events, GatewayEvent, SessionOpened
from gnetway.interfaces import RpcCall
from gnetway.service.endpoints import MtprotoEndpoint
from gnetway.testing.fakes import FakeSession, FakeSessions
from gnetway.testing.stores import StoreConformance
from tests.service.cases import rsa_pem

PAGE = (Path(__file__).parents[2] / "docs" / "embedding.md").read_text()

EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def example(word: str) -> dict[str, Any]:
    """Run the example that has a word in it, and return its names."""
    (code,) = (one for one in EXAMPLES if word in one)
    names: dict[str, Any] = {"__name__": "example"}
    exec(code, names)
    return names


class EventsTests(SynchronousTestCase):
    def test_each_is_in_the_table(self) -> None:
        table = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
        kinds = {
            name
            for name, kind in vars(events).items()
            if isinstance(kind, type) and issubclass(kind, GatewayEvent)
        }
        self.assertEqual(kinds - table, {"GatewayEvent"})

    def test_a_listener(self) -> None:
        hub = Events()
        presence = example("class Presence")["Presence"](hub)
        hub.tell(SessionOpened(1, 1, 2, "192.0.2.1"))
        self.assertEqual(presence.sessions, {(1, 2)})
        presence.stop()
        self.assertFalse(hub.heard)


class EndpointTests(SynchronousTestCase):
    def test_a_gateway_in_a_string(self) -> None:
        folder = self.mktemp()
        os.mkdir(folder)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(folder)
        Path("server.key").write_bytes(rsa_pem())
        service = example("RpcFactory(Hello)")["service"]
        self.assertIsInstance(service.endpoint, MtprotoEndpoint)
        self.assertEqual(service.endpoint.config.session.embedded.store[-11:], "keys.sqlite")


class ChatTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.names = example("class Chat")
        self.mine, self.other = FakeSession(context={}), FakeSession(session_id=2, context={})
        self.chat = self.names["Chat"](FakeSessions([self.mine, self.other]))

    def call(self, constructor: int, text: bytes = b"") -> Deferred[bytes]:
        body = constructor.to_bytes(4, "little") + text
        call = RpcCall(body, constructor, 1, 1, 1, 1, 0, "192.0.2.1", session=self.mine)
        return Deferred.fromCoroutine(self.chat.handle(call))

    def test_log_in_say_and_log_out(self) -> None:
        said = self.failureResultOf(self.call(self.names["SAY"], b"hello"), RpcError)
        self.assertEqual(said.value.code, 401)
        self.assertEqual(
            self.successResultOf(self.call(self.names["LOG_IN"], b"ada\0")), b"\xb5ur\x99"
        )
        self.successResultOf(self.call(self.names["SAY"], b"hello"))
        self.assertEqual([body[4:] for body in self.mine.pushed], [b"hello"])
        self.assertEqual(self.other.pushed, [])
        self.successResultOf(self.call(self.names["LOG_OUT"], b"ada"))
        self.assertEqual((self.mine.ended, self.other.ended), ([], [0]))

    def test_who_is_banned(self) -> None:
        error = self.failureResultOf(self.call(self.names["LOG_IN"], b"mallory"), TransportError)
        self.assertEqual(error.value.code, -404)

    def test_all_of_a_user_are_told(self) -> None:
        self.successResultOf(self.call(self.names["LOG_IN"], b"ada"))
        told = Deferred.fromCoroutine(self.chat.tell(b"ada", b"news"))
        self.mine.acks[0].callback(None)
        self.other.acks[0].errback(PushFailed(PushFailed.TIMED_OUT))
        self.assertEqual(self.successResultOf(told), 1)


class KeyStoreTests(SynchronousTestCase):
    def test_a_test_of_a_store(self) -> None:
        """It runs for itself in tests/backends/embedded/test_stores.py."""
        self.assertTrue(issubclass(example("class KeysTests")["KeysTests"], StoreConformance))


class MiddlewareTests(SynchronousTestCase):
    def test_they_stand_before_the_handler(self) -> None:
        names = example("def bounded")
        call = RpcCall(b"call", 1, 1, 1, 1, 1, 0, "192.0.2.1")
        answered = names["bounded"](call, lambda call: succeed(b"done"))
        self.assertEqual(self.successResultOf(answered), b"done")
        refused = names["logged"](call, lambda call: fail(RpcError(400, "NO")))
        self.failureResultOf(Deferred.fromCoroutine(refused), RpcError)
