"""Which keys a link uses, how they are waited for, and what it may make us hold meanwhile."""

from twisted.trial.unittest import SynchronousTestCase

from gnetway.codec.packet import DEFAULT_MAX_PACKET_BYTES
from gnetway.connection.events import AuthKeyMissing, KeyWanted, TooManyKeys
from gnetway.crypto.auth_key import KeyKind
from gnetway.errors import MessageError, PacketTooLarge, TransportErrorCode
from gnetway.testing import Framing, Style, plain_packet
from gnetway.tl.service_messages import Ping
from tests.connection.link import NOW, Link, make_connection_setup
from tests.connection.styles import STYLES
from tests.connection.test_connection import body_of
from tests.fakes import some_key
from tests.handshake.server import make_client
from tests.strategies import cut

KEY = some_key(1)
PING = Ping(1).pack()


class KeyWantedTests(SynchronousTestCase):
    def test_messages_wait_in_order_for_their_key(self) -> None:
        for style in STYLES:
            with self.subTest(style=style):
                link = Link(style)
                session = link.session(KEY)
                for number in range(5):
                    link.send(session.encrypt(Ping(number).pack(), NOW))
                self.assertEqual(link.wanted, [KeyWanted(KEY.auth_key_id)])
                self.assertEqual(link.messages, [])
                link.connection.provide_key(KEY)
                link.pump()
                self.assertEqual(
                    [body_of(message) for message in link.messages],
                    [Ping(number).pack() for number in range(5)],
                )

    def test_no_later_key_overtakes(self) -> None:
        other = some_key(2)
        link = Link(keys=[other])
        sessions = [link.session(KEY), link.session(other)]
        link.send(sessions[0].encrypt(PING, NOW))
        link.send(sessions[1].encrypt(PING, NOW))
        self.assertEqual(link.messages, [])
        link.connection.provide_key(KEY)
        link.pump()
        self.assertEqual([message.key for message in link.messages], [KEY, other])

    def test_a_key_is_wanted_once(self) -> None:
        other = some_key(2)
        link = Link(keys=[KEY, other])
        for key in (KEY, other, KEY, other, other, KEY):
            link.send(link.session(key).encrypt(PING, NOW))
        link.keys.clear()
        for key in (KEY, other):
            link.send(link.session(key).encrypt(PING, NOW))
        self.assertEqual((len(link.messages), link.wanted), (8, []))

    def test_a_link_may_use_so_many_keys_and_no_more(self) -> None:
        keys = [some_key(number) for number in range(4)]
        link = Link(keys=keys, setup=make_connection_setup(max_keys=3))
        for key in keys[:3]:
            link.send(link.session(key).encrypt(PING, NOW))
        with self.assertRaises(TooManyKeys) as caught:
            link.send(link.session(keys[3]).encrypt(PING, NOW))
        self.assertEqual(caught.exception.transport_error, TransportErrorCode.FLOOD)
        self.assertEqual(len(link.messages), 3)

    def test_a_temporary_key_that_expires_on_the_link(self) -> None:
        key = some_key(1, KeyKind.TEMP, int(NOW) + 10)
        key.perm_auth_key_id = 5
        link = Link(keys=[key])
        session = link.session(key)
        link.send(session.encrypt(PING, NOW))
        link.now = key.expires_at - 0.01
        link.send(session.encrypt(PING, link.now))
        self.assertEqual(len(link.messages), 2)
        link.now = float(key.expires_at)
        with self.assertRaises(AuthKeyMissing) as caught:
            link.send(session.encrypt(PING, link.now))
        self.assertEqual(caught.exception.transport_error, TransportErrorCode.KEY_UNKNOWN)

    def test_a_key_that_has_expired_when_it_is_found(self) -> None:
        key = some_key(1, KeyKind.TEMP, int(NOW))
        link = Link(keys=[key])
        with self.assertRaises(AuthKeyMissing):
            link.send(link.session(key).encrypt(PING, NOW))


