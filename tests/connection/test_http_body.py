"""A Connection whose codec carries one packet each way, as HTTP does."""

from twisted.trial.unittest import SynchronousTestCase

from gnetway.codec.framings import HttpBodyCodec
from gnetway.connection.connection import Connection
from gnetway.connection.events import BindReceived, KeyWanted, MessageReceived
from gnetway.crypto.auth_key import AuthKey
from gnetway.errors import FramingError, MessageError, PacketTooLarge
from gnetway.testing import ClientSession, ServerMessage, open_plain_packet, plain_packet
from gnetway.tl.primitives import Constructor
from gnetway.tl.service_messages import (
    MsgsAck,
    Ping,
    Pong,
    RpcErrorObject,
    RpcResult,
    parse_container,
)
from tests.connection.link import MONOTONIC, NOW, make_connection_setup
from tests.connection.talk import SALT
from tests.connection.wrappers import CALL, bind_body, contained, temp_key
from tests.fakes import some_key
from tests.handshake.server import make_client
from tests.strategies import SeededBytes

PERM = some_key(1)
PERM.perm_auth_key_id = PERM.auth_key_id


class Request:
    """One packet to a connection of its own, and what comes of it."""

    def __init__(self, packet: bytes, key: AuthKey | None = None, size: int | None = None) -> None:
        self.codec = HttpBodyCodec(1 << 20, len(packet) if size is None else size)
        self.connection = Connection(make_connection_setup(), self.codec)
        self.key = key
        self.packet = packet

    def feed(self, size: int) -> MessageReceived | BindReceived | None:
        """Bring so many bytes more; return the message or the bind that they completed."""
        part, self.packet = self.packet[:size], self.packet[size:]
        self.codec.receive(part)
        if not self.packet:
            self.codec.end()
        while (event := self.connection.next_event(NOW, MONOTONIC)) is not None:
            if isinstance(event, KeyWanted) and self.key is not None:
                assert event.auth_key_id == self.key.auth_key_id
                self.connection.provide_key(self.key)
            else:
                assert isinstance(event, MessageReceived | BindReceived)
                return event
        return None

    def send(self) -> MessageReceived | BindReceived | None:
        return self.feed(len(self.packet))


class WholeTests(SynchronousTestCase):
    def session(self, key: AuthKey) -> ClientSession:
        return ClientSession(key, SALT, SeededBytes(5))

    def answered(self, session: ClientSession, body: bytes) -> ServerMessage:
        request = Request(session.encrypt(body, NOW), session.key)
        self.assertIsNone(request.send())
        return session.decrypt(request.connection.output.data_to_send())

    def test_name(self) -> None:
        self.assertEqual(Request(b"x").connection.codec_name, "http")

    def test_message_and_answer(self) -> None:
        session = self.session(PERM)
        request = Request(session.encrypt(CALL, NOW), PERM)
        message = request.send()
        assert isinstance(message, MessageReceived)
        self.assertEqual(message.payload[16 : 16 + len(CALL)], CALL)
        self.assertEqual(message.quick_ack_token, 0)

    def test_query_of_a_key_exchange(self) -> None:
        client = make_client()
        request = Request(plain_packet(client.begin(), NOW))
        self.assertIsNone(request.send())
        answer = open_plain_packet(request.connection.output.data_to_send())
        self.assertIsNotNone(client.receive(answer))

    def test_key_of_a_large_body_is_asked_for_before_the_rest_is_kept(self) -> None:
        request = Request(PERM.id_bytes + bytes(10_000))
        self.assertIsNone(request.feed(7))
        codec = request.codec
        codec.receive(PERM.id_bytes[7:])
        self.assertEqual(request.connection.next_event(NOW, MONOTONIC), KeyWanted(PERM.auth_key_id))
        self.assertIsNone(request.connection.next_event(NOW, MONOTONIC))

    def test_large_unencrypted_body_is_refused_at_its_beginning(self) -> None:
        request = Request(bytes(10_000))
        self.assertRaises(PacketTooLarge, request.feed, 8)

    def test_bodies_that_are_no_packet(self) -> None:
        for size in (0, 1, 4, 7):
            with self.subTest(size=size):
                request = Request(b"\xff" * size)
                self.assertRaises((MessageError, FramingError), request.send)

    def test_unbound_key_gets_all_answers_in_one_packet(self) -> None:
        session = self.session(temp_key())
        first = self.answered(session, contained(Ping(1).pack(), CALL, Ping(2).pack()))
        messages = parse_container(first.body, 10)
        self.assertEqual(
            [int.from_bytes(one.body[:4], "little") for one in messages],
            [
                Constructor.PONG,
                Constructor.PONG,
                Constructor.NEW_SESSION_CREATED,
                Constructor.RPC_RESULT,
            ],
        )
        self.assertEqual([one.msg_id % 4 for one in messages], [1, 1, 3, 1])
        self.assertEqual([one.seq_no for one in messages], [0, 0, 1, 3])
        self.assertEqual((first.seq_no, first.msg_id % 4, first.salt), (4, 3, session.salt))
        ids = [one.msg_id for one in messages] + [first.msg_id]
        self.assertEqual(ids, sorted(set(ids)))
        alone = self.answered(session, Ping(7).pack())
        self.assertEqual(alone.body, Pong(session.msg_id, 7).pack())
        self.assertEqual((alone.seq_no, alone.msg_id % 4), (0, 1))

    def test_unbound_key_that_only_acknowledges_gets_an_empty_container(self) -> None:
        session = self.session(temp_key())
        session.key.greeted_session_id = session.session_id
        heard = self.answered(session, MsgsAck([1]).pack())
        self.assertEqual(parse_container(heard.body, 10), [])

    def test_refused_bind_and_what_stands_beside_it_are_one_packet(self) -> None:
        session = self.session(temp_key())
        body = contained(Ping(1).pack(), bind_body())
        request = Request(session.encrypt(body, NOW), session.key)
        bind = request.send()
        assert isinstance(bind, BindReceived)
        request.connection.bind_refused(bind, NOW)
        heard = session.decrypt(request.connection.output.data_to_send())
        told = [one.body for one in parse_container(heard.body, 10)]
        error = RpcErrorObject(400, "ENCRYPTED_MESSAGE_INVALID").pack()
        # Some clients leave a container at its first error.
        self.assertEqual(told, [Pong(400, 1).pack(), RpcResult(404, error).pack()])
        self.assertEqual(heard.salt, session.salt)
