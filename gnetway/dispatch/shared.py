"""What all queues share: nodes, buffer, bounds, and the outputs for the shell."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from gnetway.dispatch.node import Node
from gnetway.dispatch.nodes import SessionNodes
from gnetway.dispatch.outage_buffer import OutageBuffer, OutageLimits
from gnetway.dispatch.outputs import Finished, Output, Send
from gnetway.dispatch.request import Owner, Request
from gnetway.errors import BackendRefused, BackendUnavailable
from gnetway.metrics import Causes

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
