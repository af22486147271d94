"""One client link from its first byte: handshake, messages, any transport, any split."""

import itertools
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis.strategies import integers, lists, sampled_from
from twisted.trial.unittest import SynchronousTestCase

from gnetway.codec.framings import AbridgedCodec
from gnetway.connection.events import MessageReceived
from gnetway.errors import SessionIdZero
from gnetway.mtproto.message import pack_message, payload_body
from gnetway.testing import ClientSession, Framing, QuickAck, Style, open_plain_packet, plain_packet
from gnetway.tl.service_messages import Ping, Pong
from tests.connection.link import NOW, Link
from tests.connection.styles import NAMES, STYLES
from tests.fakes import some_key
from tests.handshake.server import make_client
from tests.strategies import cut, cuts, payloads

KEY = some_key(1)
QUICK_ACK = 0x8123_4567
Receive = Callable[[bytes], bytes | None]


def body_of(message: MessageReceived) -> bytes:
    return payload_body(message.payload)


class EveryStyleTests(SynchronousTestCase):
    def test_a_key_is_made_and_a_ping_goes_through(self) -> None:
        for style in STYLES:
            with self.subTest(style=style):
                link, client = Link(style), make_client()
                key = link.make_key(client)
                session = ClientSession(key, client.salt, link.chance)
                link.send(session.encrypt(Ping(7).pack(), NOW))
                (message,) = link.messages
                self.assertEqual(body_of(message), Ping(7).pack())
                self.assertEqual(message.key.secret, key.secret)
                self.assertEqual(
                    (message.salt, message.session_id), (client.salt, session.session_id)
                )
                answer = pack_message(5, session.session_id, 1, 0, Pong(session.msg_id, 7).pack())
                link.connection.output.send_message(message.key, answer)
                link.read()
                (said,) = link.said(session)
                self.assertEqual(said.body, Pong(session.msg_id, 7).pack())
                self.assertEqual(said.salt, 5)

    def test_the_transport_has_a_name(self) -> None:
        for style in STYLES:
            with self.subTest(style=style):
                link = Link(style, [KEY])
                self.assertEqual(link.connection.codec_name, "")
                link.send(link.session(KEY).encrypt(Ping(1).pack(), NOW))
                name = NAMES[style.framing]
                expected = f"obfuscated {name}" if style.obfuscated else name
                self.assertEqual(link.connection.codec_name, expected)

    def test_a_link_may_rest_at_any_time(self) -> None:
        for style in STYLES:
            with self.subTest(style=style):
                link = Link(style, [KEY])
                session = link.session(KEY)
                link.connection.rest()
                for number in range(4):
                    data = link.client.packet(session.encrypt(Ping(number).pack(), NOW))
                    for part in (data[:-5], data[-5:]):
                        link.feed(part)
                        link.connection.rest()
                    message = link.messages[number]
                    answer = pack_message(
                        5, session.session_id, 1, 0, Pong(session.msg_id, number).pack()
                    )
                    link.connection.output.send_message(message.key, answer)
                    link.connection.rest()
                    link.read()
                said = [one.body for one in link.said(session)]
                self.assertEqual(len(said), 4)

    def test_a_link_that_has_said_nothing_whole_says_so(self) -> None:
        for style in STYLES:
            with self.subTest(style=style):
                link = Link(style, [KEY])
                data = link.client.packet(link.session(KEY).encrypt(Ping(1).pack(), NOW))
                link.feed(data[:-1])
                self.assertFalse(link.connection.whole_messages)
                link.feed(data[-1:])
                self.assertTrue(link.connection.whole_messages)

    def test_a_query_of_the_key_exchange_is_whole_as_well(self) -> None:
        link = Link()
        link.ask(make_client().begin())
        self.assertTrue(link.connection.whole_messages)


