"""What keeps the messages of one session in order on their way to the session nodes.

    waiting → in flight → answered
       ↑          │ not done: its node is down, or a redirect
       └─ failed ─┘   (in their old order, when nothing is in flight any more)

By unary calls one request is in flight at a time, since calls may overtake each other; by stream
any number, as a stream keeps order, but all with one node. Once something has failed nothing new
starts until all that was in flight is answered, so what failed goes again before what came after.

A node hears of the session before its first message there, and of its end when the session has
moved on or is closed and nothing is in flight. What a node was told before its connection was
lost it may have forgotten: there the session is announced anew, and its end is not told.
"""

from collections import deque
from ipaddress import IPv6Address
from operator import attrgetter
from typing import Final

from gnetway.dispatch.client import Client
from gnetway.dispatch.encoding import client_head, data_lead, data_request, event_request
from gnetway.dispatch.method import Method
from gnetway.dispatch.node import Node
from gnetway.dispatch.outputs import Reading, SessionLost
from gnetway.dispatch.request import DataRequest, Request
from gnetway.dispatch.session_end import EndListener, SessionEnd
from gnetway.dispatch.shared import Announce, Shared
from gnetway.errors import BackendRefused, BackendUnavailable

#: Above so many waiting requests, or bytes of them, the client is not read any further; it is
#: again below half of both.
MAX_WAITING: Final = 64
MAX_WAITING_BYTES: Final = 1024 * 1024

#: No node table's generation: the way of the next message is decided anew.
_UNDECIDED: Final = -1

_by_order = attrgetter("order")


