"""What is answered to a temporary key before it is bound."""

from hypothesis import given
from hypothesis.strategies import integers
from twisted.trial.unittest import SynchronousTestCase

from gnetway.connection.unbound import (
    MAX_ANSWER_BYTES,
    MAX_ANSWERS,
    Answer,
    UnboundMessage,
    answer_unbound,
    known_salt,
    look_into,
    refuse_bind,
)
from gnetway.crypto.auth_key import AuthKey, KeyKind
from gnetway.errors import TLError
from gnetway.mtproto.message import pack_message
from gnetway.tl.primitives import (
    Constructor,
    pack_int64,
    pack_uint32,
)
from gnetway.tl.service_messages import (
    BadMsgNotification,
    BadServerSalt,
    DestroySession,
    DestroySessionNone,
    FutureSalts,
    GetFutureSalts,
    HttpWait,
    MsgResendReq,
    MsgsAck,
    MsgsAllInfo,
    MsgsStateInfo,
    MsgsStateReq,
    NewSessionCreated,
    Ping,
    PingDelayDisconnect,
    Pong,
    RpcDropAnswer,
    RpcErrorObject,
    RpcResult,
)
from gnetway.tl.unwrap import UnwrapLimits
from tests.connection.wrappers import (
    CALL,
    bind_body,
    contained,
    gzipped,
    init_connection,
    temp_key,
    with_layer,
    without_updates,
)
from tests.fakes import some_key
from tests.strategies import SeededBytes

NOW = 1_800_000_000.5
MSG_ID = int(NOW) << 32
SALT = -0x0123_4567_89AB_CDEF
SESSION_ID = 70
UNIQUE_ID = int.from_bytes(SeededBytes(1)(8), "little", signed=True)

PING = Ping(8).pack()
KEY_DESTROYED = pack_uint32(Constructor.DESTROY_AUTH_KEY)


def payload_of(body: bytes, msg_id: int = MSG_ID, seq_no: int = 1) -> bytes:
    return pack_message(0, 0, msg_id, seq_no, body)[16:] + bytes(12)


def refused(msg_id: int) -> bytes:
    return RpcResult(msg_id, RpcErrorObject(401, "AUTH_KEY_PERM_EMPTY").pack()).pack()


class UnboundCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.key = temp_key()
        self.key.first_salt = SALT

    def answers(
        self,
        body: bytes,
        msg_id: int = MSG_ID,
        salt: int = SALT,
        session_id: int = SESSION_ID,
        key: AuthKey | None = None,
    ) -> list[Answer]:
        """Return the answers to a message with the seq_no 6."""
        peek = look_into(msg_id, payload_of(body, msg_id, 6), UnwrapLimits())
        message = UnboundMessage(key or self.key, salt, session_id, msg_id, 6)
        return answer_unbound(message, peek, NOW, SeededBytes(1))

    def bodies(self, body: bytes) -> list[bytes]:
        """Return what is answered in a session that was greeted before."""
        self.key.greeted_session_id = SESSION_ID
        return [answer.body for answer in self.answers(body)]


class OrderTests(UnboundCase):
    """The first fault that is found is told, and nothing else."""

    def test_the_time_of_a_msg_id_comes_first(self) -> None:
        """A client that does not know the time knows no salt either, and may call anything."""
        for seconds, code in {-86_400: 16, -301: 16, 31: 17, 7200: 17}.items():
            for salt in (SALT, 0):
                with self.subTest(seconds=seconds, salt=salt):
                    msg_id = MSG_ID + (seconds << 32)
                    told = BadMsgNotification(msg_id, 6, code).pack()
                    self.assertEqual(self.answers(CALL, msg_id, salt), [Answer(told)])

    def test_a_msg_id_that_is_no_clients(self) -> None:
        for low_bits in (1, 2, 3):
            told = BadMsgNotification(MSG_ID + low_bits, 6, 18).pack()
            self.assertEqual(self.answers(PING, MSG_ID + low_bits, 0), [Answer(told)])

    def test_a_msg_id_within_the_window(self) -> None:
        for seconds in (-299, 30):
            answers = self.answers(PING, MSG_ID + (seconds << 32))
            self.assertEqual(answers[0].body, Pong(MSG_ID + (seconds << 32), 8).pack())

    def test_then_comes_the_salt(self) -> None:
        """A client that begins with salt 0 asks for ever if it is not told a better one."""
        cut_short = MsgsStateReq([1]).pack()[:-8]
        for salt in (0, SALT + 1, -SALT, 1 << 62):
            for body in (PING, CALL, GetFutureSalts(1).pack(), cut_short, MsgsAck([1]).pack()):
                with self.subTest(salt=salt, body=body.hex()):
                    told = BadServerSalt(MSG_ID, 6, 48, SALT).pack()
                    self.assertEqual(self.answers(body, salt=salt), [Answer(told)])
        self.assertEqual(self.key.greeted_session_id, 0)

    def test_then_what_the_message_holds(self) -> None:
        created = NewSessionCreated(MSG_ID, UNIQUE_ID, SALT).pack()
        self.assertEqual(
            self.answers(PING),
            [Answer(Pong(MSG_ID, 8).pack()), Answer(created, content=True, response=False)],
        )

    def test_what_cannot_be_read_ends_the_link(self) -> None:
        for request in (MsgsStateReq([1]), MsgResendReq([1]), DestroySession(5)):
            with self.subTest(request=request), self.assertRaises(TLError):
                self.answers(request.pack()[:-4])


