"""The salts and layers at hand: those in use, and the ones of keys heard of lately."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, NamedTuple
from weakref import WeakValueDictionary

from twisted.internet.defer import Deferred

from gnetway.backends.embedded.key_layer import KeyLayer
from gnetway.backends.embedded.salts import SaltSchedule
from gnetway.backends.embedded.store import IKeyStore, StoredKey
from gnetway.crypto.auth_key import AuthKey

#: Keys whose salts and layer stay at hand although no session uses them; about 400 bytes each, 10
#: KiB once a client has asked for future salts.
RECENT_KEYS: Final = 1024


#: How long nothing is written of a key's use after something was, in seconds.
USE_SECONDS: Final = 12 * 3600

#: Keys of which is known when their use was written last, some 100 bytes each.
MAX_USES: Final = 65_536


class KnownKey(NamedTuple):
    """What the sessions of a key share."""

    salts: SaltSchedule
    layer: KeyLayer


class KeyBook:
    """One :class:`SaltSchedule` and one :class:`KeyLayer` for each key, for all of its sessions.

    Two schedules for one key would make different salts from the same beginning, and of two layers
    one would be out of date, so what is in use is always found again. Temporary keys that are
    bound have the layer of their permanent key.
    """

    def __init__(self, store: IKeyStore, random_bytes: Callable[[int], bytes]) -> None:
        self._store = store
        self._random_bytes = random_bytes
        self._salts: WeakValueDictionary[int, SaltSchedule] = WeakValueDictionary()
        #: By the key that a layer belongs to.
        self._layers: WeakValueDictionary[int, KeyLayer] = WeakValueDictionary()
        self._recent: OrderedDict[int, KnownKey] = OrderedDict()
        #: auth_key_id -> Unix seconds.
        self._uses: OrderedDict[int, int] = OrderedDict()

    def get(self, key: AuthKey) -> KnownKey | None:
        """Return what the sessions of a key share, if it is at hand."""
        salts = self._salts.get(key.auth_key_id)
        layer = self._layers.get(_layer_owner(key))
        return None if salts is None or layer is None else KnownKey(salts, layer)

    def load(self, auth_key_id: int) -> Deferred[KnownKey]:
        """Fire with what the store has of a key, or fail as its ``load`` does."""
        return self._store.load(auth_key_id).addCallback(self.note)

    def note(self, stored: StoredKey, new_key: bool = False) -> KnownKey:
        """Keep the salts and the layer of a key at hand; ``new_key`` is one just made."""
        auth_key_id, owner = stored.key.auth_key_id, _layer_owner(stored.key)
        salts, layer = self._salts.get(auth_key_id), self._layers.get(owner)
        if salts is None:
            salts = SaltSchedule(stored.salts, self._random_bytes, new_key)
            self._salts[auth_key_id] = salts
        if layer is None:
            self._layers[owner] = layer = KeyLayer(owner, stored.layer)
        known = self._recent[auth_key_id] = KnownKey(salts, layer)
        self._recent.move_to_end(auth_key_id)
        if len(self._recent) > RECENT_KEYS:
            self._recent.popitem(last=False)
        return known

    def note_use(self, key: AuthKey, now: float) -> Deferred[None] | None:
        """Store that a key was used, and the permanent one behind it, unless that was just done."""
        auth_key_id, used_at = key.auth_key_id, int(now)
        # A clock that was set back is no reason to write each time.
        if abs(used_at - self._uses.get(auth_key_id, -USE_SECONDS)) < USE_SECONDS:
            return None
        self._uses[auth_key_id] = used_at
        self._uses.move_to_end(auth_key_id)
        if len(self._uses) > MAX_USES:
            self._uses.popitem(last=False)
        ids = {auth_key_id, key.perm_auth_key_id} - {0}
        return self._store.note_use(list(ids), used_at)

    def save(self, auth_key_id: int, schedule: SaltSchedule) -> Deferred[None]:
        """Store salts that were made since the last time."""
        schedule.unsaved = False
        return self._store.save_salts(auth_key_id, schedule.salts)

    async def save_layer(self, layer: KeyLayer) -> None:
        """Store the layer that a client has named, unless the store has it.

        One write of a key is under way at a time, however often its client changes its mind.
        """
        layer = layer.owner
        if layer.saving:
            return
        layer.saving = True
        try:
            while layer.saved != layer.number:
                number = layer.number
                await self._store.save_layer(layer.auth_key_id, number)
                layer.saved = number
        finally:
            layer.saving = False

    async def bind_layer(self, temp_layer: KeyLayer, perm: StoredKey) -> None:
        """Give the sessions of a temporary key, just bound, the layer of the permanent one."""
        temp_layer.bind(self.note(perm).layer)
        await self.save_layer(temp_layer)

    def forget(self, auth_key_id: int) -> None:
        """Drop a destroyed key."""
        self._recent.pop(auth_key_id, None)
        self._uses.pop(auth_key_id, None)
        self._salts.pop(auth_key_id, None)
        self._layers.pop(auth_key_id, None)


def _layer_owner(key: AuthKey) -> int:
    """Return the id of the key that the layer of ``key`` belongs to."""
    return key.perm_auth_key_id or key.auth_key_id
