"""What waits for the next request of a session: its order, its bounds, and errors in it."""

from gnetway.mtproto.message import pack_message
from gnetway.net.http.answers import HttpSettings
from gnetway.tl.service_messages import Pong, RpcErrorObject, RpcResult
from tests.connection.wrappers import CALL, contained
from tests.net.http_client import HttpGateway, said
from tests.net.http_polls import ACK, KEY, PollCase, note, wait

PONG = Pong(4, 1).pack()


class QueueTests(PollCase):
    settings = HttpSettings(max_queued_messages=3, max_queued_bytes=3000, max_all_queued_bytes=4000)

    def setUp(self) -> None:
        super().setUp()
        self.heard(self.say(ACK))

    def test_what_came_between_two_requests_is_told_by_the_next(self) -> None:
        for body in (wait(), ACK, CALL):
            with self.subTest(body=body.hex()):
                self.push(1)
                self.push(2)
                self.assertEqual(self.heard(self.say(body)), [note(1), note(2)])
        self.assertEqual(self.gateway.http.sessions.total.bytes, 0)

    def test_it_goes_along_with_the_backends_own_answer(self) -> None:
        self.push(1)
        self.gateway.answers = [said(self.session, note(9), 9)]
        self.assertEqual(self.heard(self.say(CALL)), [note(1), note(9)])

    def test_a_request_that_is_there_to_wait_gets_it_before_the_backend_answers(self) -> None:
        self.gateway.held = True
        self.push(1)
        link = self.say(wait())
        self.assertEqual(self.heard(link), [note(1)])
        self.gateway.asked[0].callback(b"")
        self.assertIsNone(self.heard(link))

    def test_a_call_waits_for_its_own_answer(self) -> None:
        self.gateway.held = True
        self.push(1)
        link = self.say(CALL)
        self.assertIsNone(self.heard(link))
        self.gateway.asked[0].callback(said(self.session, note(9), 9))
        self.assertEqual(self.heard(link), [note(1), note(9)])

    def test_messages_are_bounded(self) -> None:
        self.assertEqual([self.push(number) for number in range(4)], [True, True, True, False])
        self.assertEqual(self.heard(self.say(wait())), [note(0), note(1), note(2)])
        self.assertTrue(self.push(4))

    def test_bytes_are_bounded(self) -> None:
        large = bytes(2000)
        self.assertTrue(self.gateway.push(self.session, large))
        self.assertFalse(self.gateway.push(self.session, large))
        self.assertTrue(self.push(1))
        # Where a request waits, there is room.
        self.heard(self.say(wait()))
        link = self.say(wait())
        self.assertTrue(self.gateway.push(self.session, bytes(8000)))
        self.assertEqual(self.heard(link), [bytes(8000)])

    def test_bytes_of_all_sessions_are_bounded(self) -> None:
        others = [self.link.session(KEY) for _ in range(2)]
        for other in others:
            self.link.say(other, ACK)
            self.link.heard(other)
        self.assertTrue(self.gateway.push(self.session, bytes(2000)))
        self.assertTrue(self.gateway.push(others[0], bytes(1800)))
        self.assertFalse(self.gateway.push(others[1], bytes(200)))
        self.gateway.wait(90)
        self.assertEqual(self.gateway.http.sessions.total.bytes, 0)

    def test_a_full_queue_is_told_before_its_delay_is_over(self) -> None:
        link = self.say(wait(max_delay=10_000, wait_after=10_000))
        self.assertEqual([self.push(number) for number in range(2)], [True, True])
        self.assertIsNone(self.heard(link))
        self.push(2)
        self.assertEqual(self.heard(link), [note(0), note(1), note(2)])

    def test_what_is_too_much_for_one_answer_goes_with_the_next(self) -> None:
        self.gateway = HttpGateway()
        self.gateway.knows(KEY)
        self.heard(self.say(ACK))
        large = bytes(400_000)
        for number in range(2):
            self.gateway.push(self.session, large, 4 * number + 1)
        self.assertEqual(self.heard(self.say(wait())), [large])
        self.assertEqual(self.heard(self.say(wait())), [large])

    def test_a_push_that_is_no_message_of_the_session(self) -> None:
        plaintext = pack_message(3, self.session.session_id + 1, 1, 0, PONG)
        self.assertFalse(
            self.gateway.registry.push(KEY.auth_key_id, self.session.session_id, plaintext)
        )

    def test_nothing_is_queued_for_a_session_that_has_ended(self) -> None:
        self.gateway.wait(90)
        self.assertFalse(self.push(1))