class GreetingTests(UnboundCase):
    def kinds(self, session_id: int, body: bytes = PING) -> list[int]:
        answers = self.answers(body, session_id=session_id)
        return [int.from_bytes(answer.body[:4], "little") for answer in answers]

    def test_a_session_is_greeted_once(self) -> None:
        # Whoever reads one packet for a ping finds the pong in it.
        both = [Constructor.PONG, Constructor.NEW_SESSION_CREATED]
        self.assertEqual(self.kinds(70), both)
        self.assertEqual(self.key.greeted_session_id, 70)
        self.assertEqual(self.kinds(70), [Constructor.PONG])
        self.assertEqual(self.kinds(71), both)
        self.assertEqual(self.kinds(71), [Constructor.PONG])

    def test_another_key_is_greeted_for_itself(self) -> None:
        self.kinds(70)
        other = temp_key(52)
        other.first_salt = SALT
        self.assertEqual(len(self.answers(PING, key=other)), 2)

    def test_also_where_nothing_wants_an_answer(self) -> None:
        self.assertEqual(self.kinds(70, MsgsAck([1]).pack()), [Constructor.NEW_SESSION_CREATED])

    def test_the_lowest_msg_id_of_a_container_counts(self) -> None:
        """Messages before it are lost to the session, and are to be sent again."""
        greeting = self.answers(contained(PING, CALL, first_msg_id=MSG_ID - 8))[-1]
        self.assertEqual(NewSessionCreated.parse(greeting.body).first_msg_id, MSG_ID - 8)


class SaltTests(UnboundCase):
    def test_the_exchange_made_it(self) -> None:
        for salt in (SALT, 0):
            key = temp_key()
            key.first_salt = salt
            self.assertEqual(known_salt(key), salt)

    def test_of_a_key_from_elsewhere_all_gateways_tell_the_same(self) -> None:
        here, there = some_key(51, KeyKind.TEMP), some_key(51, KeyKind.TEMP)
        salt = known_salt(here)
        self.assertEqual((known_salt(there), known_salt(here), here.first_salt), (salt,) * 3)
        self.assertNotEqual(known_salt(some_key(52, KeyKind.TEMP)), salt)
        self.assertNotIn(salt, (0, 99))

    @given(integers(0, 1 << 32))
    def test_it_is_a_signed_number(self, number: int) -> None:
        pack_int64(known_salt(some_key(number, KeyKind.TEMP)))

    def test_it_is_asked_for_and_taken(self) -> None:
        key = some_key(51, KeyKind.TEMP)
        (told,) = self.answers(PING, salt=0, key=key)
        salt = BadServerSalt.parse(told.body).new_server_salt
        self.assertEqual(salt, known_salt(key))
        self.assertEqual(len(self.answers(PING, salt=salt, key=key)), 2)


class AnswerTests(UnboundCase):
    def setUp(self) -> None:
        super().setUp()
        self.key.greeted_session_id = SESSION_ID

    def test_pings(self) -> None:
        for ping in (Ping(8), PingDelayDisconnect(8, 75)):
            with self.subTest(ping=type(ping).__name__):
                self.assertEqual(self.answers(ping.pack()), [Answer(Pong(MSG_ID, 8).pack())])

    def test_what_wants_no_answer_gets_none(self) -> None:
        for body in (
            MsgsAck([1, 2]).pack(),
            HttpWait(1, 2, 3).pack(),
            MsgsStateInfo(4, b"\x01").pack(),
            MsgsAllInfo([4], b"\x01").pack(),
            contained(),
            contained(MsgsAck([1]).pack(), HttpWait(1, 2, 3).pack()),
        ):
            with self.subTest(body=body.hex()):
                self.assertEqual(self.answers(body), [])

    def test_a_call_is_refused_and_wants_an_acknowledgement(self) -> None:
        for wrap in (bytes, with_layer, init_connection, gzipped, without_updates):
            with self.subTest(wrap=wrap.__name__):
                told = Answer(refused(MSG_ID), content=True)
                self.assertEqual(self.answers(wrap(CALL)), [told])

    def test_in_a_container_each_is_answered_under_its_own_msg_id(self) -> None:
        body = contained(
            Ping(1).pack(),
            with_layer(CALL),
            DestroySession(5).pack(),
            gzipped(Ping(2).pack()),
            MsgsAck([4]).pack(),
            CALL,
        )
        self.assertEqual(
            self.bodies(body),
            [
                Pong(400, 1).pack(),
                Pong(412, 2).pack(),
                DestroySessionNone(5).pack(),
                refused(404),
                refused(420),
            ],
        )


