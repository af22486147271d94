"""What connections, sessions and keys tell of themselves, whatever the backend is."""

from dataclasses import fields

from twisted.trial.unittest import SynchronousTestCase

from gnetway import events
from gnetway.crypto.auth_key import AuthKey, KeyKind
from gnetway.events import (
    AuthKeyBound,
    AuthKeyDestroyed,
    AuthKeyMade,
    ClientInited,
    ConnectionClosed,
    ConnectionOpened,
    GatewayEvent,
    SessionClosed,
    SessionOpened,
)
from gnetway.tl.service_messages import Ping
from tests.connection.wrappers import PERM
from tests.fakes import some_key
from tests.net.gateway import Gateway
from tests.net.test_key_maker import WANTED
from tests.net.test_records import TALKING, FakePort, FakeTransport, RecordsCase
from tests.net.unbound import connect, decide, say_bind


class SessionEventsTests(SynchronousTestCase):
    def hear(self, gateway: Gateway) -> list[GatewayEvent]:
        got: list[GatewayEvent] = []
        gateway.events.subscribe(GatewayEvent, got.append)
        return got

    def test_a_session_is_opened_once_and_closed_by_the_last(self) -> None:
        gateway = Gateway()
        got = self.hear(gateway)
        link, session = gateway.talking(3)
        ids = (session.key.auth_key_id, session.key.auth_key_id, session.session_id)
        opened = SessionOpened(*ids, "192.0.2.3")
        self.assertEqual(got, [opened])
        second = gateway.connect()
        second.say(session, Ping(2).pack())
        link.leave()
        self.assertEqual(got, [opened])
        second.leave()
        self.assertEqual(got, [opened, SessionClosed(*ids)])

    def test_a_bind_that_is_accepted(self) -> None:
        gateway, link, session = connect()
        got = self.hear(gateway)
        say_bind(link, session)
        decide(gateway.backend.sent[0], None)
        gateway.settle()
        bound = [event for event in got if isinstance(event, AuthKeyBound)]
        self.assertEqual(bound, [AuthKeyBound(session.key.auth_key_id, PERM.auth_key_id)])

    def test_a_key_that_is_over(self) -> None:
        gateway = Gateway()
        got = self.hear(gateway)
        gateway.registry.forget_key(5)
        gateway.settle()
        self.assertEqual(got, [AuthKeyDestroyed(5)])

    def test_a_key_that_was_made(self) -> None:
        gateway = Gateway()
        got = self.hear(gateway)
        wanted = WANTED._replace(key=AuthKey(some_key(1).secret, KeyKind.TEMP), dc_id=2)
        self.assertTrue(self.successResultOf(gateway.key_maker.store(wanted, "192.0.2.1")))
        gateway.settle()
        key_id = wanted.key.auth_key_id
        self.assertEqual(got, [AuthKeyMade(key_id, KeyKind.TEMP, 60, 2, "192.0.2.1")])

    def test_a_key_that_was_refused_is_not_told(self) -> None:
        gateway = Gateway()
        got = self.hear(gateway)
        gateway.backend.store_outcomes = [False]
        self.assertFalse(self.successResultOf(gateway.key_maker.store(WANTED, "192.0.2.1")))
        gateway.settle()
        self.assertEqual(got, [])


class ShownPort(FakePort):
    shown = "tcp on :443"


class ConnectionEventsTests(RecordsCase):
    def setUp(self) -> None:
        super().setUp()
        self.got: list[GatewayEvent] = []
        self.records._events.subscribe(GatewayEvent, self.got.append)

    def test_each_that_is_opened_is_closed_with_its_cause(self) -> None:
        port = ShownPort("tcp")
        place = self.let_in()
        transport = place.transport
        assert isinstance(transport, FakeTransport)
        transport.server = port
        self.records.let_in(place, port)
        self.records.note_end(place, "slow_reader", TALKING, "too slow")
        self.clock.advance(2)
        place.gone(transport, b"")
        opened, closed = self.got
        assert isinstance(opened, ConnectionOpened)
        assert isinstance(closed, ConnectionClosed)
        self.assertEqual((opened.address, opened.listener), ("192.0.2.1:40000", "tcp on :443"))
        self.assertEqual(closed.connection_id, opened.connection_id)
        self.assertEqual((closed.cause, closed.detail), ("slow_reader", "too slow"))
        self.assertEqual((closed.address, closed.transport), ("192.0.2.1", "abridged"))
        self.assertAlmostEqual(closed.seconds, 2)


class SecrecyTests(SynchronousTestCase):
    def test_no_event_has_a_place_for_a_secret(self) -> None:
        names = {
            field.name
            for kind in vars(events).values()
            if isinstance(kind, type) and issubclass(kind, GatewayEvent)
            for field in fields(kind)
        }
        self.assertEqual(
            names & {"key", "auth_key", "salt", "secret", "payload", "body", "plaintext"}, set()
        )
        self.assertIn("client", {field.name for field in fields(ClientInited)})
