"""HTTP requests whose message wants a decision: nothing ends one as a success before it."""

from twisted.internet.defer import Deferred, fail

from gnetway.backends.embedded.directory import DEFAULT_MAX_WAIT_MS, MAX_POLLS, HttpPolls
from gnetway.errors import BackendRefused, BackendUnavailable
from gnetway.testing import ServerMessage
from gnetway.tl.primitives import Constructor, pack_uint32
from gnetway.tl.service_messages import HttpWait, Ping, Pong
from tests.backends.embedded.backend_case import PERM, BackendCase
from tests.backends.embedded.talk import (
    SALT,
    SESSION_ID,
    UNKNOWN_CALL,
    errors,
    find,
    kinds,
    results,
    temp_key,
)
from tests.binds import make_bind

PING = Ping(3).pack()
TRUE = pack_uint32(Constructor.BOOL_TRUE)
REFUSED = (400, "ENCRYPTED_MESSAGE_INVALID")
WAIT = HttpWait(0, 0, 0).pack()
DESTROY = pack_uint32(Constructor.DESTROY_AUTH_KEY)


class StoreError(Exception):
    """What goes wrong inside of a store."""


class DecisionCase(BackendCase):
    """A session of an unbound key that was greeted, and is heard over HTTP alone."""

    def setUp(self) -> None:
        super().setUp()
        self.target.reachable = False
        self.key = temp_key(2)
        self.add_key(self.key)
        self.client = self.open(self.key)
        self.answer(self.client.ask_http(PING))

    def answer(self, asked: Deferred[bytes]) -> list[ServerMessage]:
        return self.heard([self.successResultOf(asked)])

    def ask(self, payload: bytes) -> Deferred[bytes]:
        return self.backend.send_http_data(self.client.client, SALT, payload)

    def ask_together(self, *bodies: bytes) -> Deferred[bytes]:
        """Send messages in one container."""
        return self.ask(self.client.talker.contain(*bodies))

    def ask_bind(self, *beside: bytes, off: int = 0) -> tuple[int, Deferred[bytes]]:
        """Send a bind, in one container with what is ``beside``; ``off`` bends its proof."""
        msg_id = self.client.talker.msg_id + 4
        body = make_bind(self.key, PERM, msg_id + off).pack()
        if beside:
            return msg_id, self.ask_together(body, *beside)
        return msg_id, self.client.ask_http(body)

    def wait(self, max_wait: int = DEFAULT_MAX_WAIT_MS) -> Deferred[bytes]:
        """Begin a long poll; nothing is there to tell yet."""
        return self.client.ask_http(HttpWait(0, 0, max_wait).pack(), content_related=False)

    def let_time_pass(self) -> None:
        for _ in range(3):
            self.clock.advance(60)

    def stored_perm_id(self) -> int:
        self.store.slow = False
        loaded = self.successResultOf(self.store.load(self.key.auth_key_id))
        return loaded.key.perm_auth_key_id


