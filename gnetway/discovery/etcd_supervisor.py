"""What discovery wants of an etcd client, and what keeps work going against whichever host answers.

The client is a seam between discovery's logic and what carries it. The supervisor's states are
those of :mod:`gnetway.runtime.life_cycle`: STARTING connects to the next host, RUNNING is the work
on an open client, whose only end is a failure, ENDING withdraws what there is.

It withdraws by the client that it works with, and where that fails, or there is none, by a new one
of each host: a token that has expired since, or a connection just lost, would leave behind what
others rely on.
"""

from collections.abc import Callable
from functools import partial
from itertools import chain
from typing import Final, NamedTuple, Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from gnetway.backoff import BackOff
from gnetway.errors import GatewayError
from gnetway.runtime.life_cycle import Event, LifeCycle, State


class EtcdError(GatewayError):
    """etcd could not be reached, or refused; the client it came from is of no more use."""


class LeaseLost(EtcdError):
    """The lease expired, or etcd came back without it."""


class LoginNeeded(EtcdError):
    """etcd takes no token, or not this one any more; a new client gets another."""


class NotAllowed(EtcdError):
    """The user may not do this with these keys."""


class Entry(NamedTuple):
    """One key; ``create_revision`` orders the entries by when they were made.

    ``lease_id`` is the lease that the key lives as long as, 0 for none.
    """

    key: str
    value: str
    create_revision: int
    lease_id: int = 0


class Snapshot(NamedTuple):
    """All entries under a prefix, as of ``revision``."""

    revision: int
    entries: list[Entry]


class Deleted(NamedTuple):
    """The key is gone."""

    key: str


class EtcdClient(Protocol):
    """A connection to one etcd host. Every Deferred fails with EtcdError alone.

    Any may fail with LoginNeeded: a token has its time, and a new password ends it.
    """

    def open(self) -> Deferred[None]:
        """Make ready and authenticate; comes first."""

    def read(self, prefix: str) -> Deferred[Snapshot]:
        """Fire with everything below ``prefix``, which ends with a slash."""

    def watch(
        self, key: str, revision: int, changed: Callable[[list[Entry | Deleted]], None]
    ) -> Deferred[None]:
        """Call ``changed`` with what happens to a key from ``revision`` on.

        Where ``key`` ends with a slash, to all keys below it. Never succeeds: fails when the watch
        is over, for whatever reason; with NotAllowed where the user may not read the key.
        """

    def grant(self, ttl_seconds: int) -> Deferred[int]:
        """Fire with the id of a new lease."""

    def put(self, key: str, value: str, lease_id: int) -> Deferred[int]:
        """Write a key that lives as long as the lease; fires with the revision that it has then.

        May fail with LeaseLost.
        """

    def keep_alive(self, lease_id: int) -> Deferred[None]:
        """Renew the lease once; may fail with LeaseLost."""

    def revoke(self, lease_id: int) -> Deferred[None]:
        """End the lease and delete its keys; may fail with LeaseLost."""

    def close(self) -> None:
        """End; everything under way fails soon."""


class EtcdClients(Protocol):
    """Makes clients, and owns what they run on."""

    def client(self, host: str) -> EtcdClient:
        """Return a new client, not yet opened, for one ``host:port``."""

    def stop(self) -> Deferred[None]:
        """Close all clients and fire when nothing runs any more."""


#: Seconds that work must have gone well for the next failure to count as the first.
STABLE_SECONDS: Final = 2.0

#: Seconds for withdrawing; the lease ends by itself soon after.
WITHDRAW_SECONDS: Final = 3.0


class EtcdWork(Protocol):
    """What is done with a client; ``in_place`` is whether it is done now."""

    description: str
    in_place: bool

    @property
    def to_withdraw(self) -> bool:
        """Whether ``withdraw`` has to be called before a stop."""

    def run(self, client: EtcdClient, settled: Callable[[], None]) -> Deferred[None]:
        """Work until it fails; call ``settled`` when it is in place."""

    def withdraw(self, client: EtcdClient) -> Deferred[None]:
        """Undo it."""


