"""What all sessions of an auth key share: its server salts, its API layer, and a cache of both.

A salt holds for a while, and a little longer for what was on its way:

    salt n     |---------- 30 min ----------|- 5 min grace -|
    salt n+1                                |---------- 30 min ----------|- 5 min grace -|

A salt keeps a message that was once recorded from being played back much later. Salts ahead of
time are made 64 at a time, about 32 hours' worth, so that a key is written seldom.

Where a message might be a recorded one and nobody remembers, a salt that nobody has had before
tells: the client that still has its key sends the message again with it, under a new msg_id, a
round trip later. bad_msg_notification would do the same on paper; but clients fail the call at
code 20, and some do nothing at 16. Such a salt is inserted as the current one, and no others are
taken back:

    salt n     |---------- 30 min ----------|- 5 min grace -|
    younger           |---------- 30 min ----------|- 5 min grace -|
    salt n+1                                |---------- 30 min ----------|- 5 min grace -|

The layer is what the client said by invokeWithLayer. It names it once for a key, and its other
sessions rely on it. It belongs to the permanent key: temporary ones come and go, and take it from
the key they are bound to. Until then an unbound one has a layer of its own.

Source: core.telegram.org/mtproto/description#server-salt, core.telegram.org/api/invoking#layers
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple
from weakref import WeakValueDictionary

from twisted.internet.defer import Deferred

from gnetway.backends.embedded.store import IKeyStore, StoredKey
from gnetway.crypto.auth_key import AuthKey
from gnetway.interfaces import FutureSalt

#: How long a salt is the current one, in seconds. The documents say an hour at most.
ROTATION_SECONDS: Final = 1800

#: How long the previous salt is still taken, in seconds: for what was on its way.
GRACE_SECONDS: Final = 300

#: How long before its turn a salt is taken, in seconds: clocks of clients run ahead a little.
EARLY_SECONDS: Final = 30

#: The most salts a client may ask for, and how many are made at once.
#: Source: core.telegram.org/mtproto/service_messages#request-for-several-future-salts
MAX_SALTS: Final = 64

#: How many of the salts that were made out of turn are kept: one for each session that a client
#: opens at the same time.
MAX_YOUNG_SALTS: Final = 16

#: The highest layer taken. Layers have come one by one since 2013 and are in the hundreds; what is
#: above is a slip or a trial of ours.
MAX_LAYER: Final = 0xFFFF

#: Keys whose salts and layer stay at hand although no session uses them; about 400 bytes each, 10
#: KiB once a client has asked for future salts.
RECENT_KEYS: Final = 1024

#: How long nothing is written of a key's use after something was, in seconds.
USE_SECONDS: Final = 12 * 3600

#: Keys of which is known when their use was written last, some 100 bytes each.
MAX_USES: Final = 65_536


def make_salt(salt: int, valid_since: int) -> FutureSalt:
    """Return a salt that holds for a rotation and its grace from ``valid_since``, Unix seconds."""
    return FutureSalt(valid_since, valid_since + ROTATION_SECONDS + GRACE_SECONDS, salt)


class SaltSchedule:
    """The salts of one auth key, shared by all its sessions.

    ``salts`` are in the order of time; ``unsaved`` says that new ones were made since the owner
    last stored them and set it back. ``new_key`` says that the key, and so the salts, are new to
    everybody. ``generation`` counts the salts that no message had carried when they were made;
    they are never stored for their own sake, since no other process needs them.
    """

    __slots__ = (
        "__weakref__",
        "_current",
        "_random_bytes",
        "_rotates_at",
        "_young",
        "generation",
        "salts",
        "unsaved",
    )

    def __init__(
        self,
        salts: Iterable[FutureSalt],
        random_bytes: Callable[[int], bytes],
        new_key: bool = False,
    ) -> None:
        self.salts = list(salts)
        self.unsaved = False
        self.generation = int(new_key)
        #: salt -> its generation, oldest first.
        self._young = {entry.salt: 1 for entry in self.salts} if new_key else {}
        self._random_bytes = random_bytes
        self._current = 0
        #: 0 until the first look at the clock.
        self._rotates_at = 0

    def current(self, now: float) -> int:
        """Return the salt that new messages carry; ``now`` is in Unix seconds."""
        if now >= self._rotates_at:
            self._rotate(int(now))
        return self._current

    def accepts(self, salt: int, now: float) -> bool:
        """Return whether a client's message may carry ``salt``."""
        if self.current(now) == salt:
            return True
        return any(
            entry.salt == salt and entry.valid_since - EARLY_SECONDS <= now < entry.valid_until
            for entry in self.salts
        )

    def is_younger(self, salt: int, generation: int) -> bool:
        """Return whether ``salt`` was made after that generation, whatever its time is."""
        return self._young.get(salt, 0) > generation

    def younger_than(self, generation: int, now: float) -> int:
        """Return the newest salt if it was made after that generation, else one made now."""
        current = self.current(now)
        return current if self.is_younger(current, generation) else self._renew(int(now))

    def upcoming(self, count: int, now: float) -> list[FutureSalt]:
        """Return ``count`` salts, 1 to 64, from the current one on."""
        count = max(1, min(count, MAX_SALTS))
        self.current(now)
        first = self._position(int(now))
        if len(self.salts) < first + count:
            self._extend(first + MAX_SALTS, int(now))
        return self.salts[first : first + count]

    def _rotate(self, now: int) -> None:
        self.salts = [entry for entry in self.salts if entry.valid_until > now]
        last = self.salts[-1].valid_since if self.salts else 0
        if last + ROTATION_SECONDS <= now:
            self._extend(len(self.salts) + MAX_SALTS, now)
        self._choose(now)

    def _choose(self, now: int) -> None:
        position = self._position(now)
        self._current = self.salts[position].salt
        self._rotates_at = (
            self.salts[position + 1].valid_since
            if position + 1 < len(self.salts)
            else self.salts[position].valid_since + ROTATION_SECONDS
        )

    def _renew(self, now: int) -> int:
        """Make a salt out of turn."""
        salt = int.from_bytes(self._random_bytes(8), "little", signed=True)
        self.salts.insert(self._position(now) + 1, make_salt(salt, now))
        self.generation += 1
        self._young[salt] = self.generation
        if len(self._young) > MAX_YOUNG_SALTS:
            oldest = next(iter(self._young))
            del self._young[oldest]
            self.salts = [entry for entry in self.salts if entry.salt != oldest]
        self._choose(now)
        return self._current

    def _position(self, now: int) -> int:
        """Return the index of the newest salt whose turn has come, else of the first."""
        for position in range(len(self.salts) - 1, 0, -1):
            if self.salts[position].valid_since <= now:
                return position
        return 0

    def _extend(self, length: int, now: int) -> None:
        """Add salts until there are ``length``; without any of use, the first begins now."""
        since = self.salts[-1].valid_since + ROTATION_SECONDS if self.salts else now
        while len(self.salts) < length:
            salt = int.from_bytes(self._random_bytes(8), "little", signed=True)
            self.salts.append(make_salt(salt, since))
            since += ROTATION_SECONDS
        self.unsaved = True


