from zope.interface.verify import verifyObject

from gnetway.backends.embedded.directory import (
    KEPT_SECONDS,
    MAX_KEPT_SESSIONS,
    LiveSession,
    SessionDirectory,
)
from gnetway.interfaces import IRpcSession, IRpcSessions, SessionClient
from gnetway.testing.fakes import FakeSession, FakeSessions
from gnetway.tl.primitives import Constructor
from gnetway.tl.service_messages import Ping
from tests.backends.embedded.backend_case import PERM, BackendCase
from tests.backends.embedded.talk import NOW, SESSION_ID, kinds
from tests.fakes import some_key

KEY_ID = PERM.auth_key_id
PING = Ping(3).pack()


class RpcSessionsTests(BackendCase):
    def test_are_sessions(self) -> None:
        for provider in (self.backend.sessions, FakeSessions()):
            verifyObject(IRpcSessions, provider)

    def test_is_a_session(self) -> None:
        self.open()
        for provider in (self.backend.sessions.get(KEY_ID, SESSION_ID), FakeSession()):
            verifyObject(IRpcSession, provider)

    def test_handler_gets_them(self) -> None:
        self.assertIs(self.handler.sessions, self.backend.sessions)

    def test_ids_of_open_sessions(self) -> None:
        first = self.open()
        self.open(session_id=66)
        ids = [(KEY_ID, SESSION_ID), (KEY_ID, 66)]
        self.assertEqual(self.backend.sessions.session_ids(), ids)
        self.backend.close_session(first.client)
        self.assertEqual(self.backend.sessions.session_ids(), ids[1:])

    def test_push_to_one_session(self) -> None:
        for session_id in (SESSION_ID, 66):
            self.open(session_id=session_id)
        self.assertTrue(self.backend.sessions.push(KEY_ID, 66, b"news"))
        [(auth_key_id, session_id, _)] = self.target.pushed
        self.assertEqual((auth_key_id, session_id), (KEY_ID, 66))
        self.assertEqual([message.body for message in self.heard()], [b"news"])

    def test_push_to_nobody(self) -> None:
        client = self.open()
        self.assertFalse(self.backend.sessions.push(KEY_ID, 66, b"news"))
        self.assertFalse(self.backend.sessions.push(5, SESSION_ID, b"news"))
        self.backend.close_session(client.client)
        self.assertFalse(self.backend.sessions.push(KEY_ID, SESSION_ID, b"news"))
        self.assertEqual(self.target.pushed, [])

    def test_push_of_what_is_no_object(self) -> None:
        self.open()
        for body in (b"", b"new", b"newss"):
            self.assertRaises(ValueError, self.backend.sessions.push, KEY_ID, SESSION_ID, body)
        for nonsense in (None, "news", bytearray(b"news")):
            self.assertRaises(TypeError, self.backend.sessions.push, KEY_ID, SESSION_ID, nonsense)
        self.assertEqual(self.target.pushed, [])

    def test_push_before_the_salts_are_there(self) -> None:
        self.store.slow = True
        self.backend = self.make_backend()
        self.open()
        self.assertFalse(self.backend.sessions.push(KEY_ID, SESSION_ID, b"news"))


class KeepingTests(BackendCase):
    def test_closed_session_is_forgotten_after_a_while(self) -> None:
        client = self.open()
        client.say(PING)
        self.heard()
        self.backend.close_session(client.client)
        self.clock.advance(KEPT_SECONDS + 1)
        self.backend._purge()
        client = self.open()
        client.talker.now = self.wall()
        client.say(PING)
        self.assertIn(Constructor.NEW_SESSION_CREATED, kinds(self.heard()))

    def test_number_of_closed_sessions_is_bounded(self) -> None:
        directory = SessionDirectory()
        for session_id in range(1, MAX_KEPT_SESSIONS + 50):
            client = SessionClient(PERM, session_id, "192.0.2.1")
            directory.open(client)
            directory.close(client, NOW)
        self.assertEqual(len(directory._closed), MAX_KEPT_SESSIONS)

    def test_closing_twice_is_closing_once(self) -> None:
        directory = SessionDirectory()
        client = SessionClient(PERM, 1, "192.0.2.1")
        directory.open(client)
        directory.close(client, NOW)
        directory.close(client, NOW)
        self.assertEqual(directory.ids(), [])

    def test_old_client_does_not_close_the_session_of_a_new_one(self) -> None:
        directory = SessionDirectory()
        old, new = SessionClient(PERM, 1, "192.0.2.1"), SessionClient(PERM, 1, "192.0.2.2")
        directory.open(old)
        old.backend_state = None
        live = directory.open(new)
        directory.close(old, NOW)
        self.assertIs(directory.find(KEY_ID, 1), live)

    def test_dropping_a_key_drops_its_sessions_only(self) -> None:
        directory = SessionDirectory()
        clients = [SessionClient(key, 1, "192.0.2.1") for key in (PERM, some_key(5))]
        lives = [directory.open(client) for client in clients]
        for live in lives:
            live.calls = {}
        directory.close(clients[0], NOW)
        directory.drop_key(KEY_ID)
        self.assertFalse(directory.drop(KEY_ID, 1))
        self.assertTrue(directory.drop(some_key(5).auth_key_id, 1))
        self.assertIsInstance(lives[0], LiveSession)
