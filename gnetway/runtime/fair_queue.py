"""A queue in which networks take turns, so that nobody waits behind all that another wants."""

from collections import OrderedDict, deque
from typing import Generic, TypeVar

from gnetway.admission.client_network import wider_network
from gnetway.admission.shares import Shares

T = TypeVar("T")


class FairQueue(Generic[T]):
    """At most ``max_each`` items of one network and ``max_all`` in all wait for their turn.

    Wider networks take turns, the networks inside of each do, and the items of one network come
    in the order in which they were put in. When it is full, the heaviest network's newest item
    gives way to one of a network that has less.
    """

    __slots__ = ("_max_all", "_max_each", "_shares", "_size", "_turns")

    def __init__(self, max_each: int, max_all: int) -> None:
        self._max_each = max_each
        self._max_all = max_all
        self._size = 0
        self._shares = Shares()
        #: By wider network and network, those whose turn is next first.
        self._turns: OrderedDict[str, OrderedDict[str, deque[T]]] = OrderedDict()

    def __len__(self) -> int:
        return self._size

    def put(self, network: str, item: T) -> T | None:
        """Add an item; returns the one that finds no place, maybe this one, None as a rule."""
        if self._shares.of(network) >= self._max_each:
            return item
        gives_way: T | None = None
        if self._size >= self._max_all:
            heavier = self._shares.heavier_than(network)
            if heavier is None:
                return item
            gives_way = self._take(heavier, newest=True)
        wide = wider_network(network)
        networks = self._turns.get(wide)
        if networks is None:
            networks = self._turns[wide] = OrderedDict()
        items = networks.get(network)
        if items is None:
            items = networks[network] = deque()
        items.append(item)
        self._shares.add(network)
        self._size += 1
        return gives_way

    def take(self) -> T | None:
        """Remove and return the item whose turn it is, None where none waits."""
        if not self._size:
            return None
        wide, networks = next(iter(self._turns.items()))
        network = next(iter(networks))
        # Before the item goes, and maybe its network with it.
        networks.move_to_end(network)
        self._turns.move_to_end(wide)
        return self._take(network)

    def _take(self, network: str, newest: bool = False) -> T:
        wide = wider_network(network)
        networks = self._turns[wide]
        items = networks[network]
        item = items.pop() if newest else items.popleft()
        if not items:
            del networks[network]
            if not networks:
                del self._turns[wide]
        self._shares.remove(network)
        self._size -= 1
        return item
