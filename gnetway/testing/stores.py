"""What every key store does, as tests to derive from.

    class PostgresTests(PersistentStoreConformance, TestCase):
        def make_store(self, max_keys):
            return PostgresKeys(..., max_keys=max_keys)

``TestCase`` is Twisted's, of ``twisted.trial.unittest``: its tests may be ``async def``, and run
under trial and pytest. A store that ends with the process derives from ``StoreConformance``.
"""

from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from gnetway.backends.embedded.store import (
    DEFAULT_MAX_KEYS,
    NEW_KEY_SECONDS,
    PURGED_KEYS,
    IKeyStore,
    StoredKey,
)
from gnetway.crypto.auth_key import AuthKey, KeyKind
from gnetway.errors import BackendUnavailable, KeyUnknown
from gnetway.interfaces import FutureSalt

if TYPE_CHECKING:
    from twisted.trial.unittest import TestCase

    _Tests = TestCase
else:
    # Not a TestCase by itself: whoever imports it would run it.
    _Tests = object

#: Unix seconds of the tests; a store asks for no time.
NOW: Final = 1_800_000_000

SALTS: Final = [FutureSalt(NOW, NOW + 2100, -5), FutureSalt(NOW + 1800, NOW + 3900, 2**63 - 1)]


def a_key(number: int, kind: KeyKind = KeyKind.PERM) -> AuthKey:
    """Return a key, another for each number."""
    return AuthKey(number.to_bytes(8, "big") * 32, kind)


def a_temp_key(number: int, expires_at: int, perm_auth_key_id: int = 0) -> AuthKey:
    """Return a temporary key, another for each number."""
    return AuthKey(a_key(number).secret, KeyKind.TEMP, perm_auth_key_id, expires_at)


PERM: Final = a_key(1)


def _fields(key: AuthKey) -> tuple[object, ...]:
    return key.secret, key.kind, key.auth_key_id, key.perm_auth_key_id, key.expires_at


def _expect_closed(failure: Failure) -> None:
    failure.trap(BackendUnavailable)


