"""A dispatcher among simulated nodes, which checks with each step what must always hold.

Nodes do only what they are told to: what was sent arrives or does not, is answered or not, and in
any order; by stream it arrives in order.
"""

from collections import Counter, defaultdict

from gnetway.dispatch.lone_request import LoneRequest
from gnetway.dispatch.request import (
    DataRequest,
    Finished,
    NodeOutput,
    NodeWish,
    Output,
    Request,
    Send,
    SessionLost,
)
from gnetway.dispatch.retry import Decision, Fault, Next, decide, error_in
from gnetway.dispatch.session_queue import SessionQueue
from gnetway.dispatch.shared import Announce, OutageLimits
from gnetway.pb import session_pb2
from gnetway.rpc.status import Method, RpcStatus
from tests.dispatch.cases import Core, FakeClient, called, client_of, is_first

#: Nothing expires but by the test's will.
ENDLESS = OutageLimits(max_seconds=1e6)

#: What a message may have at most here, in bytes.
MAX_MESSAGE_BYTES = 300

_Name = tuple[int, int]


def said_in(send: Send) -> tuple[_Name, str] | None:
    """Which session a request is of, and whether it is data, begins or ends it, if it is any."""
    method, data = send.request.method, send.data
    if method is Method.SEND_DATA:
        owner = send.request.owner
        assert isinstance(owner, SessionQueue)
        return owner.name, "begin" if is_first(data) else "data"
    if method is Method.CREATE_SESSION:
        client = session_pb2.TL_session_createSession.FromString(data).client
        return (client.auth_key_id, client.session_id), "begin"
    if method is Method.CLOSE_SESSION:
        client = session_pb2.TL_session_closeSession.FromString(data).client
        return (client.auth_key_id, client.session_id), "end"
    return None


