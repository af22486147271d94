"""The names that an application gives to sessions and keys: a user's, a channel's, whatever it has.

    name ──▶ (auth_key_id, session_id)                                   a session
         ──▶ (auth_key_id, 0) ──▶ its sessions, those of temporary keys bound to it  ──▶ open ones

Names are there to push by, so it matters only who is open. What has no open session may give way.
"""

from collections import OrderedDict
from collections.abc import Hashable, Iterable
from typing import Final, TypeAlias

from gnetway.crypto.auth_key import AuthKey
from gnetway.errors import TooManyNames

#: Names of one session or key, and pairs of both in all, 300 bytes each.
MAX_NAMES: Final = 4096
MAX_ATTACHMENTS: Final = 1_000_000

#: So many of those that were there longest ago are looked at for one that can give way.
_LOOKED_AT: Final = 64

#: An auth_key_id and a session_id, or 0 for all sessions of the key.
Holder: TypeAlias = tuple[int, int]


class SessionNames:
    """Which names an application has given to sessions and keys, and which of these are open.

    Where ``max_attachments`` is reached, the names of somebody give way who has no session open.
    Nothing is kept until the first name is given, by ``begin``.
    """

    def __init__(self, max_attachments: int = MAX_ATTACHMENTS) -> None:
        self.is_used = False
        self._max_attachments = max_attachments
        self._count = 0
        #: Those whose session was opened last are last.
        self._names: OrderedDict[Holder, dict[Hashable, None]] = OrderedDict()
        self._holders: dict[Hashable, dict[Holder, None]] = {}
        #: The open sessions of each key, and the temporary keys among these of each permanent one.
        self._open: dict[int, dict[int, None]] = {}
        self._temps: dict[int, dict[int, None]] = {}
        self._perm_of: dict[int, int] = {}

    def begin(self, clients: Iterable[tuple[AuthKey, int]]) -> None:
        """Know the sessions that are open: from now on ``opened`` and its kin are called."""
        self.is_used = True
        for key, session_id in clients:
            self.opened(key, session_id)

    # -- what the directory tells ----------------------------------------------------------------

    def opened(self, key: AuthKey, session_id: int) -> None:
        """Note a session that was opened."""
        key_id = key.auth_key_id
        self._open.setdefault(key_id, {})[session_id] = None
        self.bound(key_id, key.perm_auth_key_id)
        for holder in ((key_id, session_id), (key_id, 0), (key.perm_auth_key_id, 0)):
            if holder in self._names:
                self._names.move_to_end(holder)

    def bound(self, temp_key_id: int, perm_key_id: int) -> None:
        """Note that a temporary key, if it has sessions, speaks for a permanent one."""
        if perm_key_id not in (0, temp_key_id) and temp_key_id in self._open:
            self._forget_bind(temp_key_id)
            self._perm_of[temp_key_id] = perm_key_id
            self._temps.setdefault(perm_key_id, {})[temp_key_id] = None

    def closed(self, key_id: int, session_id: int) -> None:
        """Note that a session has no connection any more; its names stay."""
        sessions = self._open.get(key_id, {})
        sessions.pop(session_id, None)
        if not sessions:
            self._open.pop(key_id, None)
            self._forget_bind(key_id)

    def forget(self, holder: Holder) -> None:
        """Drop all names of a session that is kept no more, or of a key that is over."""
        for name in self._names.pop(holder, ()):
            self._leave(name, holder)

    def _forget_bind(self, temp_key_id: int) -> None:
        perm_key_id = self._perm_of.pop(temp_key_id, 0)
        temps = self._temps.get(perm_key_id, {})
        temps.pop(temp_key_id, None)
        if not temps:
            self._temps.pop(perm_key_id, None)

    # -- names -----------------------------------------------------------------------------------

    def attach(self, name: Hashable, holder: Holder) -> None:
        """Give a name.

        :raises TooManyNames: there is no room.
        """
        names = self._names.get(holder, {})
        if name in names:
            return
        if len(names) >= MAX_NAMES:
            raise TooManyNames(f"{MAX_NAMES} names of one session or key")
        if self._count >= self._max_attachments:
            self._make_room()
        # Its own other names may have been those that gave way.
        self._names.setdefault(holder, {})[name] = None
        self._holders.setdefault(name, {})[holder] = None
        self._count += 1

    def detach(self, name: Hashable, holder: Holder) -> None:
        """Take a name back, if it was given."""
        names = self._names.get(holder, {})
        if name in names:
            del names[name]
            if not names:
                del self._names[holder]
            self._leave(name, holder)

    def names(self, holder: Holder) -> list[Hashable]:
        """Return the names of a session or key."""
        return list(self._names.get(holder, ()))

    def sessions(self, name: Hashable) -> list[Holder]:
        """Return the open sessions of a name, each once."""
        found: dict[Holder, None] = {}
        for key_id, session_id in self._holders.get(name, ()):
            if session_id:
                if session_id in self._open.get(key_id, ()):
                    found[key_id, session_id] = None
                continue
            for one in (key_id, *self._temps.get(key_id, ())):
                for open_id in self._open.get(one, ()):
                    found[one, open_id] = None
        return list(found)

    def _leave(self, name: Hashable, holder: Holder) -> None:
        self._count -= 1
        holders = self._holders[name]
        del holders[holder]
        if not holders:
            del self._holders[name]

    def _make_room(self) -> None:
        for _ in range(min(_LOOKED_AT, len(self._names))):
            holder = next(iter(self._names))
            key_id, session_id = holder
            if session_id:
                is_open = session_id in self._open.get(key_id, ())
            else:
                is_open = key_id in self._open or key_id in self._temps
            if not is_open:
                self.forget(holder)
                return
            # Another time others are looked at.
            self._names.move_to_end(holder)
        raise TooManyNames(f"{self._max_attachments} names are given to sessions that are open")
