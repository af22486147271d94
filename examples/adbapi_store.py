"""A key store of an application's own: auth keys in PostgreSQL, or in any database with a DB-API.

    pip install 'psycopg[binary]'

    make_gateway(config, reactor, store=AdbapiStore(reactor, "psycopg", "dbname=chat"))

or in the configuration, with the database in PG's own variables (PGHOST, PGDATABASE, PGUSER…):

    Session: {Embedded: {Store: "class:adbapi_store.PostgresKeys"}}

Who can read the table can read all traffic of its clients. One gateway has it at a time.

``twisted.enterprise.adbapi`` runs the statements in a thread, one connection in one thread, so that
they are done in the order of the calls: a key is there before anything asks for it.
"""

from collections.abc import Callable, Sequence
from functools import partial
from struct import Struct
from typing import Any, Final, NoReturn, TypeVar, cast

from twisted.enterprise.adbapi import ConnectionPool, Transaction
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorCore
from twisted.python.failure import Failure
from zope.interface import implementer

from gnetway.backends.embedded.store import (
    DEFAULT_MAX_KEYS,
    NEW_KEY_SECONDS,
    PURGED_KEYS,
    IKeyStore,
    StoredKey,
    StoreUnusable,
)
from gnetway.crypto.auth_key import AuthKey, KeyKind
from gnetway.errors import BackendError, BackendUnavailable, KeyUnknown
from gnetway.interfaces import FutureSalt

T = TypeVar("T")

#: valid_since, valid_until (Unix seconds), salt.
SALT: Final = Struct("<qqq")

TABLES: Final = (
    """CREATE TABLE IF NOT EXISTS gnetway_auth_keys (
        auth_key_id BIGINT PRIMARY KEY, secret BYTEA NOT NULL, kind SMALLINT NOT NULL,
        perm_auth_key_id BIGINT NOT NULL, expires_at BIGINT NOT NULL, salts BYTEA NOT NULL,
        layer INTEGER NOT NULL, made_at BIGINT NOT NULL, used_at BIGINT NOT NULL)""",
    """CREATE INDEX IF NOT EXISTS gnetway_by_perm ON gnetway_auth_keys (perm_auth_key_id)""",
    """CREATE INDEX IF NOT EXISTS gnetway_by_expiry ON gnetway_auth_keys (expires_at)
        WHERE expires_at > 0""",
    """CREATE INDEX IF NOT EXISTS gnetway_by_use ON gnetway_auth_keys (used_at, made_at)""",
    # One row, made with the table: 0 says that the store is new, NULL that it was asked since.
    """CREATE TABLE IF NOT EXISTS gnetway_newest (one INTEGER PRIMARY KEY, msg_id BIGINT)""",
    """INSERT INTO gnetway_newest VALUES (1, 0) ON CONFLICT DO NOTHING""",
)

#: A key with the layer of its permanent one, if it is bound to one that is here.
LOAD: Final = """
    SELECT own.secret, own.kind, own.perm_auth_key_id, own.expires_at, own.salts,
        COALESCE(perm.layer, own.layer), own.made_at, own.used_at
    FROM gnetway_auth_keys own
    LEFT JOIN gnetway_auth_keys perm ON perm.auth_key_id = own.perm_auth_key_id
    WHERE own.auth_key_id = ?"""

#: Of those that have to go so many of the first ones.
DROP: Final = """
    DELETE FROM gnetway_auth_keys WHERE auth_key_id IN (
        SELECT auth_key_id FROM gnetway_auth_keys WHERE """
EXPIRED: Final = DROP + "expires_at > 0 AND expires_at <= ? LIMIT ?)"
UNUSED: Final = DROP + "used_at = 0 AND made_at <= ? ORDER BY made_at LIMIT ?)"
LONGEST_UNUSED: Final = DROP + "used_at > 0 ORDER BY used_at LIMIT ?)"
OLDEST: Final = DROP + "used_at = 0 ORDER BY made_at LIMIT ?)"