class World(Core):
    """What was submitted, what became of it, and what the nodes know."""

    def __init__(
        self, stream: bool, announce: Announce, narrow: bool, closes_at_once: bool, outage: bool
    ) -> None:
        super().__init__(
            stream=stream,
            announce=announce,
            outage=OutageLimits(8, 1000, 3.0) if outage else ENDLESS,
            max_in_flight=3 if narrow else 1000,
            max_in_flight_bytes=500 if narrow else 1_000_000,
            max_message_bytes=MAX_MESSAGE_BYTES,
        )
        self._closes_at_once = closes_at_once
        self.stopped = False
        self.open_clients: dict[int, tuple[FakeClient, SessionQueue]] = {}
        self.clients: list[FakeClient] = []
        self._said: Counter[int] = Counter()
        #: What was submitted: how it has ended, which is to be once; and how often a node may
        #: have got it without answering.
        self.ends: dict[Request, int] = {}
        self.withdrawn: set[Request] = set()
        self.lone: list[LoneRequest] = []
        self.uncertain: Counter[Request] = Counter()
        self.failures: list[Request] = []
        self.lost_names: set[_Name] = set()
        #: What has come to nodes: which messages, in order; which requests are there unanswered;
        #: and by address and name, in which epoch sessions were announced and not ended.
        self.arrivals: Counter[Request] = Counter()
        self.firsts: dict[int, list[int]] = defaultdict(list)
        self.arrived: set[Request] = set()
        self.live: dict[tuple[str, _Name], int] = {}
        #: What may have been announced at a node, in which epoch; and by what its end was told.
        self._announced: dict[tuple[str, _Name], tuple[int, set[Send]]] = {}
        self._epochs: dict[Send, int] = {}
        self._told: dict[tuple[str, _Name], Request] = {}
        self.wanted: set[str] = set()
        self.probing: set[str] = set()

    # -- what the dispatcher wants done --------------------------------------------------------

    def flush(self) -> list[Output]:
        outstanding = len(self.ends) - len(self.finished) + len(self._announced)
        taken = super().flush()
        assert len(taken) <= 30 + 6 * outstanding, "without time passing, all comes to rest"
        return taken

    def take(self, output: Output) -> None:
        super().take(output)
        if isinstance(output, Finished):
            if output.request in self.ends:
                self.ends[output.request] += 1
            if output.error is not None:
                self.failures.append(output.request)
        elif isinstance(output, SessionLost):
            assert isinstance(output.client, FakeClient)
            self.lost_names.add(output.client.name)
            if self._closes_at_once:
                self._hang_up(output.client)
        elif isinstance(output, NodeOutput):
            wishes = self.probing if output.wish is NodeWish.PROBE else self.wanted
            if output.wish is NodeWish.CLOSE:
                self._forgotten(output.node.address)
            else:
                wishes.add(output.node.address)
        assert all(count in {0, 1} for count in self.paused.values())

    def _forgotten(self, address: str) -> None:
        """Close a connection for good: sessions that still stand there end by themselves."""
        self.wanted.discard(address)
        self.probing.discard(address)
        self.loses_sessions(address)

    def loses_sessions(self, address: str) -> None:
        self.live = {where: epoch for where, epoch in self.live.items() if where[0] != address}

    def _hang_up(self, client: FakeClient) -> None:
        for number, (current, queue) in list(self.open_clients.items()):
            if current is client:
                del self.open_clients[number]
                queue.close(self.now)

    def sent(self, request: Request, data: bytes) -> None:
        super().sent(request, data)
        node = request.node
        assert node is not None
        assert not self.stopped
        assert node.usable, "only nodes with a connection and a closed breaker get anything"
        assert node.in_flight <= self.max_in_flight
        if isinstance(request, DataRequest):
            assert self.uncertain[request] < 2, "a second time, not a third"
        send = self.sends[-1]
        self._epochs[send] = node.epoch
        said = said_in(send)
        if said is None:
            return
        where = (node.address, said[0])
        if said[1] == "begin":
            epoch, requests = self._announced.get(where, (node.epoch, set()))
            if self._told.pop(where, None) is not None or epoch != node.epoch:
                requests = set()
            self._announced[where] = (node.epoch, {*requests, send})
        elif said[1] == "end":
            epoch, requests = self._announced.get(where, (-1, set()))
            assert requests, "nobody hears of the end of what it never heard of"
            assert epoch == node.epoch, "whoever was started again knows nothing of it"
            assert self._told.setdefault(where, request) is request, "an end is told once"

    # -- what clients do -----------------------------------------------------------------------

    def do_say(self, number: int, count: int, size: int, asks: bool) -> None:
        for _ in range(count):
            if number not in self.open_clients:
                client = client_of(number + 1, client_ip=f"192.0.2.{number // 2}")
                self.clients.append(client)
                self.open_clients[number] = client, self.open(client)
            _, queue = self.open_clients[number]
            self._said[number] += 1
            payload = b"%d:%d:" % (number, self._said[number])
            request = self.message(queue, payload.ljust(size, b"."), asks)
            self.ends[request] = 0
            # As the shell does it.
            if data := queue.straight(request):
                self.sent(request, data)
            elif data is not None:
                queue.submit(request, self.now)
            self.flush()

    def do_close(self, number: int) -> None:
        if number in self.open_clients:
            self._hang_up(self.open_clients[number][0])
            self.flush()

    def do_ask(self, key: int, patient: bool) -> None:
        method = Method.QUERY_AUTH_KEY if self.stream else Method.SEND_HTTP_DATA
        lone = self.dispatcher.ask(method, key, b"asked", called, self.now, patient=patient)
        request = lone.request
        self.lone.append(lone)
        if request is not None:
            self.ends[request] = 0
        taken = self.flush()
        assert request is not None or any(isinstance(output, Finished) for output in taken)

    def do_withdraw(self) -> None:
        lone = self.lone[-1] if self.lone else None
        if lone is not None and lone.request is not None:
            self.withdrawn.add(lone.request)
            lone.withdraw()

    # -- what nodes do -------------------------------------------------------------------------

    def _arrive(self, address: str, last: Send) -> None:
        """Let a request arrive, and by stream all that were sent before it."""
        sends = self.under_way[address]
        for send in sends[: sends.index(last) + 1] if self.stream else [last]:
            if send.request not in self.arrived:
                self.arrived.add(send.request)
                self._handle(address, send)

    def _handle(self, address: str, send: Send) -> None:
        request, said = send.request, said_in(send)
        self.arrivals[request] += 1
        if said is None:
            return
        name, kind = said
        if kind == "begin":
            self.live[address, name] = self._epochs[send]
        elif kind == "end":
            self.live.pop((address, name), None)
        if request.method is Method.SEND_DATA:
            assert (address, name) in self.live, "what comes to a node was announced there"
            assert self.arrivals[request] <= 2
            number, order = (int(part) for part in request.payload.split(b":")[:2])
            if self.arrivals[request] == 1:
                assert order > max(self.firsts[number], default=0), "in order"
                self.firsts[number].append(order)

    def _picked(self, which: int) -> tuple[str, Send] | None:
        sends = [(address, send) for address, all_ in self.under_way.items() for send in all_]
        return sends[which % len(sends)] if sends else None

    def do_arrive(self, which: int) -> None:
        if picked := self._picked(which):
            self._arrive(*picked)

    def do_answer(self, which: int, reply: bytes) -> None:
        if picked := self._picked(which):
            self._arrive(*picked)
            request = picked[1].request
            self.arrived.discard(request)
            asked = isinstance(request.owner, LoneRequest) or request.done is not None
            if request in self.ends and not asked and not (reply and error_in(reply)):
                self.ends[request] += 1
            self.answer(request, reply)

    def do_refuse(self, which: int, status: RpcStatus, sent: bool) -> None:
        """Fail one request; by stream only as a node answers one of many."""
        picked = self._picked(which)
        if picked is None:
            return
        address, send = picked
        decision = decide(status, send.request.method)
        if self.stream and decision.fault not in {Fault.NOBODY, Fault.KEY}:
            return
        if decision.next is Next.FAIL and decision.fault is not Fault.MESSAGE:
            self._arrive(address, send)
        elif decision.fault is Fault.NODE and send.request in self.arrived:
            return  # a node that does not serve it does not do it either
        self.failed_call(address, send, status, sent or send.request in self.arrived)

    def do_redirect(self, which: int, target: str, backwards: bool) -> None:
        """Redirect what did not arrive yet of one owner: a node does not change its mind.

        Answers may come in another order than the requests did.
        """
        picked = self._picked(which)
        if picked is None:
            return
        address, (owner, sends) = picked[0], (picked[1].request.owner, self.under_way[picked[0]])
        status = RpcStatus(700, f"REDIRECT_TO_{target}")
        for send in sends[::-1] if backwards else list(sends):
            if send.request in self.arrived:
                continue
            if send.request.owner is owner:
                self.failed_call(address, send, status, sent=True)
            elif self.stream:
                self._arrive(address, send)

    def failed_call(self, address: str, send: Send, status: RpcStatus, sent: bool) -> None:
        self.note_failure(address, send, decide(status, send.request.method), sent)
        self.fail(send.request, status, sent)

    def note_failure(self, address: str, send: Send, decision: Decision, sent: bool) -> None:
        request, said = send.request, said_in(send)
        self.arrived.discard(request)
        redirected = decision.next is Next.FOLLOW
        if sent and decision.fault is not Fault.NODE and not redirected:
            self.uncertain[request] += 1
        if said is None:
            return
        where = (address, said[0])
        if said[1] == "begin" and (not sent or redirected) and where in self._announced:
            self._announced[where][1].discard(send)
        elif said[1] == "end" and decision.next is not Next.AGAIN:
            self.live.pop(where, None)

    def name_of(self, request: Request) -> _Name | None:
        """Whose message it is, if it is one."""
        owner = request.owner
        return owner.name if isinstance(owner, SessionQueue) else None
