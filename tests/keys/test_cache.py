"""The bounded key cache."""

from twisted.trial.unittest import SynchronousTestCase

from gnetway.crypto.auth_key import AuthKey, KeyKind
from gnetway.keys.cache import DESTROYED, KEY_COST_BYTES, KeyCache
from tests.fakes import some_key


class KeyCacheTests(SynchronousTestCase):
    def test_a_key_is_found_by_its_id(self) -> None:
        cache, key = KeyCache(10 * KEY_COST_BYTES), some_key(1)
        cache.add(key)
        self.assertIs(cache.get(key.auth_key_id, 0.0), key)
        self.assertIsNone(cache.get(key.auth_key_id + 1, 0.0))

    def test_the_least_recently_used_leaves_first(self) -> None:
        cache = KeyCache(2 * KEY_COST_BYTES)
        ids = []
        for number in range(3):
            key = some_key(number)
            ids.append(key.auth_key_id)
            cache.add(key)
            cache.get(ids[0], 0.0)
            del key
        self.assertEqual(len(cache), 2)
        self.assertIsNotNone(cache.get(ids[0], 0.0))
        self.assertIsNone(cache.get(ids[1], 0.0))
        self.assertIsNotNone(cache.get(ids[2], 0.0))

    def test_the_bound_is_in_bytes_and_leaves_room_for_one(self) -> None:
        cache = KeyCache(0)
        cache.add(some_key(1))
        cache.add(some_key(2))
        self.assertEqual(len(cache), 1)

    def test_a_key_in_use_stays_the_same_object_after_it_has_left(self) -> None:
        """A bind on one connection must be seen by all that use the key."""
        cache, key = KeyCache(KEY_COST_BYTES), some_key(1)
        cache.add(key)
        cache.add(some_key(2))
        again = AuthKey(key.secret)
        self.assertIs(cache.add(again), key)
        cache.add(some_key(2))
        self.assertIs(cache.get(key.auth_key_id, 0.0), key)

    def test_a_temporary_key_leaves_when_it_expires(self) -> None:
        cache = KeyCache(10 * KEY_COST_BYTES)
        key = AuthKey(some_key(1).secret, KeyKind.TEMP, expires_at=100)
        cache.add(key)
        self.assertIs(cache.get(key.auth_key_id, 99.9), key)
        self.assertIsNone(cache.get(key.auth_key_id, 100.0))
        self.assertEqual((len(cache), cache.end_of(key.auth_key_id)), (0, 100))

    def test_a_dropped_key_is_gone_though_it_is_in_use(self) -> None:
        cache, key = KeyCache(10 * KEY_COST_BYTES), some_key(1)
        cache.add(key)
        cache.drop(key.auth_key_id)
        cache.drop(key.auth_key_id)
        self.assertIsNone(cache.get(key.auth_key_id, 0.0))

    def test_the_end_of_a_key_outlives_its_place(self) -> None:
        cache = KeyCache(KEY_COST_BYTES)
        temp = AuthKey(some_key(1).secret, KeyKind.TEMP, expires_at=100)
        cache.add(temp)
        cache.add(some_key(2))
        cache.add(some_key(3))
        self.assertEqual(cache.end_of(temp.auth_key_id), 100)
        self.assertIsNone(cache.end_of(some_key(2).auth_key_id))

    def test_a_key_that_is_over_stays_over(self) -> None:
        cache, key = KeyCache(10 * KEY_COST_BYTES), some_key(1)
        cache.add(key)
        cache.end(key.auth_key_id)
        self.assertIsNone(cache.get(key.auth_key_id, 0.0))
        self.assertEqual(cache.end_of(key.auth_key_id), DESTROYED)