@implementer(IKeyStore)
class AdbapiStore:
    """Keeps keys in two tables of a database.

    ``module`` is the name of a DB-API 2.0 module, ``arguments`` are those of its ``connect``.
    ``mark`` is how its statements name a parameter.
    """

    def __init__(
        self,
        reactor: IReactorCore,
        module: str,
        *arguments: object,
        mark: str = "%s",
        max_keys: int = DEFAULT_MAX_KEYS,
        **options: object,
    ) -> None:
        self.description = f"keys in a database, by {module}"
        self._mark = mark
        self._max_keys = max_keys
        #: How many there are, so that they need not be counted for each; the thread's alone.
        self._count = 0
        self._connect: Callable[[], Any] = partial(
            ConnectionPool,
            module,
            *arguments,
            cp_reactor=reactor,
            cp_min=1,
            cp_max=1,
            # A database that was restarted is connected to anew, by the next call.
            cp_reconnect=True,
            cp_noisy=False,
            **options,
        )
        self._pool: Any = None

    # -- life ------------------------------------------------------------------------------------

    def open(self) -> Deferred[None]:
        """Connect, and make the tables where they are missing."""
        try:
            self._pool = self._connect()
        except ImportError as error:
            return fail(StoreUnusable(f"{self.description}: {error}"))
        if not self._pool.running:
            self._pool.start()
        return self._run(self._begin).addErrback(self._unusable)

    def _begin(self, transaction: Transaction) -> None:
        for statement in TABLES:
            transaction.execute(statement)
        transaction.execute("SELECT count(*) FROM gnetway_auth_keys")
        self._count = int(transaction.fetchone()[0])

    def _unusable(self, failure: Failure) -> NoReturn:
        self._end(None)
        raise StoreUnusable(f"{self.description}: {failure.getErrorMessage()}") from failure.value

    def close(self) -> Deferred[None]:
        """Fire when all that was handed over is done: this comes behind it."""
        return self._run(lambda _: None).addBoth(self._end)

    def _end(self, _: object) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()

    # -- keys ------------------------------------------------------------------------------------

    def add(self, stored: StoredKey) -> Deferred[bool]:
        """Keep a new key; fires with False where its auth_key_id is taken."""
        key = stored.key
        # Made here, not in the thread: the gateway changes its AuthKey objects.
        row = (
            key.auth_key_id,
            key.secret,
            int(key.kind),
            key.perm_auth_key_id,
            key.expires_at,
            pack_salts(stored.salts),
            stored.layer,
            stored.made_at,
            stored.used_at,
        )

        def insert(transaction: Transaction) -> bool:
            self._make_room(transaction, stored.made_at - NEW_KEY_SECONDS)
            self._do(
                transaction,
                "INSERT INTO gnetway_auth_keys VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT DO NOTHING",
                row,
            )
            added = int(transaction.rowcount) == 1
            self._count += added
            return added

        return self._run(insert)

    def _make_room(self, transaction: Transaction, made_before: int) -> None:
        """Drop one key for each that is too many: never used and not new, else longest unused."""
        wanted = self._count + 1 - self._max_keys
        for statement, values in (
            (UNUSED, (made_before,)),
            (LONGEST_UNUSED, ()),
            (OLDEST, ()),
        ):
            if wanted > 0:
                self._do(transaction, statement, (*values, wanted))
                wanted -= int(transaction.rowcount)
                self._count -= int(transaction.rowcount)

    def load(self, auth_key_id: int) -> Deferred[StoredKey]:
        """Fire with the key, or fail with KeyUnknown."""

        def select(transaction: Transaction) -> StoredKey:
            self._do(transaction, LOAD, (auth_key_id,))
            row = transaction.fetchone()
            if row is None:
                raise KeyUnknown(f"no auth key {auth_key_id}")
            secret, kind, perm_auth_key_id, expires_at, salts, layer, made_at, used_at = row
            key = AuthKey(bytes(secret), KeyKind(kind), perm_auth_key_id, expires_at)
            found = [FutureSalt(*salt) for salt in SALT.iter_unpack(bytes(salts))]
            return StoredKey(key, found, layer, made_at, used_at)

        return self._run(select)

    def bind(self, temp_auth_key_id: int, perm_auth_key_id: int) -> Deferred[None]:
        """Note which permanent key stands behind a temporary one."""
        return self._set("perm_auth_key_id", perm_auth_key_id, [temp_auth_key_id])

    def note_use(self, auth_key_ids: Sequence[int], used_at: int) -> Deferred[None]:
        """Note that keys were used."""
        return self._set("used_at", used_at, auth_key_ids)

    def save_salts(self, auth_key_id: int, salts: list[FutureSalt]) -> Deferred[None]:
        """Keep these salts instead of the ones before."""
        return self._set("salts", pack_salts(salts), [auth_key_id])

    def save_layer(self, auth_key_id: int, layer: int) -> Deferred[None]:
        """Keep the layer of a key that is permanent or not bound."""
        return self._set("layer", layer, [auth_key_id])

    def remove(self, auth_key_id: int) -> Deferred[list[int]]:
        """Drop a key and the temporary keys bound to it."""
        ids = (auth_key_id, auth_key_id)
        which = "FROM gnetway_auth_keys WHERE auth_key_id = ? OR perm_auth_key_id = ?"

        def delete(transaction: Transaction) -> list[int]:
            self._do(transaction, f"SELECT auth_key_id {which}", ids)
            removed = [int(row[0]) for row in transaction.fetchall()]
            self._do(transaction, f"DELETE {which}", ids)
            self._count -= len(removed)
            return removed

        return self._run(delete)

    def keep_newest(self, msg_id: int) -> Deferred[None]:
        """Note the highest msg_id that was taken."""
        statement = "UPDATE gnetway_newest SET msg_id = ?"
        return self._run(lambda transaction: self._do(transaction, statement, (msg_id,)))

    def take_newest(self) -> Deferred[int | None]:
        """Fire with what ``keep_newest`` noted, and forget it."""

        def take(transaction: Transaction) -> int | None:
            transaction.execute("SELECT msg_id FROM gnetway_newest")
            (msg_id,) = transaction.fetchone()
            transaction.execute("UPDATE gnetway_newest SET msg_id = NULL")
            return cast(int | None, msg_id)

        return self._run(take)

    def purge(self, now: float, unused_before: float) -> Deferred[int]:
        """Drop keys that have expired, and those that were made long ago and never used."""

        def delete(transaction: Transaction) -> int:
            self._do(transaction, EXPIRED, (int(now), PURGED_KEYS))
            dropped = int(transaction.rowcount)
            self._do(transaction, UNUSED, (int(unused_before), PURGED_KEYS - dropped))
            dropped += int(transaction.rowcount)
            self._count -= dropped
            return dropped

        return self._run(delete)

    # -- statements ------------------------------------------------------------------------------

    def _set(self, column: str, value: object, auth_key_ids: Sequence[int]) -> Deferred[None]:
        marks = ", ".join("?" * len(auth_key_ids))
        which = f"WHERE auth_key_id IN ({marks})"
        statement = f"UPDATE gnetway_auth_keys SET {column} = ? {which}"  # noqa: S608 (ours alone)
        values = (value, *auth_key_ids)
        return self._run(lambda transaction: self._do(transaction, statement, values))

    def _do(self, transaction: Transaction, statement: str, values: tuple[object, ...]) -> None:
        transaction.execute(statement.replace("?", self._mark), values)

    def _run(self, interaction: Callable[[Transaction], T]) -> Deferred[T]:
        if self._pool is None:
            return fail(BackendUnavailable("the key store is not open"))
        done: Deferred[T] = self._pool.runInteraction(interaction)
        return done.addErrback(_failed)


def pack_salts(salts: list[FutureSalt]) -> bytes:
    """Return salts as they are kept."""
    return b"".join([SALT.pack(*salt) for salt in salts])


def _failed(failure: Failure) -> NoReturn:
    if not isinstance(failure.value, BackendError):
        # By its class alone: the text of a database may have values of the statement in it.
        name = type(failure.value).__name__
        raise BackendUnavailable(f"the key store failed: {name}") from failure.value
    failure.raiseException()


class PostgresKeys(AdbapiStore):
    """One that the configuration can name; libpq's variables say where the database is."""

    def __init__(self, reactor: IReactorCore) -> None:
        super().__init__(reactor, "psycopg", "")
