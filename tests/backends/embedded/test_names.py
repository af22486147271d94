"""Sessions and keys under an application's own names."""

from hypothesis import given
from hypothesis.strategies import integers, lists, sampled_from, tuples
from twisted.trial.unittest import SynchronousTestCase

from gnetway.backends.embedded import names
from gnetway.backends.embedded.directory import KEPT_SECONDS
from gnetway.backends.embedded.names import SessionNames
from gnetway.crypto.auth_key import KeyKind
from gnetway.errors import TooManyNames
from gnetway.tl.service_messages import Ping
from tests.backends.embedded.backend_case import PERM, BackendCase
from tests.backends.embedded.talk import SESSION_ID, temp_key
from tests.binds import make_bind
from tests.fakes import some_key

KEY_ID = PERM.auth_key_id
IDS = (KEY_ID, SESSION_ID)


class SessionNamesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.names = SessionNames()
        self.names.begin([(some_key(1), 1)])
        self.key_id = some_key(1).auth_key_id

    def test_a_session(self) -> None:
        self.names.attach("ada", (self.key_id, 1))
        self.assertEqual(self.names.sessions("ada"), [(self.key_id, 1)])
        self.names.closed(self.key_id, 1)
        self.assertEqual(self.names.sessions("ada"), [])
        self.names.opened(some_key(1), 1)
        self.assertEqual(self.names.sessions("ada"), [(self.key_id, 1)])

    def test_a_key_has_all_its_sessions_each_once(self) -> None:
        self.names.attach("ada", (self.key_id, 0))
        self.names.attach("ada", (self.key_id, 1))
        self.names.opened(some_key(1), 2)
        self.assertEqual(self.names.sessions("ada"), [(self.key_id, 1), (self.key_id, 2)])

    def test_a_temporary_key_once_it_is_bound(self) -> None:
        temp = some_key(2, KeyKind.TEMP)
        self.names.attach("ada", (self.key_id, 0))
        self.names.closed(self.key_id, 1)
        self.names.opened(temp, 7)
        self.assertEqual(self.names.sessions("ada"), [])
        self.names.bound(temp.auth_key_id, self.key_id)
        self.assertEqual(self.names.sessions("ada"), [(temp.auth_key_id, 7)])
        self.names.bound(temp.auth_key_id, 99)
        self.assertEqual(self.names.sessions("ada"), [])

    def test_many_to_many(self) -> None:
        other = (some_key(3).auth_key_id, 3)
        self.names.opened(some_key(3), 3)
        for name in ("ada", 7, ("channel", 5)):
            self.names.attach(name, (self.key_id, 1))
            self.names.attach(name, other)
        self.assertEqual(self.names.names(other), ["ada", 7, ("channel", 5)])
        self.names.detach(7, other)
        self.names.detach(7, other)
        self.assertEqual(self.names.sessions(7), [(self.key_id, 1)])
        self.assertEqual(self.names.names(other), ["ada", ("channel", 5)])

    def test_who_is_away_gives_way_the_longest_first(self) -> None:
        few = SessionNames(3)
        for number in (1, 2, 3):
            few.opened(some_key(number), 1)
            few.attach("all", (some_key(number).auth_key_id, 1))
        few.closed(some_key(2).auth_key_id, 1)
        few.attach("more", (some_key(1).auth_key_id, 1))
        self.assertEqual(few.names((some_key(2).auth_key_id, 1)), [])
        self.assertEqual(len(few.sessions("all")), 2)

    def test_nobody_gives_way_who_is_there(self) -> None:
        few = SessionNames(2)
        few.opened(some_key(1), 1)
        few.attach("ada", (self.key_id, 1))
        few.attach("ada", (self.key_id, 0))
        self.assertRaises(TooManyNames, few.attach, "bob", (self.key_id, 1))
        few.attach("ada", (self.key_id, 1))

    def test_names_of_one_are_bounded(self) -> None:
        self.patch(names, "MAX_NAMES", 2)
        for name in (1, 2):
            self.names.attach(name, (self.key_id, 1))
        self.assertRaises(TooManyNames, self.names.attach, 3, (self.key_id, 1))

    @given(
        steps=lists(
            tuples(
                sampled_from(("open", "close", "bind", "attach", "detach", "forget")),
                integers(1, 3),
                integers(0, 2),
                sampled_from("ab"),
            ),
            max_size=40,
        )
    )
    def test_nothing_is_left_when_all_have_left(
        self, steps: list[tuple[str, int, int, str]]
    ) -> None:
        book = SessionNames(5)
        for what, key, session_id, name in steps:
            key_id = some_key(key).auth_key_id
            if what == "open":
                book.opened(some_key(key), session_id or 9)
            elif what == "close":
                book.closed(key_id, session_id or 9)
            elif what == "bind":
                book.bound(key_id, some_key(session_id + 1).auth_key_id)
            elif what == "detach":
                book.detach(name, (key_id, session_id))
            elif what == "forget":
                book.forget((key_id, session_id))
            else:
                try:
                    book.attach(name, (key_id, session_id))
                except TooManyNames:
                    self.assertGreaterEqual(book._count, 5)
        for key in (1, 2, 3):
            key_id = some_key(key).auth_key_id
            for session_id in (0, 1, 2, 9):
                book.forget((key_id, session_id))
                book.closed(key_id, session_id)
        self.assertEqual((book._count, book._names, book._holders), (0, {}, {}))
        self.assertEqual((book._open, book._temps, book._perm_of), ({}, {}, {}))


