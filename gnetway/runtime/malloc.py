"""The C library's allocator, told to keep what it will need again at once.

glibc gives large blocks back to the system when they are freed, so that each copy of a large
message faults its pages in anew: a third of the CPU time of messages of 512 KiB, measured. With
these bounds they come from memory that stays. An idle gateway keeps a few megabytes for it.
"""

import ctypes
from collections.abc import Mapping
from typing import Final

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
