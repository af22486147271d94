"""Messages that somebody has recorded and sends again: each is taken once.

Over restarts of the backend, and over sessions that had to leave its memory.
"""

from twisted.internet.defer import Deferred

from gnetway.backends.embedded import directory
from gnetway.backends.embedded.directory import KEPT_SECONDS
from gnetway.errors import BackendUnavailable
from gnetway.mtproto.message import MAX_FUTURE_SECONDS, MAX_PAST_SECONDS
from gnetway.tl.primitives import Constructor
from gnetway.tl.service_messages import BadServerSalt, DestroySession, Ping
from tests.backends.embedded.backend_case import PERM, SURE_SECONDS, BackendCase, OneClient
from tests.backends.embedded.talk import (
    NOW,
    SALT,
    SESSION_ID,
    UNKNOWN_CALL,
    errors,
    find,
    kinds,
    results,
)
from tests.fakes import some_key

PING = Ping(3).pack()


class ReplayCase(BackendCase):
    def calls(self) -> int:
        """Return how many calls came to the handler since the last time."""
        count = len(self.handler.calls)
        self.handler.calls.clear()
        return count

    def right_salt(self) -> int:
        """Return the salt that the only thing heard tells to use."""
        heard = self.heard()
        self.assertEqual(kinds(heard), [Constructor.BAD_SERVER_SALT])
        return BadServerSalt.parse(heard[0].body).new_server_salt

    def assert_never_taken(self, recorded: list[bytes]) -> None:
        for _ in range(0, MAX_PAST_SECONDS + MAX_FUTURE_SECONDS + 10, 5):
            for payload in recorded:
                self.open(session_id=SESSION_ID).send(payload)
            self.assertEqual(self.calls(), 0)
            self.assertNotIn(Constructor.NEW_SESSION_CREATED, kinds(self.heard()))
            self.clock.advance(5)

    def record(self, client: OneClient, ahead: float = 0) -> bytes:
        """Send a call and return its payload; the client's clock is ``ahead`` by so much."""
        client.talker.now = self.wall() + ahead
        payload = client.talker.payload(UNKNOWN_CALL)
        client.send(payload)
        self.assertEqual(self.calls(), 1)
        self.heard()
        return payload

    def record_two(self) -> list[bytes]:
        """Record a client whose clock is right, and one that is as far ahead as it may be."""
        return [self.record(self.open(), ahead) for ahead in (0, MAX_FUTURE_SECONDS)]

    def assert_taken_then_not(self, payload: bytes) -> None:
        """A session goes on with a newer message; what was recorded before is refused in it."""
        client = self.open()
        self.say(client, SALT)
        self.assertEqual(self.calls(), 1)
        client.send(payload)
        self.assertEqual(self.calls(), 0)

    def say(self, client: OneClient, salt: int, body: bytes = UNKNOWN_CALL) -> int:
        """Say something now, with a salt."""
        client.talker.now = self.wall()
        client.send(client.talker.payload(body), salt)
        return client.talker.msg_id


class RestartTests(ReplayCase):
    """After a stop in due form, what was taken is known."""

    def test_recorded_message_is_refused_for_as_long_as_it_is_good(self) -> None:
        recorded = self.record_two()
        self.restart()
        self.assert_never_taken(recorded)

    def test_and_so_it_is_after_the_next_restart(self) -> None:
        recorded = self.record_two()
        self.restart()
        self.open(some_key(1), 66).say(PING)
        self.restart()
        self.assert_never_taken(recorded)

    def test_recorded_message_of_a_session_that_has_left(self) -> None:
        client = self.open()
        payload = self.record(client, MAX_FUTURE_SECONDS)
        self.backend.close_session(client.client)
        self.restart()
        self.assert_never_taken([payload])

    def test_recorded_message_is_refused_once_its_session_goes_on(self) -> None:
        payload = self.record(self.open())
        self.restart()
        self.clock.advance(1)
        self.assert_taken_then_not(payload)

    def test_client_that_comes_back_is_answered_at_once(self) -> None:
        self.record(self.open())
        self.restart()
        self.clock.advance(1)
        self.say(self.open(), SALT)
        self.assertEqual(self.calls(), 1)

    def test_client_whose_clock_was_set_back_pays_a_round_trip(self) -> None:
        self.record(self.open(), MAX_FUTURE_SECONDS)
        self.restart()
        client = self.open()
        self.say(client, SALT)
        self.say(client, self.right_salt())
        self.assertEqual(self.calls(), 1)

    def test_store_that_fails_at_the_stop(self) -> None:
        """Then nothing is known, as after a crash."""
        payload = self.record(self.open(), MAX_FUTURE_SECONDS)
        failed: Deferred[None] = Deferred()
        failed.errback(BackendUnavailable("for the test"))
        self.store.keep_newest = lambda msg_id: failed  # type: ignore[method-assign]
        self.restart()
        self.assertEqual(len(self.flushLoggedErrors(BackendUnavailable)), 1)
        self.assert_never_taken([payload])

    def test_store_that_another_gateway_uses_by_now(self) -> None:
        """That one knows what it takes; what this one says of it would be too little."""
        payload = self.record(self.open(), MAX_FUTURE_SECONDS)
        self.backend.is_last = False
        self.restart()
        self.assert_never_taken([payload])


