"""What a gateway in one process and the parent of several have in common as Twisted services."""

from contextlib import suppress

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred
from twisted.internet.error import ReactorNotRunning
from twisted.logger import Logger
from twisted.python.failure import Failure

from gnetway.interfaces import IGatewayReactor
from gnetway.runtime.clocks import follow_monotonic
from gnetway.runtime.wall_clock import WallClock


class PreparedService(MultiService):
    """A service that does first, and once, what can fail for the configuration's sake.

    ``failure`` is why it could not start, or None.
    """

    _log = Logger()

    def __init__(self, reactor: IGatewayReactor, wall: WallClock) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._reactor = reactor
        self._wall = wall
        self._prepared = False
        self.failure: Failure | None = None

    def prepare(self) -> None:
        """Do what can fail for the configuration's sake; may be called before the start.

        :raises ConfigError: with a line for each fault.
        """
        if not self._prepared:
            self._prepare()
            self._prepared = True

    def privilegedStartService(self) -> None:
        """Bind the sockets while ports below 1024 are still allowed."""
        self.prepare()
        super().privilegedStartService()  # type: ignore[no-untyped-call]

    def startService(self) -> None:
        """Begin, with the children; from now on the reactor's timers follow CLOCK_MONOTONIC."""
        self.prepare()
        if not follow_monotonic(self._reactor, self._wall):
            self._log.warn(
                "timers follow the time of day, which {reactor} takes them by: while that is set"
                " forward or back, whatever waits ends early or late",
                reactor=type(self._reactor).__name__,
            )
        super().startService()  # type: ignore[no-untyped-call]

    def stopService(self) -> Deferred[None]:
        """End; fires when all has ended."""
        return Deferred.fromCoroutine(self._stop())

    def _prepare(self) -> None:
        """Prepare."""
        raise NotImplementedError

    async def _stop(self) -> None:
        """End the children, after what a subclass has to end before them."""
        stopped = super().stopService()  # type: ignore[no-untyped-call]
        if stopped is not None:
            await stopped

    def _give_up(self, failure: Failure) -> None:
        """End all: it cannot start."""
        self.failure = failure
        # It may have failed before the reactor runs, which could not be stopped then.
        self._reactor.callWhenRunning(self._stop_reactor)

    def _stop_reactor(self) -> None:
        # Somebody else may have stopped it for a reason of his own.
        with suppress(ReactorNotRunning):
            self._reactor.stop()