class RpcSessionsTests(BackendCase):
    """The same through the backend."""

    def test_nothing_is_kept_before_the_first_name(self) -> None:
        client = self.open()
        self.backend.close_session(client.client)
        self.assertFalse(self.backend._directory.names.is_used)
        self.assertEqual(self.backend.sessions.find("ada"), [])

    def test_sessions_that_were_open_before_the_first_name_are_found(self) -> None:
        self.open()
        self.open(session_id=66)
        sessions = self.backend.sessions
        sessions.attach("ada", KEY_ID)
        self.assertEqual([one.session_id for one in sessions.find("ada")], [SESSION_ID, 66])

    def test_all_of_a_name_are_pushed_to(self) -> None:
        sessions = self.backend.sessions
        for session_id in (SESSION_ID, 66, 77):
            self.open(session_id=session_id)
        for session_id in (SESSION_ID, 77):
            sessions.attach("news", KEY_ID, session_id)
        self.assertEqual(sessions.push_to("news", b"news"), 2)
        pushed = [session_id for _, session_id, _ in self.target.pushed]
        self.assertEqual(pushed, [SESSION_ID, 77])
        self.assertEqual(sessions.push_to("nobody", b"news"), 0)
        self.assertRaises(ValueError, sessions.push_to, "nobody", b"new")

    def test_names_outlive_a_lost_connection_and_go_with_the_session(self) -> None:
        sessions, client = self.backend.sessions, self.open()
        client.say(Ping(1).pack())
        sessions.attach("ada", *IDS)
        client.come_back()
        self.assertEqual(sessions.names(*IDS), ["ada"])
        self.backend.close_session(client.client)
        self.clock.advance(KEPT_SECONDS + 1)
        self.backend._purge()
        self.assertEqual(sessions.names(*IDS), [])

    def test_names_of_a_key_outlive_its_sessions_but_not_the_key(self) -> None:
        sessions, client = self.backend.sessions, self.open()
        sessions.attach("ada", KEY_ID)
        self.backend.close_session(client.client)
        self.clock.advance(KEPT_SECONDS + 1)
        self.backend._purge()
        self.open(session_id=66)
        self.assertEqual([one.session_id for one in sessions.find("ada")], [66])
        self.assertTrue(self.successResultOf(sessions.destroy_key(KEY_ID)))
        self.assertEqual(self.target.forgotten, [KEY_ID])
        self.assertEqual(sessions.names(KEY_ID), [])
        self.assertFalse(self.successResultOf(sessions.destroy_key(KEY_ID)))

    def test_a_bind_brings_the_sessions_of_a_temporary_key(self) -> None:
        sessions, temp = self.backend.sessions, temp_key(9)
        self.add_key(temp)
        client = self.open(temp)
        sessions.attach("ada", KEY_ID)
        client.say(make_bind(temp, PERM, int(client.talker.now) << 32).pack())
        found = sessions.find("ada")
        self.assertEqual([one.auth_key_id for one in found], [temp.auth_key_id])
        self.assertEqual(found[0].perm_auth_key_id, KEY_ID)

    def test_what_cannot_be_named(self) -> None:
        sessions = self.backend.sessions
        self.assertRaises(ValueError, sessions.attach, "ada", 0)
        self.assertRaises(ValueError, sessions.attach, "ada", KEY_ID, 123)
