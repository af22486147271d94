"""Auth keys in an SQLite file.

One thread runs every statement in the order of the calls, so that a key is there before anything
asks for it. The file is made with mode 0600: whoever reads it can read all traffic.
"""

import os
import sqlite3
from collections.abc import Callable, Sequence
from struct import Struct
from typing import Final, NoReturn, Protocol, TypeVar, cast

from twisted.enterprise.adbapi import ConnectionPool, Transaction
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorCore
from twisted.python.failure import Failure
from zope.interface import implementer

from gnetway.backends.embedded.sqlite_file import (
    BUSY_SECONDS,
    StoreLock,
    check_version,
    create_schema,
)
from gnetway.backends.embedded.store import (
    DEFAULT_MAX_KEYS,
    NEW_KEY_SECONDS,
    PURGED_KEYS,
    IKeyStore,
    StoredKey,
    StoreUnusable,
)
from gnetway.crypto.auth_key import AuthKey, KeyKind
from gnetway.errors import BackendUnavailable, KeyUnknown
from gnetway.interfaces import FutureSalt

#: valid_since, valid_until (Unix seconds), salt; little endian.
_SALT: Final = Struct("<iiq")

_INSERT: Final = "INSERT OR IGNORE INTO auth_keys VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"

#: Of each kind of keys that have to go, so many of the first ones.
_DELETE: Final = "DELETE FROM auth_keys WHERE auth_key_id IN (SELECT auth_key_id FROM auth_keys "
_EXPIRED: Final = _DELETE + "WHERE expires_at > 0 AND expires_at <= ? LIMIT ?)"
_UNUSED: Final = _DELETE + "WHERE used_at = 0 AND made_at <= ? ORDER BY made_at LIMIT ?)"
_LONGEST_UNUSED: Final = _DELETE + "WHERE used_at > 0 ORDER BY used_at LIMIT ?)"
_OLDEST: Final = _DELETE + "WHERE used_at = 0 ORDER BY made_at LIMIT ?)"

_T = TypeVar("_T")


class _Pool(Protocol):
    """What is used of adbapi's untyped ConnectionPool."""

    running: bool

    def start(self) -> None: ...

    def close(self) -> None: ...

    def runInteraction(  # noqa: N802
        self, interaction: Callable[[Transaction], _T]
    ) -> Deferred[_T]: ...


def _make_pool(reactor: IReactorCore, path: str) -> _Pool:
    # One thread and one connection: statements are done in the order of the calls.
    pool = ConnectionPool(
        "sqlite3",
        path,
        timeout=BUSY_SECONDS,
        check_same_thread=False,
        cp_reactor=reactor,
        cp_min=1,
        cp_max=1,
        cp_noisy=False,
        cp_openfun=_prepare,
    )
    return cast(_Pool, pool)


def _pack_salts(salts: list[FutureSalt]) -> bytes:
    return b"".join([_SALT.pack(*salt) for salt in salts])


def _prepare(connection: sqlite3.Connection) -> None:
    # With a write-ahead log a killed process loses nothing and a power cut the last keys at most,
    # which their clients then make anew; a full flush for each would cost a handshake 5 ms.
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
    except sqlite3.Error:
        # The pool knows the connection only once this has gone well.
        connection.close()
        raise


def files_of(path: str) -> list[str]:
    """Return those of a store's files that are there: its own, and SQLite's logs beside it."""
    return [file for end in ("", "-wal", "-shm") if os.path.exists(file := path + end)]