class FirstPacketTests(SynchronousTestCase):
    """Until a key is known 4 KiB are the bound, unless the key of a larger packet is known."""

    def test_a_large_first_message_waits_for_its_key_with_its_first_bytes(self) -> None:
        for style in STYLES:
            with self.subTest(style=style):
                link = Link(style)
                body = bytes(1 << 20)
                data = link.client.packet(link.session(KEY).encrypt(body, NOW))
                head = 64 + 4 + 8 + 8
                link.feed(data[:head])
                self.assertEqual(link.wanted, [KeyWanted(KEY.auth_key_id)])
                link.connection.provide_key(KEY)
                for segment in cut(data[head:], [1 << 16]):
                    link.feed(segment)
                self.assertEqual([body_of(message) for message in link.messages], [body])
                self.assertEqual(len(link.wanted), 1)

    def test_byte_by_byte_the_key_is_wanted_as_soon_as_it_has_a_name(self) -> None:
        link = Link(Style(Framing.INTERMEDIATE, False))
        data = link.client.packet(link.session(KEY).encrypt(bytes(8000), NOW))
        for count, segment in enumerate(cut(data[:100], [1]), 1):
            link.feed(segment)
            self.assertEqual(len(link.wanted), int(count >= 4 + 4 + 8))

    def test_a_small_first_message_is_waited_for_whole(self) -> None:
        link = Link()
        data = link.client.packet(link.session(KEY).encrypt(bytes(3000), NOW))
        link.feed(data[:-1])
        self.assertEqual(link.wanted, [])
        link.feed(data[-1:])
        self.assertEqual(len(link.wanted), 1)

    def test_a_large_unencrypted_packet_is_refused_by_its_head(self) -> None:
        for style in STYLES:
            with self.subTest(style=style):
                link = Link(style)
                data = link.client.packet(plain_packet(bytes(4096), NOW))
                with self.assertRaises(PacketTooLarge) as caught:
                    link.feed(data[: 64 + 4 + 8 + 8])
                self.assertEqual(caught.exception.max_size, 4096)

    def test_a_large_unencrypted_packet_is_refused_on_a_trusted_link_too(self) -> None:
        link = Link(keys=[KEY])
        link.send(link.session(KEY).encrypt(PING, NOW))
        with self.assertRaises(PacketTooLarge):
            link.send(plain_packet(bytes(4096), NOW))

    def test_a_query_may_be_as_large_as_the_bound(self) -> None:
        """One client puts random bytes behind the object, inside of the length."""
        query = make_client().begin()
        padding = bytes(4096 - 20 - len(query))
        link = Link(Style(Framing.INTERMEDIATE, False))
        link.send(plain_packet(query + padding, NOW))
        self.assertEqual(len(link.packets()), 1)
        link = Link(Style(Framing.INTERMEDIATE, False))
        with self.assertRaises(PacketTooLarge):
            link.send(plain_packet(query + padding + bytes(4), NOW))

    def test_a_known_key_raises_the_bound_to_16_mib_and_no_further(self) -> None:
        for size, allowed in ((DEFAULT_MAX_PACKET_BYTES, True), (0x1000004, False)):
            with self.subTest(size=size):
                link = Link(Style(Framing.INTERMEDIATE, False), [KEY])
                link.send(link.session(KEY).encrypt(PING, NOW))
                head = link.client.raw(size.to_bytes(4, "little") + KEY.id_bytes)
                if allowed:
                    link.feed(head)
                    continue
                with self.assertRaises(PacketTooLarge) as caught:
                    link.feed(head)
                self.assertEqual(caught.exception.max_size, DEFAULT_MAX_PACKET_BYTES)

    def test_a_key_made_on_the_link_raises_the_bound_as_well(self) -> None:
        link = Link(Style(Framing.INTERMEDIATE, False))
        key = link.make_key(make_client())
        link.keys.clear()
        link.feed(link.client.raw((8000).to_bytes(4, "little") + key.id_bytes))
        self.assertEqual(link.wanted, [])

    def test_no_key_fits_less_than_8_bytes(self) -> None:
        for size in (4, 7):
            with self.subTest(size=size):
                link = Link(Style(Framing.PADDED, False), [KEY])
                with self.assertRaises(MessageError):
                    link.feed(link.client.raw(size.to_bytes(4, "little") + bytes(size)))
