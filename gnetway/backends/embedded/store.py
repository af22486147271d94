"""Where the embedded backend keeps auth keys and their salts: what every store does.

Two providers: :class:`~gnetway.backends.embedded.store.MemoryStore`, and
:class:`~gnetway.backends.embedded.sqlite_store.SQLiteStore`, which survives a restart.
"""

# ruff: noqa: N805 (zope interfaces have no self)

from collections import OrderedDict
from collections.abc import Sequence
from heapq import heappop, heappush
from itertools import islice
from typing import Final

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import Attribute, Interface, implementer

from gnetway.crypto.auth_key import AuthKey
from gnetway.errors import GatewayError, KeyUnknown
from gnetway.interfaces import FutureSalt

#: Keys that a store keeps where nobody says otherwise.
DEFAULT_MAX_KEYS: Final = 1_000_000

#: How long a key that was never used is taken for one whose client is about to speak, in seconds:
#: if the store is full, such a key gives way last.
NEW_KEY_SECONDS: Final = 60

#: Keys that are dropped at a time, so that whoever asks for another meanwhile waits a few ms.
PURGED_KEYS: Final = 500


class StoreUnusable(GatewayError):
    """The store cannot be opened; the text names its file and says why."""


class StoredKey:
    """An auth key as it is kept: the key, its salts in the order of time, and its layer.

    ``layer`` is the API layer that the client named last, 0 for none. What a store gives for a
    bound temporary key has that of the permanent key. ``made_at`` and ``used_at`` are Unix seconds:
    when it was added, and when it was used last, roughly; 0 for never.
    """

    __slots__ = ("key", "layer", "made_at", "salts", "used_at")

    def __init__(
        self,
        key: AuthKey,
        salts: list[FutureSalt],
        layer: int = 0,
        made_at: int = 0,
        used_at: int = 0,
    ) -> None:
        self.key = key
        self.salts = salts
        self.layer = layer
        self.made_at = made_at
        self.used_at = used_at

    def __repr__(self) -> str:
        return f"<StoredKey {self.key!r} with {len(self.salts)} salts>"


class IKeyStore(Interface):
    """Auth keys by auth_key_id, in order: what was handed over first is done first.

    There is a bound on their number. Where it is reached, a new key takes the place of the oldest
    that was never used, but for those made within ``NEW_KEY_SECONDS``; if there is none, of the one
    that was used longest ago.

    Calls fail with :class:`~gnetway.errors.BackendUnavailable` when the store does.
    """

    description: str = Attribute("Where the keys are, for the start-up log.")

    def open() -> Deferred[None]:
        """Begin; fails with StoreUnusable."""

    def close() -> Deferred[None]:
        """End; fires when everything handed over is kept."""

    def add(stored: StoredKey) -> Deferred[bool]:
        """Keep a new key; fires with False where its auth_key_id is taken."""

    def load(auth_key_id: int) -> Deferred[StoredKey]:
        """Fire with a fresh copy of the key, or fail with KeyUnknown."""

    def bind(temp_auth_key_id: int, perm_auth_key_id: int) -> Deferred[None]:
        """Note which permanent key stands behind a temporary one."""

    def note_use(auth_key_ids: Sequence[int], used_at: int) -> Deferred[None]:
        """Note that keys were used, in Unix seconds."""

    def save_salts(auth_key_id: int, salts: list[FutureSalt]) -> Deferred[None]:
        """Keep these salts instead of the ones before."""

    def save_layer(auth_key_id: int, layer: int) -> Deferred[None]:
        """Keep the layer of a key that is permanent or not bound."""

    def remove(auth_key_id: int) -> Deferred[list[int]]:
        """Drop a key and the temporary keys bound to it; fires with the ids of what was there."""

    def keep_newest(msg_id: int) -> Deferred[None]:
        """Note the highest msg_id of a client that was taken, last of all before ``close``."""

    def take_newest() -> Deferred[int | None]:
        """Fire with what ``keep_newest`` noted, and forget it; with 0 where the store is new.

        With None where nothing was noted since it was asked last, as after a crash. What is
        forgotten here must stay forgotten.
        """

    def purge(now: float, unused_before: float) -> Deferred[int]:
        """Drop temporary keys that expired before ``now``, and keys that were never used.

        Those of them that were made before ``unused_before``, in Unix seconds as well. Fires with
        the number of those dropped; at ``PURGED_KEYS`` there may be more.
        """


def copy_key(key: AuthKey, perm_auth_key_id: int) -> AuthKey:
    """Return the key as one that is bound to ``perm_auth_key_id``."""
    return AuthKey(key.secret, key.kind, perm_auth_key_id, key.expires_at)


