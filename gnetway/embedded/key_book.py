"""The salt schedules at hand: those in use, and the ones of keys heard of lately."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final
from weakref import WeakValueDictionary

from twisted.internet.defer import Deferred

from gnetway.embedded.salts import SaltSchedule
from gnetway.embedded.store import IKeyStore, StoredKey

#: Keys whose salts stay at hand although no session uses them; about 200 bytes each, 10 KiB
#: once a client has asked for future salts.
RECENT_KEYS: Final = 1024


class KeyBook:
    """One :class:`SaltSchedule` for each key, however many sessions share it.

    Two of them for one key would make different salts from the same beginning, so one in use is
    always found again.
    """

    def __init__(self, store: IKeyStore, random_bytes: Callable[[int], bytes]) -> None:
        self._store = store
        self._random_bytes = random_bytes
        self._known: WeakValueDictionary[int, SaltSchedule] = WeakValueDictionary()
        self._recent: OrderedDict[int, SaltSchedule] = OrderedDict()

    def get(self, auth_key_id: int) -> SaltSchedule | None:
        """Return the salts of a key, if they are at hand."""
        return self._known.get(auth_key_id)

    def load(self, auth_key_id: int) -> Deferred[SaltSchedule]:
        """Fire with the salts of a key from the store, or fail as its ``load`` does."""
        return self._store.load(auth_key_id).addCallback(self.note)

    def note(self, stored: StoredKey) -> SaltSchedule:
        """Keep the salts of a key at hand for a while."""
        auth_key_id = stored.key.auth_key_id
        schedule = self._known.get(auth_key_id)
        if schedule is None:
            schedule = SaltSchedule(stored.salts, self._random_bytes)
            self._known[auth_key_id] = schedule
        self._recent[auth_key_id] = schedule
        self._recent.move_to_end(auth_key_id)
        if len(self._recent) > RECENT_KEYS:
            self._recent.popitem(last=False)
        return schedule

    def save(self, auth_key_id: int, schedule: SaltSchedule) -> Deferred[None]:
        """Store salts that were made since the last time."""
        schedule.unsaved = False
        return self._store.save_salts(auth_key_id, schedule.salts)

    def forget(self, auth_key_id: int) -> None:
        """Drop a destroyed key."""
        self._recent.pop(auth_key_id, None)
        self._known.pop(auth_key_id, None)
