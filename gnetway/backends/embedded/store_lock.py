"""One process at a time on a store's file.

Two gateways on one file would each take messages that the other has answered, and tell clients of
salts that the other does not know.

The lock is flock's, on a file of its own beside the store: SQLite holds locks of fcntl's kind on
its files, which a process loses as soon as it closes any descriptor of them. flock's belong to the
open file: a daemon keeps it over its forks, and the kernel takes it back from a process that dies,
however it dies. The file stays behind, for removing it would let two others in.
"""

import os
from contextlib import suppress
from fcntl import LOCK_EX, LOCK_NB, flock
from typing import Final

from gnetway.backends.embedded.store import StoreUnusable

_PRIVATE_MODE: Final = 0o600
_FLAGS: Final = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW


class StoreLock:
    """Keeps other processes from the store at ``path``, from ``take`` to ``release``."""

    def __init__(self, path: str) -> None:
        self._store = path
        # Whatever link leads to a file, it is one store.
        self._path = f"{os.path.realpath(path)}-lock"
        self._descriptor: int | None = None

    def take(self) -> None:
        """Have the store for this process; nothing to do where it is taken by this very lock.

        :raises StoreUnusable: somebody else has it, or the file of the lock cannot be opened.
        """
        if self._descriptor is not None:
            return
        try:
            descriptor = self._open()
        except OSError as error:
            raise StoreUnusable(f"{self._path}: {error.strerror}") from error
        try:
            flock(descriptor, LOCK_EX | LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if isinstance(error, BlockingIOError):
                raise StoreUnusable(f"{self._store}: another gateway uses it") from None
            raise StoreUnusable(f"{self._path}: {error.strerror}") from error
        self._descriptor = descriptor

    def release(self) -> None:
        """Let others have the store."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        try:
            descriptor = os.open(self._path, _FLAGS | os.O_CREAT | os.O_EXCL, _PRIVATE_MODE)
        except FileExistsError:
            return os.open(self._path, _FLAGS)
        # Made by root before it gives up its privileges, it must be the later user's.
        with suppress(OSError):
            owner = os.stat(self._store)
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        return descriptor