def is_layer(number: int) -> bool:
    """Return whether a client may name this number."""
    return 0 < number <= MAX_LAYER


class KeyLayer:
    """The layer of one key, shared by all its sessions; ``number`` is 0 while none was named.

    ``saved`` is what the store has of it, ``saving`` whether it is being told another.
    """

    __slots__ = ("__weakref__", "_number", "_of_perm", "auth_key_id", "saved", "saving")

    def __init__(self, auth_key_id: int, number: int = 0) -> None:
        self.auth_key_id = auth_key_id
        self.saved = number
        self.saving = False
        self._number = number
        self._of_perm: KeyLayer | None = None

    @property
    def number(self) -> int:
        """The layer named last."""
        return self._number if self._of_perm is None else self._of_perm.number

    @property
    def owner(self) -> "KeyLayer":
        """The one that counts: that of the permanent key, once there is one."""
        return self if self._of_perm is None else self._of_perm

    def name(self, number: int) -> bool:
        """Note that the client names a layer; return whether it is another than before."""
        if self._of_perm is not None:
            return self._of_perm.name(number)
        changed = number != self._number
        self._number = number
        return changed

    def bind(self, perm: "KeyLayer") -> None:
        """Hand over to the permanent key: what was named here is what it was told last."""
        if self.owner is perm:
            return
        if self.number:
            perm.name(self.number)
        self._of_perm = perm


class KnownKey(NamedTuple):
    """What the sessions of a key share."""

    salts: SaltSchedule
    layer: KeyLayer


class KeyCache:
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
