"""The way to the session service without I/O: requests in, what is to be sent where out.

    session queues, lone requests → nodes by ring, redirect or announcement → outputs
         ↑ again, by retry.py            ↓ no node, or no room
         └──────────── outage buffer ────┘

Inputs never call back: what they bring about stands in ``outputs`` afterwards, in order. The time
is passed in, in seconds of a clock that does not jump; ``tick`` is to be called every
``TICK_SECONDS`` while ``needs_ticks``.
"""

from collections.abc import Callable, Sequence
from typing import Final

from gnetway.dispatch.lone_request import LoneRequest
from gnetway.dispatch.node import Node
from gnetway.dispatch.request import Client, Done, Finished, KeyGone, Output, Request, Send
from gnetway.dispatch.retry import (
    BROKEN,
    INNOCENT,
    TRUE_REPLY,
    Decision,
    Fault,
    Next,
    culprit,
    decide,
    decide_stream,
    error_in,
    may_go_again,
)
from gnetway.dispatch.session_queue import SessionQueue
from gnetway.dispatch.shared import DispatchSettings, Shared
from gnetway.errors import BackendRefused, BackendUnavailable, GatewayError, KeyUnknown
from gnetway.rpc.status import Method, RpcStatus, StatusCode, redirect_target

#: How often what waits is looked at, in seconds.
TICK_SECONDS: Final = 0.25


