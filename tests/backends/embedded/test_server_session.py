from gzip import compress

from hypothesis import given
from hypothesis.strategies import binary, integers

from gnetway.backends.embedded.key_state import ROTATION_SECONDS
from gnetway.backends.embedded.received import BadMessage
from gnetway.mtproto.message import MAX_FUTURE_SECONDS, MAX_PAST_SECONDS
from gnetway.tl.primitives import (
    Constructor,
    pack_int32,
    pack_string,
    pack_uint32,
)
from gnetway.tl.service_messages import (
    BadServerSalt,
    ContainedMessage,
    MsgsAck,
    NewSessionCreated,
    Ping,
    Pong,
    pack_container,
)
from tests.backends.embedded.session_case import SessionCase
from tests.backends.embedded.talk import (
    NOW,
    SALT,
    UNKNOWN_CALL,
    constructor_of,
    faults,
    find,
    kinds,
    payload,
    results,
)
from tests.fakes import some_key

PING = Ping(-9).pack()


class GreetingTests(SessionCase):
    def test_first_message_begins_the_session(self) -> None:
        messages = self.ask(PING)
        self.assertEqual(kinds(messages), [Constructor.NEW_SESSION_CREATED, Constructor.PONG])
        created = NewSessionCreated.parse(messages[0].body)
        self.assertEqual(created.first_msg_id, self.talker.msg_id)
        self.assertEqual(created.server_salt, SALT)
        self.assertNotEqual(created.unique_id, 0)
        self.assertEqual((messages[0].seq_no % 2, messages[0].msg_id % 4), (1, 3))

    def test_only_the_first(self) -> None:
        self.ask(PING)
        self.assertEqual(kinds(self.ask(PING)), [Constructor.PONG])

    def test_of_a_container_the_lowest_msg_id_is_told(self) -> None:
        """A client sends again what it sent before the first_msg_id."""
        first, _ = self.talker.number()
        inner = ContainedMessage(first, 1, PING)
        self.send(self.talker.payload(pack_container([inner]), content_related=False))
        created = NewSessionCreated.parse(find(self.heard(), Constructor.NEW_SESSION_CREATED))
        self.assertEqual(created.first_msg_id, first)

    def test_refused_message_begins_nothing(self) -> None:
        self.send(self.talker.payload(PING), salt=0)
        self.assertEqual(kinds(self.heard()), [Constructor.BAD_SERVER_SALT])


class SaltTests(SessionCase):
    def test_wrong_salt_is_told_and_the_message_taken_when_it_comes_again(self) -> None:
        numbers = self.talker.number()
        self.send(payload(*numbers, UNKNOWN_CALL), salt=1)
        wrong = BadServerSalt.parse(find(self.heard(), Constructor.BAD_SERVER_SALT))
        self.assertEqual(wrong, BadServerSalt(*numbers, BadMessage.WRONG_SALT, SALT))
        self.assertEqual(self.events(), [])
        self.send(payload(*numbers, UNKNOWN_CALL), salt=wrong.new_server_salt)
        self.assertEqual(self.only_call().msg_id, numbers[0])

    def test_the_answer_carries_the_right_salt(self) -> None:
        self.send(self.talker.payload(PING), salt=1)
        [message] = self.heard()
        self.assertEqual((message.salt, message.seq_no, message.msg_id % 4), (SALT, 0, 1))

    def test_answers_carry_the_salt_of_their_time(self) -> None:
        self.greet()
        self.talker.now = later = NOW + ROTATION_SECONDS + 1
        self.send(self.talker.payload(PING), now=later)
        [message] = self.heard(later)
        self.assertEqual(message.salt, self.session.salts.current(later))
        self.assertNotEqual(message.salt, SALT)


