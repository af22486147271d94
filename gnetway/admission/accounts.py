"""The accounts of client networks: an IPv4 address, the /64 of an IPv6 one."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from gnetway.admission.client_network import client_network
from gnetway.admission.token_bucket import TokenBucket

if TYPE_CHECKING:
    from gnetway.admission.admission import Place

#: So many accounts are kept, about 1 KiB each, unless more than so many have something now: what
#: an account remembers of one that is quiet is only how much of its rates is used.
MAX_ACCOUNTS: Final = 16_384

#: How many accounts are looked at for a quiet one when there is one too many.
_LOOKED_AT: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountLimits:
    """What one network may take; 0 stands for no limit.

    ``connections`` and ``half_open`` at a time: half open is one without a key, or still at TLS,
    PROXY or WebSocket. New connections, key exchanges and look-ups of keys that nobody knows have
    a rate a second and a burst. A network that is ``denied`` may have nothing; the connections of
    one that is ``exempt`` never give way to those of others.
    """

    connections: int = 0
    half_open: int = 0
    connect_rate: float = 0
    connect_burst: float = 0
    exchange_rate: float = 0
    exchange_burst: float = 0
    unknown_key_rate: float = 0
    unknown_key_burst: float = 0
    denied: bool = False
    exempt: bool = False


class Account:
    """What one network has now, and how fast it may take more.

    ``connections`` are all that were let in, ``half_open`` those of them without a key; ``held``
    is how many wait to be let in, or to be closed. ``held_bytes`` is what byte budgets count for
    it, all of them together.
    """

    __slots__ = (
        "connecting",
        "connections",
        "exchanges",
        "half_open",
        "half_open_places",
        "held",
        "held_bytes",
        "limits",
        "network",
        "open_places",
        "unknown_keys",
    )

    def __init__(self, network: str, limits: AccountLimits, now: float) -> None:
        self.network = network
        self.limits = limits
        self.connections = 0
        self.half_open = 0
        self.held = 0
        self.held_bytes = 0
        #: The oldest first.
        self.half_open_places: dict[Place, None] = {}
        self.open_places: dict[Place, None] = {}
        self.connecting = TokenBucket(limits.connect_rate, limits.connect_burst, now)
        self.exchanges = TokenBucket(limits.exchange_rate, limits.exchange_burst, now)
        self.unknown_keys = TokenBucket(limits.unknown_key_rate, limits.unknown_key_burst, now)

    @property
    def is_in_use(self) -> bool:
        """Whether the network has something now."""
        return bool(self.connections or self.held or self.held_bytes)

    def is_quiet(self, now: float) -> bool:
        """Return whether nothing would be lost with it."""
        return (
            not self.is_in_use
            and self.connecting.is_full(now)
            and self.exchanges.is_full(now)
            and self.unknown_keys.is_full(now)
        )


class Accounts:
    """The accounts by network; ``limits_of`` tells what a network may take.

    At most ``max_accounts`` are kept beside those that have something now: the ones looked up
    longest ago go first, the quiet ones before the others.
    """

    __slots__ = ("_accounts", "_limits_of", "_max_accounts")

    def __init__(
        self,
        limits_of: Callable[[str], AccountLimits],
        max_accounts: int = MAX_ACCOUNTS,
    ) -> None:
        self._limits_of = limits_of
        self._max_accounts = max_accounts
        #: The one looked up longest ago first.
        self._accounts: dict[str, Account] = {}

    def __len__(self) -> int:
        return len(self._accounts)

    def of(self, client_ip: str, now: float) -> Account:
        """Return the account of a client's network."""
        network = client_network(client_ip)
        account = self._accounts.pop(network, None)
        if account is None:
            if len(self._accounts) >= self._max_accounts:
                self._make_room(now)
            account = Account(network, self._limits_of(network), now)
        self._accounts[network] = account
        return account

    def _make_room(self, now: float) -> None:
        oldest = list(islice(self._accounts.values(), _LOOKED_AT))
        idle: Account | None = None
        for account in oldest:
            if account.is_in_use:
                # It is in use; looked at again when all others were.
                del self._accounts[account.network]
                self._accounts[account.network] = account
            elif account.is_quiet(now):
                idle = account
                break
            elif idle is None:
                idle = account
        if idle is not None:
            del self._accounts[idle.network]
