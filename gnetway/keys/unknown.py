"""Keys that nobody knows, as the backend has just proved: asked for again, they cost no call."""

from collections import OrderedDict
from typing import Final

#: How long a proof is good for, in seconds. A key that is made meanwhile is made here as a rule,
#: and forgotten here; elsewhere it is made before a client can name it.
PROOF_SECONDS: Final = 15.0

#: How many ids are kept, with some 200 bytes each; the oldest leave first.
MAX_IDS: Final = 8192


class UnknownKeys:
    """At most ``max_ids`` ids, each for ``proof_seconds``."""

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
        """Hear that there is such a key."""
        self._ends_at.pop(auth_key_id, None)