class StoreConformance(_Tests):
    """What any store does."""

    store: IKeyStore

    def make_store(self, max_keys: int) -> IKeyStore:
        """Return a store for so many keys; it is opened and closed by the tests.

        In one test all are over the same place, which is empty at its beginning.
        """
        raise NotImplementedError

    def setUp(self) -> Deferred[None]:  # type: ignore[override]
        """Open a store."""
        self.store = self.make_store(DEFAULT_MAX_KEYS)
        self.addCleanup(self._close)
        return self.store.open()

    def _close(self) -> Deferred[None]:
        # Not the store of setUp's: a test may have put another in its place. It may be closed.
        return self.store.close().addErrback(_expect_closed)

    def test_is_a_store(self) -> None:
        """Is a store."""
        verifyObject(IKeyStore, self.store)

    def test_description_says_where_the_keys_are(self) -> None:
        """Description says where the keys are."""
        self.assertIn("keys in", self.store.description)

    async def test_what_was_added_is_loaded(self) -> None:
        """What was added is loaded."""
        keys = [PERM, a_temp_key(2, NOW + 60), AuthKey(bytes(255) + b"\x01", KeyKind.MEDIA_TEMP)]
        for key in keys:
            self.assertTrue(await self.store.add(StoredKey(key, SALTS, 152)))
        for key in keys:
            loaded = await self.store.load(key.auth_key_id)
            self.assertEqual(_fields(loaded.key), _fields(key))
            self.assertEqual((loaded.salts, loaded.layer), (SALTS, 152))
            self.assertIsNot(loaded.key, key)

    async def test_unknown_key(self) -> None:
        """Unknown key."""
        await self.assertFailure(self.store.load(5), KeyUnknown)

    async def test_taken_id_is_refused(self) -> None:
        """Taken id is refused."""
        await self.store.add(StoredKey(PERM, SALTS))
        self.assertFalse(await self.store.add(StoredKey(PERM, [])))
        self.assertEqual((await self.store.load(PERM.auth_key_id)).salts, SALTS)

    async def test_newest_message_is_taken_once(self) -> None:
        """Newest message is taken once."""
        self.assertEqual(await self.store.take_newest(), 0)
        self.assertIsNone(await self.store.take_newest())
        for msg_id in (NOW << 32, 2**63 - 1):
            await self.store.keep_newest(4)
            await self.store.keep_newest(msg_id)
            self.assertEqual(await self.store.take_newest(), msg_id)
            self.assertIsNone(await self.store.take_newest())

    async def test_bind_is_kept(self) -> None:
        """Bind is kept."""
        temp = a_temp_key(2, NOW + 60)
        await self.store.add(StoredKey(temp, []))
        await self.store.bind(temp.auth_key_id, PERM.auth_key_id)
        loaded = await self.store.load(temp.auth_key_id)
        self.assertEqual(loaded.key.perm_auth_key_id, PERM.auth_key_id)
        self.assertEqual(temp.perm_auth_key_id, 0)

    async def test_salts_are_replaced(self) -> None:
        """Salts are replaced."""
        await self.store.add(StoredKey(PERM, SALTS))
        await self.store.save_salts(PERM.auth_key_id, SALTS[1:])
        self.assertEqual((await self.store.load(PERM.auth_key_id)).salts, SALTS[1:])

    async def test_layer_of_a_permanent_key(self) -> None:
        """Layer of a permanent key."""
        await self.store.add(StoredKey(PERM, SALTS))
        self.assertEqual((await self.store.load(PERM.auth_key_id)).layer, 0)
        await self.store.save_layer(PERM.auth_key_id, 214)
        loaded = await self.store.load(PERM.auth_key_id)
        self.assertEqual((loaded.layer, loaded.salts), (214, SALTS))

    async def test_bound_key_has_the_layer_of_the_permanent_one(self) -> None:
        """Bound key has the layer of the permanent one."""
        temp = a_temp_key(2, NOW + 60)
        for stored in (StoredKey(PERM, [], 152), StoredKey(temp, [], 214)):
            await self.store.add(stored)
        self.assertEqual((await self.store.load(temp.auth_key_id)).layer, 214)
        await self.store.bind(temp.auth_key_id, PERM.auth_key_id)
        self.assertEqual((await self.store.load(temp.auth_key_id)).layer, 152)
        await self.store.save_layer(PERM.auth_key_id, 0)
        self.assertEqual((await self.store.load(temp.auth_key_id)).layer, 0)

    async def test_bound_to_a_key_that_is_not_here(self) -> None:
        """Bound to a key that is not here."""
        temp = a_temp_key(2, NOW + 60, PERM.auth_key_id)
        await self.store.add(StoredKey(temp, [], 214))
        self.assertEqual((await self.store.load(temp.auth_key_id)).layer, 214)

    async def test_changing_a_missing_key_makes_none(self) -> None:
        """Changing a missing key makes none."""
        await self.store.bind(5, 6)
        await self.store.save_layer(5, 152)
        await self.store.save_salts(5, SALTS)
        await self.assertFailure(self.store.load(5), KeyUnknown)

    async def test_removed_key_takes_its_temporary_keys_along(self) -> None:
        """Removed key takes its temporary keys along."""
        bound = a_temp_key(2, NOW + 60, PERM.auth_key_id)
        other = a_temp_key(3, NOW + 60)
        for key in (PERM, bound, other):
            await self.store.add(StoredKey(key, []))
        removed = await self.store.remove(PERM.auth_key_id)
        self.assertEqual(set(removed), {PERM.auth_key_id, bound.auth_key_id})
        await self.assertFailure(self.store.load(bound.auth_key_id), KeyUnknown)
        self.assertEqual(await self.store.remove(PERM.auth_key_id), [])
        await self.store.load(other.auth_key_id)

    async def test_removed_temporary_key_leaves_the_permanent_one(self) -> None:
        """Removed temporary key leaves the permanent one."""
        bound = a_temp_key(2, NOW + 60, PERM.auth_key_id)
        for key in (PERM, bound):
            await self.store.add(StoredKey(key, []))
        self.assertEqual(await self.store.remove(bound.auth_key_id), [bound.auth_key_id])
        await self.store.load(PERM.auth_key_id)

    async def test_purge_drops_what_has_expired(self) -> None:
        """Purge drops what has expired."""
        expired, good = a_temp_key(2, NOW), a_temp_key(3, NOW + 1)
        for key in (PERM, expired, good):
            await self.store.add(StoredKey(key, []))
        self.assertEqual(await self.store.purge(NOW + 0.5, -1), 1)
        await self.assertFailure(self.store.load(expired.auth_key_id), KeyUnknown)
        for key in (PERM, good):
            await self.store.load(key.auth_key_id)

    async def test_purge_drops_what_was_never_used(self) -> None:
        """Purge drops what was never used."""
        for number, made_at in ((1, NOW), (2, NOW), (3, NOW + 1)):
            await self.store.add(StoredKey(a_key(number), [], made_at=made_at))
        await self.store.note_use([a_key(2).auth_key_id, 5], NOW + 9)
        self.assertEqual(await self.store.purge(NOW + 90, NOW), 1)
        await self.assertFailure(self.store.load(a_key(1).auth_key_id), KeyUnknown)
        used = await self.store.load(a_key(2).auth_key_id)
        self.assertEqual((used.made_at, used.used_at), (NOW, NOW + 9))
        await self.store.load(a_key(3).auth_key_id)

    async def test_purge_drops_so_many_at_a_time(self) -> None:
        """Purge drops so many at a time."""
        for number in range(PURGED_KEYS):
            await self.store.add(StoredKey(a_temp_key(number, NOW + number % 3), [], made_at=NOW))
        for number in range(PURGED_KEYS, PURGED_KEYS + 5):
            await self.store.add(StoredKey(a_key(number), [], made_at=NOW))
        self.assertEqual(await self.store.purge(NOW + 3, NOW), PURGED_KEYS)
        self.assertEqual(await self.store.purge(NOW + 3, NOW), 5)
        self.assertEqual(await self.store.purge(NOW + 3, NOW), 0)

    async def kept(self, *numbers: int) -> list[int]:
        """Return which of these keys the store has."""
        kept = []
        for number in numbers:
            try:
                await self.store.load(a_key(number).auth_key_id)
            except KeyUnknown:
                continue
            kept.append(number)
        return kept

    async def test_a_new_key_takes_the_place_of_one_that_was_never_used(self) -> None:
        """A new key takes the place of one that was never used."""
        await self.begin_with_room_for(3)
        for number in (1, 2, 3):
            await self.store.add(StoredKey(a_key(number), [], made_at=NOW + number))
        await self.store.note_use([a_key(1).auth_key_id], NOW + 9)
        made_at = NOW + 3 + NEW_KEY_SECONDS
        for number in (4, 5):
            self.assertTrue(await self.store.add(StoredKey(a_key(number), [], made_at=made_at)))
        self.assertEqual(await self.kept(1, 2, 3, 4, 5), [1, 4, 5])

    async def test_then_of_the_one_that_was_used_longest_ago(self) -> None:
        """What is only just made is about to be used; without others it gives way too."""
        await self.begin_with_room_for(2)
        for number in (1, 2):
            await self.store.add(StoredKey(a_key(number), [], made_at=NOW))
        await self.store.note_use([a_key(2).auth_key_id], NOW + 8)
        await self.store.note_use([a_key(1).auth_key_id], NOW + 9)
        for number, kept in ((3, [1, 3]), (4, [3, 4]), (5, [4, 5])):
            await self.store.add(StoredKey(a_key(number), [], made_at=NOW + 90 + number))
            self.assertEqual(await self.kept(1, 2, 3, 4, 5), kept)

    async def begin_with_room_for(self, max_keys: int) -> None:
        """Go on with a store that has room for so many keys."""
        await self.store.close()
        self.store = self.make_store(max_keys)
        await self.store.open()

    async def test_order_of_calls_is_kept(self) -> None:
        """Order of calls is kept."""
        added = self.store.add(StoredKey(PERM, []))
        saved = self.store.save_salts(PERM.auth_key_id, SALTS)
        loaded = self.store.load(PERM.auth_key_id)
        self.assertEqual((await loaded).salts, SALTS)
        await added
        await saved

    def test_nothing_secret_in_its_words(self) -> None:
        """Nothing secret in its words."""
        text = repr(StoredKey(PERM, SALTS))
        self.assertIn(str(PERM.auth_key_id), text)
        self.assertNotIn(str(SALTS[1].salt), text)


