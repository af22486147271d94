from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from gnetway.backends.embedded.backend import PURGE_SECONDS, EmbeddedBackend
from gnetway.backends.embedded.directory import MAX_WAITING_MESSAGES
from gnetway.backends.embedded.key_state import ROTATION_SECONDS, USE_SECONDS
from gnetway.crypto.auth_key import AuthKey, KeyKind
from gnetway.errors import BackendUnavailable, KeyUnknown
from gnetway.interfaces import FutureSalt, ISessionBackend
from gnetway.tl.primitives import Constructor, pack_int32, pack_uint32
from gnetway.tl.service_messages import BadServerSalt, FutureSalts, GetFutureSalts, Ping, Pong
from tests.backends.embedded.backend_case import CONFIG, PERM, BackendCase
from tests.backends.embedded.talk import (
    NOW,
    SALT,
    SESSION_ID,
    UNKNOWN_CALL,
    errors,
    find,
    kinds,
    results,
    temp_key,
)
from tests.fakes import some_key

PING = Ping(3).pack()
GET_CONFIG = pack_uint32(Constructor.HELP_GET_CONFIG)


class KeyTests(BackendCase):
    def query(self, auth_key_id: int) -> AuthKey:
        return self.successResultOf(self.backend.query_auth_key(auth_key_id))

    def test_is_a_backend(self) -> None:
        verifyObject(ISessionBackend, self.backend)
        self.assertIn("embedded", self.backend.description)

    def test_stored_key_is_found(self) -> None:
        found = self.query(PERM.auth_key_id)
        self.assertEqual((found.secret, found.kind), (PERM.secret, KeyKind.PERM))
        self.assertEqual((found.expires_at, found.unbound), (0, False))

    def test_unknown_key(self) -> None:
        self.failureResultOf(self.backend.query_auth_key(5), KeyUnknown)

    def test_taken_id_is_refused(self) -> None:
        salt = FutureSalt(NOW, NOW + 60, 1)
        self.assertFalse(self.successResultOf(self.backend.set_auth_key(PERM, salt, 0)))

    def test_temporary_key_expires(self) -> None:
        self.add_key(some_key(2, KeyKind.TEMP), expires_in=600)
        auth_key_id = some_key(2).auth_key_id
        self.assertEqual(self.query(auth_key_id).expires_at, NOW + 600)
        self.clock.advance(599)
        self.assertTrue(self.query(auth_key_id).unbound)
        self.clock.advance(1)
        self.failureResultOf(self.backend.query_auth_key(auth_key_id), KeyUnknown)

    def test_expiry_that_the_handshake_has_set_is_kept(self) -> None:
        self.add_key(temp_key(2, NOW + 77), expires_in=600)
        self.assertEqual(self.query(some_key(2).auth_key_id).expires_at, NOW + 77)

    def test_expired_keys_are_purged(self) -> None:
        self.add_key(some_key(2, KeyKind.TEMP), expires_in=5)
        self.clock.advance(PURGE_SECONDS)
        self.failureResultOf(self.store.load(some_key(2).auth_key_id), KeyUnknown)
        self.query(PERM.auth_key_id)

    def test_failing_purge_is_logged_and_tried_again(self) -> None:
        self.store.purge = lambda now, unused_before: self.failed_purge()  # type: ignore[method-assign]
        self.clock.advance(PURGE_SECONDS)
        self.assertEqual(len(self.flushLoggedErrors(BackendUnavailable)), 1)
        del self.store.purge
        self.add_key(some_key(2, KeyKind.TEMP), expires_in=5)
        self.clock.advance(PURGE_SECONDS)
        self.failureResultOf(self.store.load(some_key(2).auth_key_id), KeyUnknown)

    def failed_purge(self) -> Deferred[int]:
        failed: Deferred[int] = Deferred()
        failed.errback(BackendUnavailable("for the test"))
        return failed

    def test_failing_store_is_told(self) -> None:
        self.store.broken = BackendUnavailable("for the test")
        self.failureResultOf(self.backend.query_auth_key(PERM.auth_key_id), BackendUnavailable)


