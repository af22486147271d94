"""What a process costs, as Linux tells it."""

import os
import time
from pathlib import Path
from typing import Final

_TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")

#: Places of utime and stime in /proc/PID/stat, counted from behind the name in parentheses, which
#: may hold spaces.
_UTIME: Final = 11
_STIME: Final = 12


def cpu_seconds(pid: int) -> float:
    """Return what all threads of a process have used, user and system, in steps of 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[_UTIME]) + int(fields[_STIME])) / _TICKS_PER_SECOND


def settled_cpu_seconds(pid: int, quiet_seconds: float = 0.5) -> float:
    """Return the same once the process has done nothing for a while.

    What work leaves behind, such as secrets to be made anew, belongs to its cost.
    """
    used = cpu_seconds(pid)
    quiet_since = time.monotonic()
    while time.monotonic() - quiet_since < quiet_seconds:
        time.sleep(0.05)
        before, used = used, cpu_seconds(pid)
        if used != before:
            quiet_since = time.monotonic()
    return used


def pss_kib(pid: int) -> int:
    """Return the memory of a process, pages that it shares counted by its share."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name == "Pss":
            return int(rest.split()[0])
    raise OSError(f"/proc/{pid}/smaps_rollup has no Pss")
