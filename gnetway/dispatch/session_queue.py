"""What keeps the messages of one session in order on their way to the session nodes.

    waiting → in flight → answered
       ↑          │ not done: its node is down, or a redirect
       └─ failed ─┘   (in their old order, when nothing is in flight any more)

By unary calls one request is in flight at a time, since calls may overtake each other; by stream
any number, as a stream keeps order, but all with one node. Once something has failed nothing new
starts until all that was in flight is answered, so what failed goes again before what came after.

A node hears of the session before its first message there (affinity.py).
"""

from gnetway.admission.networks import client_network
from gnetway.dispatch.affinity import Affinity
from gnetway.dispatch.backlog import Backlog
from gnetway.dispatch.encoding import DataLead, data_request
from gnetway.dispatch.node import Node
from gnetway.dispatch.outputs import Reading, Send, SessionLost
from gnetway.dispatch.request import Client, DataRequest, Method, Request
from gnetway.dispatch.shared import Announce, Shared


class SessionQueue:
    """The requests of one session, in order.

    ``affinity`` is where the session of ``client`` is known, ``paused`` whether that is not read
    now, as is so whenever the queue is in the outage buffer.
    """

    __slots__ = (
        "_backlog",
        "_closed",
        "_held",
        "_lead",
        "_lost_before",
        "_next_order",
        "_shared",
        "affinity",
        "client",
        "in_flight",
        "paused",
    )

    def __init__(self, shared: Shared, client: Client) -> None:
        self._shared = shared
        self.client = client
        self._backlog: Backlog | None = None
        self.in_flight = 0
        self._next_order = 0
        #: What was handed over before this one is lost, and does not go again.
        self._lost_before = 0
        self._held = False
        self.paused = False
        self.affinity = Affinity(shared, client)
        self._closed = False
        self._lead = DataLead()

    @property
    def name(self) -> tuple[int, int]:
        """auth_key_id and session_id."""
        return self.client.key.auth_key_id, self.client.session_id

    @property
    def stirs(self) -> bool:
        """Whether an answer may let the queue do something."""
        return self._backlog is not None or self.paused or (self._closed and not self.in_flight)

    def reopen(self, client: Client) -> None:
        """Go on for a client that has come back."""
        if self.paused and client is not self.client:
            self._shared.outputs.append(Reading(self.client, False))
            self._shared.outputs.append(Reading(client, True))
        self.client = client
        self.affinity.perm_auth_key_id = client.key.perm_auth_key_id
        self._closed = False

    # -- in ------------------------------------------------------------------------------------

    def straight(self, request: DataRequest) -> bytes | None:
        """Count a request as sent if it goes where the last one went; return its bytes.

        None where it can but wait for the answer to another one, which it does. Empty where
        something has to be decided first: then ``submit`` is to be called. This is the way of
        nearly all messages, and is what they would be told by ``submit``.
        """
        shared, client, lead = self._shared, self.client, self._lead
        if self.in_flight >= shared.window:
            return None if self._waits(request) else b""
        affinity = self.affinity
        node = affinity.node
        key = request.ring_key
        if (
            affinity.generation != shared.nodes.generation
            or node is None
            or self._backlog is not None
            or key != lead.ring_key
            or request.salt != lead.salt
            or client.client_ip != lead.client_ip
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
        if self.paused or request.size > self._shared.max_message_bytes:
            return False
        backlog = self._backlog
        request.order = self._next_order
        self._next_order += 1
        if backlog is None:
            backlog = self._backlog = Backlog()
        backlog.append(request)
        if backlog.too_many:
            self._mind_reading()
        return True

    def next_straight(self) -> Send | None:
        """Count the first waiting request as sent if it goes where the last one went; return both.

        As ``straight``, for the many that by calls wait for the answer to the one before them.
        None where something has to be decided first.
        """
        backlog, affinity, shared, lead = self._backlog, self.affinity, self._shared, self._lead
        request = None if backlog is None else backlog.ready
        node = affinity.node
        if (
            backlog is None
            or request is None
            or node is None
            or affinity.generation != shared.nodes.generation
            or self.paused
            or self.in_flight >= shared.window
            or request.tried
            or request.ring_key != lead.ring_key
            or request.salt != lead.salt
            or self.client.client_ip != lead.client_ip
            or shared.outputs
            or node.room_waiters
            or node.in_flight >= shared.max_in_flight
            or (node.in_flight and node.in_flight_bytes + request.size > shared.max_in_flight_bytes)
        ):
            return None
        backlog.take_first()
        if backlog.over:
            self._backlog = None
        request.node = node
        request.dc_id = affinity.dc_id
        self.in_flight += 1
        node.in_flight += 1
        node.in_flight_bytes += request.size
        node.sent += 1
        return Send(request, data_request(lead.data, False, request.quick_ack, request.payload))

    def submit(self, request: DataRequest, now: float) -> None:
        """Add a message behind all others, and send what can be sent."""
        request.order = self._next_order
        self._next_order += 1
        if self._shared.refuses(request):
            if request.done is None:
                self.lose("message_too_big")
            self._go_on(now)
            return
        if self._backlog is None:
            self._backlog = Backlog()
        self._backlog.append(request)
        if self._held:
            self._shared.wait_in_buffer(self, request, now)
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
        backlog = self._backlog
        if backlog is not None and backlog.has_failed and not self.in_flight:
            backlog.put_back()
            self._drop_if_over()
        while (
            self._backlog is not None
            and self._backlog.ready
            and not self._held
            and self.in_flight < self._shared.window
            and not self.affinity.awaits_create
            and self._sent(self._backlog.first, now)
        ):
            pass
        self._mind_reading()
        if self._closed and not self.in_flight and self._backlog is None:
            self.affinity.leave(self.client, self, now)
            if not self.affinity.ends_anywhere:
                self._shared.forget_session(self.name, self)

    def _sent(self, request: DataRequest, now: float) -> bool:
        """Send the first waiting request, or take a step towards it; False where it has to wait."""
        affinity, shared = self.affinity, self._shared
        node = shared.find(request, affinity.target, now)
        if self.in_flight and node is not affinity.node:
            # Two nodes do not keep each other's order: the next one waits for the last answer.
            return False
        if node is None:
            if self._backlog is not None:
                self._backlog.forget_tries()
            self._hold(now)
            return False
        if not node.usable or (request.tried and node.address in request.tried):
            return self._not_usable(node, request, now)
        if not shared.has_room(node, request.size):
            node.room_waiters[self] = None
            self._hold(now)
            return False
        if affinity.stands_at(node):
            shared.send(request, node, self._take_first(announces=False))
            affinity.settle(request)
            return True
        if self.in_flight:
            return False
        if affinity.ends_at(node):
            # Its end there is not answered yet, and could overtake the new beginning: another
            # node may have it, or it waits until the end is told.
            request.passes_over(node.address)
            return True
        return self._announce(node, request, now)

    def _not_usable(self, node: Node, request: DataRequest, now: float) -> bool:
        """Wait for the connection that a redirect has asked for, or let the ring decide again."""
        if self.in_flight:
            return False
        if node.connecting and not (request.tried and node.address in request.tried):
            self._hold(now)
            return False
        request.passes_over(node.address)
        self.affinity.decide_anew()
        return True

    def _announce(self, node: Node, request: DataRequest, now: float) -> bool:
        affinity = self.affinity
        affinity.begin(node, self.client, self, now)
        if self._shared.announce is Announce.MESSAGE:
            affinity.announcing = request
            self._shared.send(request, node, self._take_first(announces=True))
            return True
        create = affinity.create(self, request.ring_key, self.client)
        self._shared.send(create, node, create.payload)
        return False

    def end_told(self, address: str, now: float) -> None:
        """See EndListener."""
        self.affinity.end_told(address)
        if not self.affinity.leaving:
            self.go_on(now)

    # -- waiting -------------------------------------------------------------------------------

    def _take_first(self, announces: bool) -> bytes:
        """Remove the first waiting request, to be sent as these bytes.

        ``announces`` is whether it announces the session.
        """
        assert self._backlog is not None
        request = self._backlog.take_first()
        self._drop_if_over()
        request.dc_id = self.affinity.dc_id
        lead = self._lead.update(self._shared.server_id, self.client, request)
        return data_request(lead, announces, request.quick_ack, request.payload)

    def _drop_if_over(self) -> None:
        if self._backlog is not None and self._backlog.over:
            self._backlog = None

    def _hold(self, now: float) -> None:
        """Stop in the outage buffer; everything that waits needs room there."""
        backlog = self._backlog
        assert backlog is not None
        first = backlog.first
        if self._shared.stopped:
            self.give_up("stopped", now)
            return
        if first.held_since is None:
            first.held_since = now
        self._held = True
        self._shared.buffer.stop(self, first.held_since, client_network(self.client.client_ip))
        for request in backlog.waiting:
            if self._held:
                self._shared.wait_in_buffer(self, request, now)

    def _leave_buffer(self) -> None:
        self._held = False
        self._shared.buffer.leave(self)

    def give_up(self, cause: str, now: float) -> None:
        """See Owner."""
        if self._held:
            self._leave_buffer()
        if self._backlog is not None and len(self._backlog):
            self.lose(cause)
        self._go_on(now)

    def lose(self, cause: str) -> None:
        """See Owner."""
        self._lost_before = self._next_order
        given_up: list[DataRequest] = []
        if self._backlog is not None:
            given_up = self._backlog.clear()
            self._drop_if_over()
        if self._held:
            self._leave_buffer()
        for request in given_up:
            self._shared.give_up(request, cause)
        self._shared.outputs.append(SessionLost(self.client, cause))

    def _mind_reading(self) -> None:
        """Read the client no further while much waits, or read on."""
        backlog = self._backlog
        if not self.paused:
            if self._held or (backlog is not None and backlog.too_many):
                self.paused = True
                self._shared.outputs.append(Reading(self.client, True))
        elif not self._held and (backlog is None or backlog.few):
            self.paused = False
            self._shared.outputs.append(Reading(self.client, False))

    # -- what became of a request --------------------------------------------------------------

    def decided(self, request: Request) -> Request:
        """See Owner: createSession goes where the message behind it is to go."""
        backlog = self._backlog
        if request.method is Method.CREATE_SESSION and backlog is not None and len(backlog):
            return backlog.first
        return request

    def confirmed(self, request: Request) -> None:
        """See Owner."""
        self.affinity.confirmed(request)

    def not_done(self, request: Request, certain: bool) -> None:
        """See Owner."""
        self.affinity.not_done(request, certain)

    def again(self, request: Request) -> None:
        """See Owner."""
        if self._backlog is None:
            self._backlog = Backlog()
        self._backlog.stop()
        if not isinstance(request, DataRequest):
            return  # an announcement is made anew by what it is for
        if request.order < self._lost_before:
            self._shared.give_up(request, "not_acknowledged")
        else:
            self._backlog.fail(request)

    def ended(self, request: Request) -> Request:
        """See Owner: with createSession the message fails that it is for."""
        self.not_done(request, certain=False)
        backlog = self._backlog
        if request.method is not Method.CREATE_SESSION or backlog is None or not len(backlog):
            return request
        first = backlog.take_first()
        self._drop_if_over()
        return first

    def redirected(self, request: Request, address: str) -> bool:
        """See Owner: the session stays with the node that a redirect named until it fails."""
        self.affinity.target = address
        return True

    def unreachable(self, request: Request, address: str) -> None:
        """See Owner."""
        self.affinity.unreachable(address)