class CrashTests(ReplayCase):
    """After a crash, all that can have been taken may have been."""

    def test_recorded_message_is_refused_for_as_long_as_it_is_good(self) -> None:
        recorded = self.record_two()
        self.crash()
        self.assert_never_taken(recorded)

    def test_and_so_it_is_after_the_next_restart(self) -> None:
        recorded = self.record_two()
        self.crash()
        self.restart()
        self.assert_never_taken(recorded)

    def test_recorded_message_is_refused_once_its_session_goes_on(self) -> None:
        payload = self.record(self.open(), MAX_FUTURE_SECONDS)
        self.crash()
        self.clock.advance(SURE_SECONDS)
        self.assert_taken_then_not(payload)

    def test_client_that_comes_back_pays_one_round_trip(self) -> None:
        client = self.open()
        self.record(client)
        self.crash()
        client = self.open()
        client.talker.msg_id = NOW << 32
        client.send(client.talker.payload(UNKNOWN_CALL))
        salt = self.right_salt()
        msg_id = self.say(client, salt)
        heard = self.heard()
        self.assertEqual(results(heard), {msg_id: b"done"})
        # No other salt is told to it, which would take it a step back.
        self.assertEqual({message.salt for message in heard}, {salt})
        self.say(client, salt)
        self.assertEqual(self.calls(), 2)

    def test_calls_that_were_on_their_way_are_sent_again(self) -> None:
        """All of them are told the same salt."""
        self.crash()
        client = self.open()
        for _ in range(3):
            client.say(UNKNOWN_CALL)
        told = [BadServerSalt.parse(message.body) for message in self.heard()]
        self.assertEqual(len(told), 3)
        [salt] = {bad.new_server_salt for bad in told}
        self.assertNotEqual(salt, SALT)
        for _ in told:
            self.say(client, salt)
        self.assertEqual(self.calls(), 3)

    def test_other_sessions_of_the_key_take_the_same_salt(self) -> None:
        self.crash()
        first, second = self.open(), self.open(session_id=66)
        first.say(PING)
        salt = self.right_salt()
        second.say(PING)
        self.assertEqual(self.right_salt(), salt)
        for client in (first, second, self.open(session_id=77)):
            self.say(client, salt)
        self.assertEqual(self.calls(), 3)

    def test_recorded_salt_of_the_process_before_is_refused_after_two_crashes(self) -> None:
        self.crash()
        client = self.open()
        client.say(PING)
        salt = self.right_salt()
        client.send(payload := client.talker.payload(UNKNOWN_CALL), salt)
        self.assertEqual(self.calls(), 1)
        self.heard()
        self.crash()
        self.open().send(payload, salt)
        self.assertEqual(self.calls(), 0)
        self.assertNotEqual(self.right_salt(), salt)

    def test_stored_salts_are_good_again_for_what_is_surely_new(self) -> None:
        self.crash()
        self.clock.advance(SURE_SECONDS)
        self.say(self.open(), SALT)
        self.assertEqual(self.calls(), 1)

    def test_new_key_needs_no_other_salt(self) -> None:
        """Nobody can have recorded anything of it."""
        self.crash()
        self.add_key(some_key(4))
        self.open(some_key(4)).say(UNKNOWN_CALL)
        self.assertEqual(self.calls(), 1)

    def test_wrong_salt_is_told_the_one_that_will_do(self) -> None:
        self.crash()
        client = self.open()
        self.say(client, 5)
        self.say(client, self.right_salt())
        self.assertEqual(self.calls(), 1)


