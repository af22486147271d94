"""No secret in any log at any level, nor in the texts of these classes."""

from dataclasses import replace

from twisted.logger import ILogObserver, LogEvent, eventAsText, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from gnetway.errors import BackendUnavailable, KeyUnknown
from gnetway.testing import Bends, ClientSession
from gnetway.tl.service_messages import Ping
from tests.connection.styles import STYLES
from tests.connection.test_secrecy import run_secrets
from tests.connection.wrappers import bind_body, temp_key
from tests.fakes import FakeBackend, some_key
from tests.handshake.server import make_client, told
from tests.net.gateway import Gateway
from tests.strategies import SeededBytes

KEY = some_key(1)


@implementer(ILogObserver)
class Observer:
    def __init__(self) -> None:
        self.events: list[LogEvent] = []

    def __call__(self, event: LogEvent) -> None:
        self.events.append(event)


class LogTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.observer = Observer()
        globalLogPublisher.addObserver(self.observer)
        self.addCleanup(globalLogPublisher.removeObserver, self.observer)

    def logged(self) -> str:
        """All that any observer could make of what was logged, its failures in detail."""
        texts = []
        for event in self.observer.events:
            texts += [eventAsText(event), repr(event)]
            if "log_failure" in event:
                failure = event["log_failure"]
                texts += [failure.getTraceback(), failure.getTraceback(detail="verbose")]
        return "\n".join(texts)

    def test_the_life_of_links(self) -> None:
        gateway = Gateway()
        secrets = []
        for number, style in enumerate(STYLES):
            link, client = gateway.connect(style), make_client(number)
            key = link.make_key(client)
            body = SeededBytes(number)(64)
            session = ClientSession(key, client.salt, link.chance)
            link.say(session, body, quick_ack=True)
            gateway.registry.push(key.auth_key_id, session.session_id, bytes(16) + body)
            secrets += [*run_secrets(client, gateway.secrets), body, body[:16]]
            link.leave(clean=number % 2 == 0)
        self.assertEqual(told(self.logged(), secrets), [])

    def test_what_goes_wrong(self) -> None:
        gateway = Gateway()
        temp, body = temp_key(), SeededBytes(9)(64)
        gateway.knows(KEY, temp)
        altered = make_client(bends=Bends(inner=lambda inner: replace(inner, nonce=bytes(16))))
        link = gateway.connect()
        link.query(altered.receive(link.ask(altered.begin())))
        for key in (KEY, temp, some_key(3)):
            link = gateway.connect()
            link.say(link.session(key), body)
            link.feed(b"\xff" * 200)
        gateway.backend.held = True
        for error in (BackendUnavailable("no"), ZeroDivisionError(), KeyUnknown("no")):
            link = gateway.connect()
            link.say(link.session(some_key(4)), body)
            gateway.backend.queries[-1][1].errback(error)
        gateway.backend.store_outcomes = [ZeroDivisionError()]
        client = make_client(7)
        gateway.connect().make_key(client)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
        secrets = [*run_secrets(client, gateway.secrets), KEY.secret, temp.secret]
        secrets += [body, body[:16], altered.nonce, altered.new_nonce, some_key(4).secret]
        self.assertGreater(len(self.logged()), 1000)
        self.assertEqual(told(self.logged(), secrets), [])

    def test_a_clients_mistake_is_counted_and_not_logged(self) -> None:
        gateway = Gateway()
        gateway.knows(KEY)
        for junk in (b"GET / HTTP/1.1\r\n", b"\xef\x01" + bytes(64), b"\xef\x7f" + b"\xff" * 63):
            gateway.connect().feed(junk)
        link = gateway.connect()
        link.say(link.session(some_key(9)), Ping(1).pack())
        self.assertEqual(sum(gateway.ended().values()), 4)
        self.assertEqual(self.observer.events, [])


class TextTests(SynchronousTestCase):
    def test_no_object_tells_what_it_holds(self) -> None:
        gateway = Gateway()
        temp = temp_key()
        gateway.knows(KEY, temp)
        link = gateway.connect()
        client = make_client()
        link.make_key(client)
        body = SeededBytes(9)(64)
        link.say(link.session(KEY), body)
        link.say(link.session(temp), bind_body())
        secrets = [*run_secrets(client, gateway.secrets), KEY.secret, temp.secret, body, body[:16]]
        for thing in (
            link.protocol,
            link.link,
            link.link._connection,
            replace(gateway.services, backend=FakeBackend()),
            gateway.services.setup,
            gateway.exchanges,
            gateway.key_maker,
            gateway.registry,
            gateway.keys,
            *gateway.backend.opened,
        ):
            with self.subTest(thing=type(thing).__name__):
                self.assertEqual(told(repr(thing), secrets), [])
