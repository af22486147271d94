"""What waits while no session node takes it, in fair shares of messages, bytes and seconds.

    (no node, or no room at it) → here → a node is back: all go on, the longest here first
                                   ├→ too long: given up, and the client's connections end
                                   └→ no room here: whoever holds most gives way, the same way

An outage of the session service is not a lost key and not a lost message: a client that is cut off
sends again what was given up. Queues wait here with the reading of their clients paused. Of the
network that holds most (an IPv4 address, a /64 of IPv6) the queue that does gives way, where "most"
is more than half of any other's. So nobody is pushed out by a stranger who takes twice as much.

The requests themselves stay with their owners. This only counts them.
"""

from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from gnetway.dispatch.request import Owner

_Item = TypeVar("_Item")

#: That of requests of which nobody knows who asks, as queries for keys: they share one share.
NO_NETWORK: Final = ""


@dataclass(frozen=True, slots=True)
class OutageLimits:
    """How much may wait in all, and for how many seconds."""

    max_messages: int = 100_000
    max_bytes: int = 64 * 1024 * 1024
    max_seconds: float = 30.0


class Weights(Generic[_Item]):
    """Items with weights; which of them is among the heaviest is known at once.

    They are kept by powers of two, so ``heaviest`` may name one that has half of the largest
    weight. In return no cost grows with the number of items: a heap would pay with each message
    for an order that only matters once the buffer is full.
    """

    __slots__ = ("_classes", "_weights")

    def __init__(self) -> None:
        self._weights: dict[_Item, int] = {}
        #: By the number of bits of their weights. Dicts, as they keep the order of coming.
        self._classes: dict[int, dict[_Item, None]] = {}

    def __bool__(self) -> bool:
        return bool(self._weights)

    def change(self, item: _Item, weight: int) -> None:
        """Add to the weight of an item; one that weighs nothing is forgotten."""
        before = self._weights.get(item, 0)
        after = before + weight
        if before.bit_length() != after.bit_length():
            if before:
                there = self._classes[before.bit_length()]
                del there[item]
                if not there:
                    # Or ``heaviest`` would look into an empty one.
                    del self._classes[before.bit_length()]
            if after:
                self._classes.setdefault(after.bit_length(), {})[item] = None
        if after:
            self._weights[item] = after
        else:
            self._weights.pop(item, None)

    def heaviest(self) -> _Item:
        """Return an item that weighs more than half of any other: of several the newest there."""
        return next(reversed(self._classes[max(self._classes)]))


class _Stay:
    """What one queue holds, since when, and for whom."""

    __slots__ = ("messages", "network", "since", "size")

    def __init__(self, since: float, network: str) -> None:
        self.since = since
        self.network = network
        self.messages = 0
        self.size = 0


class OutageBuffer:
    """All queues that wait for a node; ``messages`` and ``size`` (bytes) are what they hold."""

    def __init__(self, limits: OutageLimits) -> None:
        self.limits = limits
        #: What a message weighs beside its bytes, so that the two bounds are one: as many messages
        #: as may be here weigh as much as all bytes that may.
        self._message_weight = max(1, limits.max_bytes // limits.max_messages)
        #: In the order of coming, which is the order of going on.
        self._stays: dict[Owner, _Stay] = {}
        #: Which network holds most, and which owner of each.
        self._networks: Weights[str] = Weights()
        self._owners: dict[str, Weights[Owner]] = {}
        self.messages = 0
        self.size = 0

    def __len__(self) -> int:
        return len(self._stays)

    def __contains__(self, owner: Owner) -> bool:
        return owner in self._stays

    def stop(self, owner: Owner, since: float, network: str) -> None:
        """Take in a queue whose first message waits ``since`` then, in the clock's seconds."""
        self._stays[owner] = _Stay(since, network)

    def add(self, owner: Owner, size: int) -> list[Owner]:
        """Let a message wait in a queue that is here; return those that have to give way.

        The newcomer itself may be among them.
        """
        self._change(owner, self._stays[owner], 1, size)
        giving_way: list[Owner] = []
        while self.messages > self.limits.max_messages or self.size > self.limits.max_bytes:
            # It leaves at once, so that the sums are true; its owner hears of it later, from the
            # caller, since that may bring about anything.
            heaviest = self._owners[self._networks.heaviest()].heaviest()
            giving_way.append(heaviest)
            self.leave(heaviest)
        return giving_way

    def leave(self, owner: Owner) -> None:
        """Let a queue go with all that it holds."""
        stay = self._stays.get(owner)
        if stay is not None:
            self._change(owner, stay, -stay.messages, -stay.size)
            del self._stays[owner]

    def waiting(self) -> list[Owner]:
        """Return all queues, the longest here first."""
        return list(self._stays)

    def expired(self, now: float) -> list[Owner]:
        """Return the queues whose first message has waited too long."""
        # Not only the first ones: whoever came back from a try waits since before that.
        before = now - self.limits.max_seconds
        return [owner for owner, stay in self._stays.items() if stay.since <= before]

    def _change(self, owner: Owner, stay: _Stay, messages: int, size: int) -> None:
        stay.messages += messages
        stay.size += size
        self.messages += messages
        self.size += size
        weight = messages * self._message_weight + size
        if not weight:
            return  # it has left without a message
        self._networks.change(stay.network, weight)
        owners = self._owners.get(stay.network)
        if owners is None:
            owners = self._owners[stay.network] = Weights()
        owners.change(owner, weight)
        if not owners:
            del self._owners[stay.network]
