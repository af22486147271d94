"""One TCP connection: what reaches the backend and the client, and how it ends."""

import gc

from hypothesis import given, settings
from hypothesis.strategies import sampled_from
from twisted.internet.interfaces import IPushProducer
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from gnetway.connection.connection import Connection
from gnetway.errors import BackendUnavailable, KeyUnknown
from gnetway.mtproto.message import pack_message
from gnetway.testing import ClientSession, Framing, QuickAck, Style, plain_packet
from gnetway.tl.service_messages import Ping, Pong
from tests.connection.styles import STYLES
from tests.fakes import Sent, some_key
from tests.handshake.server import make_client
from tests.net.gateway import Gateway
from tests.net.unbound import connect, decide, say_bind
from tests.strategies import cut, cuts

KEY = some_key(1)
PING = Ping(1).pack()


class MessageTests(SynchronousTestCase):
    def test_in_every_style_a_key_is_made_and_a_message_answered(self) -> None:
        for style in STYLES:
            with self.subTest(style=style):
                gateway = Gateway()
                link, client = gateway.connect(style), make_client()
                key = link.make_key(client)
                session = ClientSession(key, client.salt, link.chance)
                link.say(session, PING)
                (sent,) = gateway.backend.sent
                self.assertEqual(sent.client.key.secret, key.secret)
                self.assertEqual(sent.client.session_id, session.session_id)
                self.assertEqual(sent.salt, client.salt)
                self.assertEqual(sent.payload[:8], session.msg_id.to_bytes(8, "little"))
                self.assertEqual(sent.payload[16 : 16 + len(PING)], PING)
                self.assertEqual((sent.quick_ack, sent.done), (False, None))
                pong = Pong(session.msg_id, 1).pack()
                plaintext = pack_message(3, session.session_id, 1, 0, pong)
                self.assertTrue(
                    gateway.registry.push(key.auth_key_id, session.session_id, plaintext)
                )
                link.read()
                self.assertEqual([said.body for said in link.said(session)], [pong])

    def test_a_lost_connection_leaves_nothing_for_the_collector(self) -> None:
        """Else a crowd that comes and goes takes the memory of several."""
        gateway = Gateway()
        gateway.knows(KEY)
        link = gateway.connect(STYLES[0])
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        held = self.connections()
        link.say(link.session(KEY), PING)
        link.leave()
        del link.link
        self.assertEqual(self.connections(), held - 1)

    def test_nor_does_one_that_was_lost_at_a_bind(self) -> None:
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        for error in (None, KeyUnknown("401"), BackendUnavailable("down")):
            for decided_first in (True, False):
                gateway, link, session = connect()
                held = self.connections()
                say_bind(link, session)
                sent = gateway.backend.sent.pop()
                if decided_first:
                    decide(sent, error)
                link.leave()
                del link.link
                if not decided_first:
                    decide(sent, error)
                del sent
                self.assertEqual(self.connections(), held - 1)

    def connections(self) -> int:
        # By their types: what other tests have left may not even tell its class.
        return sum(type(held) is Connection for held in gc.get_objects())

    @settings(max_examples=20)
    @given(sampled_from(STYLES), cuts())
    def test_any_split(self, style: Style, sizes: list[int]) -> None:
        gateway = Gateway()
        gateway.knows(KEY)
        link = gateway.connect(style)
        session = link.session(KEY)
        data = link.client.packet(plain_packet(make_client().begin(), link.now))
        data += b"".join(
            link.client.packet(session.encrypt(Ping(number).pack(), link.now))
            for number in range(3)
        )
        for segment in cut(data, sizes):
            link.feed(segment)
        self.assertEqual(len(link.packets()), 1)
        self.assertEqual(
            [sent.payload[16:28] for sent in gateway.backend.sent],
            [Ping(number).pack() for number in range(3)],
        )
        self.assertEqual((gateway.ended(), link.open), ({}, True))

    def test_the_quick_ack_comes_when_the_backend_has_the_message(self) -> None:
        for style in STYLES:
            with self.subTest(style=style):
                gateway = Gateway()
                gateway.knows(KEY)
                link = gateway.connect(style)
                session = link.session(KEY)
                link.say(session, PING, quick_ack=True)
                if style.framing is Framing.FULL:
                    self.assertEqual((link.got, gateway.backend.sent[0].quick_ack), ([], False))
                else:
                    self.assertEqual(link.got, [QuickAck(session.quick_ack_token)])
                    self.assertTrue(gateway.backend.sent[0].quick_ack)

    def test_an_answer_given_at_once_is_sent(self) -> None:
        gateway = Gateway()
        gateway.knows(KEY)
        link = gateway.connect()
        session = link.session(KEY)

        def answer(sent: Sent) -> None:
            plaintext = pack_message(3, session.session_id, 1, 0, PING)
            gateway.registry.push(KEY.auth_key_id, session.session_id, plaintext)

        gateway.backend.on_send = answer
        link.say(session, PING)
        link.say(session, PING)
        self.assertEqual([said.body for said in link.said(session)], [PING, PING])


