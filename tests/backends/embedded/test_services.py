from gnetway.backends.embedded.calls import KeyDestroyWanted, SessionDestroyWanted
from gnetway.backends.embedded.received import MessageState
from gnetway.backends.embedded.services import SERVICES
from gnetway.tl.primitives import Constructor, pack_uint32
from gnetway.tl.service_messages import (
    DestroySession,
    FutureSalts,
    GetFutureSalts,
    HttpWait,
    MsgResendReq,
    MsgsAck,
    MsgsAllInfo,
    MsgsStateInfo,
    MsgsStateReq,
    Ping,
    PingDelayDisconnect,
    Pong,
)
from tests.backends.embedded.session_case import SessionCase
from tests.backends.embedded.talk import NOW, SALT, UNKNOWN_CALL, errors, find, kinds, results


class ServiceCase(SessionCase):
    def setUp(self) -> None:
        super().setUp()
        self.greet()

    def acknowledged(self) -> bool:
        """Whether the last message still has to be acknowledged by msgs_ack."""
        return self.talker.msg_id not in self.session.out.acks


class PingTests(ServiceCase):
    def test_both_pings(self) -> None:
        for ping in (Ping(-5), PingDelayDisconnect(-5, 60)):
            [message] = self.ask(ping.pack())
            self.assertEqual(Pong.parse(message.body), Pong(self.talker.msg_id, -5))
            self.assertEqual((message.msg_id % 4, message.seq_no % 2), (1, 0))

    def test_pong_is_not_kept(self) -> None:
        self.ask(Ping(1).pack())
        self.assertEqual(len(self.session.out.sent), 0)


class FutureSaltsTests(ServiceCase):
    def ask_salts(self, count: int) -> FutureSalts:
        [message] = self.ask(GetFutureSalts(count).pack())
        return FutureSalts.parse(message.body)

    def test_as_many_as_asked_for(self) -> None:
        answer = self.ask_salts(64)
        self.assertEqual((answer.req_msg_id, answer.now), (self.talker.msg_id, NOW))
        self.assertEqual(len(answer.salts), 64)
        self.assertEqual(answer.salts[0][2], SALT)
        self.assertTrue(self.session.salts.unsaved)

    def test_never_a_single_one(self) -> None:
        """With one salt a client asks again at once, for ever."""
        self.assertEqual(len(self.ask_salts(1).salts), 2)

    def test_never_too_many(self) -> None:
        self.assertEqual(len(self.ask_salts(100_000).salts), 64)


class StateTests(ServiceCase):
    def states(self, *msg_ids: int) -> list[int]:
        messages = self.ask(MsgsStateReq(list(msg_ids)).pack())
        info = MsgsStateInfo.parse(find(messages, Constructor.MSGS_STATE_INFO))
        self.assertEqual(info.req_msg_id, self.talker.msg_id)
        return list(info.info)

    def test_states_of_messages(self) -> None:
        self.ask(Ping(1).pack())
        ping = self.talker.msg_id
        self.assertEqual(
            self.states(4, ping, ping + 1000),
            [MessageState.FORGOTTEN, MessageState.RECEIVED, MessageState.NOT_YET],
        )

    def test_states_of_a_call(self) -> None:
        self.ask(UNKNOWN_CALL)
        call = self.talker.msg_id
        self.assertEqual(self.states(call), [MessageState.RECEIVED + MessageState.RUNNING])
        self.session.calls.answered(call, b"done", NOW)
        self.heard()
        self.assertEqual(self.states(call), [MessageState.RECEIVED + MessageState.ANSWERED])

    def test_state_request_needs_no_more_acknowledgement(self) -> None:
        self.assertEqual(kinds(self.ask(MsgsStateReq([4]).pack())), [Constructor.MSGS_STATE_INFO])

    def test_info_from_the_client_is_only_acknowledged(self) -> None:
        for body in (MsgsStateInfo(4, b"\x01").pack(), MsgsAllInfo([4], b"\x01").pack()):
            self.assertEqual(kinds(self.ask(body)), [Constructor.MSGS_ACK])
            self.assertEqual(self.ask(body, content_related=False), [])


class ResendTests(ServiceCase):
    def setUp(self) -> None:
        super().setUp()
        self.session.push(b"news", NOW)
        [self.news] = self.heard()

    def test_kept_message_is_said_again(self) -> None:
        messages = self.ask(MsgResendReq([self.news.msg_id]).pack(), content_related=False)
        self.assertEqual(messages, [self.news])

    def test_what_is_gone_is_told_by_its_state(self) -> None:
        asked = [self.news.msg_id, 9]
        messages = self.ask(MsgResendReq(asked).pack())
        self.assertIn(self.news, messages)
        info = MsgsStateInfo.parse(find(messages, Constructor.MSGS_STATE_INFO))
        self.assertEqual(len(info.info), 2)

    def test_acknowledged_message_is_gone(self) -> None:
        self.ask(MsgsAck([self.news.msg_id]).pack(), content_related=False)
        messages = self.ask(MsgResendReq([self.news.msg_id]).pack())
        self.assertEqual(kinds(messages), [Constructor.MSGS_STATE_INFO])


class OtherServiceTests(ServiceCase):
    def test_http_wait_is_noted(self) -> None:
        self.assertEqual(self.ask(HttpWait(1, 2, 3000).pack(), content_related=False), [])
        self.assertEqual(self.session.services.max_wait_ms, 3000)

    def test_destroy_session_is_wanted(self) -> None:
        self.assertEqual(self.ask(DestroySession(-3).pack()), [])
        self.assertEqual(self.events(), [SessionDestroyWanted(-3)])

    def test_destroy_key_is_wanted(self) -> None:
        self.assertEqual(self.ask(pack_uint32(Constructor.DESTROY_AUTH_KEY)), [])
        self.assertEqual(self.events(), [KeyDestroyWanted()])

    def test_every_service_that_is_cut_short_is_answered(self) -> None:
        whole = {Constructor.DESTROY_AUTH_KEY, Constructor.MSGS_STATE_INFO}
        whole.add(Constructor.MSGS_ALL_INFO)
        for kind in sorted(set(SERVICES) - whole):
            even = kind == Constructor.MSGS_ACK
            messages = self.ask(pack_uint32(kind), content_related=not even)
            self.assertEqual(errors(messages), {self.talker.msg_id: (400, "INPUT_FETCH_ERROR")})
            self.assertEqual(list(results(messages)), [self.talker.msg_id])