class MessageIdTests(SessionCase):
    def setUp(self) -> None:
        super().setUp()
        self.greet()

    def refused(self, msg_id: int) -> list[tuple[int, int]]:
        self.send(payload(msg_id, 1, PING))
        return faults(self.heard())

    def test_too_low(self) -> None:
        msg_id = NOW - MAX_PAST_SECONDS - 1 << 32
        self.assertEqual(self.refused(msg_id), [(msg_id, BadMessage.MSG_ID_TOO_LOW)])

    def test_too_high(self) -> None:
        msg_id = NOW + MAX_FUTURE_SECONDS + 1 << 32
        self.assertEqual(self.refused(msg_id), [(msg_id, BadMessage.MSG_ID_TOO_HIGH)])

    def test_not_divisible_by_four(self) -> None:
        msg_id = (NOW << 32) + 1001
        self.assertEqual(self.refused(msg_id), [(msg_id, BadMessage.MSG_ID_NOT_DIVISIBLE)])

    def test_told_before_the_salt(self) -> None:
        """A client with a wrong clock must learn of it first, or it comes with a wrong salt."""
        msg_id = NOW + 3600 << 32
        self.send(payload(msg_id, 1, PING), salt=1)
        self.assertEqual(faults(self.heard()), [(msg_id, BadMessage.MSG_ID_TOO_HIGH)])

    def test_forgotten(self) -> None:
        old = NOW << 32
        for _ in range(2000):
            self.ask(PING)
        self.send(payload(old - 4, 0, PING))
        self.assertEqual(faults(self.heard()), [(old - 4, BadMessage.TOO_OLD)])

    def test_inside_of_a_container_a_message_may_be_old(self) -> None:
        old = NOW - 4000 << 32
        inner = ContainedMessage(old, 1, UNKNOWN_CALL)
        self.begin(some_key(1))
        self.talker.number()
        self.send(self.talker.payload(pack_container([inner]), content_related=False))
        self.assertEqual(self.only_call().msg_id, old)

    def test_inside_of_a_container_the_other_rules_hold(self) -> None:
        early = NOW + MAX_FUTURE_SECONDS + 1 << 32
        odd = (NOW << 32) + 1001
        inner = [ContainedMessage(early, 1, PING), ContainedMessage(odd, 3, PING)]
        self.send(self.talker.payload(pack_container(inner), content_related=False))
        expected = [(early, BadMessage.MSG_ID_TOO_HIGH), (odd, BadMessage.MSG_ID_NOT_DIVISIBLE)]
        self.assertEqual(faults(self.heard()), expected)


class SequenceTests(SessionCase):
    def setUp(self) -> None:
        super().setUp()
        self.greet()
        self.ask(PING)

    def refused(self, seq_no: int, body: bytes) -> list[int]:
        msg_id, _ = self.talker.number()
        self.send(payload(msg_id, seq_no, body))
        said = faults(self.heard())
        self.assertEqual([bad for bad, _ in said], [msg_id] * len(said))
        return [code for _, code in said]

    def test_too_low(self) -> None:
        self.assertEqual(self.refused(1, PING), [BadMessage.SEQ_NO_TOO_LOW])

    def test_too_high(self) -> None:
        skipped, _ = self.talker.number()
        self.ask(PING)
        self.send(payload(skipped, 101, PING))
        self.assertEqual(faults(self.heard()), [(skipped, BadMessage.SEQ_NO_TOO_HIGH)])

    def test_calls_are_odd(self) -> None:
        self.assertEqual(self.refused(4, UNKNOWN_CALL), [BadMessage.SEQ_NO_MUST_BE_ODD])
        self.assertEqual(self.events(), [])

    def test_containers_are_even(self) -> None:
        container = pack_container([ContainedMessage(NOW << 32, 1, PING)])
        self.assertEqual(self.refused(5, container), [BadMessage.SEQ_NO_MUST_BE_EVEN])
        packed = pack_uint32(Constructor.GZIP_PACKED) + pack_string(compress(container))
        self.assertEqual(self.refused(7, packed), [BadMessage.SEQ_NO_MUST_BE_EVEN])

    def test_acknowledgements_are_either(self) -> None:
        """Mtcute's are odd; they want no acknowledgement for all that."""
        for seq_no in (4, 5):
            msg_id, _ = self.talker.number()
            self.send(payload(msg_id, seq_no, MsgsAck([4]).pack()))
            self.assertEqual(self.heard(), [])

    def test_pings_are_either(self) -> None:
        """Clients differ."""
        self.assertEqual(self.refused(4, PING), [])
        self.assertEqual(self.refused(5, PING), [])


