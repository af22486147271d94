"""Keeps a piece of work going against whichever etcd host answers.

======== ===================================== =======================================
phase    meaning                               left by
======== ===================================== =======================================
IDLE     not started                           START, STOP
OPENING  connecting to the next host           OPENED, FAILED, STOP
WORKING  the work runs on an open client       FAILED (that is how it ends), STOP
WAITING  backing off                           RETRY, STOP
ENDING   withdrawing before the client closes  WITHDRAWN (also when out of time), STOP
STOPPED  for good                              nothing
======== ===================================== =======================================
"""

from collections.abc import Callable
from enum import Enum, auto
from typing import Final, Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from gnetway.backoff import BackOff
from gnetway.discovery.etcd_api import EtcdClient, EtcdClients, EtcdError
from gnetway.discovery.etcd_outage import EtcdOutage

#: Seconds that work must have gone well for the next failure to count as the first.
STABLE_SECONDS: Final = 2.0

#: Seconds for withdrawing; the lease ends by itself soon after.
WITHDRAW_SECONDS: Final = 3.0


class EtcdWork(Protocol):
    """What is done with a client."""

    description: str

    def run(self, client: EtcdClient, settled: Callable[[], None]) -> Deferred[None]:
        """Work until it fails; call ``settled`` when it is in place."""
        ...

    def withdraw(self, client: EtcdClient) -> Deferred[None]:
        """Undo it, before a stop."""
        ...


class Phase(Enum):
    """See the head of the file."""

    IDLE = auto()
    OPENING = auto()
    WORKING = auto()
    WAITING = auto()
    ENDING = auto()
    STOPPED = auto()


class Event(Enum):
    """See the head of the file."""

    START = auto()
    OPENED = auto()
    FAILED = auto()
    RETRY = auto()
    STOP = auto()
    WITHDRAWN = auto()


#: A pair that is not listed changes nothing.
NEXT: Final[dict[Phase, dict[Event, Phase]]] = {
    Phase.IDLE: {Event.START: Phase.OPENING, Event.STOP: Phase.STOPPED},
    Phase.OPENING: {
        Event.OPENED: Phase.WORKING,
        Event.FAILED: Phase.WAITING,
        Event.STOP: Phase.STOPPED,
    },
    Phase.WORKING: {Event.FAILED: Phase.WAITING, Event.STOP: Phase.ENDING},
    Phase.WAITING: {Event.RETRY: Phase.OPENING, Event.STOP: Phase.STOPPED},
    Phase.ENDING: {Event.WITHDRAWN: Phase.STOPPED},
    Phase.STOPPED: {},
}


class EtcdKeeper:
    """The machine. Hosts are tried in turn; the wait comes after each whole round."""

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        clients: EtcdClients,
        hosts: tuple[str, ...],
        work: EtcdWork,
        back_off: BackOff,
        outage: EtcdOutage,
    ) -> None:
        self.phase = Phase.IDLE
        self._clock = clock
        self._clients = clients
        self._hosts = hosts
        self._work = work
        self._back_off = back_off
        self._outage = outage
        self._attempts = 0
        self._settled_at: float | None = None
        self._client: EtcdClient | None = None
        self._pending: Deferred[None] = succeed(None)
        self._timer: IDelayedCall | None = None
        self._stop_waiters: list[Deferred[None]] = []
        self._entry: dict[Phase, Callable[[], None]] = {
            Phase.OPENING: self._open,
            Phase.WORKING: self._run_work,
            Phase.WAITING: self._wait,
            Phase.ENDING: self._withdraw,
            Phase.STOPPED: self._stopped,
        }

    def start(self) -> None:
        """Begin; goes on until ``stop``."""
        self._advance(Event.START)

    def stop(self) -> Deferred[None]:
        """Withdraw if the work is in place, and end. Fires within WITHDRAW_SECONDS."""
        if self.phase is Phase.STOPPED:
            return succeed(None)
        stopped: Deferred[None] = Deferred()
        self._stop_waiters.append(stopped)
        self._advance(Event.STOP)
        return stopped

    def _advance(self, event: Event) -> None:
        following = NEXT[self.phase].get(event)
        if following is not None:
            self.phase = following
            self._entry[following]()

    def _open(self) -> None:
        host = self._hosts[self._attempts % len(self._hosts)]
        self._attempts += 1
        client = self._client = self._clients.client(host)
        self._follow(client.open(), Event.OPENED)

    def _run_work(self) -> None:
        assert self._client is not None
        self._follow(self._work.run(self._client, self._settled), Event.FAILED)

    def _follow(self, pending: Deferred[None], success: Event) -> None:
        """Go on with ``success`` or FAILED, unless ``_let_go`` has been called meanwhile."""
        client = self._client
        self._pending = pending

        def succeeded(_: None) -> None:
            if client is self._client:
                self._advance(success)

        def failed(failure: Failure) -> None:
            if client is self._client:
                self._failed(failure)

        pending.addCallbacks(succeeded, failed)
        pending.addErrback(self._unexpected)

    def _settled(self) -> None:
        self._settled_at = self._clock.seconds()
        self._outage.settled(self._work.description)

    def _failed(self, failure: Failure) -> None:
        if not isinstance(failure.value, EtcdError):
            self._unexpected(failure)
        settled_at, self._settled_at = self._settled_at, None
        if settled_at is not None and self._clock.seconds() - settled_at >= STABLE_SECONDS:
            self._back_off.reset()
        self._outage.failed(self._work.description, failure.getErrorMessage())
        self._advance(Event.FAILED)

    def _unexpected(self, failure: Failure) -> None:
        self._log.failure("etcd: {work} failed", failure, work=self._work.description)

    def _wait(self) -> None:
        self._let_go()
        whole_round = self._attempts % len(self._hosts) == 0
        delay = self._back_off.next_delay() if whole_round else 0.0
        self._timer = self._clock.callLater(delay, self._advance, Event.RETRY)

    def _withdraw(self) -> None:
        client = self._client
        assert client is not None
        self._client = None  # the work's own end means nothing from here on
        self._pending.cancel()
        withdrawn = self._work.withdraw(client)
        withdrawn.addTimeout(WITHDRAW_SECONDS, self._clock)

        def failed(failure: Failure) -> None:
            self._log.warn(
                "etcd: {work} was not withdrawn: {error}",
                work=self._work.description,
                error=failure.getErrorMessage(),
            )

        def ended(_: None) -> None:
            client.close()
            self._advance(Event.WITHDRAWN)

        withdrawn.addErrback(failed).addCallback(ended)

    def _stopped(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._let_go()
        self._outage.ended(self._work.description)
        waiters, self._stop_waiters = self._stop_waiters, []
        for waiter in waiters:
            waiter.callback(None)

    def _let_go(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            self._pending.cancel()
            client.close()
