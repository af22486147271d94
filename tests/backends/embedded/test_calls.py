from gnetway.backends.embedded.calls import (
    MAX_RUNNING_CALLS,
    MAX_WAITING_CALLS,
    BindWanted,
    CallDropped,
    CallWanted,
)
from gnetway.mtproto.binding import BIND_REFUSED
from gnetway.tl.key_exchange import BindTempAuthKey
from gnetway.tl.primitives import Constructor, pack_uint32
from gnetway.tl.service_messages import MsgsAck, RpcAnswerDropped, RpcDropAnswer
from tests.backends.embedded.session_case import SessionCase
from tests.backends.embedded.talk import NOW, UNKNOWN_CALL, errors, kinds, results, temp_key
from tests.binds import make_bind
from tests.fakes import some_key

TRUE = pack_uint32(Constructor.BOOL_TRUE)
PERM = some_key(1)


class AnswerTests(SessionCase):
    def setUp(self) -> None:
        super().setUp()
        self.greet()

    def test_answer_made_at_once_acknowledges(self) -> None:
        self.send(self.talker.payload(UNKNOWN_CALL))
        self.session.calls.answered(self.only_call().msg_id, b"done", NOW)
        [message] = self.heard()
        self.assertEqual(results([message]), {self.talker.msg_id: b"done"})
        self.assertEqual((message.msg_id % 4, message.seq_no % 2), (1, 1))

    def test_answer_that_takes_time_follows_an_acknowledgement(self) -> None:
        [ack] = self.ask(UNKNOWN_CALL)
        self.assertEqual(MsgsAck.parse(ack.body).msg_ids, [self.talker.msg_id])
        self.session.calls.answered(self.talker.msg_id, b"done", NOW)
        self.assertEqual(results(self.heard()), {self.talker.msg_id: b"done"})

    def test_error(self) -> None:
        self.ask(UNKNOWN_CALL)
        self.session.calls.failed(self.talker.msg_id, 420, "FLOOD_WAIT_9", NOW)
        self.assertEqual(errors(self.heard()), {self.talker.msg_id: (420, "FLOOD_WAIT_9")})

    def test_only_one_answer_is_told(self) -> None:
        self.ask(UNKNOWN_CALL)
        self.session.calls.answered(self.talker.msg_id, b"done", NOW)
        self.session.calls.answered(self.talker.msg_id, b"more", NOW)
        self.assertEqual(results(self.heard()), {self.talker.msg_id: b"done"})

    def test_running_calls_are_bounded(self) -> None:
        for _ in range(MAX_RUNNING_CALLS):
            self.send(self.talker.payload(UNKNOWN_CALL))
        self.heard()
        self.events()
        self.assertEqual(
            errors(self.ask(UNKNOWN_CALL)),
            {self.talker.msg_id: (500, "WORKER_BUSY_TOO_LONG_RETRY")},
        )
        self.assertEqual(self.events(), [])


class DropTests(SessionCase):
    def setUp(self) -> None:
        super().setUp()
        self.greet()
        self.ask(UNKNOWN_CALL)
        self.call = self.talker.msg_id
        self.events()

    def drop(self) -> dict[int, bytes]:
        return results(self.ask(RpcDropAnswer(self.call).pack()))

    def test_running_call(self) -> None:
        dropped = pack_uint32(Constructor.RPC_ANSWER_DROPPED_RUNNING)
        self.assertEqual(self.drop(), {self.call: dropped, self.talker.msg_id: dropped})
        self.assertEqual(self.events(), [CallDropped(self.call)])
        self.session.calls.answered(self.call, b"done", NOW)
        self.assertEqual(self.heard(), [])

    def test_answered_call(self) -> None:
        self.session.calls.answered(self.call, b"done", NOW)
        [said] = self.heard()
        dropped = RpcAnswerDropped.parse(self.drop()[self.talker.msg_id])
        expected = RpcAnswerDropped(said.msg_id, said.seq_no, len(said.body))
        self.assertEqual(dropped, expected)
        self.assertIsNone(self.session.out.sent.get(said.msg_id))

    def test_unknown_call(self) -> None:
        self.call = 4
        unknown = pack_uint32(Constructor.RPC_ANSWER_UNKNOWN)
        self.assertEqual(self.drop(), {self.talker.msg_id: unknown})