@implementer(IKeyStore)
class MemoryStore:
    """Keeps keys until the process ends, ``max_keys`` of them at most."""

    def __init__(self, max_keys: int = DEFAULT_MAX_KEYS) -> None:
        self.description = "keys in memory"
        self._max_keys = max_keys
        self._keys: dict[int, StoredKey] = {}
        #: Keys that were never used, oldest first, and the others, those used longest ago first.
        self._unused: OrderedDict[int, None] = OrderedDict()
        self._used: OrderedDict[int, None] = OrderedDict()
        #: The keys bound to each permanent one.
        self._bound: dict[int, set[int]] = {}
        #: The keys that expire, by the second, and a heap of these seconds.
        self._ending: dict[int, set[int]] = {}
        self._seconds: list[int] = []
        self._newest: int | None = 0

    def open(self) -> Deferred[None]:
        """Begin."""
        return succeed(None)

    def close(self) -> Deferred[None]:
        """End; the keys stay, so that a test can open the store again."""
        return succeed(None)

    def add(self, stored: StoredKey) -> Deferred[bool]:
        """Keep a new key; fires with False where its auth_key_id is taken."""
        auth_key_id = stored.key.auth_key_id
        if auth_key_id in self._keys:
            return succeed(False)
        if len(self._keys) >= self._max_keys:
            oldest = next(iter(self._unused), None)
            # One whose client is about to speak gives way only where all are such.
            made_before = stored.made_at - NEW_KEY_SECONDS
            if oldest is None or (self._used and self._keys[oldest].made_at > made_before):
                oldest = next(iter(self._used))
            self._drop(oldest)
        self._keys[auth_key_id] = _copy(stored)
        (self._used if stored.used_at else self._unused)[auth_key_id] = None
        self._note_bind(auth_key_id, stored.key.perm_auth_key_id)
        expires_at = stored.key.expires_at
        if expires_at:
            if expires_at not in self._ending:
                heappush(self._seconds, expires_at)
            self._ending.setdefault(expires_at, set()).add(auth_key_id)
        return succeed(True)

    def load(self, auth_key_id: int) -> Deferred[StoredKey]:
        """Fire with a copy of the key, or fail with KeyUnknown."""
        stored = self._keys.get(auth_key_id)
        if stored is None:
            return fail(KeyUnknown(f"no auth key {auth_key_id}"))
        loaded = _copy(stored)
        # The layer is that of the permanent key, see KeyLayer.
        loaded.layer = self._keys.get(stored.key.perm_auth_key_id, stored).layer
        return succeed(loaded)

    def bind(self, temp_auth_key_id: int, perm_auth_key_id: int) -> Deferred[None]:
        """Note which permanent key stands behind a temporary one."""
        stored = self._keys.get(temp_auth_key_id)
        if stored is not None:
            self._forget_bind(temp_auth_key_id, stored.key.perm_auth_key_id)
            stored.key = copy_key(stored.key, perm_auth_key_id)
            self._note_bind(temp_auth_key_id, perm_auth_key_id)
        return succeed(None)

    def note_use(self, auth_key_ids: Sequence[int], used_at: int) -> Deferred[None]:
        """Note that keys were used."""
        for auth_key_id in auth_key_ids:
            stored = self._keys.get(auth_key_id)
            if stored is not None:
                stored.used_at = used_at
                self._unused.pop(auth_key_id, None)
                self._used[auth_key_id] = None
                self._used.move_to_end(auth_key_id)
        return succeed(None)

    def save_salts(self, auth_key_id: int, salts: list[FutureSalt]) -> Deferred[None]:
        """Keep these salts instead of the ones before."""
        stored = self._keys.get(auth_key_id)
        if stored is not None:
            stored.salts = list(salts)
        return succeed(None)

    def save_layer(self, auth_key_id: int, layer: int) -> Deferred[None]:
        """Keep the layer of a key that is permanent or not bound."""
        stored = self._keys.get(auth_key_id)
        if stored is not None:
            stored.layer = layer
        return succeed(None)

    def remove(self, auth_key_id: int) -> Deferred[list[int]]:
        """Drop a key and the temporary keys bound to it."""
        ids = {auth_key_id, *self._bound.get(auth_key_id, ())}
        removed = [found for found in ids if found in self._keys]
        for found in removed:
            self._drop(found)
        return succeed(removed)

    def keep_newest(self, msg_id: int) -> Deferred[None]:
        """Note the highest msg_id that was taken."""
        self._newest = msg_id
        return succeed(None)

    def take_newest(self) -> Deferred[int | None]:
        """Fire with what ``keep_newest`` noted, and forget it."""
        newest, self._newest = self._newest, None
        return succeed(newest)

    def purge(self, now: float, unused_before: float) -> Deferred[int]:
        """Drop keys that have expired, and those that were made long ago and never used."""
        dropped = 0
        while self._seconds and self._seconds[0] <= now and dropped < PURGED_KEYS:
            for auth_key_id in list(islice(self._ending[self._seconds[0]], PURGED_KEYS - dropped)):
                self._drop(auth_key_id)
                dropped += 1
            if not self._ending[self._seconds[0]]:
                del self._ending[heappop(self._seconds)]
        unused = [
            auth_key_id
            for auth_key_id in islice(self._unused, PURGED_KEYS - dropped)
            if self._keys[auth_key_id].made_at <= unused_before
        ]
        for auth_key_id in unused:
            self._drop(auth_key_id)
        return succeed(dropped + len(unused))

    def _drop(self, auth_key_id: int) -> None:
        stored = self._keys.pop(auth_key_id)
        self._unused.pop(auth_key_id, None)
        self._used.pop(auth_key_id, None)
        if stored.key.expires_at:
            self._ending[stored.key.expires_at].discard(auth_key_id)
        self._forget_bind(auth_key_id, stored.key.perm_auth_key_id)

    def _note_bind(self, auth_key_id: int, perm_auth_key_id: int) -> None:
        if perm_auth_key_id not in (0, auth_key_id):
            self._bound.setdefault(perm_auth_key_id, set()).add(auth_key_id)

    def _forget_bind(self, auth_key_id: int, perm_auth_key_id: int) -> None:
        bound = self._bound.get(perm_auth_key_id)
        if bound is not None:
            bound.discard(auth_key_id)
            if not bound:
                del self._bound[perm_auth_key_id]


def _copy(stored: StoredKey) -> StoredKey:
    # The gateway shares its AuthKey objects and changes them; what is kept must not follow.
    key = copy_key(stored.key, stored.key.perm_auth_key_id)
    return StoredKey(key, list(stored.salts), stored.layer, stored.made_at, stored.used_at)