class EvictionTests(ReplayCase):
    def setUp(self) -> None:
        super().setUp()
        self.patch(directory, "MAX_KEPT_SESSIONS", 10)
        self.stranger = some_key(4)
        self.add_key(self.stranger)

    def evict(self, count: int = 11) -> None:
        """Let a stranger close so many sessions."""
        for session_id in range(1000, 1000 + count):
            client = self.open(self.stranger, session_id)
            client.say(PING)
            self.backend.close_session(client.client)
        self.heard()

    def test_recorded_message_of_a_session_that_was_pushed_out(self) -> None:
        for ahead in (0, MAX_FUTURE_SECONDS):
            client = self.open(session_id=SESSION_ID + ahead)
            payload = self.record(client, ahead)
            self.backend.close_session(client.client)
            self.evict()
            self.open(session_id=SESSION_ID + ahead).send(payload)
            self.assertEqual(self.calls(), 0)
            self.right_salt()

    def test_recorded_message_with_a_salt_that_was_young(self) -> None:
        """The salt that proves one message new proves no other."""
        client = self.open()
        self.record(client)
        self.backend.close_session(client.client)
        self.evict()
        client = self.open()
        client.say(PING)
        salt = self.right_salt()
        client.send(payload := client.talker.payload(UNKNOWN_CALL), salt)
        self.assertEqual(self.calls(), 1)
        self.heard()
        self.backend.close_session(client.client)
        self.evict()
        self.open().send(payload, salt)
        self.assertEqual(self.calls(), 0)
        self.assertNotEqual(self.right_salt(), salt)

    def test_client_that_was_pushed_out_comes_back(self) -> None:
        client = self.open()
        self.record(client)
        self.backend.close_session(client.client)
        self.evict()
        self.clock.advance(1)
        self.say(self.open(), SALT)
        self.assertEqual(self.calls(), 1)

    def test_stranger_whose_clock_is_ahead_costs_others_a_round_trip(self) -> None:
        for session_id in range(1000, 1011):
            client = self.open(self.stranger, session_id)
            client.talker.now += MAX_FUTURE_SECONDS
            client.say(PING)
            self.backend.close_session(client.client)
        self.heard()
        for session_id in range(5):
            client = self.open(session_id=session_id)
            client.say(PING)
            salt = self.right_salt()
            self.evict(1)
            self.say(client, salt)
            self.assertEqual(self.calls(), 1)
            self.heard()

    def test_sessions_that_leave_in_time_leave_nothing(self) -> None:
        client = self.open()
        payload = self.record(client, MAX_FUTURE_SECONDS)
        self.backend.close_session(client.client)
        self.clock.advance(KEPT_SECONDS)
        self.evict(1)
        client = self.open()
        client.send(payload)
        self.assertEqual(self.calls(), 0)  # too old
        self.heard()
        self.say(client, SALT)
        self.assertEqual(self.calls(), 1)

    def test_recorded_message_of_a_destroyed_session(self) -> None:
        other = self.open(session_id=66)
        payload = self.record(other)
        self.open().say(DestroySession(66).pack())
        find(self.heard(), Constructor.DESTROY_SESSION_OK)
        other.send(payload)
        self.assertEqual(self.calls(), 0)
        self.right_salt()

    def test_recorded_message_of_a_key_with_many_sessions_at_once(self) -> None:
        """More than there are salts out of turn."""
        client = self.open()
        payload = self.record(client)
        self.backend.close_session(client.client)
        self.evict()
        for session_id in range(100):
            client = self.open(session_id=session_id)
            client.talker.now -= 1
            client.send(client.talker.payload(PING))
            salt = self.right_salt()
            client.send(client.talker.payload(UNKNOWN_CALL), salt)
            self.assertEqual(self.calls(), 1)
            self.heard()
        self.open(session_id=SESSION_ID).send(payload)
        self.assertEqual((self.calls(), errors(self.heard())), (0, {}))
        known = self.backend._keys.get(PERM)
        assert known is not None
        self.assertLess(len(known.salts.salts), 20)