class TalkTests(BackendCase):
    def test_first_ping(self) -> None:
        client = self.open()
        msg_id = client.say(PING)
        [(auth_key_id, session_id, _)] = self.target.pushed
        self.assertEqual((auth_key_id, session_id), (PERM.auth_key_id, SESSION_ID))
        messages = self.heard()
        self.assertEqual(kinds(messages), [Constructor.NEW_SESSION_CREATED, Constructor.PONG])
        self.assertEqual(Pong.parse(messages[1].body), Pong(msg_id, 3))
        self.assertEqual(client.done, [None])

    def test_first_ping_of_an_unbound_key(self) -> None:
        """Whoever reads one packet for his ping finds the pong in it."""
        key = temp_key(2)
        self.add_key(key)
        client = self.open(key)
        for body, expected in (
            (PING, [[Constructor.PONG], [Constructor.NEW_SESSION_CREATED]]),
            (PING, [[Constructor.PONG]]),
        ):
            client.say(body)
            packets, self.target.pushed = self.target.pushed, []
            told = [kinds(self.heard([plaintext])) for _, _, plaintext in packets]
            self.assertEqual(told, expected)

    def test_first_request_of_an_unbound_key(self) -> None:
        """Over HTTP another packet would wait for another request."""
        self.target.reachable = False
        key = temp_key(2)
        self.add_key(key)
        answered = self.successResultOf(self.open(key).ask_http(PING))
        both = [Constructor.PONG, Constructor.NEW_SESSION_CREATED]
        self.assertEqual(kinds(self.heard([answered])), both)

    def test_accepted_before_it_is_answered(self) -> None:
        """So a quick ack goes out before the answer, not after it."""
        client = self.open()
        pushed_before: list[int] = []
        payload = client.talker.payload(PING)
        self.backend.send_data(
            client.client,
            SALT,
            payload,
            True,
            lambda _: pushed_before.append(len(self.target.pushed)),
        )
        self.assertEqual((pushed_before, len(self.target.pushed)), ([0], 1))

    def test_nobody_needs_to_listen(self) -> None:
        client = self.open()
        self.backend.send_data(client.client, SALT, client.talker.payload(PING), False, None)
        self.assertEqual(len(self.target.pushed), 1)

    def test_config_in_a_container_with_wrappers(self) -> None:
        client = self.open()
        wrapped = pack_uint32(Constructor.INVOKE_WITH_LAYER) + pack_int32(229) + GET_CONFIG
        client.send(client.talker.contain(PING, wrapped))
        messages = self.heard()
        self.assertEqual(list(results(messages).values()), [CONFIG.config(NOW, 229, "", "")])
        self.assertEqual(len(messages), 3)

    def test_without_a_handler(self) -> None:
        """What needs a login ends the client's; what does not, or is unknown, ends nothing."""
        self.successResultOf(self.backend.stop())
        self.backend = EmbeddedBackend(self.clock, self.wall, self.store, CONFIG)
        self.backend.start(self.target)
        client = self.open()
        expected = {
            client.say(pack_uint32(0xEDD4882A)): (401, "AUTH_KEY_UNREGISTERED"),  # updates.getState
            client.say(UNKNOWN_CALL): (400, "INPUT_METHOD_INVALID"),
        }
        self.assertEqual(errors(self.heard()), expected)

    def test_two_sessions_of_a_key_share_its_salts(self) -> None:
        first, second = self.open(), self.open(session_id=66)
        told = []
        for client in (first, second):
            client.say(GetFutureSalts(5).pack())
            told.append(FutureSalts.parse(find(self.heard(), Constructor.FUTURE_SALTS)).salts)
        self.assertEqual(told[0], told[1])

    def test_message_for_a_closed_session(self) -> None:
        client = self.open()
        self.backend.close_session(client.client)
        client.say(PING)
        [error] = client.done
        self.assertIsInstance(error, BackendUnavailable)
        self.backend.send_data(client.client, SALT, client.talker.payload(PING), False, None)
        self.assertEqual(self.target.pushed, [])


