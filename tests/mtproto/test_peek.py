"""What an unbound temporary key asks for, found at any nesting within bounds."""

import contextlib
import gzip
import zlib
from collections.abc import Callable

from hypothesis import given
from hypothesis.strategies import binary, lists, sampled_from
from twisted.trial.unittest import SynchronousTestCase

from gnetway.errors import ProtocolError, TLError, TransportErrorCode
from gnetway.mtproto.binding import Peek, peek_message
from gnetway.tl.key_exchange import BindTempAuthKey
from gnetway.tl.primitives import Constructor, pack_int32, pack_int64, pack_string, pack_uint32
from gnetway.tl.service_messages import (
    ContainedMessage,
    DestroySession,
    GetFutureSalts,
    HttpWait,
    MsgResendReq,
    MsgsAck,
    MsgsAllInfo,
    MsgsStateInfo,
    MsgsStateReq,
    Ping,
    PingDelayDisconnect,
    RpcDropAnswer,
    pack_container,
)
from gnetway.tl.unwrap import UnwrapLimits

BIND = BindTempAuthKey(11, 22, 33, b"sealed")
CALL = pack_uint32(0xC4F9186B)


def packed(body: bytes) -> bytes:
    return pack_uint32(Constructor.GZIP_PACKED) + pack_string(gzip.compress(body))


def zipped(body: bytes) -> bytes:
    return pack_uint32(Constructor.GZIP_PACKED) + pack_string(zlib.compress(body))


def with_layer(body: bytes) -> bytes:
    return pack_uint32(Constructor.INVOKE_WITH_LAYER) + pack_int32(201) + body


def with_connection(body: bytes) -> bytes:
    texts = b"".join(pack_string(b"text") for _ in range(6))
    return pack_uint32(Constructor.INIT_CONNECTION) + pack_int32(0) + pack_int32(1) + texts + body


def after(body: bytes) -> bytes:
    return pack_uint32(Constructor.INVOKE_AFTER_MSG) + pack_int64(4) + body


Wrap = Callable[[bytes], bytes]
WRAPPERS: list[Wrap] = [packed, zipped, with_layer, with_connection, after]


def contained(*bodies: bytes) -> bytes:
    messages = [ContainedMessage(100 + 4 * i, 1, body) for i, body in enumerate(bodies)]
    return pack_container(messages)


def peek(body: bytes, limits: UnwrapLimits | None = None) -> Peek:
    return peek_message(8, body, limits or UnwrapLimits())


class PeekTests(SynchronousTestCase):
    @given(lists(sampled_from(WRAPPERS), max_size=6), lists(sampled_from(WRAPPERS[:2]), max_size=2))
    def test_a_bind_is_found_at_any_nesting(self, inner: list[Wrap], outer: list[Wrap]) -> None:
        body = BIND.pack()
        for wrap in inner:
            body = wrap(body)
        body = contained(MsgsAck([4]).pack(), body)
        for wrap in outer:
            body = wrap(body)
        found = peek(body)
        self.assertEqual((found.bind, found.bind_msg_id, found.calls), (BIND, 104, []))

    def test_a_lone_bind_has_the_id_of_its_message(self) -> None:
        self.assertEqual(peek(BIND.pack()).bind_msg_id, 8)

    def test_everything_else_is_sorted(self) -> None:
        found = peek(
            contained(
                Ping(1).pack(),
                PingDelayDisconnect(2, 75).pack(),
                GetFutureSalts(64).pack(),
                with_layer(CALL),
                MsgsAck([4, 8]).pack(),
            )
        )
        self.assertIsNone(found.bind)
        self.assertEqual(found.pings, [(100, 1), (104, 2)])
        salts = GetFutureSalts(64).pack()
        self.assertEqual(found.services, [(108, Constructor.GET_FUTURE_SALTS, salts)])
        self.assertEqual(found.calls, [112])

    def test_every_service_that_wants_an_answer(self) -> None:
        for constructor, body in {
            Constructor.GET_FUTURE_SALTS: GetFutureSalts(1).pack(),
            Constructor.MSGS_STATE_REQ: MsgsStateReq([4]).pack(),
            Constructor.MSG_RESEND_REQ: MsgResendReq([4]).pack(),
            Constructor.DESTROY_SESSION: DestroySession(5).pack(),
            Constructor.DESTROY_AUTH_KEY: pack_uint32(Constructor.DESTROY_AUTH_KEY),
            Constructor.RPC_DROP_ANSWER: RpcDropAnswer(4).pack(),
        }.items():
            with self.subTest(service=constructor.name):
                expected = Peek(services=[(8, constructor, body)], first_msg_id=8)
                self.assertEqual(peek(body), expected)
                self.assertEqual(peek(packed(body)), expected)

    def test_what_wants_no_answer_asks_for_nothing(self) -> None:
        for body in (
            MsgsAck([4]).pack(),
            HttpWait(1, 2, 3).pack(),
            MsgsStateInfo(4, b"x").pack(),
            MsgsAllInfo([4], b"x").pack(),
            contained(),
        ):
            with self.subTest(body=body.hex()):
                self.assertEqual(peek(body), Peek(first_msg_id=8))

    def test_the_lowest_msg_id_comes_first(self) -> None:
        messages = [ContainedMessage(msg_id, 1, CALL) for msg_id in (12, 6, 7)]
        self.assertEqual(peek(pack_container(messages)).first_msg_id, 6)
        self.assertEqual(peek(contained(CALL)).first_msg_id, 8)
        self.assertEqual(peek(CALL).first_msg_id, 8)

    @given(binary(max_size=200))
    def test_noise_raises_nothing_but_protocol_errors(self, body: bytes) -> None:
        with contextlib.suppress(ProtocolError):
            peek(body)


class BoundsTests(SynchronousTestCase):
    def test_a_bomb_is_refused_before_it_is_unpacked(self) -> None:
        bomb = zipped(bytes(1 << 20))
        self.assertLess(len(bomb), 2000)
        with self.assertRaises(TLError):
            peek(bomb, UnwrapLimits(max_unpacked_bytes=1 << 16))

    def test_many_small_bombs_count_together(self) -> None:
        body = contained(*[zipped(CALL + bytes(1 << 12)) for _ in range(20)])
        with self.assertRaises(TLError):
            peek(body, UnwrapLimits(max_unpacked_bytes=1 << 16))

    def test_deep_nesting_is_refused(self) -> None:
        with self.assertRaises(TLError):
            peek(after(b"") * 100_000 + CALL)

    def test_nested_containers_are_refused(self) -> None:
        with self.assertRaises(TLError):
            peek(contained(contained(Ping(1).pack())))
        with self.assertRaises(TLError):
            peek(contained(packed(contained(Ping(1).pack()))))

    def test_two_binds_are_refused(self) -> None:
        with self.assertRaises(TLError):
            peek(contained(BIND.pack(), BIND.pack()))

    def test_too_many_messages_are_a_flood(self) -> None:
        body = contained(*[Ping(1).pack()] * 1025)
        with self.assertRaises(ProtocolError) as caught:
            peek(body)
        self.assertEqual(caught.exception.transport_error, TransportErrorCode.FLOOD)

    def test_too_many_ids_are_a_flood(self) -> None:
        with self.assertRaises(ProtocolError) as caught:
            peek(MsgsAck([4] * 8193).pack())
        self.assertEqual(caught.exception.transport_error, TransportErrorCode.FLOOD)
