"""What the connections share, built from the configuration."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network
from typing import Final

from twisted.internet.interfaces import IDelayedCall

from gnetway.admission.accounts import AccountLimits, Accounts, ByteBudget
from gnetway.admission.admission import Admission, Bounds
from gnetway.admission.shares import NetworkTable
from gnetway.config.limits import AdmissionConfig, LimitsConfig, NetworkConfig
from gnetway.config.model import GatewayConfig
from gnetway.connection.events import ConnectionSetup, Traffic
from gnetway.crypto.auth_key import AuthKey
from gnetway.crypto.message_key import RandomPool
from gnetway.events import ClientInited, Events
from gnetway.handshake.exchange import ExchangeSetup, KeyExchange
from gnetway.handshake.pending import PendingExchanges
from gnetway.interfaces import IGatewayReactor, ISessionBackend
from gnetway.keys.cache import KeyCache
from gnetway.keys.lookup import ASSUMED_LIFE_SECONDS, KeyLookup
from gnetway.metrics import Causes
from gnetway.net.exchange_driver import ExchangeDriver, KeyMaker, RunInThread, SpareSecrets
from gnetway.net.link_services import IdleWheel, LaterTurns, LinkLimits, LinkServices
from gnetway.net.open_links import OpenLinks
from gnetway.net.peer import UNIX_CLIENT
from gnetway.net.records import ConnectionRecords
from gnetway.net.registry import SessionRegistry
from gnetway.runtime.clocks import TurnEnd, WallClock
from gnetway.runtime.machine import for_clients
from gnetway.tl.key_exchange import ReqPq
from gnetway.tl.unwrap import UnwrapLimits

# What clients' networks may have, from the configuration and the limit of open files.

#: Half-open connections of one address, where there are descriptors for more.
_MAX_HALF_OPEN = 4096

#: Of all connections so many may wait for their turn, or to be closed: one of eight.
_HELD_SHARE = 8


def connection_bounds(config: AdmissionConfig, descriptors: int) -> Bounds:
    """Return how many connections there may be where there are so many descriptors for them."""
    connections = min(config.connections or descriptors, descriptors)
    return Bounds(
        connections=connections,
        half_open=config.half_open or max(1, connections // 2),
        held=max(4, connections // _HELD_SHARE),
        patience=config.wait_seconds,
    )


def limits_by_network(config: AdmissionConfig, connections: int) -> Callable[[str], AccountLimits]:
    """Return what tells how much a network may have; ``connections`` is the bound in all."""
    usual = AccountLimits(
        connections=config.connections_per_address or max(1, connections * 3 // 4),
        half_open=config.half_open_per_address or max(1, min(_MAX_HALF_OPEN, connections // 4)),
        connect_rate=config.new_connections_per_second,
        connect_burst=config.new_connections_burst,
        exchange_rate=config.exchanges_per_second,
        exchange_burst=config.exchange_burst,
        unknown_key_rate=config.unknown_keys_per_second,
        unknown_key_burst=config.unknown_key_burst,
    )
    own = NetworkTable(
        (network, _own_limits(usual, item))
        for item in config.networks or ()
        for network in item.networks
    )
    may_connect = _may_connect(config)

    def limits_of(network: str) -> AccountLimits:
        if network == UNIX_CLIENT:
            # Its file says who may open it; all its clients share this name.
            return AccountLimits(exempt=True)
        limits = own.of(network, usual)
        return limits if may_connect(network) else replace(limits, denied=True)

    return limits_of


def _own_limits(usual: AccountLimits, config: NetworkConfig) -> AccountLimits:
    if config.exempt:
        return AccountLimits(exempt=True)

    def own(value: int | None, other: float) -> float:
        return other if value is None else value

    return replace(
        usual,
        connections=int(own(config.connections_per_address, usual.connections)),
        half_open=int(own(config.half_open_per_address, usual.half_open)),
        connect_rate=own(config.new_connections_per_second, usual.connect_rate),
        connect_burst=own(config.new_connections_burst, usual.connect_burst),
    )


def _may_connect(config: AdmissionConfig) -> Callable[[str], bool]:
    allow, deny = config.allow, config.deny
    entries: list[tuple[IPv4Network | IPv6Network, bool]] = []
    entries += [(network, True) for network in allow or ()]
    # Later: what stands in both is denied.
    entries += [(network, False) for network in deny or ()]
    table = NetworkTable(entries)
    return lambda network: table.of(network, allow is None)


def shown_keys(config: GatewayConfig) -> str:
    """Return the fingerprints of our RSA keys, as hints have them."""
    return ", ".join(
        f"{loaded.key.fingerprint % (1 << 64)} ({loaded.key.fingerprint_hex})"
        for loaded in config.rsa_keys
    )


#: What a step of a walk over all accounts may take of a turn of the reactor, in seconds: beside it
#: clients are served.
STEP_SECONDS: Final = 0.002


class ConfiguredLinks:
    """The ``services`` of all connections, and how they take another configuration.

    The memory in a configuration is shared out.
    """

    def __init__(
        self,
        config: GatewayConfig,
        reactor: IGatewayReactor,
        wall: WallClock,
        backend: ISessionBackend,
        run_in_thread: RunInThread,
        causes: Causes,
        random_bytes: Callable[[int], bytes],
        turn_end: TurnEnd,
        events: Events | None = None,
    ) -> None:
        events = events or Events()
        limits = config.gnetway.limits
        self._reactor = reactor
        self._random_bytes = random_bytes
        #: It outlives every setup.
        self._traffic = Traffic()
        self._pool = RandomPool(random_bytes)
        self._takes_unbound = backend.takes_unbound
        self._events = events
        #: The embedded backend takes calls apart, and tells of each initConnection by itself.
        self._tells_clients = config.session.is_remote
        self._walk: Iterator[None] = iter(())
        self._walking: IDelayedCall | None = None
        bounds = connection_bounds(config.gnetway.admission, for_clients())
        accounts = Accounts(limits_by_network(config.gnetway.admission, bounds.connections))
        self._secrets = SpareSecrets(random_bytes, limits.prepared_exchanges)
        self._keys = KeyLookup(
            reactor,
            wall,
            backend,
            KeyCache(config.gnetway.key_cache_bytes),
            limits.key_lookup_seconds,
            _assumed_life(limits),
            accounts,
        )
        self._exchanges = PendingExchanges(
            limits.max_exchanges, limits.exchange_seconds, self._begin(config), accounts
        )
        admission = Admission(bounds, causes.count)
        records = ConnectionRecords(reactor, wall, causes, accounts, shown_keys(config), events)
        admission.gone = records.gone
        key_maker = KeyMaker(
            reactor, run_in_thread, self._exchanges, self._secrets, backend, self._keys, events
        )
        self.services = LinkServices(
            clock=reactor,
            wall=wall,
            setup=self._setup(limits),
            backend=backend,
            keys=self._keys,
            registry=SessionRegistry(backend, self._keys, events),
            key_maker=key_maker,
            exchange_driver=ExchangeDriver(reactor, key_maker, self._exchanges),
            wheel=IdleWheel(reactor),
            open_links=OpenLinks(),
            causes=causes,
            records=records,
            random_bytes=random_bytes,
            limits=_link_limits(limits),
            turn_end=turn_end,
            accounts=accounts,
            admission=admission,
            later_turns=LaterTurns(reactor, turn_end),
            unsent=ByteBudget(*_unsent(limits)),
            unfinished=ByteBudget(*_unfinished(limits)),
            events=events,
        )

    def take(self, config: GatewayConfig) -> None:
        """Go on with another configuration.

        New connections and key exchanges have its bounds and its RSA keys. Open ones go on: what
        they read anew each time they see as well, what they have chosen they keep. Those of
        networks that may not connect any more are ended, in the turns to come.
        """
        limits, links = config.gnetway.limits, self.services
        links.records.keys = shown_keys(config)
        links.setup = self._setup(limits)
        links.limits = _link_limits(limits)
        links.unsent.max_bytes, links.unsent.max_each = _unsent(limits)
        links.unfinished.max_bytes, links.unfinished.max_each = _unfinished(limits)
        self._secrets.count = limits.prepared_exchanges
        self._keys.change(limits.key_lookup_seconds, _assumed_life(limits))
        self._exchanges.change(limits.max_exchanges, limits.exchange_seconds, self._begin(config))
        bounds = connection_bounds(config.gnetway.admission, for_clients())
        links.admission.bounds = bounds
        links.accounts.limits_of = limits_by_network(config.gnetway.admission, bounds.connections)
        self._walk = self._change_accounts()
        if self._walking is None:
            self._go_on()

    def stop(self) -> None:
        """Change no more accounts."""
        self._walk = iter(())
        if self._walking is not None:
            self._walking.cancel()
            self._walking = None

    def _change_accounts(self) -> Iterator[None]:
        """Change the accounts that there are, one at a step: there may be tens of thousands."""
        accounts, admission = self.services.accounts, self.services.admission
        for account in accounts:
            limits = accounts.limits_of(account.network)
            for place in admission.change(account, limits, self._reactor.seconds()):
                admission.expel(place)
                yield
            yield

    def _go_on(self) -> None:
        self._walking = None
        end = self._reactor.seconds() + STEP_SECONDS
        for _ in self._walk:
            if self._reactor.seconds() >= end:
                self._walking = self._reactor.callLater(0, self._go_on)
                return

    def _setup(self, limits: LimitsConfig) -> ConnectionSetup:
        return ConnectionSetup(
            exchanges=self._exchanges,
            random_bytes=self._pool.take,
            max_packet_bytes=limits.max_packet_bytes,
            first_packet_bytes=limits.first_packet_bytes,
            max_keys=limits.max_keys_per_connection,
            backend_takes_unbound=self._takes_unbound,
            unwrap_limits=UnwrapLimits(max_unpacked_bytes=limits.max_unpacked_bytes),
            traffic=self._traffic,
            client_told=self._client_told if self._tells_clients else None,
        )

    def _client_told(self, key: AuthKey, session_id: int) -> None:
        if self._events.heard and key.client is not None:
            self._events.tell(
                ClientInited(key.auth_key_id, key.perm_auth_key_id, session_id, key.client)
            )

    def _begin(self, config: GatewayConfig) -> Callable[[ReqPq], KeyExchange]:
        """Return what begins a key exchange; those that it has begun keep the keys of then."""
        setup = ExchangeSetup(
            rsa_keys={loaded.key.fingerprint: loaded.key for loaded in config.rsa_keys},
            strict_dc=config.gnetway.strict_dc or None,
            max_temp_seconds=config.gnetway.limits.max_temp_key_seconds,
        )
        secrets, random_bytes = self._secrets, self._random_bytes
        return lambda query: KeyExchange(setup, secrets.take_pq(), secrets.take, random_bytes)


def _link_limits(limits: LimitsConfig) -> LinkLimits:
    return LinkLimits(
        handshake_seconds=limits.handshake_seconds,
        idle_seconds=limits.idle_seconds,
        bind_seconds=limits.key_lookup_seconds,
        max_unsent_bytes=limits.max_send_buffer_bytes,
        packet_seconds=limits.packet_seconds,
        packet_bytes_per_second=limits.packet_bytes_per_second,
        tell_too_many=limits.tell_too_many,
    )


def _assumed_life(limits: LimitsConfig) -> int:
    return min(ASSUMED_LIFE_SECONDS, limits.max_temp_key_seconds)


def _unsent(limits: LimitsConfig) -> tuple[int, int]:
    return _of_all_and_each(limits.max_unsent_bytes, limits.max_send_buffer_bytes)


def _unfinished(limits: LimitsConfig) -> tuple[int, int]:
    return _of_all_and_each(limits.max_unfinished_bytes, 2 * limits.max_packet_bytes)


def _of_all_and_each(max_bytes: int, least: int) -> tuple[int, int]:
    """Return a bound of which one network may hold half, and ``least`` bytes in any case."""
    return max_bytes, max(max_bytes // 2, least)
