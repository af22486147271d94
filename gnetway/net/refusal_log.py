"""What the log hears of connections that were not let in: a line a minute, with counts.

No client makes a line of its own, or a flood of them would fill the disk.
"""

from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from gnetway.admission.admission import Admission
from gnetway.metrics import Causes

#: Seconds from one line in the log to the next.
LINE_SECONDS: Final = 60.0

#: Seconds from the first refusal to its line, so that this has more than one to tell.
FIRST_SECONDS: Final = 5.0


class RefusalLog:
    """Counts refusals, and tells the log of them now and then."""

    _log = Logger()

    def __init__(self, clock: IReactorTime, causes: Causes, admission: Admission) -> None:
        self._clock = clock
        self._causes = causes
        self._admission = admission
        self._untold: dict[str, int] = {}
        self._next_line = float("-inf")
        self._line: IDelayedCall | None = None
        admission.gave_way = self._note

    def note(self, cause: str) -> None:
        """Count that a connection was refused."""
        self._causes.count(cause)
        self._note(cause)

    def _note(self, cause: str) -> None:
        self._untold[cause] = self._untold.get(cause, 0) + 1
        if self._line is None:
            wait = max(FIRST_SECONDS, self._next_line - self._clock.seconds())
            self._line = self._clock.callLater(wait, self._tell)

    def stop(self) -> None:
        """Tell what was not told yet."""
        if self._line is not None:
            self._line.cancel()
            self._tell()

    def _tell(self) -> None:
        self._line = None
        self._next_line = self._clock.seconds() + LINE_SECONDS
        untold, self._untold = self._untold, {}
        heaviest = self._admission.heaviest()
        most = "no network has two connections"
        if heaviest is not None:
            most = f"most has {heaviest.network}: {heaviest.connections}"
        self._log.warn(
            "connections refused, or ended for others: {untold}; {descriptors} of {connections}"
            " are taken, {most}",
            untold=untold,
            descriptors=self._admission.descriptors,
            connections=self._admission.bounds.connections,
            most=most,
        )
