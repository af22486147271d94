"""Go's builds, one at a time: what the first compiles the next ones find in Go's cache."""

from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, flock
from pathlib import Path


@contextmanager
def go_alone() -> Iterator[None]:
    """Wait until no other process of the tests builds."""
    # This file, as Go locks those of its modules itself.
    with Path(__file__).open() as file:
        flock(file, LOCK_EX)
        yield
