"""Keeps a piece of work going against whichever etcd host answers.

======== ===================================== =======================================
phase    meaning                               left by
======== ===================================== =======================================
IDLE     not started                           START, STOP
OPENING  connecting to the next host           OPENED, FAILED, STOP
WORKING  the work runs on an open client       FAILED (that is how it ends), STOP
WAITING  backing off                           RETRY, STOP
ENDING   withdrawing what there is             WITHDRAWN (also when out of time)
STOPPED  for good                              nothing
======== ===================================== =======================================

It withdraws by the client that it works with, and where that fails, or there is none, by a new one
of each host: a token that has expired since, or a connection just lost, would leave behind what
others rely on.
"""

from collections.abc import Callable
from enum import Enum, auto
from itertools import chain
from typing import Final, Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from gnetway.backoff import BackOff
from gnetway.discovery.etcd_api import EtcdClient, EtcdClients, EtcdError, LoginNeeded

# Tells the operator about an etcd outage: once, then now and then, then that it is over.

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


#: Seconds that work must have gone well for the next failure to count as the first.
STABLE_SECONDS: Final = 2.0

#: Seconds for withdrawing; the lease ends by itself soon after.
WITHDRAW_SECONDS: Final = 3.0


class EtcdWork(Protocol):
    """What is done with a client.

    ``in_place`` is whether it is done now, ``to_withdraw`` whether ``withdraw`` has to be called.
    """

    description: str
    in_place: bool

    @property
    def to_withdraw(self) -> bool:
        """See above."""
        ...

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
        Event.STOP: Phase.ENDING,
    },
    Phase.WORKING: {Event.FAILED: Phase.WAITING, Event.STOP: Phase.ENDING},
    Phase.WAITING: {Event.RETRY: Phase.OPENING, Event.STOP: Phase.ENDING},
    Phase.ENDING: {Event.WITHDRAWN: Phase.STOPPED},
    Phase.STOPPED: {},
}


class EtcdKeeper:
    """The machine, for one ``work``.

    Hosts are tried in turn; the wait comes after each whole round.
    """

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
        self.work = work
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
        """Withdraw if there is anything to withdraw, and end. Fires within WITHDRAW_SECONDS."""
        if self.phase is Phase.STOPPED:
            return succeed(None)
        if self.phase is not Phase.WORKING:
            # One that is only being opened can do nothing.
            self._let_go()
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
        client = self._client = self._next_client()
        self._follow(client.open(), Event.OPENED)

    def _next_client(self) -> EtcdClient:
        host = self._hosts[self._attempts % len(self._hosts)]
        self._attempts += 1
        return self._clients.client(host)

    def _run_work(self) -> None:
        assert self._client is not None
        self._follow(self.work.run(self._client, self._settled), Event.FAILED)

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
        self._outage.settled(self.work.description)

    def _failed(self, failure: Failure) -> None:
        if not isinstance(failure.value, EtcdError):
            self._unexpected(failure)
        settled_at, self._settled_at = self._settled_at, None
        if settled_at is not None and self._clock.seconds() - settled_at >= STABLE_SECONDS:
            self._back_off.reset()
        if settled_at is None or not failure.check(LoginNeeded):
            # A token that has expired since is no outage: the next client gets another.
            self._outage.failed(self.work.description, failure.getErrorMessage())
        self._advance(Event.FAILED)

    def _unexpected(self, failure: Failure) -> None:
        self._log.failure("etcd: {work} failed", failure, work=self.work.description)

    def _wait(self) -> None:
        self._let_go()
        whole_round = self._attempts % len(self._hosts) == 0
        delay = self._back_off.next_delay() if whole_round else 0.0
        self._timer = self._clock.callLater(delay, self._advance, Event.RETRY)

    def _withdraw(self) -> None:
        client, self._client = self._client, None  # the work's own end means nothing from here on
        self._stop_timer()
        self._pending.cancel()
        withdrawn = Deferred.fromCoroutine(self._withdraw_by_any(client))
        withdrawn.addTimeout(WITHDRAW_SECONDS, self._clock)

        def failed(failure: Failure) -> None:
            self._log.warn(
                "etcd: {work} was not withdrawn: {error}",
                work=self.work.description,
                error=failure.getErrorMessage(),
            )

        withdrawn.addErrback(failed)
        withdrawn.addCallback(lambda _: self._advance(Event.WITHDRAWN))

    async def _withdraw_by_any(self, working: EtcdClient | None) -> None:
        """Withdraw by the open client that the work had, or else by a new one of any host."""
        if not self.work.to_withdraw:
            if working is not None:
                working.close()
            return
        at_hand = [] if working is None else [working]
        failure: EtcdError | None = None
        for client in chain(at_hand, (self._next_client() for _ in self._hosts)):
            try:
                if client is not working:
                    await client.open()
                await self.work.withdraw(client)
            except EtcdError as error:
                failure = error
            else:
                return
            finally:
                client.close()
        assert failure is not None, "there is at least one host"
        raise failure

    def _stopped(self) -> None:
        self._outage.ended(self.work.description)
        waiters, self._stop_waiters = self._stop_waiters, []
        for waiter in waiters:
            waiter.callback(None)

    def _stop_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def _let_go(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            self._pending.cancel()
            client.close()
