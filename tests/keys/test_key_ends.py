"""Temporary keys end here, though the session service gives them out for ever."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gnetway.crypto.auth_key import AuthKey, KeyKind
from gnetway.errors import KeyUnknown
from gnetway.keys.cache import KEY_COST_BYTES, KeyCache
from gnetway.keys.lookup import ASSUMED_LIFE_SECONDS, KeyLookup
from tests.fakes import FakeBackend, some_key

NOW = 1_700_000_000


class ForgetfulBackend(FakeBackend):
    """Gives out each key as it was stored, but without its end, as Teamgram's service does."""

    def know(self, key: AuthKey) -> None:
        self.keys[key.auth_key_id] = AuthKey(key.secret, key.kind)


class KeyEndTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.backend = ForgetfulBackend()
        self.lookup = self.make_lookup()

    def make_lookup(self, keys: int = 100) -> KeyLookup:
        cache = KeyCache(keys * KEY_COST_BYTES)
        return KeyLookup(self.clock, self.clock.seconds, self.backend, cache, timeout_seconds=10)

    def temp_key(self, seconds: int, number: int = 1) -> AuthKey:
        """Make a temporary key here, which the service stores."""
        key = some_key(number, KeyKind.TEMP, NOW + seconds)
        self.backend.know(key)
        self.lookup.add(key)
        return key

    def assert_ended(self, lookup: KeyLookup, auth_key_id: int) -> None:
        asked = len(self.backend.queries)
        self.assertIsNone(lookup.cached(auth_key_id))
        self.failureResultOf(lookup.lookup(auth_key_id), KeyUnknown)
        self.assertEqual(len(self.backend.queries), asked)

    def test_a_key_that_ended_here_is_not_asked_for(self) -> None:
        key_id = self.temp_key(60).auth_key_id
        self.assertIsNotNone(self.lookup.cached(key_id))
        self.clock.advance(60)
        for _ in range(3):
            self.assert_ended(self.lookup, key_id)

    def test_its_end_is_known_after_it_has_left_the_cache(self) -> None:
        self.lookup = self.make_lookup(keys=1)
        key_id = self.temp_key(3600).auth_key_id
        self.temp_key(3600, number=2)
        again = self.successResultOf(self.lookup.lookup(key_id))
        self.assertEqual(again.expires_at, NOW + 3600)
        del again
        self.temp_key(3600, number=3)
        self.clock.advance(3600)
        self.assert_ended(self.lookup, key_id)

    def test_one_without_an_end_gets_one(self) -> None:
        """After a restart, or at another worker."""
        for kind in (KeyKind.TEMP, KeyKind.MEDIA_TEMP):
            with self.subTest(kind=kind):
                self.backend.know(some_key(kind, kind))
                key_id = some_key(kind).auth_key_id
                key = self.successResultOf(self.lookup.lookup(key_id))
                began = self.clock.seconds()
                self.assertEqual(key.expires_at, began + ASSUMED_LIFE_SECONDS)
                self.assertTrue(key.end_is_assumed)
                self.clock.advance(ASSUMED_LIFE_SECONDS)
                self.assert_ended(self.lookup, key_id)

    def test_an_end_that_is_told_stays(self) -> None:
        key = some_key(1, KeyKind.TEMP, NOW + 600_000)
        self.backend.keys[key.auth_key_id] = key
        found = self.successResultOf(self.lookup.lookup(key.auth_key_id))
        self.assertEqual((found.expires_at, found.end_is_assumed), (NOW + 600_000, False))

    def test_a_permanent_key_gets_none(self) -> None:
        key = some_key(1)
        self.backend.know(key)
        found = self.successResultOf(self.lookup.lookup(key.auth_key_id))
        self.assertEqual(found.expires_at, 0)

    def test_a_destroyed_key_is_not_asked_for(self) -> None:
        key = some_key(1)
        self.backend.know(key)
        self.lookup.add(key)
        self.lookup.forget(key.auth_key_id)
        self.assert_ended(self.lookup, key.auth_key_id)

    def test_a_key_that_is_destroyed_while_it_is_asked_for(self) -> None:
        key = some_key(1)
        self.backend.held = True
        asker = self.lookup.lookup(key.auth_key_id)
        self.lookup.forget(key.auth_key_id)
        self.backend.queries[0][1].callback(key)
        self.failureResultOf(asker, KeyUnknown)
        self.assertIsNone(self.lookup.cached(key.auth_key_id))