class SessionQueue(EndListener):
    """The requests of one session, in order, and where the session is known."""

    __slots__ = (
        "_announced",
        "_client",
        "_closed",
        "_dc_id",
        "_ends",
        "_epoch",
        "_failed",
        "_generation",
        "_held",
        "_lead",
        "_lead_ip",
        "_lead_key",
        "_lead_salt",
        "_leaving",
        "_lost_before",
        "_may_know",
        "_next_order",
        "_node",
        "_perm_auth_key_id",
        "_shared",
        "_target",
        "_waiting",
        "_waiting_bytes",
        "announcing",
        "in_flight",
        "paused",
    )

    def __init__(self, shared: Shared, client: Client) -> None:
        self._shared = shared
        self._client = client
        #: Under which it was opened, and is to be closed: a bind that a service refuses takes it
        #: from the key.
        self._perm_auth_key_id = client.key.perm_auth_key_id
        self._waiting: deque[DataRequest] | None = None
        self._waiting_bytes = 0
        #: Not None from a failure until nothing is in flight; what is to go again.
        self._failed: list[DataRequest] | None = None
        self.in_flight = 0
        self._next_order = 0
        #: What was handed over before this one is lost, and does not go again.
        self._lost_before = 0
        self._held = False
        #: Whether the client is not read now.
        self.paused = False
        #: Where the session is: the node, its epoch then, whether it was announced there, by which
        #: request as long as that is not confirmed, and whether the node may know of it.
        self._node: Node | None = None
        self._epoch = 0
        self._announced = False
        self.announcing: Request | None = None
        self._may_know = False
        #: The data centre that its client named by then: streams to a node differ by it, and one
        #: session is on one of them at a time.
        self._dc_id = client.dc_id
        #: The node that a redirect named, empty where the ring decides.
        self._target = ""
        #: The node table's, if by then nothing was left to decide about the next message.
        self._generation = _UNDECIDED
        self._closed = False
        #: The nodes that are being told of the session's end.
        self._ends: set[str] | None = None
        #: Whether one of them is just about to be told: what leaves the node goes on by itself.
        self._leaving = False
        #: What all messages begin with that have this perm_auth_key_id, address and salt.
        self._lead = b""
        self._lead_key = 0
        self._lead_ip = ""
        self._lead_salt = 0

    @property
    def client(self) -> Client:
        """Whose session it is."""
        return self._client

    @property
    def name(self) -> tuple[int, int]:
        """auth_key_id and session_id."""
        return self._client.key.auth_key_id, self._client.session_id

    @property
    def stirs(self) -> bool:
        """Whether an answer may let the queue do something."""
        return (
            self._waiting is not None
            or self._failed is not None
            or self.paused
            or (self._closed and not self.in_flight)
        )

    def reopen(self, client: Client) -> None:
        """Go on for a client that has come back."""
        if self.paused and client is not self._client:
            self._shared.outputs.append(Reading(self._client, False))
            self._shared.outputs.append(Reading(client, True))
        self._client = client
        self._perm_auth_key_id = client.key.perm_auth_key_id
        self._closed = False

    # -- in ------------------------------------------------------------------------------------

    def straight(self, request: DataRequest) -> bytes:
        """Count a request as sent if it goes where the last one went; return its bytes.

        Empty where something has to be decided first: then ``submit`` is to be called. This is
        the way of nearly all messages, and is what they would be told by ``submit``.
        """
        node, shared, client = self._node, self._shared, self._client
        key = request.ring_key
        if (
            self._generation != shared.nodes.generation
            or node is None
            or self._waiting is not None
            or self._failed is not None
            or self.in_flight >= shared.window
            or key != self._lead_key
            or request.salt != self._lead_salt
            or client.client_ip != self._lead_ip
            or shared.outputs
            or request.size > shared.max_message_bytes
            # As Shared.has_room has it, whose call would cost a twentieth of all this.
            or node.in_flight >= shared.max_in_flight
            or (node.in_flight and node.in_flight_bytes + request.size > shared.max_in_flight_bytes)
        ):
            return b""
        request.order = self._next_order
        self._next_order += 1
        request.node = node
        if self._dc_id:
            request.dc_id = self._dc_id
        self.in_flight += 1
        node.in_flight += 1
        node.in_flight_bytes += request.size
        node.sent += 1
        return data_request(self._lead, False, request.quick_ack, request.payload)

    def submit(self, request: DataRequest, now: float) -> None:
        """Add a message behind all others, and send what can be sent."""
        request.order = self._next_order
        self._next_order += 1
        size, limit = request.size, self._shared.max_message_bytes
        if size > limit:
            text = f"MESSAGE_TOO_LARGE: {size} bytes, allowed are {limit}"
            self._shared.finish(request, b"", BackendRefused(400, text))
            if request.done is None:
                self.lose("message_too_big")
            self._go_on(now)
            return
        if self._waiting is None:
            self._waiting = deque()
        self._waiting.append(request)
        self._waiting_bytes += size
        if self._held:
            self._wait_in_buffer(request, now)
            self._mind_reading()
        else:
            self._go_on(now)

    def close(self, now: float) -> None:
        """Tell the node that knows the session of its end, after all that was said before."""
        self._closed = True
        if not self._held:
            self._go_on(now)

    # -- out -----------------------------------------------------------------------------------

    def go_on(self, now: float) -> None:
        """See Owner."""
        if self._held:
            self._leave_buffer()
        self._go_on(now)

    def _go_on(self, now: float) -> None:
        if self._failed is not None and not self.in_flight:
            self._put_back()
        while (
            self._waiting is not None
            and self._failed is None
            and not self._held
            and self._sent(self._waiting[0], now)
        ):
            pass
        self._mind_reading()
        if self._closed and not self.in_flight and self._waiting is None and self._failed is None:
            self._leave_node(now)
            if not self._ends:
                self._shared.forget_session(self.name, self)

    def _sent(self, request: DataRequest, now: float) -> bool:
        """Send the first waiting request, or take a step towards it; False where it has to wait."""
        if self.announcing is not None and self.announcing.method is Method.CREATE_SESSION:
            return False
        node = self._shared.find(request, self._target, now)
        if self.in_flight and (node is not self._node or self.in_flight >= self._shared.window):
            # Two nodes do not keep each other's order: the next one waits for the last answer.
            return False
        if node is None:
            self._forget_tries()
            self._hold(now)
            return False
        if not node.usable or (request.tried and node.address in request.tried):
            return self._not_usable(node, request, now)
        if not self._shared.has_room(node, request.size):
            node.room_waiters[self] = None
            self._hold(now)
            return False
        if node is self._node and self._epoch == node.epoch and self._announced:
            self._take_first()
            request.dc_id = self._dc_id
            self._shared.send(request, node, self._bytes_of(request, first=False))
            if self._lead_key == request.ring_key and self._is_choice(node, request):
                self._generation = self._shared.nodes.generation
            return True
        if self.in_flight:
            return False
        if self._ends and node.address in self._ends:
            # Its end there is not answered yet, and could overtake the new beginning: another
            # node may have it, or it waits until the end is told.
            request.passes_over(node.address)
            return True
        return self._announce(node, request, now)

    def _is_choice(self, node: Node, request: DataRequest) -> bool:
        """Return whether all messages go to a node until the generation changes."""
        if self._target:
            return self._target == node.address
        return not request.tried

    def _not_usable(self, node: Node, request: DataRequest, now: float) -> bool:
        """Wait for the connection that a redirect has asked for, or let the ring decide again."""
        if self.in_flight:
            return False
        if node.connecting and not (request.tried and node.address in request.tried):
            self._hold(now)
            return False
        request.passes_over(node.address)
        self._target = ""
        self._generation = _UNDECIDED
        return True

    def _announce(self, node: Node, request: DataRequest, now: float) -> bool:
        if node is not self._node:
            self._leave_node(now)
            self._node = node
        if self._epoch != node.epoch or not self._announced:
            self._may_know = self._may_know and self._epoch == node.epoch
        self._epoch = node.epoch
        self._generation = _UNDECIDED
        self._announced = True
        self._dc_id = self._client.dc_id
        if self._shared.announce is Announce.MESSAGE:
            self.announcing = request
            self._take_first()
            request.dc_id = self._dc_id
            self._shared.send(request, node, self._bytes_of(request, first=True))
            return True
        payload = self._event(Method.CREATE_SESSION)
        create = Request(self, Method.CREATE_SESSION, request.ring_key, payload)
        create.dc_id = self._dc_id
        self.announcing = create
        self._shared.send(create, node, payload)
        return False

    def _leave_node(self, now: float) -> None:
        """Tell the node where the session is that it is there no more, if it may know of it."""
        node, self._node = self._node, None
        may_know, self._may_know = self._may_know, False
        self._announced = False
        self._generation = _UNDECIDED
        if node is None or not may_know or node.epoch != self._epoch:
            return
        if self._ends is None:
            self._ends = set()
        self._ends.add(node.address)
        payload = self._event(Method.CLOSE_SESSION)
        ring_key, dc_id = self._perm_auth_key_id, self._dc_id
        end = SessionEnd(self._shared, node, payload, ring_key, self, dc_id)
        self._leaving = True
        end.go_on(now)
        self._leaving = False

    def end_told(self, address: str, now: float) -> None:
        """See EndListener."""
        if self._ends is not None:
            self._ends.discard(address)
        if not self._leaving:
            self.go_on(now)

    # -- waiting -------------------------------------------------------------------------------

    def _take_first(self) -> None:
        assert self._waiting is not None
        self._waiting_bytes -= self._waiting.popleft().size
        if not self._waiting:
            self._waiting = None

    def _put_back(self) -> None:
        """Let what failed wait again, before what came after it."""
        failed, self._failed = self._failed, None
        if not failed:
            return
        # Answers may come in any order, even where requests do not.
        failed.sort(key=_by_order)
        self._waiting_bytes += sum(request.size for request in failed)
        self._waiting = deque([*failed, *(self._waiting or ())])

    def _forget_tries(self) -> None:
        for request in self._waiting or ():
            request.tried = None
            request.redirected_to = ""

    def _hold(self, now: float) -> None:
        """Stop in the outage buffer; everything that waits needs room there."""
        assert self._waiting is not None
        first = self._waiting[0]
        if self._shared.stopped:
            self.give_up("stopped", now)
            return
        if first.held_since is None:
            first.held_since = now
        self._held = True
        self._shared.buffer.stop(self, first.held_since, share_of(self._client.client_ip))
        for request in list(self._waiting):
            if self._held:
                self._wait_in_buffer(request, now)

    def _wait_in_buffer(self, request: DataRequest, now: float) -> None:
        if request.held_since is None:
            request.held_since = now
        self._shared.wait_in_buffer(self, request.size, now)

    def _leave_buffer(self) -> None:
        self._held = False
        self._shared.buffer.leave(self)

    def give_up(self, cause: str, now: float) -> None:
        """See Owner."""
        if self._held:
            self._leave_buffer()
        if self._waiting is not None:
            self.lose(cause)
        self._go_on(now)

    def lose(self, cause: str) -> None:
        """See Owner."""
        self._lost_before = self._next_order
        given_up = [*(self._failed or ()), *(self._waiting or ())]
        if self._failed is not None:
            self._failed = []
        self._waiting = None
        self._waiting_bytes = 0
        if self._held:
            self._leave_buffer()
        for request in given_up:
            self._give_up(request, cause)
        self._shared.outputs.append(SessionLost(self._client, cause))

    def _give_up(self, request: Request, cause: str) -> None:
        self._shared.lost.count(cause)
        error = BackendUnavailable("the session service did not answer in time")
        self._shared.finish(request, b"", error)

    def _mind_reading(self) -> None:
        """Read the client no further while much waits, or read on."""
        waiting = 0 if self._waiting is None else len(self._waiting)
        size = self._waiting_bytes
        if not self.paused:
            if self._held or waiting > MAX_WAITING or size > MAX_WAITING_BYTES:
                self.paused = True
                self._shared.outputs.append(Reading(self._client, True))
        elif not self._held and waiting <= MAX_WAITING // 2 and size <= MAX_WAITING_BYTES // 2:
            self.paused = False
            self._shared.outputs.append(Reading(self._client, False))

    # -- what became of a request --------------------------------------------------------------

    def decided(self, request: Request) -> Request:
        """See Owner: createSession goes where the message behind it is to go."""
        if request.method is Method.CREATE_SESSION and self._waiting is not None:
            return self._waiting[0]
        return request

    def confirmed(self, request: Request) -> None:
        """See Owner."""
        if request is self.announcing:
            self.announcing = None
            self._may_know = True

    def not_done(self, request: Request, certain: bool) -> None:
        """See Owner."""
        self._generation = _UNDECIDED
        if request is self.announcing:
            self.announcing = None
            self._announced = False
            if not certain:
                self._may_know = True

    def again(self, request: Request) -> None:
        """See Owner."""
        if self._failed is None:
            self._failed = []
        if not isinstance(request, DataRequest):
            return  # an announcement is made anew by what it is for
        if request.order < self._lost_before:
            self._give_up(request, "not_acknowledged")
        else:
            self._failed.append(request)

    def ended(self, request: Request) -> Request:
        """See Owner: with createSession the message fails that it is for."""
        self.not_done(request, certain=False)
        if request.method is not Method.CREATE_SESSION or self._waiting is None:
            return request
        first = self._waiting[0]
        self._take_first()
        return first

    def redirected(self, request: Request, address: str) -> bool:
        """See Owner: the session stays with the node that a redirect named until it fails."""
        self._target = address
        return True

    def unreachable(self, request: Request, address: str) -> None:
        """See Owner."""
        if self._target == address:
            self._target = ""

    # -- bytes ---------------------------------------------------------------------------------

    def _event(self, method: Method) -> bytes:
        return event_request(method, self._shared.server_id, self._client, self._perm_auth_key_id)

    def _bytes_of(self, request: DataRequest, first: bool) -> bytes:
        client = self._client
        # By the key that it was handed over under: a bind that is refused meanwhile takes it away.
        key, address, salt = request.ring_key, client.client_ip, request.salt
        if (key, address, salt) != (self._lead_key, self._lead_ip, self._lead_salt) or (
            not self._lead
        ):
            self._lead_key, self._lead_ip, self._lead_salt = key, address, salt
            self._lead = data_lead(client_head(self._shared.server_id, client, key), salt)
        return data_request(self._lead, first, request.quick_ack, request.payload)


def share_of(client_ip: str) -> str:
    """Return what shares one part of the buffer: an IPv4 address, or the /64 of an IPv6 one."""
    if ":" not in client_ip:
        return client_ip
    try:
        address = IPv6Address(client_ip.partition("%")[0])
    except ValueError:
        return client_ip
    # A socket for both families shows IPv4 addresses as ::ffff:192.0.2.7, all in one /64.
    return str(address.ipv4_mapped or address.exploded[:19])
