"""The server salts of one auth key: which holds now, which will hold later.

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

Source: core.telegram.org/mtproto/description#server-salt
"""

from collections.abc import Callable, Iterable
from typing import Final

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
        """Whether a client's message may carry ``salt``."""
        if self.current(now) == salt:
            return True
        return any(
            entry.salt == salt and entry.valid_since - EARLY_SECONDS <= now < entry.valid_until
            for entry in self.salts
        )

    def is_younger(self, salt: int, generation: int) -> bool:
        """Whether ``salt`` was made after that generation; says nothing about its time."""
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
