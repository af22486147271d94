"""The messages of one session on their way to the session nodes, in order.

    submit → waiting → in flight → answered
                ↑          │ not done: its node is down, or a redirect
                └─ failed ─┘

A queue at one moment, by stream; messages have their ``order`` from submit:

    answered    1
    in flight   2 4      sent to one node, and not answered yet
    failed      3        to go again; nothing new is sent until nothing is in flight
    waiting     5 6      if 4 fails and 2 does not, this becomes 3 4 5 6, and 3 goes next

- The window: by unary calls one request is in flight at a time, since calls may overtake each
  other; by stream any number, as a stream keeps order. Two nodes do not keep each other's order:
  where the next one is to go elsewhere, it waits until nothing is in flight.
- What goes again: answers come in any order, so what failed is collected until the last of them,
  sorted, and put before all that was submitted after it. Whether it may, retry.py decides.
- What is lost: when a message is given up, the client's connections end, and it sends that one and
  what follows again on its next one. So what waits is given up too, and what is still in flight
  does not go again: it would come behind what the client repeats.
- A node hears of the session before its first message there (affinity.py). Where no node takes the
  first message, all that waits is in the outage buffer, and the client is not read.

Nearly all messages go where the last one went: ``straight`` and ``next_straight`` do in one call
what ``submit`` and ``go_on`` would do in five (held against each other in test_straight.py).
"""

from gnetway.admission.shares import client_network
from gnetway.dispatch.affinity import Affinity, Obstacle
from gnetway.dispatch.encoding import DataLead, data_request
from gnetway.dispatch.node import Node
from gnetway.dispatch.request import (
    Backlog,
    Client,
    DataRequest,
    Reading,
    Request,
    Send,
    SessionLost,
)
from gnetway.dispatch.shared import Shared
from gnetway.rpc.status import Method