class EtcdSupervisor:
    """Keeps ``work`` going.

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
        outage: "EtcdOutage",
    ) -> None:
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
        self._life = LifeCycle(
            clock,
            {
                State.STARTING: self._open,
                State.RUNNING: self._run_work,
                State.WAITING: self._wait,
                State.ENDING: self._withdraw,
                State.STOPPED: partial(outage.ended, work.description),
            },
        )

    def start(self) -> None:
        """Begin; goes on until ``stop``."""
        self._life.advance(Event.START)

    def stop(self) -> Deferred[None]:
        """Withdraw if there is anything to withdraw, and end. Fires within WITHDRAW_SECONDS."""
        if self._life.state is State.STARTING:
            # A client that is only being opened can do nothing.
            self._let_go()
        return self._life.stop()

    def _open(self) -> None:
        client = self._client = self._next_client()
        self._go_on_after(client.open(), Event.READY)

    def _next_client(self) -> EtcdClient:
        host = self._hosts[self._attempts % len(self._hosts)]
        self._attempts += 1
        return self._clients.client(host)

    def _run_work(self) -> None:
        assert self._client is not None

        def settled() -> None:
            self._settled_at = self._clock.seconds()
            self._outage.settled(self.work.description)

        self._go_on_after(self.work.run(self._client, settled), Event.ENDED)

    def _go_on_after(self, pending: Deferred[None], success: Event) -> None:
        self._pending = pending
        followed = Deferred.fromCoroutine(self._follow(pending, success))
        followed.addErrback(
            lambda failure: self._log.failure(
                "etcd: {work} failed", failure, work=self.work.description
            )
        )

    async def _follow(self, pending: Deferred[None], success: Event) -> None:
        """Go on with ``success`` or ENDED, unless the client has been given up meanwhile."""
        client = self._client
        try:
            await pending
        except Exception as error:  # noqa: BLE001 (a fault of ours must not end the work for good)
            if client is self._client:
                self._failed(error)
        else:
            if client is self._client:
                self._life.advance(success)

    def _failed(self, error: Exception) -> None:
        if not isinstance(error, EtcdError):
            self._log.failure("etcd: {work} failed", work=self.work.description)
        settled_at, self._settled_at = self._settled_at, None
        if settled_at is not None and self._clock.seconds() - settled_at >= STABLE_SECONDS:
            self._back_off.reset()
        if settled_at is None or not isinstance(error, LoginNeeded):
            # A token that has expired since is no outage: the next client gets another.
            self._outage.failed(self.work.description, str(error))
        self._life.advance(Event.ENDED)

    def _wait(self) -> None:
        self._let_go()
        # Another host may be well, so only a round in which none was is worth a pause.
        whole_round = self._attempts % len(self._hosts) == 0
        delay = self._back_off.next_delay() if whole_round else 0.0
        self._life.set_timer(delay, partial(self._life.advance, Event.RETRY))

    def _let_go(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            self._pending.cancel()
            client.close()

    def _withdraw(self) -> None:
        # Without a client, the work's own end means nothing from here on.
        client, self._client = self._client, None
        self._pending.cancel()
        withdrawn = Deferred.fromCoroutine(self._withdraw_by_any(client))
        # A process that stops does not wait for a host that hangs.
        withdrawn.addTimeout(WITHDRAW_SECONDS, self._clock)

        def failed(failure: Failure) -> None:
            self._log.warn(
                "etcd: {work} was not withdrawn: {error}",
                work=self.work.description,
                error=failure.getErrorMessage(),
            )

        withdrawn.addErrback(failed)
        withdrawn.addCallback(lambda _: self._life.advance(Event.ENDED))

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


#: Seconds between two lines about the same outage.
REMINDER_SECONDS: Final = 60.0


class EtcdOutage:
    """Tells the operator about an etcd outage: once, then now and then, then that it is over.

    All that works with one etcd shares it, so that the loss of etcd is one line and not many.
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
        #: What the log's last word was good about.
        self._told: set[str] = set()
        self._since = 0.0
        self._next_line: float | None = None

    def failed(self, work: str, error: str) -> None:
        """``work`` does not work now; ``error`` says why."""
        now = self._clock.seconds()
        if not self._failing:
            self._since = now
        # Said in ``unready`` as well, so the newest error is the one to keep.
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
