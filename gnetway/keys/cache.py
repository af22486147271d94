"""Auth keys at hand, bounded in bytes; the least recently used leaves first.

A key that has left the cache but is still in use by a connection is found again as the same
object, so that a bind on one connection is seen on all.

The ends of temporary and destroyed keys outlive their place here: see ``ends.py``.
"""

from collections import OrderedDict
from typing import Final
from weakref import WeakValueDictionary

from gnetway.crypto.auth_key import AuthKey
from gnetway.keys.ends import DESTROYED, KeyEnds

#: What one cached key costs: 256 secret bytes, the object, its small ints and two table entries.
#: Measured with tracemalloc over 100,000 keys.
KEY_COST_BYTES: Final = 900


class KeyCache:
    """At most ``max_bytes`` of keys, at :data:`KEY_COST_BYTES` each, and always at least one."""

    def __init__(self, max_bytes: int) -> None:
        self._max_keys = max(1, max_bytes // KEY_COST_BYTES)
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
        while len(self._keys) > self._max_keys:
            left_id, left = self._keys.popitem(last=False)
            if left.expires_at:
                self._ends.note(left_id, left.expires_at)
