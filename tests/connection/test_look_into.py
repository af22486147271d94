"""What a message of an unbound key holds, within bounds."""

from twisted.trial.unittest import SynchronousTestCase

from gnetway.connection.unbound import look_into
from gnetway.mtproto.message import pack_message
from gnetway.tl.primitives import (
    Constructor,
    NestedTooDeep,
    TooManyItems,
    pack_int32,
    pack_string,
    pack_uint32,
)
from gnetway.tl.service_messages import GetFutureSalts, MsgsAck, Ping
from gnetway.tl.unwrap import TooManyValues, UnpackedTooLarge, UnwrapLimits
from tests.connection.test_unbound import MSG_ID, payload_of
from tests.connection.wrappers import (
    CALL,
    PERM,
    bind_body,
    contained,
    gzipped,
    init_connection,
    with_layer,
    without_updates,
    zipped,
)


class LookTests(SynchronousTestCase):
    def test_the_bind_is_found_however_it_is_wrapped(self) -> None:
        bind = bind_body()
        tdlib = contained(
            MsgsAck([1]).pack(),
            with_layer(init_connection(gzipped(bind))),
            GetFutureSalts(1).pack(),
        )
        for name, body, msg_id in (
            ("bare", bind, MSG_ID),
            ("layer", with_layer(bind), MSG_ID),
            ("init", with_layer(init_connection(bind)), MSG_ID),
            ("gzip", gzipped(bind), MSG_ID),
            ("zlib", zipped(bind), MSG_ID),
            ("gzip around all", gzipped(with_layer(init_connection(bind))), MSG_ID),
            ("packed container", gzipped(contained(bind)), 400),
            ("in a container, last", contained(Ping(1).pack(), without_updates(bind)), 404),
            ("as TDLib does", tdlib, 404),
        ):
            with self.subTest(name):
                peek = look_into(MSG_ID, payload_of(body), UnwrapLimits())
                assert peek.bind is not None
                self.assertEqual(peek.bind.perm_auth_key_id, PERM.auth_key_id)
                self.assertEqual(peek.bind_msg_id, msg_id)

    def test_only_what_the_length_covers_is_looked_at(self) -> None:
        payload = pack_message(0, 0, MSG_ID, 1, contained())[16:] + bind_body()
        self.assertIsNone(look_into(MSG_ID, payload, UnwrapLimits()).bind)
        shorter = payload_of(bind_body() + pack_int32(0))
        self.assertIsNotNone(look_into(MSG_ID, shorter, UnwrapLimits()).bind)


class BoundTests(SynchronousTestCase):
    def look(self, body: bytes, limits: UnwrapLimits | None = None) -> object:
        return look_into(MSG_ID, payload_of(body), limits or UnwrapLimits())

    def test_depth(self) -> None:
        body = bind_body()
        for _ in range(16):
            body = with_layer(body)
        self.look(body)
        with self.assertRaises(NestedTooDeep):
            self.look(with_layer(body))

    def test_messages_in_a_container(self) -> None:
        ack = MsgsAck([1]).pack()
        self.look(contained(*[ack] * 256))
        with self.assertRaises(TooManyValues):
            self.look(contained(*[ack] * 257))
        with self.assertRaises(TooManyItems):
            self.look(contained(*[ack] * 1025))

    def test_unpacked_bytes_over_all_of_a_message(self) -> None:
        limits = UnwrapLimits(max_unpacked_bytes=60_000)
        bomb = gzipped(CALL + bytes(29_000))
        self.look(contained(bomb, bomb), limits)
        with self.assertRaises(UnpackedTooLarge):
            self.look(contained(bomb, bomb, bomb), limits)

    def test_no_more_is_unpacked_than_a_look_is_worth(self) -> None:
        self.look(gzipped(CALL + bytes(60_000)))
        with self.assertRaises(UnpackedTooLarge):
            self.look(gzipped(CALL + bytes(70_000)))

    def test_ids_over_all_of_a_message(self) -> None:
        ack = MsgsAck([1] * 4096).pack()
        self.look(contained(ack, ack))
        with self.assertRaises(TooManyItems):
            self.look(contained(ack, ack, MsgsAck([1]).pack()))

    def test_json_values_over_all_of_a_message(self) -> None:
        """17 KB of gzip may hold some million of them, each stepped over."""
        row = json_array([pack_uint32(Constructor.JSON_NULL)] * 100)
        self.look(params(json_array([row] * 10)))
        with self.assertRaises(TooManyValues):
            self.look(params(json_array([row] * 11)))
        with self.assertRaises(TooManyValues):
            self.look(contained(*[params(row)] * 10))


def json_array(members: list[bytes]) -> bytes:
    head = pack_uint32(Constructor.JSON_ARRAY) + pack_uint32(Constructor.VECTOR)
    return head + pack_int32(len(members)) + b"".join(members)


def params(json: bytes) -> bytes:
    """Return a call in initConnection with these params."""
    head = pack_uint32(Constructor.INIT_CONNECTION) + pack_int32(2) + pack_int32(1)
    return head + pack_string(b"") * 6 + json + CALL