class BindTests(DecisionCase):
    def test_good_bind(self) -> None:
        msg_id, asked = self.ask_bind()
        self.assertEqual(results(self.answer(asked)), {msg_id: TRUE})
        self.assertEqual(self.stored_perm_id(), PERM.auth_key_id)

    def test_beside_a_wait_of_no_time(self) -> None:
        for slow in (False, True):
            self.setUp()
            self.store.slow = slow
            msg_id, asked = self.ask_bind(PING, WAIT)
            if slow:
                self.clock.advance(0)
                self.let_time_pass()
                self.assertNoResult(asked)
                self.store.answer_all()
            messages = self.answer(asked)
            self.assertEqual(results(messages), {msg_id: TRUE})
            self.assertEqual(find(messages, Constructor.PONG), Pong(msg_id + 4, 3).pack())

    def test_forged_bind_beside_a_wait_of_no_time(self) -> None:
        for slow in (False, True):
            self.setUp()
            self.store.slow = slow
            msg_id, asked = self.ask_bind(WAIT, off=4)
            self.let_time_pass()
            self.store.answer_all()
            self.assertEqual(errors(self.answer(asked)), {msg_id: REFUSED})
            self.assertEqual(self.stored_perm_id(), 0)

    def test_result_comes_in_its_own_request(self) -> None:
        """Also where an older one waits."""
        for slow in (False, True):
            self.setUp()
            older = self.wait()
            self.store.slow = slow
            msg_id, asked = self.ask_bind(WAIT)
            self.store.answer_all()
            self.assertNoResult(older)
            self.assertEqual(results(self.answer(asked)), {msg_id: TRUE})

    def test_older_request_gets_what_is_pushed_later(self) -> None:
        older = self.wait()
        self.ask_bind()
        self.backend.sessions.push(self.key.auth_key_id, SESSION_ID, b"news")
        self.assertEqual([message.body for message in self.answer(older)], [b"news"])

    def test_push_does_not_end_it(self) -> None:
        self.store.slow = True
        msg_id, asked = self.ask_bind()
        self.backend.sessions.push(self.key.auth_key_id, SESSION_ID, b"news")
        self.assertNoResult(asked)
        self.store.answer_all()
        messages = self.answer(asked)
        self.assertEqual(results(messages), {msg_id: TRUE})
        self.assertIn(b"news", [message.body for message in messages])

    def test_call_beside_it_waits_for_it(self) -> None:
        for off, expected in ((0, b"done"), (4, None)):
            self.setUp()
            self.store.slow = True
            msg_id, asked = self.ask_bind(UNKNOWN_CALL, WAIT, off=off)
            self.assertEqual(self.handler.calls, [])
            self.store.answer_all()
            messages = self.answer(asked)
            if expected:
                self.assertEqual(results(messages), {msg_id: TRUE, msg_id + 4: expected})
                self.assertEqual(self.handler.calls[0].perm_auth_key_id, PERM.auth_key_id)
            else:
                # Each error ends a container; the second comes with the next request.
                messages += self.answer(self.wait())
                refused = {msg_id: REFUSED, msg_id + 4: (401, "AUTH_KEY_PERM_EMPTY")}
                self.assertEqual((errors(messages), self.handler.calls), (refused, []))

    def test_too_many_requests_do_not_end_it(self) -> None:
        self.store.slow = True
        msg_id, asked = self.ask_bind()
        self.assertEqual(kinds(self.answer(self.wait())), [Constructor.MSGS_ACK])
        waiting = [self.wait() for _ in range(MAX_POLLS)]
        self.assertEqual(self.answer(waiting[0]), [])
        for request in (asked, *waiting[1:]):
            self.assertNoResult(request)
        self.store.answer_all()
        self.assertEqual(results(self.answer(asked)), {msg_id: TRUE})

    def test_where_all_wait_for_decisions_another_fails(self) -> None:
        self.store.slow = True
        held = [self.ask_bind()[1] for _ in range(MAX_POLLS)]
        self.failureResultOf(self.wait(), BackendUnavailable)
        self.failureResultOf(self.ask_bind()[1], BackendUnavailable)
        for asked in held:
            self.assertNoResult(asked)
        self.store.answer_all()
        for asked in held:
            self.assertIn(TRUE, results(self.answer(asked)).values())

    def test_end_of_the_session_fails_it(self) -> None:
        self.store.slow = True
        older = self.wait()
        _, asked = self.ask_bind()
        self.backend._directory.drop(self.key.auth_key_id, SESSION_ID)
        self.failureResultOf(asked, BackendUnavailable)
        self.assertEqual(self.answer(older), [])
        self.store.answer_all()

    def test_end_of_the_backend_fails_it(self) -> None:
        self.store.slow = True
        _, asked = self.ask_bind()
        stopped = self.backend.stop()
        self.failureResultOf(asked, BackendUnavailable)
        self.store.answer_all()
        self.successResultOf(stopped)

    def test_request_given_up(self) -> None:
        self.store.slow = True
        _, asked = self.ask_bind()
        asked.addErrback(lambda failure: None)
        asked.cancel()
        self.store.answer_all()
        self.assertEqual(self.stored_perm_id(), PERM.auth_key_id)

    def test_bind_that_waits_for_the_salts(self) -> None:
        self.restart()
        self.clock.advance(1)
        self.store.slow = True
        self.client = self.open(self.key)
        self.client.talker.number()
        msg_id, asked = self.ask_bind(WAIT)
        self.let_time_pass()
        self.assertNoResult(asked)
        self.store.answer_all()
        self.assertNoResult(asked)
        self.store.answer_all()
        self.assertEqual(results(self.answer(asked)), {msg_id: TRUE})


