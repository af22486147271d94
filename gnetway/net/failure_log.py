"""One line of the log for each kind of failing clients, once a minute: so that it alone says why.

No client makes a line of its own, or a flood of them would fill the disk. The kinds are bounded by
the causes that there are.
"""

from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from gnetway.admission.place import End
from gnetway.admission.shares import shown_range
from gnetway.ends import Phase, hint_of, who_ended
from gnetway.net.records import ConnectionRecords

#: Seconds from one line of a kind to the next.
LINE_SECONDS: Final = 60.0

#: Seconds from the first failure to its line, so that it has more than one to tell.
FIRST_SECONDS: Final = 5.0

#: Networks that are counted for one line.
_MAX_NETWORKS: Final = 64

#: The line of refusals tells of these.
_TOLD_ELSEWHERE: Final = frozenset({"gave_way", "too_many_half_open"})


class _Kind:
    """The failures of one kind that no line has told of."""

    __slots__ = ("count", "last", "networks", "next_line")

    def __init__(self) -> None:
        self.count = 0
        self.last: End | None = None
        self.networks: dict[str, int] = {}
        self.next_line = float("-inf")

    def take(self, end: End) -> None:
        """Count a failure."""
        self.count += 1
        self.last = end
        network = shown_range(end.facts.client_ip)
        if network in self.networks or len(self.networks) < _MAX_NETWORKS:
            self.networks[network] = self.networks.get(network, 0) + 1


class FailureLog:
    """Logs the failures that ``records`` tells of."""

    _log = Logger()

    def __init__(self, clock: IReactorTime, records: ConnectionRecords) -> None:
        self._clock = clock
        self._records = records
        records.when_failed = self._note
        #: By phase and cause.
        self._kinds: dict[tuple[Phase, str], _Kind] = {}
        self._timer: IDelayedCall | None = None

    def stop(self) -> None:
        """Log what was not logged yet."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        for (phase, cause), kind in self._kinds.items():
            self._tell(phase, cause, kind)

    def _note(self, end: End) -> None:
        phase = end.facts.phase
        if phase is Phase.ACCEPT or end.cause in _TOLD_ELSEWHERE:
            return
        kind = self._kinds.setdefault((phase, end.cause), _Kind())
        kind.take(end)
        if self._timer is None:
            self._timer = self._clock.callLater(FIRST_SECONDS, self._tell_due)

    def _tell_due(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        waits = False
        for (phase, cause), kind in list(self._kinds.items()):
            if now >= kind.next_line:
                if kind.count:
                    self._tell(phase, cause, kind)
                    kind.next_line = now + LINE_SECONDS
                    waits = True
                else:
                    del self._kinds[phase, cause]
            else:
                waits = True
        if waits:
            self._timer = self._clock.callLater(FIRST_SECONDS, self._tell_due)

    def _tell(self, phase: Phase, cause: str, kind: _Kind) -> None:
        last = kind.last
        if last is None:
            return
        network, times = max(kind.networks.items(), key=lambda item: item[1])
        client = last.facts.client
        self._log.warn(
            "clients fail: {count} ended by {who}, {phase}: {cause}; most from {network}"
            " ({times}){client}. {hint}",
            count=kind.count,
            who=who_ended(cause).value,
            phase=phase.value,
            cause=cause,
            network=network,
            times=times,
            client="" if client is None else f", the last one {client.text}",
            hint=hint_of(cause, last.detail, self._records.keys),
        )
        kind.count = 0
        kind.last = None
        kind.networks = {}