class AnySplitTests(SynchronousTestCase):
    @settings(max_examples=40)
    @given(sampled_from(STYLES), cuts(), lists(payloads(), max_size=3))
    def test_a_handshake_and_messages(
        self, style: Style, sizes: list[int], bodies: list[bytes]
    ) -> None:
        """The client knows its key before dh_gen_ok, so it may send all of it in one piece."""
        link, client = Link(style), make_client()
        first = link.client.packet(plain_packet(client.begin(), NOW))
        query = self.answered(link, first, sizes, client.receive)
        data = link.client.packet(plain_packet(query, NOW))
        query = self.answered(link, data, sizes, client.receive)
        assert client.candidate is not None
        session = link.session(client.candidate)
        data = link.client.packet(plain_packet(query, NOW))
        data += b"".join(link.client.packet(session.encrypt(body, NOW)) for body in bodies)
        for segment in cut(data, sizes):
            link.feed(segment)
        self.assertIsNone(client.receive(open_plain_packet(link.packets()[0])))
        self.assertEqual([body_of(message) for message in link.messages], bodies)

    def answered(self, link: Link, data: bytes, sizes: list[int], receive: Receive) -> bytes:
        for segment in cut(data, sizes):
            self.assertEqual(link.packets(), [])
            link.feed(segment)
        (packet,) = link.packets()
        query = receive(open_plain_packet(packet))
        assert query is not None
        return query

    @given(sampled_from(STYLES), cuts(), lists(payloads(), min_size=1, max_size=6))
    def test_messages_of_two_keys(
        self, style: Style, sizes: list[int], bodies: list[bytes]
    ) -> None:
        keys = [KEY, some_key(2)]
        link = Link(style, keys)
        sessions = [link.session(key) for key in keys]
        sent = [(sessions[number % 2], body) for number, body in enumerate(bodies)]
        data = b"".join(link.client.packet(who.encrypt(body, NOW)) for who, body in sent)
        for segment in cut(data, sizes):
            link.feed(segment)
        self.assertEqual(
            [(message.key, message.session_id, body_of(message)) for message in link.messages],
            [(who.key, who.session_id, body) for who, body in sent],
        )


class OutTests(SynchronousTestCase):
    def test_what_waits_is_counted_and_forgotten_once_taken(self) -> None:
        link = Link(keys=[KEY])
        session = link.session(KEY)
        link.send(session.encrypt(Ping(1).pack(), NOW))
        for _ in range(3):
            link.connection.output.send_message(
                KEY, pack_message(1, session.session_id, 1, 0, bytes(64))
            )
        waiting = link.connection.output.unsent_bytes
        data = link.connection.output.data_to_send()
        self.assertEqual(waiting, len(data))
        self.assertGreater(waiting, 3 * 64)
        self.assertEqual(
            (link.connection.output.unsent_bytes, link.connection.output.data_to_send()), (0, b"")
        )
        self.assertEqual(link.connection.output.packets_to_send(), [])

    def test_every_packet_by_itself(self) -> None:
        """A message, a quick ack and an error are a packet each, in the order of the calls."""
        for style in STYLES:
            with self.subTest(style=style):
                acks = [] if style.framing is Framing.FULL else [QuickAck(QUICK_ACK)]
                link = Link(style, keys=[KEY])
                link.send(link.session(KEY, 5).encrypt(Ping(1).pack(), NOW))
                connection = link.connection
                for msg_id, size in ((1, 64), (5, 600)):
                    connection.output.send_message(KEY, pack_message(1, 5, msg_id, 0, bytes(size)))
                    for ack in acks:
                        connection.output.send_quick_ack(ack.token)
                connection.output.fail(SessionIdZero("0"))
                heard = [self.one(link, packet) for packet in connection.output.packets_to_send()]
                self.assertEqual(heard, [1, *acks, 5, *acks, -404])

    def one(self, link: Link, packet: bytes) -> int | QuickAck:
        """Return what one packet says: its msg_id, or the quick ack or error that it is."""
        (got,) = link.client.receive(packet)
        self.assertEqual(link.client.unfinished, b"")
        if isinstance(got, QuickAck):
            return got
        if len(got) < 8:
            return int.from_bytes(got[:4], "little", signed=True)
        return link.session(KEY, 5).decrypt(got).msg_id

    @given(lists(integers(1, 50), max_size=20), integers(0, 600))
    def test_piece_by_piece_it_is_the_same(self, sizes: list[int], join_bytes: int) -> None:
        pieces: list[bytes] = []
        for number, size in enumerate(sizes):
            pieces.append(bytes([number]) * size * 4)
        connection = Link(keys=[KEY]).connection
        connection.output.begin(AbridgedCodec(), None)
        framed = [AbridgedCodec().frame(piece) for piece in pieces]
        for piece in pieces:
            connection.output._send_framed(AbridgedCodec().frame(piece))
        taken = list(iter(lambda: connection.output.packets_to_send(join_bytes), []))
        self.assertEqual(list(itertools.chain.from_iterable(taken)), framed)
        self.assertEqual(connection.output.unsent_bytes, 0)
        for packets, following in itertools.pairwise(taken):
            size = sum(map(len, packets))
            self.assertTrue(size <= join_bytes or len(packets) == 1)
            self.assertGreater(size + len(following[0]), join_bytes)
