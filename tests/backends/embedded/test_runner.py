from twisted.internet.defer import Deferred

from gnetway.errors import BackendUnavailable
from gnetway.tl.primitives import Constructor, pack_uint32
from gnetway.tl.service_messages import DestroySession, DestroySessionNone, DestroySessionOk, Ping
from tests.backends.embedded.backend_case import PERM, BackendCase
from tests.backends.embedded.talk import (
    SESSION_ID,
    UNKNOWN_CALL,
    kinds,
    temp_key,
)
from tests.fakes import some_key

TRUE = pack_uint32(Constructor.BOOL_TRUE)
PING = Ping(3).pack()


class DestroyKeyTests(BackendCase):
    REQUEST = pack_uint32(Constructor.DESTROY_AUTH_KEY)

    def test_key_is_gone_everywhere(self) -> None:
        client = self.open()
        client.say(self.REQUEST)
        self.assertIn(Constructor.DESTROY_AUTH_KEY_OK, kinds(self.heard()))
        self.assertEqual(self.target.forgotten, [PERM.auth_key_id])
        self.failureResultOf(self.backend.query_auth_key(PERM.auth_key_id))
        self.assertIsNone(self.backend._keys.get(PERM))

    def test_answer_goes_out_before_the_links_close(self) -> None:
        client = self.open()
        client.say(PING)
        self.heard()
        pushed_before: list[int] = []
        self.target.forget_key = (  # type: ignore[method-assign]
            lambda auth_key_id: pushed_before.append(len(self.target.pushed))
        )
        client.say(self.REQUEST)
        self.assertEqual(pushed_before, [1])

    def test_its_temporary_keys_go_along(self) -> None:
        temp = temp_key(2)
        temp.perm_auth_key_id = PERM.auth_key_id
        self.add_key(temp)
        self.open().say(self.REQUEST)
        self.assertEqual(set(self.target.forgotten), {PERM.auth_key_id, temp.auth_key_id})

    def test_key_that_is_not_there(self) -> None:
        client = self.open()
        self.successResultOf(self.store.remove(PERM.auth_key_id))
        client.say(self.REQUEST)
        self.assertIn(Constructor.DESTROY_AUTH_KEY_NONE, kinds(self.heard()))
        self.assertEqual(self.target.forgotten, [PERM.auth_key_id])

    def test_failing_store(self) -> None:
        client = self.open()
        self.store.broken = BackendUnavailable("for the test")
        client.say(self.REQUEST)
        self.assertIn(Constructor.DESTROY_AUTH_KEY_FAIL, kinds(self.heard()))
        self.assertEqual(self.target.forgotten, [])


class DestroySessionTests(BackendCase):
    def setUp(self) -> None:
        super().setUp()
        self.client = self.open()
        self.other = self.open(session_id=66)
        self.other.say(PING)
        self.client.say(PING)
        self.heard()

    def destroy(self, session_id: int) -> bytes:
        self.client.say(DestroySession(session_id).pack())
        [message] = self.heard()
        return message.body

    def test_kept_session(self) -> None:
        self.backend.close_session(self.other.client)
        self.assertEqual(self.destroy(66), DestroySessionOk(66).pack())
        self.assertEqual(self.destroy(66), DestroySessionNone(66).pack())

    def test_open_session_begins_anew(self) -> None:
        self.assertEqual(self.destroy(66), DestroySessionOk(66).pack())
        self.other.say(PING)
        self.assertIn(Constructor.NEW_SESSION_CREATED, kinds(self.heard()))

    def test_unknown_session(self) -> None:
        self.assertEqual(self.destroy(67), DestroySessionNone(67).pack())

    def test_own_session(self) -> None:
        self.assertEqual(self.destroy(SESSION_ID), DestroySessionNone(SESSION_ID).pack())
        self.client.say(PING)
        self.assertEqual(kinds(self.heard()), [Constructor.PONG])

    def test_session_of_another_key(self) -> None:
        self.add_key(some_key(4))
        self.open(some_key(4), session_id=88)
        self.assertEqual(self.destroy(88), DestroySessionNone(88).pack())

    def test_its_running_calls_are_cancelled(self) -> None:
        cancelled: list[object] = []
        self.handler.answer = lambda call: Deferred(cancelled.append)
        self.other.say(UNKNOWN_CALL)
        self.heard()
        self.destroy(66)
        self.assertEqual(len(cancelled), 1)
