"""One call that the handler answers later."""

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from gnetway.backends.embedded.fault_log import FaultLog


class RunningCall:
    """The Deferred of a handler, cancelled without any harm to who cancels it."""

    __slots__ = ("_answer", "_faults", "_place")

    def __init__(self, answer: Deferred[object], place: str, faults: FaultLog) -> None:
        self._answer = answer
        self._place = place
        self._faults = faults

    def cancel(self) -> None:
        """Stop the handler's work; what its canceller raises is logged."""
        try:
            self._answer.cancel()
        except BaseException:  # noqa: BLE001 (as for the call itself)
            self._faults.failed(self._place, Failure())
