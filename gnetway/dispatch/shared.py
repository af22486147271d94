"""What all queues share: nodes, the outage buffer, bounds, and the outputs for the shell.

The outage buffer has what waits while no session node takes it, in fair shares of messages, bytes
and seconds:

    (no node, or no room at it) → here → a node is back: all go on, the longest here first
                                   ├→ too long: given up, and the client's connections end
                                   └→ no room here: whoever holds most gives way, the same way

An outage of the session service is not a lost key and not a lost message: a client that is cut off
sends again what was given up. Queues wait here with the reading of their clients paused. Of the
network that holds most (an IPv4 address, a /64 of IPv6) the queue that does gives way, where "most"
is more than half of any other's. So nobody is pushed out by a stranger who takes twice as much.

The requests themselves stay with their owners. The buffer only counts them.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Generic, TypeVar

from gnetway.dispatch.node import Node
from gnetway.dispatch.nodes import SessionNodes
from gnetway.dispatch.request import Finished, Output, Owner, Request, Send
from gnetway.errors import BackendRefused, BackendUnavailable
from gnetway.metrics import Causes

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
        # A copy: who goes on leaves, and may come back behind all others.
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
            # Networks come without end, so none is remembered that holds nothing.
            del self._owners[stay.network]


#: What gRPC servers take by default, less what the request around a client's message needs.
MAX_MESSAGE_BYTES: Final = (4 << 20) - 1024


class Announce(Enum):
    """How a node hears of a new session.

    MESSAGE: inside its first message (Teamgram since March 2026). CALL: by a call before it, as
    older services need.
    """

    MESSAGE = "message"
    CALL = "call"


@dataclass(frozen=True, slots=True)
class DispatchSettings:
    """How requests go out.

    ``server_id`` is this gateway's own gRPC address, where answers come back to. ``window`` is
    how many requests of one session may be in flight at a time: one by calls, which may overtake
    each other; by stream any number, since a stream keeps their order. ``max_in_flight`` and
    ``max_in_flight_bytes`` bound what is with one node, unanswered; ``max_message_bytes`` one
    client message.
    """

    server_id: str
    announce: Announce = Announce.MESSAGE
    window: int = 1
    max_in_flight: int = 16_384
    max_in_flight_bytes: int = 16 << 20
    max_message_bytes: int = MAX_MESSAGE_BYTES
    outage: OutageLimits = field(default_factory=OutageLimits)


#: By stream: the bounds of the node are what counts.
STREAM_WINDOW: Final = 1 << 30


class Shared:
    """What all queues share; ``lost`` counts messages that no node has taken, by cause."""

    __slots__ = (
        "announce",
        "buffer",
        "lost",
        "max_in_flight",
        "max_in_flight_bytes",
        "max_message_bytes",
        "nodes",
        "outputs",
        "server_id",
        "sessions",
        "stopped",
        "window",
    )

    def __init__(self, settings: DispatchSettings, random_bytes: Callable[[int], bytes]) -> None:
        self.server_id = settings.server_id
        self.announce = settings.announce
        self.window = settings.window
        self.max_in_flight = settings.max_in_flight
        self.max_in_flight_bytes = settings.max_in_flight_bytes
        self.max_message_bytes = settings.max_message_bytes
        self.buffer = OutageBuffer(settings.outage)
        self.outputs: deque[Output] = deque()
        self.nodes = SessionNodes(random_bytes, self.outputs)
        #: By auth_key_id and session_id; those that are closed until every node knows of it.
        self.sessions: dict[tuple[int, int], Owner] = {}
        self.lost = Causes()
        self.stopped = False

    def has_room(self, node: Node, size: int) -> bool:
        """Return whether a node may be sent a request of ``size`` bytes now."""
        # One message that is larger than all that may be in flight goes alone.
        return node.in_flight < self.max_in_flight and (
            not node.in_flight or node.in_flight_bytes + size <= self.max_in_flight_bytes
        )

    def send(self, request: Request, node: Node, data: bytes) -> None:
        """Have a request sent, and count it with the node; there must be room."""
        request.node = node
        # Counted now, not when the shell has sent it: the requests of one turn would all find room.
        request.owner.in_flight += 1
        node.in_flight += 1
        node.in_flight_bytes += request.size
        node.sent += 1
        self.outputs.append(Send(request, data))

    def refuses(self, request: Request) -> bool:
        """Fail a message that is larger than nodes take; return whether it is.

        By stream it would end the stream, and cost all others on it their way there and back.
        """
        size, limit = request.size, self.max_message_bytes
        if size <= limit:
            return False
        error = BackendRefused(400, f"MESSAGE_TOO_LARGE: {size} bytes, allowed are {limit}")
        # An output as all else, since no input calls back: its owner may send more when it hears
        # it.
        self.outputs.append(Finished(request, b"", error))
        return True

    def give_up(self, request: Request, cause: str) -> None:
        """Count a request as lost, and fail it."""
        self.lost.count(cause)
        error = BackendUnavailable("the session service did not answer in time")
        self.outputs.append(Finished(request, b"", error))

    def hold(self, owner: Owner, requests: Sequence[Request], network: str, now: float) -> None:
        """Have the requests of an owner wait in the outage buffer, the oldest first.

        ``network`` is the client's, by which the shares are.
        """
        first = requests[0]
        if first.held_since is None:
            # From its first wait on: a try in between does not give it its seconds anew.
            first.held_since = now
        self.buffer.stop(owner, first.held_since, network)
        for request in requests:
            # It may have to give way itself, and then nothing of it is here any more.
            if owner in self.buffer:
                self.wait_in_buffer(owner, request, now)

    def wait_in_buffer(self, owner: Owner, request: Request, now: float) -> None:
        """Have one more request of an owner wait that is in the buffer; who has most gives way."""
        if request.held_since is None:
            request.held_since = now
        for heaviest in self.buffer.add(owner, request.size):
            heaviest.give_up("hold_full", now)
