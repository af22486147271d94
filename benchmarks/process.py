"""What a process costs, with the processes that it has started, as Linux tells it."""

import os
import time
from pathlib import Path
from typing import Final

_TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")

#: Places in /proc/PID/stat, counted from behind the name in parentheses, which may hold spaces.
_PARENT: Final = 1
_UTIME: Final = 11
_STIME: Final = 12


def family(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            try:
                parent = int(_stat(int(entry))[_PARENT])
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has ended meanwhile
            children.setdefault(parent, []).append(int(entry))
    members = [pid]
    for member in members:
        members += children.get(member, [])
    return members


def cpu_seconds(pid: int) -> float:
    """Return what a family has used, user and system, in steps of 10 ms for each process."""
    ticks = 0
    for member in family(pid):
        fields = _stat(member)
        ticks += int(fields[_UTIME]) + int(fields[_STIME])
    return ticks / _TICKS_PER_SECOND


def settled_cpu_seconds(pid: int, quiet_seconds: float = 0.5) -> float:
    """Return the same once the family has done nothing for a while.

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
    """Return the memory of a family, pages that are shared counted by their share."""
    return sum(_kib(member, "Pss") for member in family(pid))


def own_kib(pid: int) -> int:
    """Return its part that is no file's, which does not change when others share the files."""
    return sum(_kib(member, "Pss_Anon") for member in family(pid))


def descriptors(pid: int) -> int:
    """Return how many files and sockets a family has open."""
    return sum(len(os.listdir(f"/proc/{member}/fd")) for member in family(pid))


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _kib(pid: int, wanted: str) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name == wanted:
            return int(rest.split()[0])
    raise OSError(f"/proc/{pid}/smaps_rollup has no {wanted}")
