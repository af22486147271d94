"""What the server's peers did wrong: counted by cause, and told to the log once a minute at most.

Whoever reaches the port can make any number of connections, so none has a line of its own.
"""

from typing import Final

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from gnetway.metrics import Causes

#: Seconds from one line in the log to the next.
LINE_SECONDS: Final = 60.0


class RefusedPeers:
    """Counts; a line has the cause and the address of the last one."""

    _log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self.causes = Causes()
        self._next_line = float("-inf")

    def note(self, cause: str, peer: str) -> None:
        """Note that ``peer`` was refused or closed for ``cause``."""
        self.causes.count(cause)
        now = self._clock.seconds()
        if now >= self._next_line:
            self._next_line = now + LINE_SECONDS
            self._log.warn(
                "gRPC peers refused or closed, last {peer}: {cause}; since the start: {causes}",
                peer=peer,
                cause=cause,
                causes=self.causes.as_dict(),
            )
