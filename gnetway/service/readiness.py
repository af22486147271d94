"""Tells the operator that clients come and cannot be served, and when that is over."""

from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from gnetway._version import __version__

#: How often it is looked, in seconds. What is wanting at one look only is not worth a line: a start
#: has its moments, and a key that is put back has.
LOOK_SECONDS: Final = 1.0

#: Seconds between two lines while it lasts, however often it comes and goes.
REMINDER_SECONDS: Final = 60.0


class Readiness:
    """Looks at ``unready``, which returns what is wanting; nothing when all is well."""

    _log = Logger()

    def __init__(self, clock: IReactorTime, unready: Callable[[], list[str]]) -> None:
        self._clock = clock
        self._unready = unready
        self._since: float | None = None
        self._told = False
        self._next_line = 0.0
        self._timer: IDelayedCall | None = None

    def start(self, told: bool) -> None:
        """Begin to look; ``told`` is whether the log says already that something is wanting."""
        self._told = told
        self._next_line = self._clock.seconds()
        self._look_later()
        self._since = self._clock.seconds() if self._unready() else None

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_later(self) -> None:
        self._timer = self._clock.callLater(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        self._look_later()
        reasons, since, now = self._unready(), self._since, self._clock.seconds()
        if not reasons:
            self._since = None
            if self._told:
                self._told = False
                self._log.info("gnetway {version} is ready", version=__version__)
        elif since is None:
            self._since = now
        elif now >= self._next_line:
            self._next_line = now + REMINDER_SECONDS
            self._told = True
            self._log.warn(
                "not ready for {seconds:.0f} s now: {reasons}",
                seconds=now - since,
                reasons="; ".join(reasons),
            )
