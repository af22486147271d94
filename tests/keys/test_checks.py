"""Permanent keys at hand are asked for again, beside their use."""

from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from gnetway.crypto.auth_key import AuthKey, KeyKind
from gnetway.errors import BackendRefused, BackendUnavailable, KeyUnknown
from gnetway.keys.cache import KeyCache
from gnetway.keys.lookup import (
    CHECK_SECONDS,
    DOUBT_SECONDS,
    MAX_CHECKS,
    REST_SECONDS,
    KeyLookup,
)
from tests.fakes import FakeBackend, some_key


class CheckTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.key = some_key(1)
        self.backend = FakeBackend(held=True)
        self.lookup = KeyLookup(
            self.clock, self.clock.seconds, self.backend, KeyCache(1_000_000), timeout_seconds=10
        )
        self.gone: list[int] = []
        self.lookup.when_gone(self.note_gone)
        self.lookup.add(self.key)

    def note_gone(self, auth_key_id: int) -> None:
        self.gone.append(auth_key_id)
        self.lookup.forget(auth_key_id)

    def connect(self, key: AuthKey | None = None) -> None:
        """Use a key, which must be at hand whatever the backend does."""
        key = key or self.key
        self.assertIs(self.lookup.cached(key.auth_key_id), key)

    def answer(self, result: AuthKey | Exception) -> None:
        _, query = self.backend.queries.pop(0)
        query.callback(Failure(result) if isinstance(result, Exception) else result)

    def test_a_young_key_is_not_asked_for(self) -> None:
        self.clock.advance(CHECK_SECONDS - 1)
        self.connect()
        self.assertEqual(self.backend.queries, [])

    def test_once_an_hour_however_many_connect(self) -> None:
        for _ in range(3):
            self.clock.advance(CHECK_SECONDS)
            for _ in range(50):
                self.connect()
            self.assertEqual(len(self.backend.queries), 1)
            self.answer(AuthKey(self.key.secret))
            self.connect()
            self.assertEqual(self.backend.queries, [])
        self.assertEqual(self.gone, [])

    def test_a_key_that_is_gone_is_dropped(self) -> None:
        self.clock.advance(CHECK_SECONDS)
        self.connect()
        self.answer(KeyUnknown("no"))
        self.assertEqual(self.gone, [self.key.auth_key_id])
        self.failureResultOf(self.lookup.lookup(self.key.auth_key_id), KeyUnknown)

    def test_without_a_listener_it_is_dropped_all_the_same(self) -> None:
        lookup = KeyLookup(
            self.clock, self.clock.seconds, self.backend, KeyCache(1000), timeout_seconds=10
        )
        lookup.add(self.key)
        self.clock.advance(CHECK_SECONDS)
        lookup.cached(self.key.auth_key_id)
        self.answer(KeyUnknown("no"))
        self.assertIsNone(lookup.cached(self.key.auth_key_id))

    def test_an_outage_drops_nothing_and_is_not_asked_on_and_on(self) -> None:
        self.clock.advance(CHECK_SECONDS)
        for error in (BackendUnavailable("down"), BackendRefused(500, "INTERNAL"), None):
            with self.subTest(error=error):
                self.connect()
                if error is None:
                    self.clock.advance(10)
                    self.backend.queries.clear()
                else:
                    self.answer(error)
                self.connect()
                self.clock.advance(REST_SECONDS - 1)
                self.connect()
                self.assertEqual((self.gone, self.backend.queries), ([], []))
                self.clock.advance(1)
        self.connect()
        self.assertEqual(len(self.backend.queries), 1)

    def test_a_fault_of_ours_drops_nothing_and_is_logged(self) -> None:
        self.clock.advance(CHECK_SECONDS)
        self.connect()
        self.answer(ZeroDivisionError())
        self.connect()
        self.assertEqual((self.gone, len(self.flushLoggedErrors(ZeroDivisionError))), ([], 1))

    def test_not_all_at_a_time(self) -> None:
        keys = [some_key(number) for number in range(2, MAX_CHECKS + 10)]
        for key in keys:
            self.lookup.add(key)
        self.clock.advance(CHECK_SECONDS)
        for key in keys:
            self.connect(key)
        self.assertEqual(len(self.backend.queries), MAX_CHECKS)
        self.answer(AuthKey(keys[0].secret))
        self.connect(keys[0])
        self.assertEqual(len(self.backend.queries), MAX_CHECKS - 1)
        self.connect(keys[-1])
        self.assertEqual(self.backend.queries[-1][0], keys[-1].auth_key_id)

    def test_a_temporary_key_ends_by_itself(self) -> None:
        key = some_key(2, KeyKind.TEMP, 1_000_000)
        self.lookup.add(key)
        self.clock.advance(CHECK_SECONDS)
        self.connect(key)
        self.assertEqual(self.backend.queries, [])

    def test_a_doubt_asks_at_once_but_not_on_and_on(self) -> None:
        self.clock.advance(DOUBT_SECONDS)
        for _ in range(10):
            self.lookup.doubt(self.key.auth_key_id)
        self.assertEqual(len(self.backend.queries), 1)
        self.answer(AuthKey(self.key.secret))
        self.lookup.doubt(self.key.auth_key_id)
        self.assertEqual(self.backend.queries, [])
        self.clock.advance(DOUBT_SECONDS)
        self.lookup.doubt(self.key.auth_key_id)
        self.answer(KeyUnknown("no"))
        self.assertEqual(self.gone, [self.key.auth_key_id])

    def test_a_doubt_about_a_key_that_is_not_at_hand(self) -> None:
        self.lookup.doubt(self.key.auth_key_id + 1)
        self.assertEqual(self.backend.queries, [])
