"""Requests that stand alone: queries for keys, new keys, HTTP requests."""

from twisted.internet.defer import Deferred

from gnetway.errors import GatewayError
from gnetway.session.lane import Lane, Lanes
from gnetway.session.nodes import Node
from gnetway.session.operation import Operation


class SingleRequest:
    """The speaker of one request, whose lane ends with it.

    A ``patient`` request waits in an outage, within the bounds of the hold.
    """

    __slots__ = ("lane",)

    def __init__(self, lanes: Lanes, patient: bool) -> None:
        self.lane = Lane(lanes, self, patient)

    def target_for(self, operation: Operation) -> str | None:
        """Leave the choice to the ring."""
        return ""

    def redirected(self, target: str) -> None:
        """Nothing follows that would have to go there."""

    def request_for(self, operation: Operation, node: Node) -> bytes:
        """Return the request, which is the same for all nodes."""
        return operation.request(b"", False)

    def before(self, operation: Operation, node: Node) -> Operation | None:
        """Nothing goes before it."""
        return None

    def node_failed(self, node: Node) -> None:
        """No node needs to remember it."""

    def pause(self) -> None:
        """Nobody is read for it."""

    def resume(self) -> None:
        """Nobody is read for it."""

    def lost(self, cause: str) -> None:
        """Whoever asked has heard of it."""

    def drained(self) -> None:
        """Nothing keeps it."""


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
