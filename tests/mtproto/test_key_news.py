"""What messages of a session service say of their keys."""

import gzip

from hypothesis import given
from hypothesis.strategies import binary
from twisted.trial.unittest import SynchronousTestCase

from gnetway.mtproto.binding import MAX_NEWS_BYTES, KeyNews, key_news
from gnetway.mtproto.message import pack_message
from gnetway.tl.primitives import Constructor, pack_string, pack_uint32
from gnetway.tl.service_messages import (
    ContainedMessage,
    MsgsAck,
    Pong,
    RpcErrorObject,
    RpcResult,
    pack_container,
)

DESTROYED = pack_uint32(Constructor.DESTROY_AUTH_KEY_OK)
NOT_LOGGED_IN = RpcResult(7, RpcErrorObject(401, "AUTH_KEY_UNREGISTERED").pack()).pack()
ACK, PONG = MsgsAck([1, 2]).pack(), Pong(3, 4).pack()


def news(body: bytes, padding: int = 0) -> KeyNews | None:
    return key_news(pack_message(1, 5, 9, 1, body) + bytes(padding))


def together(*bodies: bytes) -> bytes:
    messages = [ContainedMessage(9 + at, 1, body) for at, body in enumerate(bodies)]
    return pack_container(messages)


class KeyNewsTests(SynchronousTestCase):
    def test_a_destroyed_key(self) -> None:
        result = RpcResult(7, DESTROYED).pack()
        for body in (DESTROYED, result):
            for whole in (body, together(body), together(ACK, body), together(NOT_LOGGED_IN, body)):
                for padding in (0, 12):
                    self.assertIs(news(whole, padding), KeyNews.DESTROYED)

    def test_a_key_that_is_not_logged_in(self) -> None:
        for body in (NOT_LOGGED_IN, together(ACK, NOT_LOGGED_IN)):
            self.assertIs(news(body), KeyNews.DOUBTFUL)

    def test_others_say_nothing(self) -> None:
        gone = pack_uint32(Constructor.GZIP_PACKED) + pack_string(gzip.compress(DESTROYED))
        bodies = [
            b"",
            ACK,
            PONG,
            gone,
            DESTROYED + bytes(4),
            RpcResult(7, DESTROYED + bytes(4)).pack(),
            RpcResult(7, pack_uint32(Constructor.DESTROY_AUTH_KEY_FAIL)).pack(),
            RpcResult(7, RpcErrorObject(401, "SESSION_PASSWORD_NEEDED").pack()).pack(),
            RpcResult(7, RpcErrorObject(400, "AUTH_KEY_UNREGISTERED").pack()).pack(),
            RpcResult(7, pack_uint32(Constructor.RPC_ERROR)).pack(),
            pack_uint32(Constructor.RPC_RESULT),
            pack_uint32(Constructor.MSG_CONTAINER),
            together(ACK, PONG),
            # In what a client wrote to another.
            RpcResult(7, bytes(4) + pack_string(DESTROYED)).pack(),
        ]
        for body in bodies:
            with self.subTest(body=body):
                self.assertIsNone(news(body))

    def test_a_long_one_is_not_looked_at(self) -> None:
        body = together(DESTROYED, bytes(MAX_NEWS_BYTES))
        self.assertIsNone(news(body))

    @given(binary(max_size=MAX_NEWS_BYTES + 64))
    def test_anything_can_be_looked_at(self, plaintext: bytes) -> None:
        self.assertIn(key_news(plaintext), (None, *KeyNews))
