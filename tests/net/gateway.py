"""A gateway's shell in memory: real lookup, registry and wheel over a fake backend and a Clock."""

from collections.abc import Callable
from typing import TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock

from gnetway.admission.accounts import AccountLimits, Accounts, ByteBudget
from gnetway.connection.events import ConnectionSetup
from gnetway.crypto.auth_key import AuthKey
from gnetway.events import Events
from gnetway.handshake.exchange import ExchangeSetup
from gnetway.keys.cache import KeyCache
from gnetway.keys.lookup import KeyLookup
from gnetway.metrics import Causes
from gnetway.net.exchange_driver import ExchangeDriver, KeyMaker, SpareSecrets
from gnetway.net.link_services import (
    DEFAULT_MAX_UNSENT_BYTES,
    IdleWheel,
    LaterTurns,
    LinkLimits,
    LinkServices,
)
from gnetway.net.open_links import OpenLinks
from gnetway.net.records import ConnectionRecords
from gnetway.net.registry import SessionRegistry
from gnetway.net.tcp import GatewayFactory
from gnetway.runtime.clocks import TurnEnd
from gnetway.runtime.threads import TooMuchWork
from gnetway.testing import ClientSession, Style
from gnetway.tl.service_messages import Ping
from tests.clocks import FakeWall
from tests.connection.link import MONOTONIC, Secrets, make_pending
from tests.connection.styles import ABRIDGED
from tests.connection.talk import Talk
from tests.fakes import FakeBackend, some_key
from tests.handshake.server import NOW
from tests.net.transport import MemoryTransport
from tests.strategies import SeededBytes

T = TypeVar("T")

LOOKUP_SECONDS = 5.0


class Threads:
    """A run_in_thread whose work is done at once, or, while ``held``, when the test says so.

    ``networks`` are whose work it was.
    """

    def __init__(self, max_waiting: int = 256) -> None:
        self.held = False
        self.max_waiting = max_waiting
        self.networks: list[str] = []
        self.waiting: list[Callable[[], None]] = []

    def __call__(self, work: Callable[[], T], network: str = "") -> Deferred[T]:
        self.networks.append(network)
        if len(self.waiting) >= self.max_waiting:
            return fail(TooMuchWork())
        done: Deferred[T] = Deferred()

        def run() -> None:
            try:
                result = work()
            except Exception:  # noqa: BLE001 - what a thread pool does
                done.errback()
            else:
                done.callback(result)

        if self.held:
            self.waiting.append(run)
        else:
            run()
        return done

    def work(self) -> None:
        """Do all that waits."""
        waiting, self.waiting = self.waiting, []
        for run in waiting:
            run()