class SetUpTests(SynchronousTestCase):
    def test_small_packets_leave_at_once(self) -> None:
        transport = Gateway().connect().transport
        self.assertTrue(transport.no_delay)
        self.assertTrue(transport.keep_alive)

    def test_it_can_be_paused(self) -> None:
        link = Gateway().connect()
        verifyObject(IPushProducer, link.link.output)
        self.assertIs(link.transport.producer, link.link.output)

    def test_the_backend_hears_the_clients_address(self) -> None:
        gateway = Gateway()
        gateway.knows(KEY)
        link = gateway.connect(client_ip="2001:db8::1")
        link.say(link.session(KEY), PING)
        client = gateway.backend.opened[0]
        self.assertEqual((client.client_ip, client.local_ip), ("2001:db8::1", "10.0.0.1"))


class EndTests(SynchronousTestCase):
    def test_who_leaves_is_counted_by_how(self) -> None:
        gateway = Gateway()
        gateway.connect().leave()
        gateway.connect().leave(clean=False)
        gateway.connect().leave(clean=False)
        self.assertEqual(gateway.ended(), {"client_closed": 1, "client_lost": 2})
        self.assertEqual((len(gateway.open_links), len(gateway.wheel)), (0, 0))
        self.assertEqual(gateway.clock.getDelayedCalls(), [])

    def test_an_end_of_ours_is_counted_once(self) -> None:
        gateway = Gateway()
        link = gateway.connect()
        link.feed(b"GET / HTTP/1.1\r\n\r\n")
        self.assertTrue(link.transport.lost)
        self.assertEqual(gateway.ended(), {"unknown_transport": 1})
        self.assertEqual((len(gateway.open_links), len(gateway.wheel)), (0, 0))

    def test_a_destroyed_key_ends_its_links(self) -> None:
        gateway = Gateway()
        other = some_key(2)
        gateway.knows(KEY, other)
        links = [gateway.connect() for _ in range(3)]
        for link, key in zip(links, (KEY, KEY, other), strict=True):
            link.say(link.session(key), PING)
        gateway.registry.forget_key(KEY.auth_key_id)
        gateway.settle()
        self.assertEqual([link.open for link in links], [False, False, True])
        self.assertEqual(gateway.ended(), {"key_destroyed": 2})
        self.assertIsNone(gateway.keys.cached(KEY.auth_key_id))

    def test_the_gateway_stops(self) -> None:
        gateway = Gateway()
        gateway.knows(KEY)
        links = [gateway.connect() for _ in range(3)]
        for link in links[:2]:
            link.say(link.session(KEY), PING)
        gone = gateway.open_links.shut_down()
        self.assertNoResult(gone)
        gateway.settle()
        self.assertIsNone(self.successResultOf(gone))
        self.assertEqual(gateway.ended(), {"gateway_stopped": 3})
        self.assertEqual(len(gateway.backend.closed), 2)

    def test_what_was_said_before_the_end_still_leaves(self) -> None:
        gateway = Gateway()
        gateway.knows(KEY)
        link = gateway.connect()
        session = link.session(KEY)

        def answer_and_stop(sent: Sent) -> None:
            plaintext = pack_message(3, session.session_id, 1, 0, PING)
            gateway.registry.push(KEY.auth_key_id, session.session_id, plaintext)
            gateway.open_links.shut_down()

        gateway.backend.on_send = answer_and_stop
        link.say(session, PING)
        self.assertEqual([said.body for said in link.said(session)], [PING])
        self.assertTrue(link.transport.lost)

    def test_after_a_code_our_side_ends_and_what_comes_is_thrown_away(self) -> None:
        """A full close with bytes unread would reset the link before the client has the code."""
        gateway = Gateway()
        gateway.knows(KEY)
        link = gateway.connect()
        session = link.session(KEY)
        session.session_id = 0
        link.say(session, PING)
        transport = link.transport
        self.assertEqual(link.code(), -404)
        self.assertEqual((transport.half_closed, transport.closing), (True, False))
        self.assertTrue(transport.reading)
        self.assertIsNone(transport.producer)
        session.session_id = 5
        link.say(session, PING)
        link.feed(b"\xff" * 100)
        self.assertEqual(gateway.backend.sent, [])
        link.leave()
        self.assertEqual(gateway.ended(), {"session_id_zero": 1})

    def test_what_comes_after_the_end_is_not_kept(self) -> None:
        gateway = Gateway()
        link = gateway.connect(Style(Framing.INTERMEDIATE, False))
        link.send(b"\x55" * 64)
        self.assertEqual(link.code(), -404)
        link.feed((1 << 20).to_bytes(4, "little") + bytes(1 << 16))
        codec = link.link._connection._codec
        assert codec is not None
        self.assertIsNone(codec.announced())
