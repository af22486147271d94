"""What a temporary key may do before it is bound."""

from twisted.trial.unittest import SynchronousTestCase

from gnetway.connection.unbound import Judged, Verdict, judge_unbound, refuse_bind
from gnetway.mtproto.message import pack_message
from gnetway.tl.constructors import Constructor
from gnetway.tl.primitives import NestedTooDeep, TooManyItems, pack_int64, pack_uint32
from gnetway.tl.service_messages import (
    DestroySession,
    GetFutureSalts,
    HttpWait,
    MsgsAck,
    MsgsStateReq,
    Ping,
    PingDelayDisconnect,
    Pong,
    RpcErrorObject,
    RpcResult,
)
from gnetway.tl.unwrap import UnpackedTooLarge, UnwrapLimits
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

MSG_ID = 1200


def judge(body: bytes, limits: UnwrapLimits | None = None) -> Judged:
    payload = pack_message(0, 0, MSG_ID, 1, body)[16:] + bytes(12)
    return judge_unbound(MSG_ID, payload, limits or UnwrapLimits())


def refused(msg_id: int) -> bytes:
    return RpcResult(msg_id, RpcErrorObject(401, "AUTH_KEY_PERM_EMPTY").pack()).pack()


class AnswerTests(SynchronousTestCase):
    def test_pings_are_answered(self) -> None:
        for ping in (Ping(8), PingDelayDisconnect(8, 75)):
            with self.subTest(ping=type(ping).__name__):
                judged = judge(ping.pack())
                self.assertEqual(judged.verdict, Verdict.ANSWER)
                self.assertEqual(
                    [(answer.body, answer.seq_no) for answer in judged.answers],
                    [(Pong(MSG_ID, 8).pack(), 0)],
                )

    def test_what_wants_no_answer_gets_none(self) -> None:
        for body in (MsgsAck([1, 2]).pack(), HttpWait(1, 2, 3).pack(), contained()):
            with self.subTest(body=body.hex()):
                self.assertEqual(judge(body), Judged(Verdict.ANSWER, []))

    def test_a_call_is_refused_and_wants_an_acknowledgement(self) -> None:
        for wrap in (bytes, with_layer, init_connection, gzipped, without_updates):
            with self.subTest(wrap=wrap.__name__):
                judged = judge(wrap(CALL))
                self.assertEqual(judged.verdict, Verdict.ANSWER)
                self.assertEqual(
                    [(answer.body, answer.seq_no) for answer in judged.answers],
                    [(refused(MSG_ID), 1)],
                )

    def test_in_a_container_each_is_answered_under_its_own_msg_id(self) -> None:
        body = contained(
            Ping(1).pack(), with_layer(CALL), MsgsAck([4]).pack(), gzipped(Ping(2).pack()), CALL
        )
        self.assertEqual(
            [answer.body for answer in judge(body).answers],
            [Pong(400, 1).pack(), Pong(412, 2).pack(), refused(404), refused(416)],
        )

    def test_the_plaintext_of_an_answer(self) -> None:
        (answer,) = judge(Ping(8).pack()).answers
        self.assertEqual(
            answer.pack(5, 6, 7), pack_message(5, 6, 7, answer.seq_no, Pong(MSG_ID, 8).pack())
        )


class ForwardTests(SynchronousTestCase):
    def test_service_messages_go_to_the_backend(self) -> None:
        drop_answer = pack_uint32(Constructor.RPC_DROP_ANSWER) + pack_int64(1)
        for body in (
            GetFutureSalts(64).pack(),
            MsgsStateReq([1]).pack(),
            DestroySession(5).pack(),
            pack_uint32(Constructor.DESTROY_AUTH_KEY),
            drop_answer,
            contained(Ping(1).pack(), GetFutureSalts(1).pack()),
        ):
            with self.subTest(body=body.hex()):
                self.assertEqual(judge(body), Judged(Verdict.FORWARD, []))

    def test_not_beside_a_call(self) -> None:
        """What is forwarded is the whole message, and the call would go along."""
        judged = judge(contained(GetFutureSalts(64).pack(), CALL))
        self.assertEqual(judged.verdict, Verdict.ANSWER)
        self.assertEqual([answer.body for answer in judged.answers], [refused(404)])


class BindTests(SynchronousTestCase):
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
                judged = judge(body)
                self.assertEqual(judged, Judged(Verdict.BIND, [], PERM.auth_key_id, msg_id))

    def test_the_answer_to_a_bind_that_was_refused(self) -> None:
        (answer,) = refuse_bind(404)
        error = RpcErrorObject(400, "ENCRYPTED_MESSAGE_INVALID").pack()
        self.assertEqual((answer.body, answer.seq_no), (RpcResult(404, error).pack(), 1))


class BoundTests(SynchronousTestCase):
    def test_depth(self) -> None:
        body = bind_body()
        for _ in range(16):
            body = with_layer(body)
        self.assertEqual(judge(body).verdict, Verdict.BIND)
        with self.assertRaises(NestedTooDeep):
            judge(with_layer(body))

    def test_messages_in_a_container(self) -> None:
        ack = MsgsAck([1]).pack()
        self.assertEqual(judge(contained(*[ack] * 1024)).verdict, Verdict.ANSWER)
        with self.assertRaises(TooManyItems):
            judge(contained(*[ack] * 1025))

    def test_unpacked_bytes_over_all_of_a_message(self) -> None:
        limits = UnwrapLimits(max_unpacked_bytes=100_000)
        bomb = gzipped(CALL + bytes(49_000))
        self.assertEqual(len(judge(contained(bomb, bomb), limits).answers), 2)
        with self.assertRaises(UnpackedTooLarge):
            judge(contained(bomb, bomb, bomb), limits)

    def test_only_what_the_length_covers_is_looked_at(self) -> None:
        payload = pack_message(0, 0, MSG_ID, 1, contained())[16:] + bind_body()
        self.assertEqual(judge_unbound(MSG_ID, payload, UnwrapLimits()).verdict, Verdict.ANSWER)
