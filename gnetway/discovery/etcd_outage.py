"""Tells the operator about an etcd outage: once, then now and then, then that it is over."""

from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

#: Seconds between two lines about the same outage.
REMINDER_SECONDS: Final = 60.0


class EtcdOutage:
    """Shared by all that works with one etcd, so that its loss is one line and not many.

    ``meanwhile`` says what it means for clients, such as ", the last known nodes stay in use".
    """

    _log = Logger()

    def __init__(
        self, clock: IReactorTime, hosts: tuple[str, ...], meanwhile: Callable[[], str]
    ) -> None:
        self._clock = clock
        self._meanwhile = meanwhile
        self._hosts = ", ".join(hosts)
        self._failing: dict[str, str] = {}
        self._told: set[str] = set()  # what the log's last word was good about
        self._since = 0.0
        self._next_line: float | None = None

    def failed(self, work: str, error: str) -> None:
        """``work`` does not work now; ``error`` says why."""
        now = self._clock.seconds()
        if not self._failing:
            self._since = now
        self._failing[work] = error
        # A flapping etcd is one outage to the log, not one each time.
        if self._next_line is None or now >= self._next_line:
            self._next_line = now + REMINDER_SECONDS
            self._told -= self._failing.keys()
            self._log.warn(
                "etcd ({hosts}) cannot be used for {seconds:.0f} s now, which holds up {work};"
                " trying on{meanwhile}: {error}",
                hosts=self._hosts,
                seconds=now - self._since,
                work=", ".join(sorted(self._failing)),
                meanwhile=self._meanwhile(),
                error=error,
            )

    def error(self, work: str) -> str:
        """Return why ``work`` does not work, as the end of a sentence; empty if it does."""
        error = self._failing.get(work)
        return "" if error is None else f": {error}"

    def settled(self, work: str) -> None:
        """``work`` is in place, for the first time or again."""
        self._failing.pop(work, None)
        if work not in self._told:
            self._told.add(work)
            self._log.info("etcd ({hosts}): {work} is in place", hosts=self._hosts, work=work)

    def ended(self, work: str) -> None:
        """``work`` was stopped and says nothing any more."""
        self._failing.pop(work, None)