class PersistentStoreConformance(StoreConformance):
    """What a store does besides that outlives the process."""

    async def test_the_number_of_keys_is_known_after_a_restart(self) -> None:
        """The number of keys is known after a restart."""
        for number in range(5):
            await self.store.add(StoredKey(a_key(number), [], made_at=NOW + number))
        await self.begin_with_room_for(3)
        await self.store.add(StoredKey(a_key(9), [], made_at=NOW + 90))
        self.assertEqual(await self.kept(0, 1, 2, 3, 4, 9), [3, 4, 9])

    async def test_keys_survive_a_restart(self) -> None:
        """Keys survive a restart."""
        await self.store.add(StoredKey(PERM, SALTS, 152))
        await self.store.close()
        self.store = self.make_store(DEFAULT_MAX_KEYS)
        await self.store.open()
        loaded = await self.store.load(PERM.auth_key_id)
        self.assertEqual(
            (_fields(loaded.key), loaded.salts, loaded.layer), (_fields(PERM), SALTS, 152)
        )

    async def test_closing_waits_for_what_was_handed_over(self) -> None:
        """Closing waits for what was handed over."""
        added = self.store.add(StoredKey(PERM, SALTS))
        await self.store.close()
        self.assertTrue(await added)
        await self.assertFailure(self.store.load(PERM.auth_key_id), BackendUnavailable)
