"""gnetway as the gateway of ``server.py``: what docs/porting.md lists, in as many lines.

twistd -n --pidfile= --reactor=asyncio -y examples/porting/gateway.tac
"""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from server import ForLayer, Refused, Server, Table
from twisted.internet.defer import Deferred
from zope.interface import implementer

from gnetway import make_gateway
from gnetway.backends.embedded.store import IKeyStore, StoredKey
from gnetway.crypto.auth_key import AuthKey, KeyKind
from gnetway.errors import KeyUnknown, RpcError
from gnetway.interfaces import FutureSalt, IGatewayReactor, IRpcHandler, IRpcSessions, RpcCall
from gnetway.service.gateway import GatewayService

T = TypeVar("T")

#: Where the highest msg_id is kept; no key has this number.
_NEWEST = 0

#: Keys that one look drops; at so many the gateway looks again.
_PURGED = 1000


@implementer(IRpcHandler)
class Calls:
    """The server's calls, users and updates."""

    def __init__(self, server: Server, sessions: IRpcSessions) -> None:
        self._server = server
        self._sessions = sessions
        server.logged_in = lambda auth_key_id, name: sessions.attach(name, auth_key_id)
        server.send = self._send

    async def handle(self, call: RpcCall) -> bytes:
        # By its permanent key: that one stays when a client changes its temporary ones.
        try:
            return await self._server.handle(
                call.perm_auth_key_id, call.session_id, call.layer, call.body
            )
        except Refused as error:
            raise RpcError(error.code, error.name) from None

    async def _send(self, name: str, update: ForLayer) -> int:
        """Return how many clients have acknowledged it."""
        loop = asyncio.get_running_loop()
        acked = await asyncio.gather(
            *(
                session.push_acked(update(session.layer), 10).asFuture(loop)
                for session in self._sessions.find(name)
            ),
            return_exceptions=True,
        )
        return sum(result is None for result in acked)


@implementer(IKeyStore)
class Keys:
    """The gateway's keys in the server's table, whose coroutines become Deferreds here.

    One thing is done at a time, in the order in which it is asked for.
    """

    description = "keys in the server's table"

    def __init__(self, table: Table) -> None:
        self._table = table
        self._turn: asyncio.Lock | None = None

    def open(self) -> Deferred[None]:
        self._turn = asyncio.Lock()
        return self._do(self._nothing())

    def close(self) -> Deferred[None]:
        return self._do(self._nothing())

    def add(self, stored: StoredKey) -> Deferred[bool]:
        async def add() -> bool:
            if await self._table.get(stored.key.auth_key_id) is not None:
                return False
            await self._table.put(stored.key.auth_key_id, _row(stored))
            return True

        return self._do(add())

    def load(self, auth_key_id: int) -> Deferred[StoredKey]:
        async def load() -> StoredKey:
            row = await self._table.get(auth_key_id)
            if row is None or auth_key_id == _NEWEST:
                raise KeyUnknown(f"no auth key {auth_key_id}")
            perm = row["perm"] if row["perm"] != auth_key_id else 0
            owner = await self._table.get(perm) if perm else None
            return _stored(row, row["layer"] if owner is None else owner["layer"])

        return self._do(load())

    def bind(self, temp_auth_key_id: int, perm_auth_key_id: int) -> Deferred[None]:
        return self._change([temp_auth_key_id], perm=perm_auth_key_id)

    def note_use(self, auth_key_ids: Sequence[int], used_at: int) -> Deferred[None]:
        return self._change(auth_key_ids, used_at=used_at)

    def save_salts(self, auth_key_id: int, salts: list[FutureSalt]) -> Deferred[None]:
        return self._change([auth_key_id], salts=[tuple(salt) for salt in salts])

    def save_layer(self, auth_key_id: int, layer: int) -> Deferred[None]:
        return self._change([auth_key_id], layer=layer)

    def remove(self, auth_key_id: int) -> Deferred[list[int]]:
        async def remove() -> list[int]:
            gone = await self._table.where(
                lambda row: auth_key_id in (row.get("id"), row.get("perm"))
            )
            for each in gone:
                await self._table.delete(each)
            return gone

        return self._do(remove())

    def keep_newest(self, msg_id: int) -> Deferred[None]:
        return self._do(self._table.put(_NEWEST, {"msg_id": msg_id}))

    def take_newest(self) -> Deferred[int | None]:
        async def take() -> int | None:
            row = await self._table.get(_NEWEST)
            is_new = row is None and not await self._table.where(lambda row: True)
            # From now on something is there, which says that nothing was noted.
            await self._table.put(_NEWEST, {"msg_id": None})
            return 0 if is_new or row is None else row["msg_id"]

        return self._do(take())

    def purge(self, now: float, unused_before: float) -> Deferred[int]:
        def is_over(row: dict[str, Any]) -> bool:
            if "secret" not in row:
                return False
            expired: bool = 0 < row["expires_at"] < now
            return expired or (not row["used_at"] and row["made_at"] < unused_before)

        async def purge() -> int:
            over = (await self._table.where(is_over))[:_PURGED]
            for each in over:
                await self._table.delete(each)
            return len(over)

        return self._do(purge())

    def _change(self, auth_key_ids: Sequence[int], **fields: object) -> Deferred[None]:
        async def change() -> None:
            for each in auth_key_ids:
                row = await self._table.get(each)
                if row is not None:
                    await self._table.put(each, row | fields)

        return self._do(change())

    async def _nothing(self) -> None:
        pass

    def _do(self, work: Coroutine[Any, Any, T]) -> Deferred[T]:
        async def in_turn() -> T:
            assert self._turn is not None, "open comes first"
            async with self._turn:
                return await work

        return Deferred.fromFuture(asyncio.ensure_future(in_turn()))


def _row(stored: StoredKey) -> dict[str, Any]:
    key = stored.key
    return {
        "id": key.auth_key_id,
        "secret": key.secret,
        "kind": key.kind.value,
        "perm": key.perm_auth_key_id,
        "expires_at": key.expires_at,
        "salts": [tuple(salt) for salt in stored.salts],
        "layer": stored.layer,
        "made_at": stored.made_at,
        "used_at": stored.used_at,
    }


def _stored(row: dict[str, Any], layer: int) -> StoredKey:
    key = AuthKey(row["secret"], KeyKind(row["kind"]), row["perm"], row["expires_at"])
    salts = [FutureSalt(*salt) for salt in row["salts"]]
    return StoredKey(key, salts, layer, row["made_at"], row["used_at"])


def make_ported(
    server: Server, reactor: IGatewayReactor, address: str, key_file: str
) -> GatewayService:
    """Return the gateway of a server: a service of Twisted's."""
    return make_gateway(
        {
            "RSAKey": [{"KeyFile": key_file}],
            "Gnetway": {"Server": [{"Proto": "auto", "Addresses": [address]}]},
            # A Store there must be; the one below takes its place.
            "Session": {"Embedded": {"Store": "memory"}},
        },
        reactor,
        handler=lambda sessions: Calls(server, sessions),
        store=Keys(server.keys),
    )