class ComeBackTests(BackendCase):
    def test_session_goes_on_after_a_lost_link(self) -> None:
        client = self.open()
        client.say(PING)
        self.heard()
        client.come_back()
        client.say(PING)
        self.assertEqual(kinds(self.heard()), [Constructor.PONG])

    def test_recorded_message_is_not_taken_again(self) -> None:
        """Whoever plays back a recorded packet on a new link makes no call run twice."""
        client = self.open()
        recorded = client.talker.payload(UNKNOWN_CALL)
        client.send(recorded)
        client.come_back()
        client.send(recorded)
        self.assertEqual(len(self.handler.calls), 1)

    def test_answer_that_nobody_got_is_sent_on_the_next_link(self) -> None:
        client = self.open()
        answer: Deferred[bytes] = Deferred()
        self.handler.answer = lambda call: answer
        msg_id = client.say(UNKNOWN_CALL)
        self.heard()
        self.target.reachable = False
        self.backend.close_session(client.client)
        answer.callback(b"late")
        self.target.reachable = True
        client.come_back()
        client.say(PING)
        self.assertEqual(results(self.heard()), {msg_id: b"late"})

    def test_salts_survive_a_restart(self) -> None:
        client = self.open()
        client.say(GetFutureSalts(10).pack())
        told = FutureSalts.parse(find(self.heard(), Constructor.FUTURE_SALTS)).salts
        self.clock.advance(4 * ROTATION_SECONDS)
        self.restart()
        client = self.open()
        client.send(client.talker.payload(PING), salt=told[4][2])
        kinds_heard = kinds(self.heard())
        self.assertEqual(kinds_heard, [Constructor.NEW_SESSION_CREATED, Constructor.PONG])

    def test_old_salt_after_a_long_absence(self) -> None:
        self.open().say(PING)
        self.heard()
        self.successResultOf(self.backend.stop())
        self.clock.advance(90 * 86_400)
        self.backend = self.make_backend()
        client = self.open()
        client.talker.now = self.wall()
        client.say(PING)
        salt = BadServerSalt.parse(find(self.heard(), Constructor.BAD_SERVER_SALT)).new_server_salt
        client.send(client.talker.payload(PING), salt)
        self.assertIn(Constructor.PONG, kinds(self.heard()))

    def test_a_key_that_no_client_has_used_goes_after_a_day(self) -> None:
        self.add_key(some_key(9))
        self.open().say(PING)
        self.clock.advance(86_400 - 1)
        self.successResultOf(self.backend.query_auth_key(some_key(9).auth_key_id))
        self.clock.advance(PURGE_SECONDS)
        self.failureResultOf(self.backend.query_auth_key(some_key(9).auth_key_id), KeyUnknown)
        self.successResultOf(self.backend.query_auth_key(PERM.auth_key_id))

    def test_the_use_of_a_key_is_written_seldom(self) -> None:
        client = self.open()
        client.say(PING)
        begun = self.store._keys[PERM.auth_key_id].used_at
        self.clock.advance(USE_SECONDS - 1)
        self.open(session_id=77).say(PING)
        self.assertEqual(self.store._keys[PERM.auth_key_id].used_at, begun)
        self.clock.advance(1)
        self.open(session_id=78).say(PING)
        self.assertEqual(self.store._keys[PERM.auth_key_id].used_at, begun + USE_SECONDS)

    def test_failing_to_save_salts_is_logged_only(self) -> None:
        client = self.open()
        failed: Deferred[None] = Deferred()
        failed.errback(BackendUnavailable("for the test"))
        self.store.save_salts = lambda *args: failed  # type: ignore[method-assign]
        client.say(GetFutureSalts(2).pack())
        self.assertIn(Constructor.FUTURE_SALTS, kinds(self.heard()))
        self.assertEqual(len(self.flushLoggedErrors(BackendUnavailable)), 1)


