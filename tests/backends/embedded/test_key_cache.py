import gc

from twisted.internet.defer import Deferred, fail
from twisted.trial.unittest import SynchronousTestCase

from gnetway.backends.embedded.key_state import RECENT_KEYS, KeyCache, KnownKey, make_salt
from gnetway.backends.embedded.store import MemoryStore, StoredKey, copy_key
from gnetway.crypto.auth_key import AuthKey
from gnetway.errors import BackendUnavailable, KeyUnknown
from tests.backends.embedded.talk import NOW, SALT, temp_key
from tests.fakes import some_key
from tests.strategies import SeededBytes

KEY = some_key(1)
TEMP = temp_key(2)
BOUND = copy_key(TEMP, KEY.auth_key_id)


class SlowSaves(MemoryStore):
    """Keeps the layers that it is told; each save waits for the test."""

    def __init__(self) -> None:
        super().__init__()
        self.saves: list[tuple[int, int]] = []
        self.waiting: list[Deferred[None]] = []

    def save_layer(self, auth_key_id: int, layer: int) -> Deferred[None]:
        self.saves.append((auth_key_id, layer))
        self.waiting.append(Deferred())
        return self.waiting[-1]


class KeyCacheTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.store = MemoryStore()
        self.store.add(StoredKey(KEY, [make_salt(SALT, NOW)], 152))
        self.keys = KeyCache(self.store, SeededBytes(3))

    def load(self, key: AuthKey = KEY) -> KnownKey:
        return self.successResultOf(self.keys.load(key.auth_key_id))

    def test_what_was_loaded_is_at_hand(self) -> None:
        self.assertIsNone(self.keys.get(KEY))
        known = self.load()
        self.assertEqual((known.salts.current(NOW), known.layer.number), (SALT, 152))
        self.assertEqual(self.keys.get(KEY), known)

    def test_unknown_key(self) -> None:
        self.failureResultOf(self.keys.load(5), KeyUnknown)

    def test_one_of_each_for_a_key(self) -> None:
        known, again = self.load(), self.load()
        self.assertIs(again.salts, known.salts)
        self.assertIs(again.layer, known.layer)

    def test_what_is_in_use_is_found_however_many_keys_came_since(self) -> None:
        known = self.load()
        self.note_many()
        self.assertEqual(self.keys.get(KEY), known)

    def test_what_is_not_in_use_leaves(self) -> None:
        self.load()
        self.note_many()
        gc.collect()
        self.assertIsNone(self.keys.get(KEY))
        self.assertEqual(len(self.keys._recent), RECENT_KEYS)

    def note_many(self) -> None:
        for number in range(3, RECENT_KEYS + 10):
            self.keys.note(StoredKey(some_key(number), []))

    def test_new_salts_are_saved(self) -> None:
        salts = self.load().salts
        told = salts.upcoming(5, NOW)
        self.successResultOf(self.keys.save(KEY.auth_key_id, salts))
        self.assertFalse(salts.unsaved)
        stored = self.successResultOf(self.store.load(KEY.auth_key_id))
        self.assertEqual(stored.salts[:5], told)

    def test_forgotten_key(self) -> None:
        known = self.load()
        self.keys.forget(KEY.auth_key_id)
        self.assertIsNone(self.keys.get(KEY))
        self.assertEqual(known.salts.current(NOW), SALT)


