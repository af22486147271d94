"""Auth keys in memory."""

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from gnetway.crypto.auth_key import KeyKind
from gnetway.embedded.store import IKeyStore, StoredKey, copy_key
from gnetway.errors import KeyUnknown
from gnetway.interfaces import FutureSalt


@implementer(IKeyStore)
class MemoryStore:
    """Keeps keys until the process ends."""

    def __init__(self) -> None:
        self.description = "keys in memory"
        self._keys: dict[int, StoredKey] = {}
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
        self._keys[auth_key_id] = _copy(stored)
        return succeed(True)

    def load(self, auth_key_id: int) -> Deferred[StoredKey]:
        """Fire with a copy of the key, or fail with KeyUnknown."""
        stored = self._keys.get(auth_key_id)
        if stored is None:
            return fail(KeyUnknown(f"no auth key {auth_key_id}"))
        loaded = _copy(stored)
        loaded.layer = self._keys.get(stored.key.perm_auth_key_id, stored).layer
        return succeed(loaded)

    def bind(self, temp_auth_key_id: int, perm_auth_key_id: int) -> Deferred[None]:
        """Note which permanent key stands behind a temporary one."""
        stored = self._keys.get(temp_auth_key_id)
        if stored is not None:
            stored.key = copy_key(stored.key, perm_auth_key_id)
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
        removed = [
            found
            for found, stored in self._keys.items()
            if found == auth_key_id or stored.key.perm_auth_key_id == auth_key_id
        ]
        for found in removed:
            del self._keys[found]
        return succeed(removed)

    def keep_newest(self, msg_id: int) -> Deferred[None]:
        """Note the highest msg_id that was taken."""
        self._newest = msg_id
        return succeed(None)

    def take_newest(self) -> Deferred[int | None]:
        """Fire with what ``keep_newest`` noted, and forget it."""
        newest, self._newest = self._newest, None
        return succeed(newest)

    def purge(self, now: float) -> Deferred[int]:
        """Drop temporary keys that expired before ``now``."""
        expired = [
            found
            for found, stored in self._keys.items()
            if stored.key.kind is not KeyKind.PERM and 0 < stored.key.expires_at <= now
        ]
        for found in expired:
            del self._keys[found]
        return succeed(len(expired))


def _copy(stored: StoredKey) -> StoredKey:
    # The gateway shares its AuthKey objects and changes them; what is kept must not follow.
    key = copy_key(stored.key, stored.key.perm_auth_key_id)
    return StoredKey(key, list(stored.salts), stored.layer)
