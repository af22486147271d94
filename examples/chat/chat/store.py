"""Users and their messages, in SQLite."""

from dataclasses import dataclass
from typing import Any, cast

from twisted.application.service import Service
from twisted.enterprise.adbapi import ConnectionPool
from twisted.internet.defer import Deferred
from twisted.logger import Logger

_SCHEMA = """
create table if not exists users (
    id integer primary key,
    -- The permanent key of the client that has taken the name: whoever has it is that user.
    auth_key_id integer not null unique,
    username text not null unique collate nocase
);
create table if not exists messages (
    id integer primary key,
    sender integer not null references users,
    receiver integer not null references users,
    date integer not null,
    text text not null,
    delivered integer not null default 0
);
"""


@dataclass(frozen=True)
class User:
    """Somebody with a name."""

    id: int
    username: str


@dataclass(frozen=True)
class Message:
    """What somebody has written to somebody else."""

    id: int
    sender: int
    receiver: int
    date: int
    text: str
    delivered: bool


class NameTaken(Exception):
    """Another user has that name."""


class Store(Service):
    """Everything is done in the one thread of the pool, in the order in which it is asked for."""

    _log = Logger()

    def __init__(self, path: str) -> None:
        self._pool = ConnectionPool(
            "sqlite3", path, cp_min=1, cp_max=1, check_same_thread=False, cp_noisy=False
        )

    def startService(self) -> None:
        """Make the tables that are not there."""
        super().startService()  # type: ignore[no-untyped-call]
        made = self._run(lambda cursor: cursor.executescript(_SCHEMA))
        made.addErrback(lambda failure: self._log.failure("the database cannot be used", failure))

    def stopService(self) -> None:
        """End the thread."""
        if self.running:
            super().stopService()  # type: ignore[no-untyped-call]
            self._pool.close()

    def by_key(self, auth_key_id: int) -> Deferred[User | None]:
        """Fire with the user of a permanent key."""
        return self._user("auth_key_id = ?", auth_key_id)

    def by_name(self, username: str) -> Deferred[User | None]:
        """Fire with the user of a name, however it is spelt."""
        return self._user("username = ?", username)

    def by_id(self, user_id: int) -> Deferred[User | None]:
        """Fire with a user."""
        return self._user("id = ?", user_id)

    def name(self, auth_key_id: int, username: str) -> Deferred[User]:
        """Give a key its name, the first or another one; fails with NameTaken."""

        def take(cursor: Any) -> User:
            other = cursor.execute(
                "select 1 from users where username = ? and auth_key_id != ?",
                (username, auth_key_id),
            ).fetchone()
            if other:
                raise NameTaken(username)
            (user_id,) = cursor.execute(
                "insert into users (auth_key_id, username) values (?, ?) on conflict (auth_key_id)"
                " do update set username = excluded.username returning id",
                (auth_key_id, username),
            ).fetchone()
            return User(user_id, username)

        return self._run(take)

    def write(self, sender: int, receiver: int, date: int, text: str) -> Deferred[Message]:
        """Keep a message."""

        def insert(cursor: Any) -> Message:
            cursor.execute(
                "insert into messages (sender, receiver, date, text) values (?, ?, ?, ?)",
                (sender, receiver, date, text),
            )
            return Message(cursor.lastrowid, sender, receiver, date, text, False)

        return self._run(insert)

    def delivered(self, message_id: int) -> Deferred[None]:
        """Note that a client of the receiver's has a message."""
        return self._run(
            lambda cursor: (
                cursor.execute("update messages set delivered = 1 where id = ?", (message_id,))
                and None
            )
        )

    def between(self, one: int, other: int, limit: int) -> Deferred[list[Message]]:
        """Fire with the last messages of two users, the newest first."""

        def select(cursor: Any) -> list[Message]:
            rows = cursor.execute(
                "select id, sender, receiver, date, text, delivered from messages"
                " where (sender, receiver) in (values (?, ?), (?, ?)) order by id desc limit ?",
                (one, other, other, one, limit),
            )
            return [
                Message(number, sender, receiver, date, text, bool(delivered))
                for number, sender, receiver, date, text, delivered in rows
            ]

        return self._run(select)

    def _user(self, condition: str, value: object) -> Deferred[User | None]:
        def select(cursor: Any) -> User | None:
            found = cursor.execute(
                f"select id, username from users where {condition}",  # noqa: S608 - ours
                (value,),
            ).fetchone()
            return User(*found) if found else None

        return self._run(select)

    def _run(self, work: Any) -> Deferred[Any]:
        return cast(Deferred[Any], self._pool.runInteraction(work))
