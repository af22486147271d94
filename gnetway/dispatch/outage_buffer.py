"""What waits while no session node takes it, in fair shares of messages, bytes and seconds.

An outage of the session service is not a lost key and not a lost message. Queues that can go no
further wait here, with the reading of their clients paused; when a node is back they all go on,
each in its own order. What there is no time for ends the client's connections, so that the client
sends it again on the next one. Where there is no room, the one gives way that holds most: of the
address that holds most, the queue that does, where "most" is more than half of any other's. So
nobody is pushed out by a stranger who takes twice as much.
"""

from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from gnetway.dispatch.request import Owner

_Item = TypeVar("_Item")

#: Whoever shares no address with others: queries for keys, say, of which nobody knows who asks.
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
    weight: no cost grows with the number of items.
    """

    __slots__ = ("_classes", "_weights")

    def __init__(self) -> None:
        self._weights: dict[_Item, int] = {}
        self._classes: dict[int, dict[_Item, None]] = {}

    def __bool__(self) -> bool:
        return bool(self._weights)

    def change(self, item: _Item, weight: int) -> None:
        """Add to the weight of an item; one that weighs nothing is forgotten."""
        before = self._weights.get(item, 0)
        after = before + weight
        if before.bit_length() != after.bit_length():
            if before:
                self._leave_class(item, before.bit_length())
            if after:
                self._classes.setdefault(after.bit_length(), {})[item] = None
        if after:
            self._weights[item] = after
        else:
            self._weights.pop(item, None)

    def heaviest(self) -> _Item:
        """Return an item that weighs more than half of any other: of several the newest there."""
        return next(reversed(self._classes[max(self._classes)]))

    def _leave_class(self, item: _Item, number: int) -> None:
        there = self._classes[number]
        del there[item]
        if not there:
            del self._classes[number]


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
        self._limits = limits
        #: What a message weighs beside its bytes, so that many small ones count as well.
        self._message_weight = max(1, limits.max_bytes // limits.max_messages)
        self._stays: dict[Owner, _Stay] = {}
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
        while self.messages > self._limits.max_messages or self.size > self._limits.max_bytes:
            heaviest = self._owners[self._networks.heaviest()].heaviest()
            giving_way.append(heaviest)
            self.leave(heaviest)
        return giving_way

    def remove(self, owner: Owner, size: int) -> None:
        """Note that a message of a queue that is here waits no longer."""
        self._change(owner, self._stays[owner], -1, -size)

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
        before = now - self._limits.max_seconds
        return [owner for owner, stay in self._stays.items() if stay.since <= before]

    def _change(self, owner: Owner, stay: _Stay, messages: int, size: int) -> None:
        stay.messages += messages
        stay.size += size
        self.messages += messages
        self.size += size
        weight = messages * self._message_weight + size
        if not weight:
            return
        self._networks.change(stay.network, weight)
        owners = self._owners.get(stay.network)
        if owners is None:
            owners = self._owners[stay.network] = Weights()
        owners.change(owner, weight)
        if not owners:
            del self._owners[stay.network]
