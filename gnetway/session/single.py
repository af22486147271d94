"""Requests that stand alone: queries for keys, new keys, HTTP requests, ends of old sessions."""

from twisted.internet.defer import Deferred

from gnetway.errors import GatewayError
from gnetway.session.lane import Lane, Lanes
from gnetway.session.nodes import Node
from gnetway.session.operation import Operation


class SingleRequest:
    """The speaker of one request, whose lane ends with it.

    A ``patient`` request waits in an outage, within the bounds of the hold.
    """

    __slots__ = ("at", "lane")

    def __init__(self, lanes: Lanes, patient: bool) -> None:
        self.at: Node | None = None
        self.lane = Lane(lanes, self, patient)

    def straight(self, operation: Operation) -> bytes:
        """Have everything decided anew: there is one operation."""
        return b""

    def target_for(self, operation: Operation) -> str | None:
        """Leave the choice to the ring."""
        return ""

    def redirected(self, target: str) -> bool:
        """Go there."""
        return True

    def prepare(self, operation: Operation, node: Node) -> bytes:
        """Return the request, which is the same for all nodes."""
        return operation.request(b"", False)

    def not_done(self, operation: Operation, node: Node | None) -> None:
        """No node needs to remember it."""

    def unreachable(self, address: str) -> None:
        """The ring decides anyway."""

    def hand_over(self, operation: Operation) -> bool:
        """Nobody takes it over."""
        return False

    def pause(self) -> None:
        """Nobody is read for it."""

    def resume(self) -> None:
        """Nobody is read for it."""

    def lost(self, cause: str) -> None:
        """Whoever asked has heard of it."""

    def drained(self) -> None:
        """Let go of the lane, which holds this too, or both would wait for the collector."""
        if hasattr(self, "lane"):
            del self.lane


class Ending(SingleRequest):
    """The end of a session at a node that it is with no more; that node's business alone."""

    __slots__ = ("_address", "_nodes", "_operation")

    def __init__(self, lanes: Lanes, operation: Operation) -> None:
        super().__init__(lanes, patient=True)
        self._nodes = lanes.nodes
        self._address = operation.target
        self._operation = operation

    def begin(self) -> None:
        """Tell the node, as soon as it takes anything."""
        self.lane.push(self._operation)

    def target_for(self, operation: Operation) -> str | None:
        """Return the node, whatever became of it."""
        return self._address

    def redirected(self, target: str) -> bool:
        """Stay: where the session is now, its end would be wrong."""
        return False

    def hand_over(self, operation: Operation) -> bool:
        """Drop it where discovery says that the node is gone."""
        if not self._nodes.gone(self._address):
            return False
        operation.finish(b"")
        return True


def ask(lanes: Lanes, operation: Operation, patient: bool) -> Deferred[bytes]:
    """Send one request; fires with the reply or fails. Cancelling it withdraws the request."""
    single = SingleRequest(lanes, patient)
    asked: Deferred[bytes] = Deferred(lambda _: single.lane.withdraw(operation))

    def finished(reply: bytes, error: GatewayError | None) -> None:
        if error is None:
            asked.callback(reply)
        else:
            asked.errback(error)

    operation.finished = finished
    single.lane.push(operation)
    return asked
