import gc

from twisted.trial.unittest import SynchronousTestCase

from gnetway.embedded.key_book import RECENT_KEYS, KeyBook
from gnetway.embedded.memory_store import MemoryStore
from gnetway.embedded.salts import make_salt
from gnetway.embedded.store import StoredKey
from gnetway.errors import KeyUnknown
from tests.embedded.talk import NOW, SALT
from tests.fakes import some_key
from tests.strategies import SeededBytes

KEY = some_key(1)


class KeyBookTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.store = MemoryStore()
        self.store.add(StoredKey(KEY, [make_salt(SALT, NOW)]))
        self.book = KeyBook(self.store, SeededBytes(3))

    def test_loaded_salts_are_at_hand(self) -> None:
        self.assertIsNone(self.book.get(KEY.auth_key_id))
        salts = self.successResultOf(self.book.load(KEY.auth_key_id))
        self.assertEqual(salts.current(NOW), SALT)
        self.assertIs(self.book.get(KEY.auth_key_id), salts)

    def test_unknown_key(self) -> None:
        self.failureResultOf(self.book.load(5), KeyUnknown)

    def test_one_schedule_for_a_key(self) -> None:
        salts = self.successResultOf(self.book.load(KEY.auth_key_id))
        self.assertIs(self.successResultOf(self.book.load(KEY.auth_key_id)), salts)

    def test_salts_in_use_are_found_however_many_keys_came_since(self) -> None:
        salts = self.successResultOf(self.book.load(KEY.auth_key_id))
        self.note_many()
        self.assertIs(self.book.get(KEY.auth_key_id), salts)

    def test_unused_salts_leave(self) -> None:
        self.successResultOf(self.book.load(KEY.auth_key_id))
        self.note_many()
        gc.collect()
        self.assertIsNone(self.book.get(KEY.auth_key_id))
        self.assertEqual(len(self.book._recent), RECENT_KEYS)

    def note_many(self) -> None:
        for number in range(2, RECENT_KEYS + 10):
            self.book.note(StoredKey(some_key(number), []))

    def test_new_salts_are_saved(self) -> None:
        salts = self.successResultOf(self.book.load(KEY.auth_key_id))
        told = salts.upcoming(5, NOW)
        self.successResultOf(self.book.save(KEY.auth_key_id, salts))
        self.assertFalse(salts.unsaved)
        stored = self.successResultOf(self.store.load(KEY.auth_key_id))
        self.assertEqual(stored.salts[:5], told)

    def test_forgotten_key(self) -> None:
        salts = self.successResultOf(self.book.load(KEY.auth_key_id))
        self.book.forget(KEY.auth_key_id)
        self.assertIsNone(self.book.get(KEY.auth_key_id))
        self.assertEqual(salts.current(NOW), SALT)
