"""How a link waits for a key, and what it tells the client when there is none."""

from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from gnetway.crypto.auth_key import KeyKind
from gnetway.errors import BackendRefused, BackendUnavailable, KeyUnknown
from gnetway.net.link_services import LinkLimits
from gnetway.tl.service_messages import Ping
from tests.connection.styles import STYLES
from tests.fakes import some_key
from tests.handshake.server import NOW
from tests.net.gateway import LOOKUP_SECONDS, Gateway

KEY = some_key(1)
PING = Ping(1).pack()


def make_gateway(
    *, held: bool = True, max_keys: int = 8, limits: LinkLimits | None = None
) -> Gateway:
    gateway = Gateway(max_keys=max_keys, limits=limits)
    gateway.knows(KEY)
    gateway.backend.held = held
    return gateway


class WaitingTests(SynchronousTestCase):
    def test_messages_wait_in_order_and_nothing_more_is_read(self) -> None:
        for style in STYLES:
            with self.subTest(style=style):
                gateway = make_gateway()
                link = gateway.connect(style)
                session = link.session(KEY)
                for number in range(4):
                    link.say(session, Ping(number).pack())
                self.assertFalse(link.transport.reading)
                self.assertEqual(gateway.backend.sent, [])
                gateway.backend.queries[0][1].callback(KEY)
                gateway.settle()
                self.assertTrue(link.transport.reading)
                self.assertEqual(
                    [sent.payload[16:28] for sent in gateway.backend.sent],
                    [Ping(number).pack() for number in range(4)],
                )

    def test_many_links_ask_once(self) -> None:
        gateway = make_gateway()
        links = [gateway.connect() for _ in range(5)]
        for link in links:
            link.say(link.session(KEY), PING)
        self.assertEqual(len(gateway.backend.queries), 1)
        gateway.backend.queries[0][1].callback(KEY)
        gateway.settle()
        self.assertEqual(len(gateway.backend.sent), 5)

    def test_a_key_at_hand_is_not_asked_for(self) -> None:
        gateway = make_gateway()
        gateway.keys.add(KEY)
        link = gateway.connect()
        link.say(link.session(KEY), PING)
        self.assertEqual((gateway.backend.queries, len(gateway.backend.sent)), ([], 1))

    def test_a_large_first_message_is_read_once_its_key_is_here(self) -> None:
        gateway = make_gateway()
        link = gateway.connect()
        data = link.client.packet(link.session(KEY).encrypt(bytes(1 << 20), link.now))
        for start in range(0, len(data), 1 << 16):
            link.feed(data[start : start + (1 << 16)])
        self.assertFalse(link.transport.reading)
        gateway.backend.queries[0][1].callback(KEY)
        gateway.settle()
        self.assertEqual(len(gateway.backend.sent[0].payload) >> 20, 1)

    def test_a_link_lost_meanwhile_hears_nothing(self) -> None:
        for error in (None, KeyUnknown("no"), BackendUnavailable("no")):
            with self.subTest(error=type(error).__name__):
                gateway = make_gateway()
                link = gateway.connect()
                link.say(link.session(KEY), PING)
                link.leave()
                gateway.backend.queries[0][1].callback(Failure(error) if error else KEY)
                gateway.settle()
                self.assertEqual(gateway.backend.opened, [])
                self.assertEqual(gateway.ended(), {"client_closed": 1})


class NoKeyTests(SynchronousTestCase):
    def test_an_unknown_key_is_404_in_each_codec_and_half_a_close(self) -> None:
        for style in STYLES:
            with self.subTest(style=style):
                gateway = make_gateway()
                link = gateway.connect(style)
                link.say(link.session(KEY), PING)
                self.assertEqual(link.code(), 0)
                gateway.backend.queries[0][1].errback(KeyUnknown("no"))
                link.read()
                self.assertEqual(link.code(), -404)
                self.assertTrue(link.transport.half_closed)
                self.assertTrue(link.transport.reading)
                self.assertEqual(gateway.ended(), {"key_unknown": 1})

    def test_the_same_where_the_backend_answers_at_once(self) -> None:
        gateway = make_gateway(held=False)
        link = gateway.connect()
        link.say(link.session(some_key(9)), PING)
        self.assertEqual((link.code(), gateway.ended()), (-404, {"key_unknown": 1}))

    def test_a_backend_that_is_down_is_never_a_code(self) -> None:
        """The client would throw its key away."""
        for error in (BackendUnavailable("down"), BackendRefused(500, "INTERNAL")):
            with self.subTest(error=type(error).__name__):
                gateway = make_gateway()
                link = gateway.connect()
                link.say(link.session(KEY), PING)
                gateway.backend.queries[0][1].errback(error)
                link.read()
                self.assertEqual(link.code(), 0)
                self.assertTrue(link.transport.lost)
                self.assertEqual(gateway.ended(), {"backend_unavailable": 1})

    def test_nor_is_one_that_does_not_answer(self) -> None:
        gateway = make_gateway()
        link = gateway.connect()
        link.say(link.session(KEY), PING)
        gateway.wait(LOOKUP_SECONDS)
        link.read()
        self.assertEqual((link.code(), link.transport.lost), (0, True))
        self.assertEqual(gateway.ended(), {"backend_unavailable": 1})

    def test_a_fault_of_ours_is_logged_and_no_code_either(self) -> None:
        gateway = make_gateway()
        link = gateway.connect()
        link.say(link.session(KEY), PING)
        gateway.backend.queries[0][1].errback(ZeroDivisionError())
        link.read()
        self.assertEqual((link.code(), link.transport.lost), (0, True))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_a_temporary_key_that_expires_on_the_link(self) -> None:
        gateway = make_gateway(held=False)
        key = some_key(2, KeyKind.TEMP, int(NOW) + 60)
        gateway.knows(key)
        link = gateway.connect()
        session = link.session(key)
        link.say(session, PING)
        self.assertEqual(len(link.said(session)), 1)
        gateway.wait(60)
        link.say(session, PING)
        self.assertEqual((link.code(), gateway.ended()), (-404, {"key_unknown": 1}))


class SeveralKeysTests(SynchronousTestCase):
    def test_too_many_are_told_nothing(self) -> None:
        """A -429 would silence iOS for good."""
        gateway = make_gateway(max_keys=2, held=False)
        keys = [some_key(number) for number in range(10, 13)]
        gateway.knows(*keys)
        link = gateway.connect()
        for key in keys:
            link.say(link.session(key), PING)
        gateway.settle()
        link.read()
        self.assertFalse(link.open)
        self.assertEqual((link.packets(), gateway.ended()), ([], {"too_many_keys": 1}))

    def test_too_many_are_429_where_they_are_to_be_told(self) -> None:
        keys = [some_key(number) for number in range(10, 13)]
        for at_hand in (True, False):
            with self.subTest(at_hand=at_hand):
                limits = LinkLimits(tell_too_many=True)
                gateway = make_gateway(max_keys=2, held=not at_hand, limits=limits)
                gateway.knows(*keys)
                link = gateway.connect()
                for number, key in enumerate(keys):
                    link.say(link.session(key), PING)
                    if not at_hand:
                        gateway.backend.queries[number][1].callback(key)
                link.read()
                self.assertEqual(link.code(), -429)
                self.assertEqual(gateway.ended(), {"too_many_keys": 1})
                self.assertEqual(len(gateway.backend.sent), 2)
                link.leave()
                self.assertEqual(len(gateway.backend.closed), 2)