class BindTests(SessionCase):
    def setUp(self) -> None:
        self.key = temp_key(2)
        self.begin(self.key)
        self.greet()

    def send_bind(self) -> BindWanted:
        bind = make_bind(self.key, PERM, self.talker.msg_id + 4)
        self.send(self.talker.payload(bind.pack()))
        [event] = self.events()
        assert isinstance(event, BindWanted)
        self.assertEqual(event, (self.talker.msg_id, bind))
        return event

    def test_calls_of_an_unbound_key_are_refused(self) -> None:
        messages = self.ask(UNKNOWN_CALL)
        self.assertEqual(errors(messages), {self.talker.msg_id: (401, "AUTH_KEY_PERM_EMPTY")})
        self.assertEqual(self.events(), [])

    def test_calls_wait_while_a_bind_is_decided(self) -> None:
        wanted = self.send_bind()
        self.send(self.talker.payload(UNKNOWN_CALL))
        call = self.talker.msg_id
        self.assertEqual(self.events(), [])
        self.session.calls.bind_accepted(wanted.msg_id, PERM.auth_key_id, NOW)
        self.assertEqual(self.events(), [CallWanted(call, UNKNOWN_CALL, 0xDEADBEEF, 0)])
        self.assertEqual(results(self.heard()), {wanted.msg_id: TRUE})
        self.assertEqual(self.session.calls.perm_auth_key_id, PERM.auth_key_id)

    def test_calls_that_waited_are_refused_with_the_bind(self) -> None:
        wanted = self.send_bind()
        self.send(self.talker.payload(UNKNOWN_CALL))
        self.session.calls.bind_refused(wanted.msg_id, BIND_REFUSED, NOW)
        self.assertEqual(
            errors(self.heard()),
            {
                wanted.msg_id: (400, "ENCRYPTED_MESSAGE_INVALID"),
                self.talker.msg_id: (401, "AUTH_KEY_PERM_EMPTY"),
            },
        )

    def test_refusal_that_another_tells(self) -> None:
        wanted = self.send_bind()
        self.session.calls.bind_refused(wanted.msg_id, None, NOW)
        self.assertEqual(self.heard(), [])

    def test_waiting_calls_are_bounded(self) -> None:
        self.send_bind()
        for _ in range(MAX_WAITING_CALLS):
            self.send(self.talker.payload(UNKNOWN_CALL))
        self.assertEqual(errors(self.heard()), {})
        refused = errors(self.ask(UNKNOWN_CALL))
        self.assertEqual(refused, {self.talker.msg_id: (500, "WORKER_BUSY_TOO_LONG_RETRY")})
        self.assertEqual(self.events(), [])

    def test_calls_that_need_no_login(self) -> None:
        """IOS asks for them before it binds."""
        for constructor in (Constructor.HELP_GET_CONFIG, Constructor.HELP_GET_NEAREST_DC):
            with self.subTest(call=constructor.name):
                self.send(self.talker.payload(pack_uint32(constructor)))
                self.assertEqual(self.only_call().constructor, constructor)

    def test_calls_wait_while_a_bound_key_is_bound_again(self) -> None:
        """The store has the last word, whoever the gateway takes the client for."""
        self.key.perm_auth_key_id = PERM.auth_key_id
        wanted = self.send_bind()
        self.send(self.talker.payload(UNKNOWN_CALL))
        self.send(self.talker.payload(pack_uint32(Constructor.HELP_GET_CONFIG)))
        self.assertEqual(self.events(), [])
        self.session.calls.bind_refused(wanted.msg_id, BIND_REFUSED, NOW)
        self.assertEqual(len(self.events()), 2)

    def test_calls_wait_for_every_bind(self) -> None:
        wanted = [self.send_bind(), self.send_bind()]
        self.send(self.talker.payload(UNKNOWN_CALL))
        self.session.calls.bind_refused(wanted[0].msg_id, None, NOW)
        self.assertEqual(self.events(), [])
        self.session.calls.bind_accepted(wanted[1].msg_id, PERM.auth_key_id, NOW)
        self.assertEqual(len(self.events()), 1)

    def test_key_that_the_gateway_knows_as_bound(self) -> None:
        self.key.perm_auth_key_id = PERM.auth_key_id
        self.send(self.talker.payload(UNKNOWN_CALL))
        self.assertEqual(self.only_call().msg_id, self.talker.msg_id)

    def test_bind_that_cannot_be_read(self) -> None:
        cut = BindTempAuthKey(1, 2, 3, bytes(40)).pack()[:30]
        messages = self.ask(cut + bytes(2))
        self.assertEqual(errors(messages), {self.talker.msg_id: (400, "INPUT_FETCH_ERROR")})
        self.assertEqual(kinds(messages), [Constructor.RPC_RESULT])
