"""The end of the commands' pipe in a worker."""

import os
from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IReactorFDSet, IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

_READ_BYTES: Final = 4096


@implementer(IReadDescriptor)
class CommandReader:
    """Hands each line that comes by a pipe to ``obey``; at its end, ``gone`` is called."""

    def __init__(
        self,
        reactor: IReactorFDSet,
        descriptor: int,
        obey: Callable[[str], object],
        gone: Callable[[], object],
    ) -> None:
        self._reactor = reactor
        self._descriptor = descriptor
        self._obey = obey
        self._gone = gone
        self._held = b""

    def start(self) -> None:
        """Begin to read."""
        os.set_blocking(self._descriptor, False)
        self._reactor.addReader(self)

    def fileno(self) -> int:
        """Return the pipe, for the reactor."""
        return self._descriptor

    def doRead(self) -> None:  # noqa: N802
        """Take what has come."""
        try:
            segment = os.read(self._descriptor, _READ_BYTES)
        except BlockingIOError:
            return
        if not segment:
            self._reactor.removeReader(self)
            self._gone()
            return
        *lines, self._held = (self._held + segment).split(b"\n")
        for line in lines:
            self._obey(line.decode())

    def connectionLost(self, reason: Failure) -> None:
        """See IReadDescriptor: the reactor ends, or the pipe is broken."""
        self._reactor.removeReader(self)
        self._gone()

    def logPrefix(self) -> str:  # noqa: N802
        """Return a name for the log."""
        return "commands"
