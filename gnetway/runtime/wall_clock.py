"""The time of day, and why it is a parameter of its own.

Two clocks run through the shell. ``clock``, an IReactorTime, is for whatever waits: timeouts,
deadlines, pauses. It only goes on (see ``monotonic``). ``wall`` is for what others read off their
own clocks, or what outlives the process: msg_ids, salts, when keys and certificates expire. It is
set forward and back while the gateway runs, so nothing may wait by it.

Where the core needs both, as in a connection, ``now`` is the wall clock's and ``monotonic`` the
other's.
"""

from collections.abc import Callable
from time import time  # noqa: TID251 - the one place
from typing import Final, TypeAlias

#: Returns Unix seconds; what is told by it may be set back.
WallClock: TypeAlias = Callable[[], float]

#: That of the machine.
wall_clock: Final[WallClock] = time