class LoadingTests(BackendCase):
    """What comes before the salts of a key are there, as after a restart."""

    def setUp(self) -> None:
        super().setUp()
        self.restart()
        self.store.slow = True

    def test_messages_wait_in_order(self) -> None:
        client = self.open()
        sent = [client.say(Ping(number).pack()) for number in range(5)]
        self.assertEqual((client.done, self.target.pushed), ([], []))
        self.store.answer_all()
        pongs = [Pong.parse(message.body) for message in self.heard()[1:]]
        self.assertEqual(pongs, [Pong(msg_id, number) for number, msg_id in enumerate(sent)])
        self.assertEqual(client.done, [None] * 5)

    def test_waiting_messages_are_bounded(self) -> None:
        client = self.open()
        for _ in range(MAX_WAITING_MESSAGES + 2):
            client.say(PING)
        self.assertEqual([type(error) for error in client.done], [BackendUnavailable] * 2)

    def test_unknown_key_is_told_and_forgotten(self) -> None:
        client = self.open(some_key(9))
        client.say(PING)
        self.store.answer_all()
        self.assertEqual([type(error) for error in client.done], [KeyUnknown])
        self.assertEqual(self.target.forgotten, [some_key(9).auth_key_id])

    def test_failing_store_is_asked_again(self) -> None:
        self.store.broken = BackendUnavailable("for the test")
        client = self.open()
        client.say(PING)
        self.assertEqual([type(error) for error in client.done], [BackendUnavailable])
        self.store.broken = None
        self.store.slow = False
        client.say(PING)
        self.assertIn(Constructor.PONG, kinds(self.heard()))

    def test_bug_in_a_store_is_logged(self) -> None:
        self.store.broken = ZeroDivisionError("for the test")  # type: ignore[assignment]
        client = self.open()
        client.say(PING)
        self.assertEqual([type(error) for error in client.done], [BackendUnavailable])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    def test_nobody_needs_to_listen(self) -> None:
        client = self.open(some_key(9))
        for _ in range(MAX_WAITING_MESSAGES + 1):
            self.backend.send_data(client.client, SALT, client.talker.payload(PING), False, None)
        self.store.answer_all()
        self.assertEqual(self.target.pushed, [])


class StopTests(BackendCase):
    def test_stopping_waits_for_what_is_under_way(self) -> None:
        self.store.slow = True
        self.backend = self.make_backend()
        client = self.open()
        client.say(PING)
        stopped = self.backend.stop()
        self.assertNoResult(stopped)
        self.store.answer_all()
        self.successResultOf(stopped)
        self.assertEqual(client.done, [None])

    def test_stopping_stops_handlers_and_the_clock(self) -> None:
        client = self.open()
        cancelled: list[object] = []
        self.handler.answer = lambda call: Deferred(cancelled.append)
        client.say(UNKNOWN_CALL)
        self.successResultOf(self.backend.stop())
        self.assertEqual(len(cancelled), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopping_ends_waiting_http_requests(self) -> None:
        client = self.open()
        self.heard([self.successResultOf(client.ask_http(PING))])
        waiting = client.ask_http(UNKNOWN_ACK, content_related=False)
        self.assertNoResult(waiting)
        self.successResultOf(self.backend.stop())
        self.assertEqual(self.heard([self.successResultOf(waiting)]), [])

    def test_stopping_what_never_began(self) -> None:
        backend = EmbeddedBackend(self.clock, self.wall, self.store, CONFIG)
        self.successResultOf(backend.stop())


UNKNOWN_ACK = pack_uint32(Constructor.MSGS_ACK) + pack_uint32(Constructor.VECTOR) + pack_int32(0)
