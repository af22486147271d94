"""When keys that are not at hand any more end, or have ended.

A session service may forget the end of a temporary key, and give the key out for ever. So an end
that was known here outlives the key's place in the cache.
"""

from typing import Final

#: The end of a destroyed key, in Unix seconds: past, whatever the clock says.
DESTROYED: Final = -1

#: Ids that one generation keeps, with some 110 bytes each. Only keys that were in use here are
#: among them, so whoever wants to push others out has to make as many keys by a key exchange; and
#: a key whose end is forgotten gets another, see ``KeyLookup``.
GENERATION_IDS: Final = 32_768


class KeyEnds:
    """The ends of the last ``generation_ids`` keys at least, and of twice as many at most.

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
