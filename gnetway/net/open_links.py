"""All connections of a gateway that are open now, and how they leave one that stops."""

from collections import deque
from typing import Final, Protocol, Self, runtime_checkable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from gnetway.admission.place import Endable
from gnetway.config.limits import DrainConfig


class OpenLinks:
    """The connections that are open now, so that they can be ended together."""

    def __init__(self) -> None:
        self._links: set[Endable] = set()
        #: How many there were, those that are gone included.
        self.opened = 0
        self._waiters: list[Deferred[None]] = []

    def __len__(self) -> int:
        return len(self._links)

    def __contains__(self, link: Endable) -> bool:
        return link in self._links

    def as_list(self) -> list[Endable]:
        """Return them in the order of a set, which is none."""
        return list(self._links)

    def add(self, link: Endable) -> None:
        """Note a connection that was made."""
        self._links.add(link)
        self.opened += 1

    def remove(self, link: Endable) -> None:
        """Note a connection that is gone."""
        self._links.discard(link)
        if not self._links:
            waiters, self._waiters = self._waiters, []
            for all_gone in waiters:
                all_gone.callback(None)

    def when_all_gone(self) -> Deferred[None]:
        """Return what fires when no connection is left, whoever else waits for it."""
        all_gone: Deferred[None] = Deferred()
        if self._links:
            self._waiters.append(all_gone)
        else:
            all_gone.callback(None)
        return all_gone

    def shut_down(self) -> Deferred[None]:
        """End every connection; fires when the last one is gone."""
        all_gone = self.when_all_gone()
        for link in self.as_list():
            link.end("gateway_stopped")
        return all_gone


@runtime_checkable
class Answered(Endable, Protocol):
    """A connection whose client waits for answers."""

    def session_paused(self) -> None:
        """Take nothing more; what was taken is still answered."""

    def end(self, cause: str, told: bool = False) -> None:
        """End it; where it is ``told``, so that nothing is lost of what it was sent.

        A full close with bytes of the client unread would be a reset, behind which he may miss it.
        """


#: Seconds from one step of a drain to the next.
STEP_SECONDS: Final = 0.1

#: Seconds from one line about the progress to the next.
LINE_SECONDS: Final = 5.0

#: Seconds for the answers to what a connection has asked. Longer than nearly all take; whatever it
#: asks meanwhile waits for so long, and is asked again elsewhere.
ANSWER_SECONDS: Final = 0.5


class Drain:
    """Lets the connections of a gateway go at a rate that those who take them over can stand.

    They are served for ``grace`` seconds more. Then ``per_second`` of them are ended a second, and
    what is left after ``seconds``, the grace among them, at once. There is one timer: until the
    grace is over, then until the next step.

    A connection is ended in two steps, so that no client loses the answer to what was done for it:
    nothing more is taken of it, and it is closed when what was taken is answered.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        links: OpenLinks,
        per_second: int,
        grace: float,
        seconds: float,
    ) -> None:
        self._clock = clock
        self._links = links
        self._set(per_second, grace, seconds)
        self._ends_at = 0.0
        self._next_line = 0.0
        self._waiting: deque[Endable] = deque()
        #: With the time when they are to be closed.
        self._leaving: deque[tuple[float, Answered]] = deque()
        self._timer: IDelayedCall | None = None

    @classmethod
    def of(cls, clock: IReactorTime, links: OpenLinks, config: DrainConfig) -> Self:
        """Return one as Drain has it."""
        return cls(clock, links, config.per_second, config.grace_seconds, config.hard_stop_seconds)

    def change(self, config: DrainConfig) -> None:
        """Go by other numbers, if it has not begun."""
        self._set(config.per_second, config.grace_seconds, config.hard_stop_seconds)

    def _set(self, per_second: int, grace: float, seconds: float) -> None:
        self._a_step = max(1, round(per_second * STEP_SECONDS))
        self._per_second = per_second
        self._grace = grace
        self._seconds = seconds

    def start(self) -> Deferred[None]:
        """Begin; fires when the last connection is gone."""
        all_gone = self._links.when_all_gone().addCallback(self._over)
        if len(self._links) > self._a_step:
            self._log.info(
                "draining {number} connections, {rate} a second, within {seconds} s",
                number=len(self._links),
                rate=self._per_second,
                seconds=self._seconds,
            )
        self._ends_at = self._clock.seconds() + self._seconds
        self._next_line = self._clock.seconds() + LINE_SECONDS
        grace = min(self._grace, self._seconds)
        if grace and self._links:
            self._timer = self._clock.callLater(grace, self._end_at_rate)
        else:
            self._end_at_rate()
        return all_gone

    def hurry(self) -> None:
        """End all that are left now, or as soon as it has begun."""
        self._seconds = 0.0
        self._over(None)
        self._links.shut_down()

    def _end_at_rate(self) -> None:
        # Neighbours in time are not ended together: sets have no order.
        self._waiting.extend(self._links.as_list())
        self._step()

    def _step(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        while self._leaving and self._leaving[0][0] <= now:
            self._leaving.popleft()[1].end("gateway_stopped", told=True)
        for _ in range(min(self._a_step, len(self._waiting))):
            link = self._waiting.popleft()
            # Others have gone by themselves meanwhile.
            if link not in self._links:
                continue
            if isinstance(link, Answered):
                link.session_paused()
                self._leaving.append((now + ANSWER_SECONDS, link))
            else:
                link.end("gateway_stopped")
        left = self._ends_at - now
        if left <= 0:
            self._links.shut_down()
        elif self._links:
            if now >= self._next_line:
                self._next_line = now + LINE_SECONDS
                self._log.info(
                    "draining: {number} connections are left, for {seconds:.0f} s at most",
                    number=len(self._links),
                    seconds=left,
                )
            self._timer = self._clock.callLater(min(left, STEP_SECONDS), self._step)

    def _over(self, _: None) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