class FullQueueTests(PollCase):
    """The backend's answers are never dropped; what asks for them is refused before."""

    settings = HttpSettings(
        max_asked=6, max_queued_messages=3, max_queued_bytes=3000, max_all_queued_bytes=20_000
    )

    def setUp(self) -> None:
        super().setUp()
        self.heard(self.say(ACK))
        self.gateway.held = True

    def large(self, number: int) -> bytes:
        return note(number) + bytes(2000)

    def answer_all(self) -> None:
        asked, self.gateway.asked = self.gateway.asked, []
        for number, one in enumerate(asked):
            one.callback(said(self.session, self.large(number), 4 * number + 1))

    def collect(self) -> list[bytes]:
        """Ask for all there is."""
        self.gateway.held = False
        found: list[bytes] = []
        while heard := self.heard(self.say(wait(0))):
            found += heard
        return found

    def test_answers_come_all_and_in_order(self) -> None:
        for _ in range(6):
            self.say(CALL).leave()
        self.answer_all()
        self.assertFalse(self.push(9))
        self.assertEqual(self.collect(), [self.large(number) for number in range(6)])
        self.assertEqual(self.gateway.http.sessions.total.bytes, 0)
        self.assertTrue(self.push(9))

    def test_calls_with_the_backend_are_bounded(self) -> None:
        for _ in range(6):
            self.say(CALL).leave()
        self.assertEqual(self.say(CALL).answer().status, 503)
        self.assertEqual(len(self.gateway.asked), 6)
        self.assertEqual(self.gateway.ended()["http_session_full"], 1)
        self.gateway.asked.pop().callback(b"")
        self.assertEqual(self.say(CALL).answers(), [])

    def test_what_brings_nothing_is_taken_all_the_same(self) -> None:
        for _ in range(6):
            self.say(CALL).leave()
        link = self.say(wait(1000))
        self.assert_answered_after(link, 1)
        self.assertEqual(self.heard(self.say(contained(ACK, wait(0)))), [])

    def test_a_full_queue_is_told_to_a_call_at_once(self) -> None:
        for number in range(3):
            self.push(number)
        link = self.say(CALL)
        self.assertEqual(self.heard(link), [note(0), note(1), note(2)])
        self.answer_all()
        self.assertEqual(self.collect(), [self.large(0)])

    def test_the_queues_of_all_sessions_together(self) -> None:
        other = self.gateway.browse()
        session = other.session(KEY)
        for _ in range(5):
            link = self.gateway.browse()
            link.say(session, CALL)
            link.leave()
        for asked in self.gateway.asked:
            asked.callback(said(session, bytes(5000)))
        self.gateway.asked.clear()
        self.assertEqual(self.say(CALL).answer().status, 503)
        other.say(session, CALL)
        self.assertEqual(len(other.heard(session)), 1)
        self.assertEqual(len(self.gateway.asked), 1)


class ErrorTests(PollCase):
    """Some clients leave a container at its first error, so that is its last."""

    error = RpcResult(8, RpcErrorObject(400, "OOPS").pack()).pack()

    def test_what_stands_behind_an_error_goes_with_the_next_answer(self) -> None:
        self.heard(self.say(ACK))
        for number, body in enumerate((note(1), self.error, note(2))):
            self.gateway.push(self.session, body, 4 * number + 1)
        self.assertEqual(self.heard(self.say(wait())), [note(1), self.error])
        self.assertEqual(self.heard(self.say(wait())), [note(2)])

    def test_a_container_of_the_backend_is_cut_and_other_requests_get_the_rest(self) -> None:
        waiting = [self.say(wait()) for _ in range(3)]
        self.gateway.answers = [
            said(self.session, contained(note(1), self.error, self.error, note(2), note(3)), 101)
        ]
        self.assertEqual(self.heard(self.say(CALL)), [note(1), self.error])
        told = [self.heard(link) for link in waiting]
        self.assertEqual(told, [[self.error], [note(2), note(3)], None])
        self.assertEqual(self.gateway.http.sessions.total.bytes, 0)

    def test_another_call_still_waits_for_its_own_answer(self) -> None:
        self.gateway.held = True
        first, second = self.say(CALL), self.say(CALL)
        plaintext = said(self.session, contained(self.error, note(2)), 101)
        self.gateway.asked[0].callback(plaintext)
        self.assertEqual(self.heard(first), [self.error])
        self.assertIsNone(self.heard(second))
