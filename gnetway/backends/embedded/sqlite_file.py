"""The file of a key store: its tables, how those of an earlier version become them, its lock."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from fcntl import LOCK_EX, LOCK_NB, flock
from typing import Final

from twisted.enterprise.adbapi import Transaction

from gnetway.backends.embedded.store import StoreUnusable

#: Version of the tables below; a file of a later version is refused, not guessed at.
SCHEMA_VERSION: Final = 3

#: How long a statement waits for another process that has the file locked, in seconds.
BUSY_SECONDS: Final = 5.0

_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)",
    """CREATE TABLE IF NOT EXISTS auth_keys (
        auth_key_id INTEGER PRIMARY KEY,
        secret BLOB NOT NULL,
        kind INTEGER NOT NULL,
        perm_auth_key_id INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        salts BLOB NOT NULL,
        layer INTEGER NOT NULL DEFAULT 0,
        made_at INTEGER NOT NULL DEFAULT 0,
        used_at INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS auth_keys_by_perm ON auth_keys (perm_auth_key_id)",
    """CREATE INDEX IF NOT EXISTS auth_keys_by_expiry ON auth_keys (expires_at)
        WHERE expires_at > 0""",
    # One row, and none while a process has the store open or if it ended without a word.
    "CREATE TABLE IF NOT EXISTS newest_message (msg_id INTEGER NOT NULL)",
)

#: What needs columns that tables of an earlier version get first.
_LATER: Final = ("CREATE INDEX IF NOT EXISTS auth_keys_by_use ON auth_keys (used_at, made_at)",)

#: Version of a file -> what makes the next version of it.
_MIGRATIONS: Final[dict[int, tuple[str, ...]]] = {
    1: ("ALTER TABLE auth_keys ADD COLUMN layer INTEGER NOT NULL DEFAULT 0",),
    2: (
        "ALTER TABLE auth_keys ADD COLUMN made_at INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE auth_keys ADD COLUMN used_at INTEGER NOT NULL DEFAULT 0",
        # Nobody knows which of them have spoken, so none goes for not having done so.
        "UPDATE auth_keys SET made_at = strftime('%s', 'now'), used_at = strftime('%s', 'now')",
    ),
}


def check_file(path: str, is_shared: bool = False) -> None:
    """See whether what lies at ``path`` can be a store; a file that is missing can be made.

    Waits for the disk, so it is for the time before anything runs. ``is_shared`` says that another
    gateway uses it too, under whose hands its tables cannot be changed.

    :raises StoreUnusable: it is no SQLite file, or its tables are of another version.
    """
    if not os.path.exists(path):
        return
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
            tables = connection.execute("SELECT name FROM sqlite_master").fetchall()
            if ("schema_version",) not in tables:
                return
            row = connection.execute("SELECT version FROM schema_version").fetchone()
    except sqlite3.Error as error:
        raise StoreUnusable(f"{path}: {error}") from error
    if row is not None:
        check_version(path, int(row[0]))
        if is_shared and int(row[0]) != SCHEMA_VERSION:
            raise StoreUnusable(
                f"{path}: its tables have version {row[0]}, and are to have {SCHEMA_VERSION}: stop"
                " the gateway that uses it first"
            )


def check_version(path: str, version: int) -> None:
    """Hold the version of a file's tables against those that can be read.

    :raises StoreUnusable: it is another.
    """
    if not 1 <= version <= SCHEMA_VERSION:
        raise StoreUnusable(
            f"{path}: its tables have version {version}, this program reads"
            f" versions 1 to {SCHEMA_VERSION}"
        )


def create_schema(transaction: Transaction) -> int:
    """Make the tables, or make those of an earlier version new; returns their version."""
    # Said outright: sqlite3 begins no transaction for statements that change tables, and a file
    # with the tables of one version and the number of another could never be opened again.
    transaction.execute("BEGIN IMMEDIATE")
    for statement in _SCHEMA:
        transaction.execute(statement)
    transaction.execute("SELECT version FROM schema_version")
    row = transaction.fetchone()
    if row is None:
        transaction.execute("INSERT INTO schema_version VALUES (?)", (SCHEMA_VERSION,))
        transaction.execute("INSERT INTO newest_message VALUES (0)")
        version = SCHEMA_VERSION
    else:
        version = int(row[0])
    while version in _MIGRATIONS:
        for statement in _MIGRATIONS[version]:
            transaction.execute(statement)
        version += 1
        transaction.execute("UPDATE schema_version SET version = ?", (version,))
    if version == SCHEMA_VERSION:
        for statement in _LATER:
            transaction.execute(statement)
    return version


_PRIVATE_MODE: Final = 0o600
_FLAGS: Final = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW


class StoreLock:
    """Keeps other processes from the store at ``path``, from ``take`` to ``release``.

    Two gateways on one file would each take messages that the other has answered, and tell clients
    of salts that the other does not know.

    The lock is flock's, on a file of its own beside the store: SQLite holds locks of fcntl's kind
    on its files, which a process loses as soon as it closes any descriptor of them. flock's belong
    to the open file: a daemon keeps it over its forks, and the kernel takes it back from a process
    that dies, however it dies. The file stays behind: removing it would let two others in.
    """

    def __init__(self, path: str) -> None:
        self._store = path
        # Whatever link leads to a file, it is one store.
        self._path = f"{os.path.realpath(path)}-lock"
        self._descriptor: int | None = None
        #: Whether another gateway has handed it on, and has it too.
        self.is_shared = False

    def descriptors(self) -> list[int]:
        """Return the open file that has the lock, for another process to have it too."""
        return [] if self._descriptor is None else [self._descriptor]

    def take(self, inherited: Callable[[str], int | None] = lambda _: None) -> None:
        """Have the store for this process; nothing to do where it is taken by this very lock.

        ``inherited`` returns the descriptor of a path that another gateway has handed on, if any.

        :raises StoreUnusable: somebody else has it, or the file of the lock cannot be opened.
        """
        if self._descriptor is not None:
            return
        self._descriptor = inherited(self._path)
        if self._descriptor is not None:
            self.is_shared = True
            return
        try:
            descriptor = self._open()
        except OSError as error:
            raise StoreUnusable(f"{self._path}: {error.strerror}") from error
        try:
            flock(descriptor, LOCK_EX | LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if isinstance(error, BlockingIOError):
                raise StoreUnusable(f"{self._store}: another gateway uses it") from None
            raise StoreUnusable(f"{self._path}: {error.strerror}") from error
        self._descriptor = descriptor

    def release(self) -> None:
        """Let others have the store."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        try:
            descriptor = os.open(self._path, _FLAGS | os.O_CREAT | os.O_EXCL, _PRIVATE_MODE)
        except FileExistsError:
            return os.open(self._path, _FLAGS)
        # Made by root before it gives up its privileges, it must be the later user's.
        with suppress(OSError):
            owner = os.stat(self._store)
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        return descriptor