@implementer(IKeyStore)
class SQLiteStore:
    """Keeps keys in the file ``path``.

    ``reactor`` runs the thread; its threads must be running, so only a real one will do.
    ``lock`` is the file's, where somebody has taken it before. There are at most ``max_keys``.
    """

    def __init__(
        self,
        reactor: IReactorCore,
        path: str,
        lock: StoreLock | None = None,
        max_keys: int = DEFAULT_MAX_KEYS,
    ) -> None:
        self.description = f"keys in {path}"
        self._reactor = reactor
        self._path = path
        self._lock = lock or StoreLock(path)
        self._max_keys = max_keys
        #: How many keys there are, so that they need not be counted; the thread's alone.
        self._count = 0
        self._pool: _Pool | None = None

    def open(self) -> Deferred[None]:
        """Make the file, if it is missing, and its tables; fails with StoreUnusable."""
        return Deferred.fromCoroutine(self._open())

    async def _open(self) -> None:
        try:
            self._lock.take()
            self._make_private()
            self._pool = pool = _make_pool(self._reactor, self._path)
            if not pool.running:
                pool.start()
            check_version(self._path, await pool.runInteraction(self._begin))
        except StoreUnusable:
            # The lock as well: another gateway may have the file now, or the next try.
            self._end()
            raise
        except Exception as error:
            self._end()
            raise StoreUnusable(f"{self._path}: {error}") from error

    def _begin(self, transaction: Transaction) -> int:
        version = create_schema(transaction)
        transaction.execute("SELECT count(*) FROM auth_keys")
        self._count = int(transaction.fetchone()[0])
        return version

    def _make_private(self) -> None:
        try:
            # SQLite gives its log files the mode of the main one when it makes them.
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
            for path in files_of(self._path):
                os.chmod(path, 0o600)
        except OSError as error:
            raise StoreUnusable(f"{self._path}: {error.strerror}") from error

    def close(self) -> Deferred[None]:
        """Fire when everything handed over is in the file."""
        # The thread comes to this after all that was handed over before it.
        return self._run(lambda _: None).addBoth(lambda _: self._end())

    def add(self, stored: StoredKey) -> Deferred[bool]:
        """Keep a new key; fires with False where its auth_key_id is taken."""
        key = stored.key
        row = (
            key.auth_key_id,
            key.secret,
            int(key.kind),
            key.perm_auth_key_id,
            key.expires_at,
            _pack_salts(stored.salts),
            stored.layer,
            stored.made_at,
            stored.used_at,
        )

        # The row was made here: the gateway changes its AuthKey objects while the thread works.
        def insert(transaction: Transaction) -> bool:
            self._make_room(transaction, stored.made_at - NEW_KEY_SECONDS)
            transaction.execute(_INSERT, row)
            added = int(transaction.rowcount)
            self._count += added
            return added == 1

        return self._run(insert)

    def _make_room(self, transaction: Transaction, made_before: int) -> None:
        """Drop the keys that give way to a new one; a few at a time, if there are far too many."""
        too_many = min(self._count + 1 - self._max_keys, PURGED_KEYS)
        for statement, values in ((_UNUSED, (made_before,)), (_LONGEST_UNUSED, ()), (_OLDEST, ())):
            if too_many <= 0:
                return
            transaction.execute(statement, (*values, too_many))
            too_many -= int(transaction.rowcount)
            self._count -= int(transaction.rowcount)

    def load(self, auth_key_id: int) -> Deferred[StoredKey]:
        """Fire with the key, or fail with KeyUnknown."""

        def select(transaction: Transaction) -> StoredKey:
            transaction.execute(
                "SELECT key.secret, key.kind, key.perm_auth_key_id, key.expires_at, key.salts,"
                " coalesce(perm.layer, key.layer), key.made_at, key.used_at"
                " FROM auth_keys AS key"
                " LEFT JOIN auth_keys AS perm ON perm.auth_key_id = key.perm_auth_key_id"
                " WHERE key.auth_key_id = ?",
                (auth_key_id,),
            )
            row = transaction.fetchone()
            if row is None:
                raise KeyUnknown(f"no auth key {auth_key_id}")
            key = AuthKey(row[0], KeyKind(row[1]), row[2], row[3])
            salts = [FutureSalt(*fields) for fields in _SALT.iter_unpack(row[4])]
            return StoredKey(key, salts, row[5], row[6], row[7])

        return self._run(select)

    def bind(self, temp_auth_key_id: int, perm_auth_key_id: int) -> Deferred[None]:
        """Note which permanent key stands behind a temporary one."""
        return self._change(
            "UPDATE auth_keys SET perm_auth_key_id = ? WHERE auth_key_id = ?",
            (perm_auth_key_id, temp_auth_key_id),
        )

    def note_use(self, auth_key_ids: Sequence[int], used_at: int) -> Deferred[None]:
        """Note that keys were used."""
        marks = ", ".join("?" * len(auth_key_ids))
        return self._change(
            f"UPDATE auth_keys SET used_at = ? WHERE auth_key_id IN ({marks})",  # noqa: S608
            (used_at, *auth_key_ids),
        )

    def save_salts(self, auth_key_id: int, salts: list[FutureSalt]) -> Deferred[None]:
        """Keep these salts instead of the ones before."""
        return self._change(
            "UPDATE auth_keys SET salts = ? WHERE auth_key_id = ?",
            (_pack_salts(salts), auth_key_id),
        )

    def save_layer(self, auth_key_id: int, layer: int) -> Deferred[None]:
        """Keep the layer of a key that is permanent or not bound."""
        return self._change(
            "UPDATE auth_keys SET layer = ? WHERE auth_key_id = ?", (layer, auth_key_id)
        )

    def remove(self, auth_key_id: int) -> Deferred[list[int]]:
        """Drop a key and the temporary keys bound to it."""
        ids = (auth_key_id, auth_key_id)

        def delete(transaction: Transaction) -> list[int]:
            transaction.execute(
                "SELECT auth_key_id FROM auth_keys WHERE auth_key_id = ? OR perm_auth_key_id = ?",
                ids,
            )
            removed = [int(row[0]) for row in transaction.fetchall()]
            transaction.execute(
                "DELETE FROM auth_keys WHERE auth_key_id = ? OR perm_auth_key_id = ?", ids
            )
            self._count -= len(removed)
            return removed

        return self._run(delete)

    def keep_newest(self, msg_id: int) -> Deferred[None]:
        """Note the highest msg_id that was taken."""

        def replace(transaction: Transaction) -> None:
            transaction.execute("DELETE FROM newest_message")
            transaction.execute("INSERT INTO newest_message VALUES (?)", (msg_id,))

        return self._run(replace)

    def take_newest(self) -> Deferred[int | None]:
        """Fire with what ``keep_newest`` noted, and forget it."""

        def take(transaction: Transaction) -> int | None:
            transaction.execute("SELECT msg_id FROM newest_message")
            row = transaction.fetchone()
            transaction.execute("DELETE FROM newest_message")
            return None if row is None else int(row[0])

        taken = self._run(take)
        # To the disk at once: a power cut must not bring it back.
        return taken.addCallback(
            lambda newest: self._change("PRAGMA wal_checkpoint", ()).addCallback(lambda _: newest)
        )

    def purge(self, now: float, unused_before: float) -> Deferred[int]:
        """Drop keys that have expired, and those that were made long ago and never used."""

        def purge(transaction: Transaction) -> int:
            transaction.execute(_EXPIRED, (int(now), PURGED_KEYS))
            dropped = int(transaction.rowcount)
            transaction.execute(_UNUSED, (int(unused_before), PURGED_KEYS - dropped))
            dropped += int(transaction.rowcount)
            self._count -= dropped
            return dropped

        return self._run(purge)

    def _change(self, statement: str, values: tuple[object, ...]) -> Deferred[None]:
        def change(transaction: Transaction) -> None:
            transaction.execute(statement, values)

        return self._run(change)

    def _run(self, interaction: Callable[[Transaction], _T]) -> Deferred[_T]:
        if self._pool is None:
            refused: Deferred[_T] = Deferred()
            refused.errback(BackendUnavailable("the key store is not open"))
            return refused
        return self._pool.runInteraction(interaction).addErrback(_translate)

    def _end(self) -> None:
        if self._pool is not None:
            self._pool.close()
            self._pool = None
        # Not before SQLite has closed its files.
        self._lock.release()


def _translate(failure: Failure) -> NoReturn:
    # The text of a database error never holds the values of the statement.
    if not isinstance(failure.value, sqlite3.Error):
        failure.raiseException()
    raise BackendUnavailable(f"the key store failed: {failure.getErrorMessage()}")
