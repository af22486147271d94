"""The C library's allocator, told to keep what it will need again, and to give back the rest.

glibc gives large blocks back to the system when they are freed, so that each copy of a large
message faults its pages in anew: a third of the CPU time of messages of 512 KiB, measured. With
these bounds they come from memory that stays. An idle gateway keeps a few megabytes for it. To see
it: ``make bench ROWS=bulk-512``, with and without MALLOC_TRIM_THRESHOLD_=131072 in the environment,
which leaves it to glibc. An allocator that keeps large blocks by itself, as jemalloc or mimalloc by
LD_PRELOAD, makes it superfluous.

What clients have had held goes back to the system when they have gone (MemoryReturn). The C library
keeps what lies below something that is still in use, so when the process has grown by much, it is
told to give back whatever pages are free: 1 ms for some 10 MiB of them.
"""

import ctypes
from collections.abc import Callable, Mapping
from typing import Final

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

#: Numbers of the parameters. Source: malloc.h of glibc
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3

#: Free memory at the end of the heap that is kept, in bytes: the copies of a few large messages.
TRIM_BYTES: Final = 8 * 1024 * 1024

#: Blocks larger than this are never kept, in bytes.
MMAP_BYTES: Final = 2 * 1024 * 1024

#: By these the user has decided.
_DECIDED: Final = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")


def keep_large_blocks(environment: Mapping[str, str]) -> bool:
    """Set the bounds for this process; False where it is not glibc, or the user has decided."""
    if any(name in environment for name in _DECIDED):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, MMAP_BYTES) and mallopt(_M_TRIM_THRESHOLD, TRIM_BYTES))


def give_back() -> bool:
    """Give the pages that are free back to the system; False where it is not glibc."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim is not None and bool(trim(0))


#: How often is looked, in seconds.
LOOK_SECONDS: Final = 2.0

#: So much growth since memory was last given back is worth it, in bytes.
WORTH_BYTES: Final = 16 * 1024 * 1024

#: A process that stays larger by so much than it began tries again after so many looks: what was
#: in use at the last time may be free now.
_LOOKS_BETWEEN: Final = 10


class MemoryReturn:
    """Calls ``give_back`` when the process has grown by much, and does not grow just now.

    ``resident_bytes`` tells its size.
    """

    def __init__(
        self,
        clock: IReactorTime,
        resident_bytes: Callable[[], int],
        give_back: Callable[[], object],
    ) -> None:
        self._resident_bytes = resident_bytes
        self._give_back = give_back
        self._at_start = self._after_last = self._seen = 0
        self._looks = 0
        self._looking = LoopingCall(self._look)
        self._looking.clock = clock

    def start(self) -> None:
        """Look from now on."""
        self._at_start = self._after_last = self._seen = self._resident_bytes()
        self._looking.start(LOOK_SECONDS, now=False)

    def stop(self) -> None:
        """Look no more."""
        if self._looking.running:
            self._looking.stop()

    def _look(self) -> None:
        size, before = self._resident_bytes(), self._seen
        self._seen = size
        self._looks += 1
        has_grown = size - self._after_last >= WORTH_BYTES
        may_be_free = size - self._at_start >= WORTH_BYTES and self._looks >= _LOOKS_BETWEEN
        if size <= before and (has_grown or may_be_free):
            self._give_back()
            self._looks = 0
            self._seen = self._after_last = self._resident_bytes()