class ServiceTests(UnboundCase):
    def test_future_salts_are_two_at_least(self) -> None:
        """Told a single one, clients ask again in a hot loop."""
        for num in (1, 2, 64):
            with self.subTest(num=num):
                (body,) = self.bodies(GetFutureSalts(num).pack())
                told = FutureSalts.parse(body)
                self.assertEqual((told.req_msg_id, told.now), (MSG_ID, int(NOW)))
                (first, second) = told.salts
                self.assertEqual((first[2], second[2]), (SALT, SALT))
                self.assertEqual(first[0], int(NOW))
                self.assertEqual(first[1], second[0])
                self.assertLess(second[0], second[1])

    def test_no_message_is_known(self) -> None:
        for request in (MsgsStateReq([1, 2, 3]), MsgResendReq([1, 2, 3])):
            with self.subTest(request=request):
                told = MsgsStateInfo(MSG_ID, b"\x01\x01\x01").pack()
                self.assertEqual(self.bodies(request.pack()), [told])

    def test_no_other_session_is_known(self) -> None:
        told = DestroySessionNone(-5).pack()
        self.assertEqual(self.bodies(DestroySession(-5).pack()), [told])

    def test_a_key_is_not_destroyed_by_one_who_proved_nothing(self) -> None:
        self.assertEqual(
            self.bodies(KEY_DESTROYED), [pack_uint32(Constructor.DESTROY_AUTH_KEY_FAIL)]
        )

    def test_no_call_runs_that_could_be_dropped(self) -> None:
        self.key.greeted_session_id = SESSION_ID
        told = RpcResult(MSG_ID, pack_uint32(Constructor.RPC_ANSWER_UNKNOWN)).pack()
        self.assertEqual(self.answers(RpcDropAnswer(4).pack()), [Answer(told, content=True)])

    def test_all_their_answers_are_bounded(self) -> None:
        """A list of ids is cheap to send, also packed by gzip."""
        asks = MsgsStateReq([4] * 8192).pack()
        size = len(MsgsStateInfo(1, bytes(8192)).pack())
        body = contained(*[asks] * 20, PING, CALL)
        told = self.bodies(body)
        infos = [one for one in told if len(one) == size]
        self.assertEqual(len(infos), MAX_ANSWER_BYTES // size)
        self.assertEqual(told[:1] + told[-1:], [Pong(480, 8).pack(), refused(484)])
        self.assertEqual(len(told), len(infos) + 2)

    def test_so_are_their_numbers(self) -> None:
        """Each answer is a packet of its own, and a container holds a thousand messages."""
        for asks in (GetFutureSalts(64).pack(), PING, CALL):
            told = self.bodies(contained(*[asks] * 256))
            self.assertEqual(len(told), MAX_ANSWERS)


class RefusalTests(UnboundCase):
    def test_a_bind_that_is_not_proved(self) -> None:
        peek = look_into(MSG_ID, payload_of(bind_body()), UnwrapLimits())
        error = RpcErrorObject(400, "ENCRYPTED_MESSAGE_INVALID").pack()
        told = Answer(RpcResult(MSG_ID, error).pack(), content=True)
        self.assertEqual(refuse_bind(peek, self.key, NOW), [told])

    def test_what_stands_beside_it_is_answered(self) -> None:
        salts, wait = GetFutureSalts(2).pack(), HttpWait(0, 0, 0).pack()
        body = contained(PING, salts, bind_body(), CALL, wait)
        peek = look_into(MSG_ID, payload_of(body), UnwrapLimits())
        told = [answer.body for answer in refuse_bind(peek, self.key, NOW)]
        self.assertEqual(RpcResult.parse(told[0]).req_msg_id, 408)
        self.assertEqual((told[1], told[3]), (Pong(400, 8).pack(), refused(412)))
        self.assertEqual((FutureSalts.parse(told[2]).req_msg_id, len(told)), (404, 4))