class BoundKeyTests(DecisionCase):
    """A key that was bound before: the gateway takes its bind for any message."""

    def setUp(self) -> None:
        super().setUp()
        self.key.perm_auth_key_id = PERM.auth_key_id

    def test_good_bind(self) -> None:
        msg_id, asked = self.ask_bind(UNKNOWN_CALL, WAIT)
        self.assertEqual(results(self.answer(asked)), {msg_id: TRUE, msg_id + 4: b"done"})

    def test_forged_bind(self) -> None:
        msg_id, asked = self.ask_bind(WAIT, off=4)
        self.assertEqual(errors(self.answer(asked)), {msg_id: REFUSED})

    def test_fault_of_the_store(self) -> None:
        self.store.broken = BackendUnavailable("for the test")
        _, asked = self.ask_bind(WAIT)
        self.failureResultOf(asked, BackendUnavailable)
        self.assertEqual(self.client.client.ended, [])


class FailingStoreTests(DecisionCase):
    """A fault is no refusal, and no success either."""

    def fails_with(self, kind: type[Exception]) -> None:
        _, asked = self.ask_bind(WAIT)
        self.store.answer_all()
        self.failureResultOf(asked, kind)
        self.assertEqual(self.handler.calls, [])

    def test_store_that_is_out_of_reach(self) -> None:
        self.store.broken = BackendUnavailable("for the test")
        self.fails_with(BackendUnavailable)

    def test_store_that_fails_late(self) -> None:
        late: Deferred[None] = Deferred()
        self.store.binding = late
        _, asked = self.ask_bind(WAIT)
        self.let_time_pass()
        self.assertNoResult(asked)
        late.errback(BackendUnavailable("for the test"))
        self.failureResultOf(asked, BackendUnavailable)

    def test_store_that_raises(self) -> None:
        def broken(*_: object) -> Deferred[None]:
            raise StoreError

        for name in ("load", "bind"):
            with self.subTest(name):
                self.setUp()
                setattr(self.store, name, broken)
                self.fails_with(BackendUnavailable)
                self.assertEqual(len(self.flushLoggedErrors(StoreError)), 1)

    def test_store_with_an_error_of_its_own(self) -> None:
        self.store.binding = fail(StoreError())
        self.fails_with(BackendUnavailable)
        self.assertEqual(len(self.flushLoggedErrors(StoreError)), 1)

    def test_store_that_refuses(self) -> None:
        error = BackendRefused(400, "NO")
        self.store.binding = fail(error)
        self.fails_with(BackendRefused)

    def test_permanent_key_that_is_gone(self) -> None:
        """It is no fault of the key that asks, which KeyUnknown would say."""
        self.successResultOf(self.store.remove(PERM.auth_key_id))
        _, asked = self.ask_bind(WAIT)
        error = self.failureResultOf(asked, BackendRefused).value
        self.assertEqual((error.code, error.text), REFUSED)

    def test_another_try_may_follow(self) -> None:
        self.store.broken = BackendUnavailable("for the test")
        self.fails_with(BackendUnavailable)
        self.store.broken = None
        msg_id, asked = self.ask_bind(WAIT)
        self.assertEqual(results(self.answer(asked)), {msg_id: TRUE})