class Dispatcher:
    """All sessions, lone requests and nodes of one gateway process."""

    def __init__(self, settings: DispatchSettings, random_bytes: Callable[[int], bytes]) -> None:
        self._shared = Shared(settings, random_bytes)
        self.nodes = self._shared.nodes
        self.outputs = self._shared.outputs
        self.buffer = self._shared.buffer
        self.lost = self._shared.lost
        self.sessions = self._shared.sessions

    @property
    def needs_ticks(self) -> bool:
        """Whether time alone may bring something about."""
        return bool(len(self.buffer)) or self.nodes.needs_ticks

    def next_output(self) -> Output | None:
        """Return what is to be done next."""
        return self.outputs.popleft() if self.outputs else None

    # -- requests ------------------------------------------------------------------------------

    def open_session(self, client: Client) -> SessionQueue:
        """Return the queue of a session; its node hears of it with its first message.

        A session that is still being closed goes on in the same queue, so that a node hears of
        the end before it hears of the new beginning.
        """
        name = (client.key.auth_key_id, client.session_id)
        queue = self.sessions.get(name)
        if isinstance(queue, SessionQueue):
            queue.reopen(client)
            return queue
        queue = SessionQueue(self._shared, client)
        self.sessions[name] = queue
        return queue

    def ask(
        self,
        method: Method,
        ring_key: int,
        payload: bytes,
        done: Done,
        now: float,
        *,
        patient: bool,
        dc_id: int = 0,
    ) -> LoneRequest:
        """Send a request that stands alone."""
        asked = LoneRequest(self._shared, method, ring_key, payload, done, patient, dc_id)
        asked.go_on(now)
        return asked

    # -- answers -------------------------------------------------------------------------------

    def answered(self, request: Request, reply: bytes) -> bool:
        """Take a reply; return whether something may go on by it.

        Then ``following`` is what to send next, or if it is nothing ``resume`` is to be called.
        """
        node = request.node
        assert node is not None
        node.in_flight -= 1
        node.in_flight_bytes -= request.size
        owner = request.owner
        owner.in_flight -= 1
        if node.breaker.strikes:
            node.breaker.succeeded()
        # By its type first: this is the way of nearly all answers, and what a session's owner does
        # with them is written out here, without a call of each.
        if type(owner) is SessionQueue:
            # By stream an ack is that very object; a reply that is empty is none to judge.
            if reply is not TRUE_REPLY and reply:
                error = error_in(reply)
                if error is not None:
                    self._fail(request, error, "message_refused", certain=False)
                    return True
            if request is owner.affinity.announcing:
                owner.confirmed(request)
            if request.done is not None:
                self.outputs.append(Finished(request, reply, None))
            # Whether there is anything that this answer may let go on: next to never by stream.
            return (
                owner.backlog is not None
                or owner.paused
                or (owner.closed and not owner.in_flight)
                or bool(node.room_waiters)
            )
        owner.confirmed(request)
        self.outputs.append(Finished(request, reply, None))
        return True

    def following(self, request: Request) -> Send | None:
        """Return what waited for the answer to a request and goes where that went, if anything."""
        owner = request.owner
        return owner.next_straight() if isinstance(owner, SessionQueue) else None

    def resume(self, request: Request, now: float) -> None:
        """Let those go on that an answer may have let go on."""
        request.owner.go_on(now)
        if request.node is not None:
            self._use_room(request.node, now)

    def failed(self, request: Request, status: RpcStatus, sent: bool, now: float) -> None:
        """Take the end of a request without a reply; ``sent`` is whether it may have arrived."""
        node = self._take_back(request)
        decision = decide(status, request.method)
        self.nodes.blame(node, decision.fault, status, now)
        self._settle(request, node, decision, status, sent, now)
        request.owner.go_on(now)
        self._use_room(node, now)

    def stream_ended(
        self,
        node: Node,
        status: RpcStatus,
        unanswered: Sequence[tuple[Request, bool]],
        now: float,
        *,
        silent: bool = False,
    ) -> None:
        """Take the end of a stream, with what it left unanswered: the request, and whether sent.

        However much that is, it is one failure. Where it is a message's fault, the connection
        stands, nobody is blamed, and all other messages go again at once. ``silent`` is whether
        the node has answered nothing at all for as long as an answer may take.
        """
        decision = decide_stream(status)
        guilty: Request | None = None
        if decision.fault is Fault.MESSAGE:
            guilty = culprit(status, [request for request, sent in unanswered if sent])
            if guilty is None:
                # Nothing had left that could be at fault.
                decision = BROKEN
        if decision.fault is not Fault.MESSAGE:
            fault = Fault.NODE if silent else decision.fault
            self.nodes.blame(node, fault, status, now, silent=silent)
        # All of them first: whoever is asked next decides by what is in flight.
        for request, _ in unanswered:
            self._take_back(request)
        # A node reads in order: what came before the guilty one has arrived, nothing after it.
        read = guilty is not None
        for request, sent in unanswered:
            if request is guilty:
                read = False
                self._settle(request, node, decision, status, sent, now)
            elif decision.next is Next.AGAIN:
                self._settle(request, node, decision, status, sent, now)
            elif read and request.method is Method.CLOSE_SESSION:
                # It has arrived, and must not come behind what announces the session anew.
                request.owner.confirmed(request)
            else:
                self._settle(request, node, INNOCENT, status, read and sent, now)
        # Each owner once, in the order of their requests.
        for owner in dict.fromkeys(request.owner for request, _ in unanswered):
            owner.go_on(now)
        self._use_room(node, now)

    def _take_back(self, request: Request) -> Node:
        node = request.node
        assert node is not None
        node.in_flight -= 1
        node.in_flight_bytes -= request.size
        request.owner.in_flight -= 1
        return node

    def _settle(
        self,
        request: Request,
        node: Node,
        decision: Decision,
        status: RpcStatus,
        sent: bool,
        now: float,
    ) -> None:
        """Do with a request what was decided."""
        owner = request.owner
        if decision.next is Next.FOLLOW and self._follows(request, node, status, now):
            owner.again(request, certain=True)
            return
        # A node that redirects, even in circles, or that is none, has not done anything; nor has
        # one that could not even take the message.
        certain = (
            not sent
            or decision.next is Next.FOLLOW
            or decision.fault is Fault.NODE
            or status.code == StatusCode.RESOURCE_EXHAUSTED
        )
        if decision.next is Next.AGAIN:
            # What serves nothing has not done it, however often it was sent there.
            if sent and decision.fault is not Fault.NODE:
                request.sends += 1
            if may_go_again(request):
                if decision.fault is not Fault.NOBODY:
                    owner.decided(request).passes_over(node.address)
                    owner.unreachable(request, node.address)
                owner.again(request, certain)
                return
            self.lost.count("not_acknowledged")
            error: GatewayError = BackendUnavailable("no session node has acknowledged it")
            cause = "not_acknowledged"
        elif decision.fault is Fault.KEY:
            error = KeyUnknown("the session service does not know the key")
            cause = "key_unregistered"
        else:
            error = BackendRefused(status.code, status.details)
            cause = "message_refused"
        self._fail(request, error, cause, certain)

    def _fail(self, request: Request, error: GatewayError, cause: str, certain: bool) -> None:
        """Fail a request for good; who hands over data and does not ask is to begin anew."""
        owner = request.owner
        request = owner.ended(request, certain)
        self.outputs.append(Finished(request, b"", error))
        if request.method is not Method.SEND_DATA or not isinstance(owner, SessionQueue):
            return
        if request.done is not None and not isinstance(error, BackendUnavailable):
            return  # who asked decides what is to become of the session
        if isinstance(error, KeyUnknown):
            key = owner.client.key
            self.outputs.append(KeyGone(key.auth_key_id, key.perm_auth_key_id))
        owner.lose(cause)

    def _follows(self, request: Request, node: Node, status: RpcStatus, now: float) -> bool:
        """Follow a redirect, unless it comes from where another one led to."""
        target = redirect_target(status)
        decided = request.owner.decided(request)
        if target is None or decided.redirected_to == node.address:
            return False
        decided.redirected_to = target
        known = self.nodes.known(target)
        if (decided.tried and target in decided.tried) or (
            known is not None and known.is_down(now)
        ):
            # The key's own node is down, so this one is no better than one that is down.
            decided.passes_over(node.address)
            target = ""
        return request.owner.redirected(request, target)

    # -- nodes ---------------------------------------------------------------------------------

    def set_nodes(self, addresses: Sequence[str], now: float) -> None:
        """Take the list of discovery: what is new is connected to, what is gone is left."""
        self.nodes.set_listed(addresses, now)
        self._wake(now)

    def connected(self, node: Node, now: float) -> None:
        """Hear that a connection to a node stands: from now on it may be used."""
        if self.nodes.connected(node, now):
            self._wake(now)

    def disconnected(self, node: Node, why: str, now: float) -> None:
        """Hear that a node has no connection: it was lost, or could not be made."""
        if self.nodes.disconnected(node, why, now):
            self._use_room(node, now)
            self._wake(now)

    def probed(self, node: Node, status: RpcStatus | None, now: float) -> None:
        """Hear how a probe has ended."""
        if self.nodes.probed(node, status, now):
            self._wake(now)

    # -- waiting -------------------------------------------------------------------------------

    def _use_room(self, node: Node, now: float) -> None:
        """Let those go on that wait for room at a node, or for a node that has failed them."""
        if not node.room_waiters:
            return
        # Half of the room has to be free, or they would stop again after each message.
        if node.usable and (
            node.in_flight > self._shared.max_in_flight // 2
            or node.in_flight_bytes > self._shared.max_in_flight_bytes // 2
        ):
            return
        # Whoever finds no room after all waits again, behind the others.
        waiters, node.room_waiters = node.room_waiters, {}
        for waiter in waiters:
            waiter.go_on(now)

    def _wake(self, now: float) -> None:
        """Let everything go on that waits in the buffer, the longest there first."""
        for owner in self.buffer.waiting():
            # Another one's going on may have had it leave: it gave way, or was told of an end.
            if owner in self.buffer:
                owner.go_on(now)

    def tick(self, now: float) -> None:
        """Give up what has waited too long, probe nodes, and let the rest try again."""
        for owner in self.buffer.expired(now):
            if owner in self.buffer:
                owner.give_up("hold_expired", now)
        if self.nodes.tick(now):
            self._wake(now)

    def stop(self, now: float) -> None:
        """Give up everything that waits, and whatever comes later."""
        # Before anything is given up: what that brings about must not wait anew.
        self._shared.stopped = True
        self.nodes.stop(now)
        for owner in self.buffer.waiting():
            if owner in self.buffer:
                owner.give_up("stopped", now)

    def why_unready(self) -> str:
        """Return why no message can be sent now, empty if it can."""
        return self.nodes.why_unusable()