class RepeatTests(SessionCase):
    def setUp(self) -> None:
        super().setUp()
        self.greet()

    def test_call_runs_once_and_is_acknowledged_again(self) -> None:
        message = self.talker.payload(UNKNOWN_CALL)
        self.send(message)
        self.only_call()
        self.heard()
        self.send(message)
        self.assertEqual(self.events(), [])
        ack = MsgsAck.parse(find(self.heard(), Constructor.MSGS_ACK))
        self.assertEqual(ack.msg_ids, [self.talker.msg_id])

    def test_answer_is_said_again(self) -> None:
        message = self.talker.payload(UNKNOWN_CALL)
        self.send(message)
        self.session.calls.answered(self.only_call().msg_id, b"done", NOW)
        first = self.heard()
        self.send(message)
        self.assertEqual(self.heard(), first)
        self.assertEqual(results(first), {self.talker.msg_id: b"done"})

    def test_acknowledged_answer_is_not_said_again(self) -> None:
        message = self.talker.payload(UNKNOWN_CALL)
        self.send(message)
        self.session.calls.answered(self.only_call().msg_id, b"done", NOW)
        [answer] = self.heard()
        self.ask(MsgsAck([answer.msg_id]).pack(), content_related=False)
        self.send(message)
        self.assertEqual(kinds(self.heard()), [Constructor.MSGS_ACK])

    def test_repeated_ping_that_needs_nothing_is_passed_over(self) -> None:
        message = self.talker.payload(PING, content_related=False)
        self.send(message)
        self.heard()
        self.send(message)
        self.assertEqual(self.heard(), [])

    def test_container_may_not_have_the_number_of_another_message(self) -> None:
        msg_id, seq_no = self.talker.number(content_related=False)
        self.send(payload(msg_id, seq_no, PING))
        self.heard()
        self.send(payload(msg_id, seq_no, pack_container([])))
        self.assertEqual(faults(self.heard()), [(msg_id, BadMessage.REPEATED)])


class ContainerTests(SessionCase):
    def test_each_message_is_answered_in_one_container(self) -> None:
        self.greet()
        pings = [Ping(number).pack() for number in range(5)]
        self.send(self.talker.contain(*pings))
        plaintext = self.session.out.take(NOW)
        self.assertEqual(constructor_of(plaintext[32:]), Constructor.MSG_CONTAINER)
        self.assertEqual(self.session.out.take(NOW), b"")

    def test_order_is_kept(self) -> None:
        self.greet()
        self.send(self.talker.contain(*[Ping(number).pack() for number in range(5)]))
        pongs = [Pong.parse(message.body).ping_id for message in self.heard()]
        self.assertEqual(pongs, list(range(5)))

    def test_container_in_a_container_is_refused_alone(self) -> None:
        self.greet()
        self.send(self.talker.contain(PING, pack_container([]), PING))
        messages = self.heard()
        self.assertEqual(kinds(messages).count(Constructor.PONG), 2)
        self.assertEqual([code for _, code in faults(messages)], [BadMessage.INVALID_CONTAINER])

    def test_packed_container_is_opened(self) -> None:
        self.greet()
        inner = ContainedMessage(*self.talker.number(), PING)
        packed = pack_string(compress(pack_container([inner])))
        messages = self.ask(pack_uint32(Constructor.GZIP_PACKED) + packed, content_related=False)
        self.assertEqual(kinds(messages), [Constructor.PONG])

    def test_packed_container_in_a_container_is_refused(self) -> None:
        self.greet()
        packed = pack_uint32(Constructor.GZIP_PACKED) + pack_string(compress(pack_container([])))
        self.send(self.talker.contain(packed))
        [(_, code)] = faults(self.heard())
        self.assertEqual(code, BadMessage.INVALID_CONTAINER)

    def test_what_is_no_container_is_refused(self) -> None:
        too_many = pack_uint32(Constructor.MSG_CONTAINER) + pack_int32(1025) + bytes(20_000)
        cut = pack_container([ContainedMessage(NOW << 32, 1, PING)])[:-4]
        for body in (too_many, cut):
            messages = self.ask(body, content_related=False)
            expected = [(self.talker.msg_id, BadMessage.INVALID_CONTAINER)]
            self.assertEqual(faults(messages), expected)

    def test_empty_container_is_good(self) -> None:
        self.greet()
        self.assertEqual(self.ask(pack_container([]), content_related=False), [])


class HostileTests(SessionCase):
    @given(body=binary(max_size=200), seq_no=integers(-(2**31), 2**31 - 1))
    def test_any_body_is_survived(self, body: bytes, seq_no: int) -> None:
        msg_id, _ = self.talker.number()
        self.send(payload(msg_id, seq_no, body))
        self.heard()
        self.events()

    @given(body=binary(max_size=60), numbers=integers(0, 9))
    def test_any_object_of_a_known_kind_is_survived(self, body: bytes, numbers: int) -> None:
        for kind in Constructor:
            msg_id, seq_no = self.talker.number(content_related=bool(numbers % 2))
            self.send(payload(msg_id, seq_no, pack_uint32(kind) + body))
        self.heard()
        self.events()


class PushTests(SessionCase):
    def test_push_is_content_and_no_response(self) -> None:
        self.greet()
        self.session.push(b"news", NOW)
        [message] = self.heard()
        self.assertEqual((message.body, message.seq_no % 2, message.msg_id % 4), (b"news", 1, 3))
        self.assertIsNotNone(self.session.out.sent.get(message.msg_id))