class DestroyKeyTests(DecisionCase):
    def setUp(self) -> None:
        super().setUp()
        self.key.perm_auth_key_id = PERM.auth_key_id

    def test_answer_comes_before_the_session_is_gone(self) -> None:
        for slow in (False, True):
            for beside in ((), (PING, WAIT), (WAIT,)):
                with self.subTest(slow=slow, beside=len(beside)):
                    self.setUp()
                    self.target.forgotten.clear()
                    self.store.slow = slow
                    asked = self.ask_together(DESTROY, *beside)
                    if slow:
                        self.let_time_pass()
                        self.assertNoResult(asked)
                        self.assertEqual(self.target.forgotten, [])
                        self.store.answer_all()
                    self.assertIn(Constructor.DESTROY_AUTH_KEY_OK, kinds(self.answer(asked)))
                    # The gateway has a turn to encrypt that.
                    self.assertEqual(self.target.forgotten, [])
                    self.clock.advance(0)
                    self.assertEqual(self.target.forgotten, [self.key.auth_key_id])
                    self.store.slow = False

    def test_twice_in_one_message(self) -> None:
        asked = self.ask_together(DESTROY, DESTROY)
        self.assertIn(Constructor.DESTROY_AUTH_KEY_OK, kinds(self.answer(asked)))

    def test_alone(self) -> None:
        asked = self.client.ask_http(DESTROY)
        self.assertIn(Constructor.DESTROY_AUTH_KEY_OK, kinds(self.answer(asked)))

    def test_answer_comes_in_its_own_request(self) -> None:
        for slow in (False, True):
            with self.subTest(slow=slow):
                self.setUp()
                older = self.wait()
                self.store.slow = slow
                asked = self.ask_together(DESTROY, WAIT)
                self.store.answer_all()
                self.assertIn(Constructor.DESTROY_AUTH_KEY_OK, kinds(self.answer(asked)))
                self.assertEqual(self.answer(older), [])
                self.store.slow = False

    def test_beside_a_bind(self) -> None:
        """Each is decided, and both are told in the same request."""
        for slow in (False, True):
            with self.subTest(slow=slow):
                self.setUp()
                self.key.perm_auth_key_id = 0
                self.store.slow = slow
                msg_id, asked = self.ask_bind(DESTROY, WAIT)
                self.store.answer_all()
                messages = self.answer(asked)
                self.assertEqual(list(results(messages)), [msg_id])
                self.assertIn(Constructor.DESTROY_AUTH_KEY_OK, kinds(messages))
                self.store.slow = False

    def test_failing_store(self) -> None:
        def broken(auth_key_id: int) -> Deferred[list[int]]:
            raise StoreError

        self.store.remove = broken  # type: ignore[method-assign]
        asked = self.ask_together(DESTROY, WAIT)
        self.assertIn(Constructor.DESTROY_AUTH_KEY_FAIL, kinds(self.answer(asked)))
        self.assertEqual(self.target.forgotten, [])
        self.assertEqual(len(self.flushLoggedErrors(StoreError)), 1)


class PollsTests(BackendCase):
    def setUp(self) -> None:
        super().setUp()
        self.polls = HttpPolls(self.clock, lambda: b"empty")

    def test_a_request_with_two_decisions_to_come_waits_for_both(self) -> None:
        poll = self.polls.add()
        poll.undecided = 2
        self.polls.limit(poll, 0)
        self.clock.advance(1)
        self.polls.decided(poll)
        self.assertNoResult(poll.answer)
        self.assertTrue(self.polls.waits(poll))
        self.polls.decided(poll)
        self.assertEqual(self.successResultOf(poll.answer), b"empty")
        self.assertFalse(self.polls.waits(poll))

    def test_what_is_told_goes_to_the_oldest_that_waits_for_no_decision(self) -> None:
        bind, wait = self.polls.add(), self.polls.add()
        bind.undecided = 1
        self.assertTrue(self.polls.can_tell)
        self.polls.tell(b"news")
        self.assertEqual(self.successResultOf(wait.answer), b"news")
        self.assertNoResult(bind.answer)
        self.assertFalse(self.polls.can_tell)
        self.polls.tell(b"decided", bind)
        self.assertEqual(self.successResultOf(bind.answer), b"decided")
        self.polls.decided(bind)
        self.polls.refuse(bind, BackendUnavailable("late"))