class SessionQueue:
    """The requests of one session, in order."""

    __slots__ = (
        "_in_buffer",
        "_lead",
        "_lost_before",
        "_next_order",
        "_shared",
        "affinity",
        "backlog",
        "client",
        "closed",
        "in_flight",
        "paused",
    )

    def __init__(self, shared: Shared, client: Client) -> None:
        self._shared = shared
        self.client = client
        #: None while nothing waits and nothing has failed: so it is for nearly all sessions.
        self.backlog: Backlog | None = None
        self.in_flight = 0
        self._next_order = 0
        #: Below this order all is lost, and does not go again.
        self._lost_before = 0
        #: Whether it stops in the outage buffer. Then the client is not read: ``paused``.
        self._in_buffer = False
        self.paused = False
        self.affinity = Affinity(shared, client)
        #: Whether the client is gone. The session ends when all that was submitted is answered.
        self.closed = False
        #: What the bytes of all messages begin with.
        self._lead = DataLead()

    @property
    def name(self) -> tuple[int, int]:
        """auth_key_id and session_id."""
        return self.client.key.auth_key_id, self.client.session_id

    def reopen(self, client: Client) -> None:
        """Go on for a client that has come back."""
        if self.paused and client is not self.client:
            self._shared.outputs.append(Reading(self.client, False))
            self._shared.outputs.append(Reading(client, True))
        self.client = client
        self.affinity.perm_auth_key_id = client.key.perm_auth_key_id
        self.closed = False

    def close(self, now: float) -> None:
        """End the session when all that was submitted is answered; its node is told so then."""
        self.closed = True
        # In the buffer it goes on when that lets it, and ends behind what waits there.
        if not self._in_buffer:
            self._go_on(now)

    # -- the short way -------------------------------------------------------------------------

    def straight(self, request: DataRequest) -> bytes | None:
        """Count a request as sent if it goes where the last one went; return its bytes.

        None where it can but wait, which it does; empty where ``submit`` has to decide something.
        """
        shared, lead = self._shared, self._lead
        if self.in_flight >= shared.window:
            return None if self._waits(request) else b""
        affinity = self.affinity
        node = affinity.node
        if (
            # Nodes came or went, or something was not done: the node is decided anew.
            affinity.generation != shared.nodes.generation
            or node is None
            # Others are before it.
            or self.backlog is not None
            # What all messages begin with is made anew (DataLead). The key is the one that the
            # message was handed over under: a bind that is refused meanwhile takes it away.
            or request.ring_key != lead.ring_key
            or request.salt != lead.salt
            or self.client.client_ip != lead.client_ip
            # What the shell has not done yet comes before it.
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
        request.dc_id = affinity.dc_id
        self.in_flight += 1
        node.in_flight += 1
        node.in_flight_bytes += request.size
        node.sent += 1
        return data_request(lead.data, False, request.quick_ack, request.payload)

    def _waits(self, request: DataRequest) -> bool:
        """Add a message behind all others if it need not be looked at; return whether so."""
        # One that is paused may be in the outage buffer, where room has to be found.
        if self.paused or request.size > self._shared.max_message_bytes:
            return False
        backlog = self.backlog
        request.order = self._next_order
        self._next_order += 1
        if backlog is None:
            backlog = self.backlog = Backlog()
        backlog.append(request)
        if backlog.too_many:
            self._mind_reading()
        return True

    def next_straight(self) -> Send | None:
        """Count the first waiting request as sent if it goes where the last one went; return both.

        As ``straight``, for the many that by calls wait for the answer to the one before them.
        None where something has to be decided first.
        """
        backlog, affinity, shared, lead = self.backlog, self.affinity, self._shared, self._lead
        request = None if backlog is None else backlog.ready
        node = affinity.node
        if (
            backlog is None
            or request is None
            or node is None
            or affinity.generation != shared.nodes.generation
            # To read on is an output, and it may be time for it.
            or self.paused
            or self.in_flight >= shared.window
            or request.tried
            or request.ring_key != lead.ring_key
            or request.salt != lead.salt
            or self.client.client_ip != lead.client_ip
            or shared.outputs
            # Others have waited longer for room there.
            or node.room_waiters
            or node.in_flight >= shared.max_in_flight
            or (node.in_flight and node.in_flight_bytes + request.size > shared.max_in_flight_bytes)
        ):
            return None
        backlog.take_first()
        if backlog.over:
            self.backlog = None
        request.node = node
        request.dc_id = affinity.dc_id
        self.in_flight += 1
        node.in_flight += 1
        node.in_flight_bytes += request.size
        node.sent += 1
        return Send(request, data_request(lead.data, False, request.quick_ack, request.payload))

    # -- the usual way -------------------------------------------------------------------------

    def submit(self, request: DataRequest, now: float) -> None:
        """Add a message behind all others, and send what can be sent."""
        shared = self._shared
        request.order = self._next_order
        self._next_order += 1
        if shared.refuses(request):
            # Who asked hears of it by that; all others by the end of their connections.
            if request.done is None:
                self.lose("message_too_big")
            self._go_on(now)
            return
        if self.backlog is None:
            self.backlog = Backlog()
        self.backlog.append(request)
        if self._in_buffer:
            shared.wait_in_buffer(self, request, now)
            self._mind_reading()
        else:
            self._go_on(now)

    def go_on(self, now: float) -> None:
        """See Owner."""
        if self._in_buffer:
            self._leave_buffer()
        self._go_on(now)

    def _go_on(self, now: float) -> None:
        """Send what can be sent, in order; and if that is all there was, end a closed session."""
        backlog = self.backlog
        # Not before the last answer: what is still in flight may fail too, and be older.
        if backlog is not None and backlog.failed is not None and not self.in_flight:
            backlog.put_back()
            self._drop_if_over()
        while (
            self.backlog is not None
            and (request := self.backlog.ready) is not None
            and not self._in_buffer
            and self.in_flight < self._shared.window
            and not self.affinity.awaits_create
            and self._sent(request, now)
        ):
            pass
        self._mind_reading()
        if self.closed and not self.in_flight and self.backlog is None:
            self.affinity.leave(self.client, self, now)
            # Whoever comes back while a node is still being told goes on in this queue, so that
            # the node hears of the end before it hears of the new beginning.
            if not self.affinity.ends and self._shared.sessions.get(self.name) is self:
                del self._shared.sessions[self.name]

    def _sent(self, request: DataRequest, now: float) -> bool:
        """Send the first waiting request, or take a step towards it; False where it has to wait."""
        affinity, shared = self.affinity, self._shared
        node = affinity.find(request, self.in_flight > 0, now)
        if not isinstance(node, Node):
            if node is Obstacle.NO_NODE or node is Obstacle.CONNECTING:
                self._stop_in_buffer(now, all_tried=node is Obstacle.NO_NODE)
            return node is Obstacle.PASSED_OVER
        if not shared.has_room(node, request.size):
            # The node's answers let it go on, and so does any news of nodes.
            node.room_waiters[self] = None
            self._stop_in_buffer(now)
            return False
        if affinity.is_announced_at(node):
            shared.send(request, node, self._take_first(announces=False))
            affinity.settle(request)
            return True
        if self.in_flight:
            # Its announcement was lost, or the connection: what is in flight fails soon, and goes
            # before it.
            return False
        if node.address in affinity.ends:
            # Its end there is not answered yet, and could overtake the new beginning: another
            # node may have it, or it waits until the end is told.
            request.passes_over(node.address)
            return True
        first = affinity.announce(self, self.client, node, request, now)
        by_message = first is request
        data = self._take_first(announces=True) if by_message else first.payload
        shared.send(first, node, data)
        return by_message

    def _take_first(self, announces: bool) -> bytes:
        """Remove the first waiting request, which may announce the session; return its bytes."""
        assert self.backlog is not None
        request = self.backlog.take_first()
        self._drop_if_over()
        request.dc_id = self.affinity.dc_id
        lead = self._lead.update(self._shared.server_id, self.client, request)
        return data_request(lead, announces, request.quick_ack, request.payload)

    def _drop_if_over(self) -> None:
        if self.backlog is not None and self.backlog.over:
            self.backlog = None

    def end_told(self, address: str, now: float) -> None:
        """See EndListener."""
        self.affinity.ends -= {address}
        # Else it is this queue itself that has the node told, and goes on by itself.
        if not self.affinity.leaving:
            self.go_on(now)

    # -- waiting -------------------------------------------------------------------------------

    def _stop_in_buffer(self, now: float, all_tried: bool = False) -> None:
        """Stop in the outage buffer; everything that waits needs room there."""
        assert self.backlog is not None
        waiting = list(self.backlog.waiting)
        if all_tried:
            # After the wait each node is as good as any.
            for request in waiting:
                request.tried, request.redirected_to = None, ""
        if self._shared.stopped:
            self.give_up("stopped", now)
            return
        self._in_buffer = True
        self._shared.hold(self, waiting, client_network(self.client.client_ip), now)

    def _leave_buffer(self) -> None:
        self._in_buffer = False
        self._shared.buffer.leave(self)

    def give_up(self, cause: str, now: float) -> None:
        """See Owner."""
        if self._in_buffer:
            self._leave_buffer()
        if self.backlog is not None and self.backlog.waiting:
            self.lose(cause)
        self._go_on(now)

    def lose(self, cause: str) -> None:
        """Give up what waits: a message is lost, and the client is to begin anew."""
        # Some of it is in flight, and may yet be done; but it is not sent again.
        self._lost_before = self._next_order
        given_up = [] if self.backlog is None else self.backlog.clear()
        self._drop_if_over()
        if self._in_buffer:
            self._leave_buffer()
        for request in given_up:
            self._shared.give_up(request, cause)
        self._shared.outputs.append(SessionLost(self.client, cause))

    def _mind_reading(self) -> None:
        """Read the client no further while much waits, or read on."""
        backlog = self.backlog
        much = backlog is not None and (not backlog.few if self.paused else backlog.too_many)
        paused = self._in_buffer or much
        if paused is not self.paused:
            self.paused = paused
            self._shared.outputs.append(Reading(self.client, paused))

    # -- what became of a request --------------------------------------------------------------

    def decided(self, request: Request) -> Request:
        """See Owner: createSession goes where the message behind it is to go."""
        backlog = self.backlog
        if request.method is Method.CREATE_SESSION and backlog is not None and backlog.waiting:
            return backlog.waiting[0]
        return request

    def confirmed(self, request: Request) -> None:
        """See Owner."""
        self.affinity.confirmed(request)

    def again(self, request: Request, certain: bool) -> None:
        """See Owner."""
        self.affinity.not_done(request, certain)
        backlog = self.backlog
        if backlog is None:
            backlog = self.backlog = Backlog()
        # From here on nothing new is sent, be it only an announcement that has failed: it is made
        # anew by the message that it is for, which is the first one.
        failed = backlog.failed
        if failed is None:
            failed = backlog.failed = []
        if not isinstance(request, DataRequest):
            return
        if request.order < self._lost_before:
            self._shared.give_up(request, "not_acknowledged")
        else:
            failed.append(request)

    def ended(self, request: Request, certain: bool) -> Request:
        """See Owner: with createSession the message fails that it is for."""
        self.affinity.not_done(request, certain)
        failing = self.decided(request)
        if failing is not request and self.backlog is not None:
            self.backlog.take_first()
            self._drop_if_over()
        return failing

    def redirected(self, request: Request, address: str) -> bool:
        """See Owner: the session stays with the node that a redirect named until it fails."""
        self.affinity.target = address
        return True

    def unreachable(self, request: Request, address: str) -> None:
        """See Owner."""
        if self.affinity.target == address:
            self.affinity.target = ""