class LayerTests(SynchronousTestCase):
    """The layer is the permanent key's, and is written where it changes."""

    def setUp(self) -> None:
        self.store = SlowSaves()
        for stored in (StoredKey(KEY, [], 152), StoredKey(TEMP, [])):
            self.store.add(stored)
        self.keys = KeyCache(self.store, SeededBytes(3))

    def load(self, key: AuthKey) -> KnownKey:
        return self.successResultOf(self.keys.load(key.auth_key_id))

    def save(self, known: KnownKey) -> Deferred[None]:
        return Deferred.fromCoroutine(self.keys.save_layer(known.layer))

    def test_bound_keys_share_that_of_the_permanent_one(self) -> None:
        self.store.bind(TEMP.auth_key_id, KEY.auth_key_id)
        perm, temp = self.load(KEY), self.load(TEMP)
        self.assertIs(temp.layer, perm.layer)
        self.assertEqual(self.keys.get(BOUND), temp)
        self.assertIsNot(temp.salts, perm.salts)

    def test_a_bound_key_knows_it_alone(self) -> None:
        """After a restart nobody has asked for the permanent key yet."""
        self.store.bind(TEMP.auth_key_id, KEY.auth_key_id)
        self.assertEqual(self.load(TEMP).layer.number, 152)

    def test_an_unbound_key_has_its_own(self) -> None:
        temp = self.load(TEMP)
        self.assertEqual((temp.layer.number, temp.layer.auth_key_id), (0, TEMP.auth_key_id))
        temp.layer.name(214)
        self.assertEqual(self.load(KEY).layer.number, 152)

    def test_what_is_the_same_is_not_written(self) -> None:
        known = self.load(KEY)
        self.assertFalse(known.layer.name(152))
        self.successResultOf(self.save(known))
        self.assertEqual(self.store.saves, [])

    def test_one_write_at_a_time(self) -> None:
        """However often the client changes its mind, and the last word is what stays."""
        known = self.load(KEY)
        known.layer.name(155)
        first = self.save(known)
        for layer in range(156, 256):
            self.assertTrue(known.layer.name(layer))
            self.successResultOf(self.save(known))
        self.assertEqual(self.store.saves, [(KEY.auth_key_id, 155)])
        self.store.waiting[0].callback(None)
        self.store.waiting[1].callback(None)
        self.successResultOf(first)
        self.assertEqual(self.store.saves[1:], [(KEY.auth_key_id, 255)])

    def test_back_before_it_was_written(self) -> None:
        known = self.load(KEY)
        known.layer.name(155)
        saving = self.save(known)
        known.layer.name(155)
        self.store.waiting[0].callback(None)
        self.successResultOf(saving)
        self.assertEqual(len(self.store.saves), 1)

    def test_a_failed_write_is_tried_at_the_next_change(self) -> None:
        known = self.load(KEY)
        self.patch(self.store, "save_layer", lambda *_: fail(BackendUnavailable("full")))
        known.layer.name(155)
        self.failureResultOf(self.save(known), BackendUnavailable)
        self.patch(self.store, "save_layer", MemoryStore.save_layer.__get__(self.store))
        self.successResultOf(self.save(known))
        self.assertEqual(self.load(KEY).layer.saved, 155)
        self.assertEqual(self.successResultOf(self.store.load(KEY.auth_key_id)).layer, 155)

    def bind(self) -> tuple[KnownKey, Deferred[None]]:
        temp = self.load(TEMP)
        perm = self.successResultOf(self.store.load(KEY.auth_key_id))
        return temp, Deferred.fromCoroutine(self.keys.bind_layer(temp.layer, perm))

    def test_bind_without_a_word(self) -> None:
        temp, bound = self.bind()
        self.successResultOf(bound)
        self.assertEqual((temp.layer.number, self.store.saves), (152, []))

    def test_bind_after_a_layer_was_named(self) -> None:
        self.load(TEMP).layer.name(214)
        perm = self.load(KEY)
        temp, bound = self.bind()
        self.assertEqual((temp.layer.number, perm.layer.number), (214, 214))
        self.assertEqual(self.store.saves, [(KEY.auth_key_id, 214)])
        self.store.waiting[0].callback(None)
        self.successResultOf(bound)
        temp.layer.name(215)
        self.assertEqual(perm.layer.number, 215)

    def test_bind_a_second_time(self) -> None:
        temp, _ = self.bind()
        _, bound = self.bind()
        self.successResultOf(bound)
        self.assertEqual(temp.layer.number, 152)