class Gateway:
    """Everything that the links of a gateway share."""

    def __init__(
        self,
        limits: LinkLimits | None = None,
        max_waiting: int = 256,
        max_keys: int = 8,
        exchange_setup: ExchangeSetup | None = None,
        unsent: ByteBudget | None = None,
        max_exchanges: int = 100,
        account_limits: AccountLimits | None = None,
    ) -> None:
        self.chance = SeededBytes(1000)
        self.clock = Clock()
        self.clock.advance(MONOTONIC)
        self.wall = FakeWall(self.clock, NOW)
        self.backend = FakeBackend()
        self.accounts = Accounts(lambda network: account_limits or AccountLimits())
        self.threads = Threads(max_waiting)
        self.secrets = Secrets(self.chance)
        self.key_cache = KeyCache(1 << 20)
        self.keys = KeyLookup(
            self.clock,
            self.wall,
            self.backend,
            self.key_cache,
            LOOKUP_SECONDS,
            accounts=self.accounts,
        )
        self.turn_end = TurnEnd(self.clock)
        self.events = Events(self.turn_end.call)
        self.registry = SessionRegistry(self.backend, self.keys, self.events)
        self.causes = Causes()
        self.records = ConnectionRecords(
            self.clock, self.wall, self.causes, self.accounts, events=self.events
        )
        self.wheel = IdleWheel(self.clock)
        self.open_links = OpenLinks()
        self.exchanges = make_pending(
            self.secrets, self.chance, exchange_setup, max_exchanges, self.accounts
        )
        self.key_maker = KeyMaker(
            self.clock,
            self.threads,
            self.exchanges,
            SpareSecrets(self.chance, 0),
            self.backend,
            self.keys,
            self.events,
        )
        self.services = LinkServices(
            clock=self.clock,
            wall=self.wall,
            setup=ConnectionSetup(self.exchanges, self.chance, max_keys=max_keys),
            backend=self.backend,
            keys=self.keys,
            registry=self.registry,
            key_maker=self.key_maker,
            exchange_driver=ExchangeDriver(self.clock, self.key_maker, self.exchanges),
            wheel=self.wheel,
            open_links=self.open_links,
            causes=self.causes,
            records=self.records,
            random_bytes=self.chance,
            limits=limits or LinkLimits(),
            accounts=self.accounts,
            turn_end=self.turn_end,
            later_turns=LaterTurns(self.clock, self.turn_end),
            unsent=unsent or ByteBudget(DEFAULT_MAX_UNSENT_BYTES),
            events=self.events,
        )
        self.factory = GatewayFactory(self.services)
        self._links = 0

    def knows(self, *keys: AuthKey) -> None:
        """Let the backend know these keys."""
        for key in keys:
            self.backend.keys[key.auth_key_id] = key

    def connect(self, style: Style = ABRIDGED, client_ip: str = "192.0.2.1") -> "TcpLink":
        self._links += 1
        return TcpLink(self, style, client_ip, self._links)

    def talking(
        self, number: int, style: Style = ABRIDGED, client_ip: str = ""
    ) -> "tuple[TcpLink, ClientSession]":
        """Connect a client with a key of its own; its first ping is forgotten."""
        key = some_key(number)
        self.knows(key)
        link = self.connect(style, client_ip or f"192.0.2.{number}")
        session = link.session(key, number)
        link.say(session, Ping(1).pack())
        self.backend.sent.clear()
        return link, session

    def settle(self) -> None:
        """Let the reactor turn until nothing is due any more."""
        while any(call.getTime() <= self.clock.seconds() for call in self.clock.getDelayedCalls()):
            self.clock.advance(0)

    def wait(self, seconds: float) -> None:
        """Let time pass in turns of at most a second, as the wheel has it."""
        whole, rest = divmod(seconds, 1.0)
        for step in [1.0] * int(whole) + [rest]:
            self.clock.advance(step)
            self.settle()

    def ended(self) -> dict[str, int]:
        """Why connections have ended, and how often."""
        return self.causes.as_dict()


class TcpLink(Talk):
    """One client over TCP."""

    def __init__(self, gateway: Gateway, style: Style, client_ip: str, seed: int) -> None:
        super().__init__(style, SeededBytes(seed), gateway.wall())
        self.gateway = gateway
        self.protocol = gateway.factory.buildProtocol(None)
        self.transport = MemoryTransport(gateway.clock, self.protocol, client_ip)
        self.protocol.makeConnection(self.transport)
        link = self.protocol._link
        assert link is not None
        self.link = link

    def feed(self, data: bytes) -> None:
        self.transport.client_sends(data)
        self.read()

    def read(self) -> None:
        """Let the reactor turn and the client take what has come."""
        self.gateway.settle()
        self.got += self.client.receive(self.transport.client_takes())
        self.gateway.settle()

    def leave(self, clean: bool = True) -> None:
        self.transport.client_leaves(clean)
        self.gateway.settle()

    @property
    def open(self) -> bool:
        """Whether the gateway still listens to this link."""
        transport = self.transport
        return not (
            transport.lost or transport.closing or transport.aborted or transport.half_closed
        )
