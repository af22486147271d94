"""What every key store does, shown on each."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from twisted.internet import reactor  # noqa: TID251 (a real store needs real threads)
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorCore
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from gnetway.backends.embedded import sqlite_file
from gnetway.backends.embedded.key_state import make_salt
from gnetway.backends.embedded.sqlite_file import SCHEMA_VERSION, check_file
from gnetway.backends.embedded.sqlite_store import SQLiteStore
from gnetway.backends.embedded.store import (
    NEW_KEY_SECONDS,
    PURGED_KEYS,
    IKeyStore,
    MemoryStore,
    StoredKey,
    StoreUnusable,
)
from gnetway.crypto.auth_key import AuthKey, KeyKind
from gnetway.errors import BackendUnavailable, KeyUnknown
from gnetway.interfaces import FutureSalt
from tests.backends.embedded.talk import NOW
from tests.fakes import some_key

#: The tables as the first version made them.
VERSION_1 = """
    CREATE TABLE schema_version (version INTEGER NOT NULL);
    INSERT INTO schema_version VALUES (1);
    CREATE TABLE auth_keys (
        auth_key_id INTEGER PRIMARY KEY, secret BLOB NOT NULL, kind INTEGER NOT NULL,
        perm_auth_key_id INTEGER NOT NULL, expires_at INTEGER NOT NULL, salts BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX auth_keys_by_perm ON auth_keys (perm_auth_key_id);
    CREATE INDEX auth_keys_by_expiry ON auth_keys (expires_at) WHERE expires_at > 0;
"""

SALTS = [make_salt(-5, NOW), FutureSalt(NOW + 1800, NOW + 3900, 2**63 - 1)]
PERM = some_key(1)


def temp_key(number: int, expires_at: int, perm_auth_key_id: int = 0) -> AuthKey:
    return AuthKey(some_key(number).secret, KeyKind.TEMP, perm_auth_key_id, expires_at)


def fields(key: AuthKey) -> tuple[object, ...]:
    return key.secret, key.kind, key.auth_key_id, key.perm_auth_key_id, key.expires_at


class MemoryStoreTests(TestCase):
    def make_store(self) -> IKeyStore:
        return MemoryStore()

    def setUp(self) -> Deferred[None]:  # type: ignore[override]
        self.store = self.make_store()
        self.addCleanup(self.close)
        return self.store.open()

    def close(self) -> Deferred[None]:
        # Not the store of setUp's: a test may have put another in its place.
        return self.store.close()

    def test_is_a_store(self) -> None:
        verifyObject(IKeyStore, self.store)

    def test_description_says_where_the_keys_are(self) -> None:
        self.assertIn("keys in", self.store.description)

    async def test_what_was_added_is_loaded(self) -> None:
        keys = [PERM, temp_key(2, NOW + 60), AuthKey(bytes(255) + b"\x01", KeyKind.MEDIA_TEMP)]
        for key in keys:
            self.assertTrue(await self.store.add(StoredKey(key, SALTS, 152)))
        for key in keys:
            loaded = await self.store.load(key.auth_key_id)
            self.assertEqual(fields(loaded.key), fields(key))
            self.assertEqual((loaded.salts, loaded.layer), (SALTS, 152))
            self.assertIsNot(loaded.key, key)

    async def test_unknown_key(self) -> None:
        await self.assertFailure(self.store.load(5), KeyUnknown)

    async def test_taken_id_is_refused(self) -> None:
        await self.store.add(StoredKey(PERM, SALTS))
        self.assertFalse(await self.store.add(StoredKey(PERM, [])))
        self.assertEqual((await self.store.load(PERM.auth_key_id)).salts, SALTS)

    async def test_newest_message_is_taken_once(self) -> None:
        self.assertEqual(await self.store.take_newest(), 0)
        self.assertIsNone(await self.store.take_newest())
        for msg_id in (NOW << 32, 2**63 - 1):
            await self.store.keep_newest(4)
            await self.store.keep_newest(msg_id)
            self.assertEqual(await self.store.take_newest(), msg_id)
            self.assertIsNone(await self.store.take_newest())

    async def test_bind_is_kept(self) -> None:
        temp = temp_key(2, NOW + 60)
        await self.store.add(StoredKey(temp, []))
        await self.store.bind(temp.auth_key_id, PERM.auth_key_id)
        loaded = await self.store.load(temp.auth_key_id)
        self.assertEqual(loaded.key.perm_auth_key_id, PERM.auth_key_id)
        self.assertEqual(temp.perm_auth_key_id, 0)

    async def test_salts_are_replaced(self) -> None:
        await self.store.add(StoredKey(PERM, SALTS))
        await self.store.save_salts(PERM.auth_key_id, SALTS[1:])
        self.assertEqual((await self.store.load(PERM.auth_key_id)).salts, SALTS[1:])

    async def test_layer_of_a_permanent_key(self) -> None:
        await self.store.add(StoredKey(PERM, SALTS))
        self.assertEqual((await self.store.load(PERM.auth_key_id)).layer, 0)
        await self.store.save_layer(PERM.auth_key_id, 214)
        loaded = await self.store.load(PERM.auth_key_id)
        self.assertEqual((loaded.layer, loaded.salts), (214, SALTS))

    async def test_bound_key_has_the_layer_of_the_permanent_one(self) -> None:
        temp = temp_key(2, NOW + 60)
        for stored in (StoredKey(PERM, [], 152), StoredKey(temp, [], 214)):
            await self.store.add(stored)
        self.assertEqual((await self.store.load(temp.auth_key_id)).layer, 214)
        await self.store.bind(temp.auth_key_id, PERM.auth_key_id)
        self.assertEqual((await self.store.load(temp.auth_key_id)).layer, 152)
        await self.store.save_layer(PERM.auth_key_id, 0)
        self.assertEqual((await self.store.load(temp.auth_key_id)).layer, 0)

    async def test_bound_to_a_key_that_is_not_here(self) -> None:
        temp = temp_key(2, NOW + 60, PERM.auth_key_id)
        await self.store.add(StoredKey(temp, [], 214))
        self.assertEqual((await self.store.load(temp.auth_key_id)).layer, 214)

    async def test_changing_a_missing_key_makes_none(self) -> None:
        await self.store.bind(5, 6)
        await self.store.save_layer(5, 152)
        await self.store.save_salts(5, SALTS)
        await self.assertFailure(self.store.load(5), KeyUnknown)

    async def test_removed_key_takes_its_temporary_keys_along(self) -> None:
        bound = temp_key(2, NOW + 60, PERM.auth_key_id)
        other = temp_key(3, NOW + 60)
        for key in (PERM, bound, other):
            await self.store.add(StoredKey(key, []))
        removed = await self.store.remove(PERM.auth_key_id)
        self.assertEqual(set(removed), {PERM.auth_key_id, bound.auth_key_id})
        await self.assertFailure(self.store.load(bound.auth_key_id), KeyUnknown)
        self.assertEqual(await self.store.remove(PERM.auth_key_id), [])
        await self.store.load(other.auth_key_id)

    async def test_removed_temporary_key_leaves_the_permanent_one(self) -> None:
        bound = temp_key(2, NOW + 60, PERM.auth_key_id)
        for key in (PERM, bound):
            await self.store.add(StoredKey(key, []))
        self.assertEqual(await self.store.remove(bound.auth_key_id), [bound.auth_key_id])
        await self.store.load(PERM.auth_key_id)

    async def test_purge_drops_what_has_expired(self) -> None:
        expired, good = temp_key(2, NOW), temp_key(3, NOW + 1)
        for key in (PERM, expired, good):
            await self.store.add(StoredKey(key, []))
        self.assertEqual(await self.store.purge(NOW + 0.5, -1), 1)
        await self.assertFailure(self.store.load(expired.auth_key_id), KeyUnknown)
        for key in (PERM, good):
            await self.store.load(key.auth_key_id)

    async def test_purge_drops_what_was_never_used(self) -> None:
        for number, made_at in ((1, NOW), (2, NOW), (3, NOW + 1)):
            await self.store.add(StoredKey(some_key(number), [], made_at=made_at))
        await self.store.note_use([some_key(2).auth_key_id, 5], NOW + 9)
        self.assertEqual(await self.store.purge(NOW + 90, NOW), 1)
        await self.assertFailure(self.store.load(some_key(1).auth_key_id), KeyUnknown)
        used = await self.store.load(some_key(2).auth_key_id)
        self.assertEqual((used.made_at, used.used_at), (NOW, NOW + 9))
        await self.store.load(some_key(3).auth_key_id)

    async def test_purge_drops_so_many_at_a_time(self) -> None:
        for number in range(PURGED_KEYS):
            await self.store.add(StoredKey(temp_key(number, NOW + number % 3), [], made_at=NOW))
        for number in range(PURGED_KEYS, PURGED_KEYS + 5):
            await self.store.add(StoredKey(some_key(number), [], made_at=NOW))
        self.assertEqual(await self.store.purge(NOW + 3, NOW), PURGED_KEYS)
        self.assertEqual(await self.store.purge(NOW + 3, NOW), 5)
        self.assertEqual(await self.store.purge(NOW + 3, NOW), 0)

    async def kept(self, *numbers: int) -> list[int]:
        """Return which of these keys the store has."""
        kept = []
        for number in numbers:
            try:
                await self.store.load(some_key(number).auth_key_id)
            except KeyUnknown:
                continue
            kept.append(number)
        return kept

    async def test_a_new_key_takes_the_place_of_one_that_was_never_used(self) -> None:
        await self.begin_with_room_for(3)
        for number in (1, 2, 3):
            await self.store.add(StoredKey(some_key(number), [], made_at=NOW + number))
        await self.store.note_use([some_key(1).auth_key_id], NOW + 9)
        made_at = NOW + 3 + NEW_KEY_SECONDS
        for number in (4, 5):
            self.assertTrue(await self.store.add(StoredKey(some_key(number), [], made_at=made_at)))
        self.assertEqual(await self.kept(1, 2, 3, 4, 5), [1, 4, 5])

    async def test_then_of_the_one_that_was_used_longest_ago(self) -> None:
        """What is only just made is about to be used; without others it gives way too."""
        await self.begin_with_room_for(2)
        for number in (1, 2):
            await self.store.add(StoredKey(some_key(number), [], made_at=NOW))
        await self.store.note_use([some_key(2).auth_key_id], NOW + 8)
        await self.store.note_use([some_key(1).auth_key_id], NOW + 9)
        for number, kept in ((3, [1, 3]), (4, [3, 4]), (5, [4, 5])):
            await self.store.add(StoredKey(some_key(number), [], made_at=NOW + 90 + number))
            self.assertEqual(await self.kept(1, 2, 3, 4, 5), kept)

    async def begin_with_room_for(self, max_keys: int) -> None:
        self.store = MemoryStore(max_keys)

    async def test_order_of_calls_is_kept(self) -> None:
        added = self.store.add(StoredKey(PERM, []))
        saved = self.store.save_salts(PERM.auth_key_id, SALTS)
        loaded = self.store.load(PERM.auth_key_id)
        self.assertEqual((await loaded).salts, SALTS)
        await added
        await saved

    def test_nothing_secret_in_its_words(self) -> None:
        text = repr(StoredKey(PERM, SALTS))
        self.assertIn(str(PERM.auth_key_id), text)
        self.assertNotIn(str(SALTS[1].salt), text)


class SQLiteStoreTests(MemoryStoreTests):
    def make_store(self) -> IKeyStore:
        self.path = self.mktemp()
        return self.open_path(self.path)

    def open_path(self, path: str) -> SQLiteStore:
        assert IReactorCore.providedBy(reactor)
        return SQLiteStore(reactor, path)

    async def begin_with_room_for(self, max_keys: int) -> None:
        assert IReactorCore.providedBy(reactor)
        await self.store.close()
        self.store = SQLiteStore(reactor, self.path, None, max_keys)
        await self.store.open()

    async def test_the_number_of_keys_is_known_after_a_restart(self) -> None:
        for number in range(5):
            await self.store.add(StoredKey(some_key(number), [], made_at=NOW + number))
        await self.begin_with_room_for(3)
        await self.store.add(StoredKey(some_key(9), [], made_at=NOW + 90))
        self.assertEqual(await self.kept(0, 1, 2, 3, 4, 9), [3, 4, 9])

    def a_file(self, content: bytes, mode: int = 0o600) -> str:
        path = Path(self.mktemp())
        path.write_bytes(content)
        path.chmod(mode)
        return str(path)

    async def refusal(self, path: str) -> str:
        """Return why a store of this file cannot be opened."""
        store = self.open_path(path)
        try:
            await store.open()
        except StoreUnusable as error:
            return str(error)
        await store.close()
        raise self.failureException("opened")

    async def test_keys_survive_a_restart(self) -> None:
        await self.store.add(StoredKey(PERM, SALTS, 152))
        await self.store.close()
        self.store = self.open_path(self.path)
        await self.store.open()
        loaded = await self.store.load(PERM.auth_key_id)
        self.assertEqual(
            (fields(loaded.key), loaded.salts, loaded.layer), (fields(PERM), SALTS, 152)
        )

    async def test_closing_waits_for_what_was_handed_over(self) -> None:
        added = self.store.add(StoredKey(PERM, SALTS))
        await self.store.close()
        self.assertTrue(await added)
        await self.assertFailure(self.store.load(PERM.auth_key_id), BackendUnavailable)

    async def test_only_the_owner_may_read_the_files(self) -> None:
        await self.store.add(StoredKey(PERM, SALTS))
        path = Path(self.path)
        files = list(path.parent.glob(path.name + "*"))
        self.assertIn(path.name + "-wal", [file.name for file in files])
        for file in files:
            self.assertEqual(os.stat(file).st_mode & 0o777, 0o600, file.name)

    async def test_a_file_that_others_may_read_is_closed_to_them(self) -> None:
        path = self.a_file(b"", 0o644)
        store = self.open_path(path)
        await store.open()
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        await store.close()

    async def test_so_are_logs_that_a_crash_has_left(self) -> None:
        path = self.a_file(b"", 0o644)
        os.close(os.open(f"{path}-wal", os.O_CREAT, 0o644))
        store = self.open_path(path)
        await store.open()
        self.assertEqual(os.stat(f"{path}-wal").st_mode & 0o777, 0o600)
        await store.close()

    async def test_one_at_a_time(self) -> None:
        refusal = await self.refusal(self.path)
        self.assertEqual(refusal, f"{self.path}: another gateway uses it")
        # What was refused has not touched the locks of the one that is open.
        await self.store.add(StoredKey(PERM, SALTS))
        await self.store.close()
        second = self.open_path(self.path)
        await second.open()
        await second.load(PERM.auth_key_id)
        await second.close()

    async def test_what_cannot_be_opened_is_not_kept_from_others(self) -> None:
        path = self.a_file(b"this is no database" * 100)
        for _ in range(2):
            self.assertIn("not a database", await self.refusal(path))

    async def test_write_ahead_log_and_version(self) -> None:
        with closing(sqlite3.connect(self.path)) as connection:
            [(mode,)] = connection.execute("PRAGMA journal_mode")
            [(version,)] = connection.execute("SELECT version FROM schema_version")
        self.assertEqual((mode, version), ("wal", SCHEMA_VERSION))

    async def test_tables_of_version_1_are_taken_over(self) -> None:
        """Keys that were made before there were layers stay, and get theirs."""
        path = self.mktemp()
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.executescript(VERSION_1)
            row = (PERM.auth_key_id, PERM.secret, 0, PERM.auth_key_id, 0, b"")
            connection.execute("INSERT INTO auth_keys VALUES (?, ?, ?, ?, ?, ?)", row)
        check_file(path)
        for layer in (0, 152):
            store = self.open_path(path)
            await store.open()
            loaded = await store.load(PERM.auth_key_id)
            self.assertEqual((fields(loaded.key), loaded.layer), (fields(PERM), layer))
            await store.save_layer(PERM.auth_key_id, 152)
            await store.add(StoredKey(some_key(2), SALTS))
            await store.close()
        with closing(sqlite3.connect(path)) as connection:
            versions = connection.execute("SELECT version FROM schema_version").fetchall()
            uses = connection.execute("SELECT min(used_at) FROM auth_keys WHERE layer").fetchall()
        self.assertEqual(versions, [(SCHEMA_VERSION,)])
        # None of them may go for never having spoken: nobody knows.
        self.assertGreater(uses[0][0], 0)

    async def test_a_migration_is_done_whole_or_not_at_all(self) -> None:
        path = self.mktemp()
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.executescript(VERSION_1)
        before = dict(sqlite_file._MIGRATIONS)
        self.patch(sqlite_file, "_MIGRATIONS", before | {SCHEMA_VERSION: ("no SQL",)})
        await self.refusal(path)
        self.patch(sqlite_file, "_MIGRATIONS", before)
        store = self.open_path(path)
        await store.open()
        await store.close()

    async def test_tables_of_another_version_are_refused(self) -> None:
        await self.store.close()
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute("UPDATE schema_version SET version = 99")
        refusal = await self.refusal(self.path)
        self.assertIn(self.path, refusal)
        self.assertIn("99", refusal)

    async def test_no_such_directory(self) -> None:
        path = os.path.join(self.mktemp(), "keys.sqlite3")
        refusal = await self.refusal(path)
        self.assertIn(path, refusal)
        self.assertIn("No such file", refusal)

    async def test_no_database(self) -> None:
        refusal = await self.refusal(self.a_file(b"this is no database" * 100))
        self.assertIn("not a database", refusal)

    async def test_a_store_that_fails_is_unavailable(self) -> None:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute("DROP TABLE auth_keys")
        await self.assertFailure(self.store.load(5), BackendUnavailable)

    async def test_not_open(self) -> None:
        await self.assertFailure(self.open_path(self.path).load(5), BackendUnavailable)
