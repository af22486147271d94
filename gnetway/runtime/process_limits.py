"""What this process has and may have: memory, by machine and control group, and open files."""

import os
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_ROOT = Path("/")


def machine_memory(root: Path = _ROOT) -> int:
    """Return the memory of the machine in bytes, or the bound of the control group below it.

    ``root`` is where /proc and /sys are.
    """
    installed = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([installed, *_group_bounds(root)])


def resident_bytes(root: Path = _ROOT) -> int:
    """Return the size of this process in memory, in bytes; 0 where the system does not tell."""
    try:
        # Source: proc_pid_statm(5), in pages: all, resident, …
        pages = (root / "proc/self/statm").read_text().split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _group_bounds(root: Path) -> Iterator[int]:
    """Yield the bounds of the control group and of those around it, both versions."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, name = line.split(":", 2)
        if not controllers:
            folder, file = root / "sys/fs/cgroup", "memory.max"
        elif "memory" in controllers.split(","):
            folder, file = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
        else:
            continue
        # In a container the name may be that of outside, and its bound stands at the top.
        group = Path(name.lstrip("/"))
        for place in (group, *group.parents):
            try:
                text = (folder / place / file).read_text().strip()
            except OSError:
                continue
            if text.isdigit():
                yield int(text)


#: Where the system has no limit, or one that nobody will reach.
_MOST: Final = 1 << 20

#: Descriptors kept for all else: the store, gRPC with its many addresses, etcd, the log, and
#: connections that are being closed. A sixteenth of them, and no fewer than this.
_LEAST_RESERVED: Final = 64


def raise_limit() -> None:
    """Raise the soft limit of this process to the hard one, which it may always do."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def for_clients() -> int:
    """Return how many descriptors connections of clients may take."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return left_for_clients(soft)


def left_for_clients(limit: int) -> int:
    """Return how many descriptors a limit of open files leaves to connections of clients."""
    most = _MOST if limit == resource.RLIM_INFINITY else min(limit, _MOST)
    return max(1, most - max(_LEAST_RESERVED, most // 16))
