"""Auth keys at hand, bounded in bytes; the least recently used leaves first.

A key that has left the cache but is still in use by a connection is found again as the same
object, so that a bind on one connection is seen on all.

Two small tables outlive a key's place here: the ends of temporary and destroyed keys (KeyEnds), and
the ids that nobody knows (UnknownKeys).
"""

from collections import OrderedDict
from typing import Final
from weakref import WeakValueDictionary

from gnetway.crypto.auth_key import AuthKey

#: The end of a destroyed key, in Unix seconds: past, whatever the clock says.
DESTROYED: Final = -1

#: Ids that one generation keeps, with some 110 bytes each. Only keys that were in use here are
#: among them, so whoever wants to push others out has to make as many keys by a key exchange; and
#: a key whose end is forgotten gets another, see ``KeyLookup``.
GENERATION_IDS: Final = 32_768


class KeyEnds:
    """When keys that are not at hand any more end, or have ended.

    A session service may forget the end of a temporary key, and give the key out for ever. So an
    end that was known here outlives the key's place in the cache. Those of the last
    ``generation_ids`` keys are kept at least, and of twice as many at most.

    Two tables: when the newer one is full it becomes the older one, and what that held is
    forgotten. To take single ids out of one table would cost more memory and more time.
    """

    def __init__(self, generation_ids: int = GENERATION_IDS) -> None:
        self._generation_ids = generation_ids
        self._newer: dict[int, int] = {}
        self._older: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._newer.keys() | self._older.keys())

    def note(self, auth_key_id: int, ends_at: int) -> None:
        """Remember an end, in Unix seconds; one that was known before may only come earlier."""
        known = self.of(auth_key_id)
        self._newer[auth_key_id] = ends_at if known is None else min(known, ends_at)
        if len(self._newer) >= self._generation_ids:
            self._older, self._newer = self._newer, {}

    def of(self, auth_key_id: int) -> int | None:
        """Return the end in Unix seconds, None where none is known."""
        ends_at = self._newer.get(auth_key_id)
        return self._older.get(auth_key_id) if ends_at is None else ends_at


#: What one cached key costs: 256 secret bytes, the object, its small ints and two table entries.
#: Measured with tracemalloc over 100,000 keys.
KEY_COST_BYTES: Final = 900


class KeyCache:
    """At most ``max_bytes`` of keys, at :data:`KEY_COST_BYTES` each, and always at least one."""

    def __init__(self, max_bytes: int) -> None:
        self.max_keys = max(1, max_bytes // KEY_COST_BYTES)
        self._keys: OrderedDict[int, AuthKey] = OrderedDict()
        self._in_use: WeakValueDictionary[int, AuthKey] = WeakValueDictionary()
        self._ends = KeyEnds()

    def __len__(self) -> int:
        return len(self._keys)

    def get(self, auth_key_id: int, now: float) -> AuthKey | None:
        """Return the key unless it is not at hand or, being temporary, has expired.

        ``now`` is in Unix seconds.
        """
        key = self._keys.get(auth_key_id) or self._in_use.get(auth_key_id)
        if key is None:
            return None
        if key.expires_at and now >= key.expires_at:
            self._ends.note(auth_key_id, key.expires_at)
            self.drop(auth_key_id)
            return None
        self._keep(key)
        return key

    def add(self, key: AuthKey) -> AuthKey:
        """Keep a key and return the object to use: one already known stays the one."""
        known = self._keys.get(key.auth_key_id) or self._in_use.get(key.auth_key_id)
        if known is not None:
            key = known
        self._in_use[key.auth_key_id] = key
        self._keep(key)
        return key

    def end(self, auth_key_id: int) -> None:
        """Drop a key that is over, and remember that it is."""
        self._ends.note(auth_key_id, DESTROYED)
        self.drop(auth_key_id)

    def end_of(self, auth_key_id: int) -> int | None:
        """Return when a key that is not here ends or has ended, in Unix seconds, if it is known."""
        return self._ends.of(auth_key_id)

    def drop(self, auth_key_id: int) -> None:
        """Let a key go if it is here; it may be asked for again."""
        self._keys.pop(auth_key_id, None)
        self._in_use.pop(auth_key_id, None)

    def _keep(self, key: AuthKey) -> None:
        self._keys[key.auth_key_id] = key
        self._keys.move_to_end(key.auth_key_id)
        while len(self._keys) > self.max_keys:
            left_id, left = self._keys.popitem(last=False)
            if left.expires_at:
                self._ends.note(left_id, left.expires_at)


#: How long a proof is good for, in seconds. A key that is made meanwhile is made here as a rule,
#: and forgotten here; elsewhere it is made before a client can name it.
PROOF_SECONDS: Final = 15.0

#: How many ids are kept, with some 200 bytes each; the oldest leave first.
MAX_IDS: Final = 8192


class UnknownKeys:
    """Keys that nobody knows, as the backend has just proved: asked for again they cost no call.

    At most ``max_ids``, each for ``proof_seconds``.
    """

    def __init__(self, max_ids: int = MAX_IDS, proof_seconds: float = PROOF_SECONDS) -> None:
        self._max_ids = max_ids
        self._proof_seconds = proof_seconds
        #: By id when its proof ends, the next one first.
        self._ends_at: OrderedDict[int, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._ends_at)

    def note(self, auth_key_id: int, now: float) -> None:
        """Remember that nobody knows a key now."""
        self._ends_at[auth_key_id] = now + self._proof_seconds
        self._ends_at.move_to_end(auth_key_id)
        if len(self._ends_at) > self._max_ids:
            self._ends_at.popitem(last=False)

    def has(self, auth_key_id: int, now: float) -> bool:
        """Return whether nobody has known the key a moment ago."""
        ends_at = self._ends_at.get(auth_key_id)
        if ends_at is None:
            return False
        if now < ends_at:
            return True
        del self._ends_at[auth_key_id]
        return False

    def forget(self, auth_key_id: int) -> None:
        """Forget a proof: the key was made."""
        self._ends_at.pop(auth_key_id, None)
