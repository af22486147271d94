"""Our key stores do what every store does, and the file of SQLite what it has to."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from twisted.internet import reactor  # noqa: TID251 (a real store needs real threads)
from twisted.internet.interfaces import IReactorCore
from twisted.trial.unittest import TestCase

from examples.adbapi_store import AdbapiStore
from gnetway.backends.embedded import sqlite_file
from gnetway.backends.embedded.sqlite_file import SCHEMA_VERSION, check_file
from gnetway.backends.embedded.sqlite_store import SQLiteStore
from gnetway.backends.embedded.store import (
    DEFAULT_MAX_KEYS,
    IKeyStore,
    MemoryStore,
    StoredKey,
    StoreUnusable,
)
from gnetway.errors import BackendUnavailable
from gnetway.testing.stores import (
    PERM,
    SALTS,
    PersistentStoreConformance,
    StoreConformance,
    a_key,
)

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


class MemoryStoreTests(StoreConformance, TestCase):
    def make_store(self, max_keys: int) -> IKeyStore:
        return MemoryStore(max_keys)


class SQLiteStoreTests(PersistentStoreConformance, TestCase):
    path = ""

    def make_store(self, max_keys: int) -> IKeyStore:
        self.path = self.path or self.mktemp()
        return self.open_path(self.path, max_keys)

    def open_path(self, path: str, max_keys: int = DEFAULT_MAX_KEYS) -> SQLiteStore:
        assert IReactorCore.providedBy(reactor)
        return SQLiteStore(reactor, path, None, max_keys)

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
            self.assertEqual((loaded.key.secret, loaded.layer), (PERM.secret, layer))
            await store.save_layer(PERM.auth_key_id, 152)
            await store.add(StoredKey(a_key(2), SALTS))
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


class AdbapiStoreTests(PersistentStoreConformance, TestCase):
    """The store of the example, here over SQLite; by hand over PostgreSQL."""

    path = ""

    def make_store(self, max_keys: int) -> IKeyStore:
        self.path = self.path or self.mktemp()
        module, options = "sqlite3", {"check_same_thread": False}
        assert IReactorCore.providedBy(reactor)
        return AdbapiStore(reactor, module, self.path, mark="?", max_keys=max_keys, **options)

    async def test_a_database_that_cannot_be_opened(self) -> None:
        assert IReactorCore.providedBy(reactor)
        store = AdbapiStore(reactor, "sqlite3", "/nowhere/x", check_same_thread=False)
        await self.assertFailure(store.open(), StoreUnusable)
        await self.assertFailure(store.load(5), BackendUnavailable)

    async def test_no_such_module(self) -> None:
        assert IReactorCore.providedBy(reactor)
        await self.assertFailure(AdbapiStore(reactor, "no_such_module").open(), StoreUnusable)

    async def test_a_failure_names_no_value(self) -> None:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute("DROP TABLE gnetway_auth_keys")
        error = await self.assertFailure(self.store.add(StoredKey(PERM, SALTS)), BackendUnavailable)
        self.assertEqual(str(error), "the key store failed: OperationalError")
