"""Key exchanges begun over HTTP, where the end of a connection ends none of them.

On other carriers a client that begins many must keep connections open. Here nothing holds it, so
their number is bounded, and whoever has begun the most loses the oldest.
"""

from collections import Counter
from collections.abc import Callable
from ipaddress import IPv6Address

from gnetway.handshake.exchange import KeyExchange
from gnetway.handshake.pending import PendingExchanges


class HttpExchanges:
    """At most ``max_exchanges`` of those in ``pending``, fairly shared among addresses.

    It also holds repeats of a query whose answer is still in the making: a client that has lost
    a connection asks again on another one, and is answered when the step has ended.
    """

    def __init__(self, pending: PendingExchanges, max_exchanges: int) -> None:
        self._pending = pending
        self._max_exchanges = max_exchanges
        #: Whose they are; the oldest is first.
        self._addresses: dict[KeyExchange, str] = {}
        self._counts: Counter[str] = Counter()
        self._waiting: dict[KeyExchange, list[Callable[[], None]]] = {}

    def __len__(self) -> int:
        return len(self._addresses)

    @property
    def waiting(self) -> int:
        """How many repeats wait."""
        return sum(map(len, self._waiting.values()))

    def keep(self, exchange: KeyExchange, client_ip: str) -> None:
        """Note a key exchange, new or not."""
        if exchange in self._addresses:
            return
        address = _network(client_ip)
        self._addresses[exchange] = address
        self._counts[address] += 1
        if len(self._addresses) > self._max_exchanges:
            self._drop_one()

    def wait(self, exchange: KeyExchange, again: Callable[[], None]) -> None:
        """Call ``again`` once the step that is under way has ended."""
        self._waiting.setdefault(exchange, []).append(again)

    def step_ended(self, exchange: KeyExchange) -> None:
        """Let all ask again that wait for this exchange."""
        for again in self._waiting.pop(exchange, ()):
            again()

    def _drop_one(self) -> None:
        ((most, _),) = self._counts.most_common(1)
        oldest = next(one for one, address in self._addresses.items() if address == most)
        del self._addresses[oldest]
        self._counts[most] -= 1
        if not self._counts[most]:
            del self._counts[most]
        self._pending.drop(oldest)


def _network(client_ip: str) -> str:
    """Return what stands for one client: an IPv6 client has a whole /64 to itself."""
    if ":" not in client_ip:
        return client_ip
    return IPv6Address(client_ip).packed[:8].hex()
