"""What an operator reads of the session nodes: each change, but no node more than once a minute."""

from typing import ClassVar, Final

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from gnetway.dispatch.outputs import NodeChange

#: A node that fails and comes back all the time is told of this often, in seconds.
MINUTE_SECONDS: Final = 60.0

#: What a node says of itself is quoted up to here.
_MAX_QUOTED: Final = 200


class NodeLog:
    """Logs what becomes of session nodes."""

    _log: ClassVar = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        #: When a node was last told not to be used.
        self._told: dict[str, float] = {}
        #: Those whose last word was that they are not used.
        self._unusable: set[str] = set()

    def tell(self, address: str, change: NodeChange, why: str) -> None:
        """Log a change of one node."""
        if change is NodeChange.UNUSABLE:
            self._unusable_now(address, why)
            return
        if change is NodeChange.WELL_AGAIN and address not in self._unusable:
            return
        if change is NodeChange.LEAVES:
            self.forget(address)
        else:
            self._unusable.discard(address)
        self._log.info("session node {node} {change}", node=address, change=change.value)

    def forget(self, address: str) -> None:
        """Forget a node that is not known any more."""
        self._unusable.discard(address)
        self._told.pop(address, None)

    def _unusable_now(self, address: str, why: str) -> None:
        now = self._clock.seconds()
        told = self._told.get(address)
        if told is not None and now - told < MINUTE_SECONDS:
            return
        self._told[address] = now
        self._unusable.add(address)
        self._log.warn(
            "session node {node} is not used: {why}", node=address, why=why[:_MAX_QUOTED]
        )
