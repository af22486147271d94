"""Whatever happens, in whatever order: what the dispatcher promises of messages and sessions.

No Twisted, no time and no chance but what hypothesis gives.
"""

from hypothesis import given, settings
from hypothesis.strategies import (
    SearchStrategy,
    booleans,
    integers,
    just,
    lists,
    one_of,
    sampled_from,
    sets,
    tuples,
)
from twisted.trial.unittest import SynchronousTestCase

from gnetway.dispatch.dispatcher import TICK_SECONDS
from gnetway.dispatch.lone_request import SessionEnd
from gnetway.dispatch.node import BreakerState, ConnectionState, Listing
from gnetway.dispatch.retry import FALSE_REPLY, INNOCENT, TRUE_REPLY, Fault, culprit, decide_stream
from gnetway.dispatch.shared import Announce
from gnetway.rpc.status import RpcStatus
from tests.dispatch.cases import BROKEN, STRANGER, A, B, C
from tests.dispatch.world import World

NODES = (A, B, C)
SESSIONS = 4

STATUSES = [
    BROKEN,
    RpcStatus(1, "stopping"),
    RpcStatus(2, "overloaded"),
    RpcStatus(4, "no answer in time"),
    RpcStatus(8, "larger than max"),
    RpcStatus(12, "unknown service"),
    RpcStatus(13, "Error parsing request"),
    RpcStatus(2, "AUTH_KEY_UNREGISTERED"),
]
REPLIES = [TRUE_REPLY, TRUE_REPLY, TRUE_REPLY, b"", FALSE_REPLY, b"\xff"]

small = integers(0, 30)
nodes = sampled_from(NODES)


class Cluster(World):
    """The world with what becomes of its nodes and connections."""

    def __init__(
        self, stream: bool, announce: Announce, narrow: bool, closes_at_once: bool, outage: bool
    ) -> None:
        super().__init__(stream, announce, narrow, closes_at_once, outage)
        #: Whose sessions may not hear of their end: nodes that discovery did not always name, and
        #: all of them where what waits is given up.
        self.ever_left: set[str] = set(NODES) if outage else set()
        self.with_nodes(A, B)

    def do(self, action: tuple[object, ...]) -> None:
        getattr(self, f"do_{action[0]}")(*action[1:])
        if len(self.dispatcher.buffer):
            assert self.dispatcher.needs_ticks

    def do_stream_ended(self, which: int, status: RpcStatus, share: int, silent: bool) -> None:
        """End a stream of those on which something is, or one that is not used."""
        busy = [address for address, sends in self.under_way.items() if sends] or [A]
        self.stream_ended(busy[which % len(busy)], status, share, silent)

    def stream_ended(self, address: str, status: RpcStatus, share: int, silent: bool) -> None:
        """End a stream, when some of what did not arrive has left."""
        sends = self.under_way.get(address, [])
        arrived = sum(send.request in self.arrived for send in sends)
        decision = decide_stream(status)
        if not self.stream or self.dispatcher.nodes.known(address) is None:
            return
        if arrived and decision.fault is Fault.NODE:
            return
        sent = arrived + share % (len(sends) - arrived + 1)
        read = sent
        if decision.fault is Fault.MESSAGE and not sent:
            decision = decide_stream(BROKEN)
        if decision.fault is Fault.MESSAGE:
            guilty = culprit(status, [send.request for send in sends[:sent]])
            read = next(n for n, send in enumerate(sends, 1) if send.request is guilty)
            if arrived >= read:
                return  # a node that has taken what is behind a message has read that one
        for number, send in enumerate(sends):
            way = decision
            if decision.fault is Fault.MESSAGE and number + 1 != read:
                is_told = number < read and isinstance(send.request.owner, SessionEnd)
                way = decision if is_told else INNOCENT
            self.note_failure(address, send, way, number < read)
        self.end_stream(address, status, sent, silent)

    def do_broken(self, address: str, restarts: bool, told_first: bool) -> None:
        """Lose a connection with all that was under way on it."""
        node = self.dispatcher.nodes.known(address)
        if node is None:
            return
        if restarts:
            self.loses_sessions(address)
        if told_first:
            self.lose_connection(address)
        if self.stream:
            self.stream_ended(address, BROKEN, 0, False)
        else:
            for send in list(self.under_way.get(address, [])):
                self.failed_call(address, send, BROKEN, True)
        if not told_first:
            self.lose_connection(address)

    def do_connected(self, address: str) -> None:
        node = self.dispatcher.nodes.known(address)
        if (
            node is not None
            and node.connection is not ConnectionState.UP
            and (node.listing is Listing.LISTED or address in self.wanted)
        ):
            self.wanted.discard(address)
            self.connect(address)

    def do_not_connected(self, address: str) -> None:
        node = self.dispatcher.nodes.known(address)
        if node is not None and node.connection is not ConnectionState.UP:
            self.wanted.discard(address)
            self.lose_connection(address)

    def do_listed(self, addresses: set[str]) -> None:
        self.ever_left |= set(NODES) - addresses
        self.set_nodes(*sorted(addresses))

    def do_probed(self, address: str, well: bool) -> None:
        if address in self.probing:
            self.probing.discard(address)
            status = None if well else BROKEN
            self.dispatcher.probed(self.node(address), status, self.now)
            self.flush()

    def do_time(self, seconds: float) -> None:
        self.now += seconds
        self.do_tick()

    def do_tick(self) -> None:
        if self.dispatcher.needs_ticks:
            self.tick(TICK_SECONDS)

    # -- the end -------------------------------------------------------------------------------

    def heal(self) -> None:
        """Let all be well again, close all sessions, and let everything come to its end."""
        self.ever_left |= {
            node.address for node in self.dispatcher.nodes if node.listing is not Listing.LISTED
        }
        self.set_nodes(*NODES)
        self.settle()
        assert len(self.dispatcher.buffer) == 0, "all nodes are well"
        for number in range(SESSIONS):
            self.do_close(number)
        self.settle()

    def do_calm(self) -> None:
        """Let nodes be connected to, and answer all that they have."""
        for address in (*NODES, STRANGER):
            self.do_connected(address)
            self.do_probed(address, True)
        while any(self.under_way.values()):
            self.do_answer(0, TRUE_REPLY)

    def do_restart(self, address: str, told_first: bool) -> None:
        self.do_broken(address, True, told_first)
        self.do_connected(address)

    def settle(self) -> None:
        for _ in range(60):
            self.do_calm()
            closed = all(
                node.breaker.state is BreakerState.CLOSED for node in self.dispatcher.nodes
            )
            if closed and not len(self.dispatcher.buffer):
                return
            self.do_tick()
        raise AssertionError("it does not come to rest")

    def stop(self) -> None:
        """Stop in the midst of it; what is under way is redirected, or cancelled."""
        self.dispatcher.stop(self.now)
        self.stopped = True
        self.flush()
        self.do_redirect(0, STRANGER, False)
        for address in (*NODES, STRANGER):
            self.do_broken(address, False, True)
        for number in range(SESSIONS):
            self.do_say(number, 1, 10, False)
            self.do_close(number)
        self.do_ask(1, True)
        self.ever_left = {*NODES, STRANGER}


def actions() -> SearchStrategy[list[tuple[object, ...]]]:
    sizes = sampled_from([10, 10, 10, 60, 280, 301])
    frequent = one_of(
        tuples(just("say"), integers(0, SESSIONS - 1), integers(1, 4), sizes, booleans()),
        tuples(just("answer"), small, sampled_from(REPLIES)),
        tuples(just("arrive"), small),
        tuples(just("calm")),
    )
    disasters = one_of(
        tuples(just("refuse"), small, sampled_from(STATUSES), booleans()),
        tuples(just("redirect"), small, sampled_from([*NODES, STRANGER]), booleans()),
        tuples(just("restart"), nodes, booleans()),
        tuples(just("stream_ended"), small, sampled_from(STATUSES), small, booleans()),
        tuples(just("broken"), sampled_from([*NODES, STRANGER]), booleans(), booleans()),
        tuples(just("connected"), sampled_from([*NODES, STRANGER])),
        tuples(just("not_connected"), sampled_from([*NODES, STRANGER])),
        tuples(just("listed"), sets(nodes)),
        tuples(just("probed"), nodes, booleans()),
        tuples(just("time"), sampled_from([0.1, 1.0, 2.9, 61.0])),
        tuples(just("ask"), integers(-5, 5), booleans()),
        tuples(just("withdraw")),
        tuples(just("tick")),
        tuples(just("close"), integers(0, SESSIONS - 1)),
    )
    # Not one_of, which would choose among all of them alike.
    kinds = integers(0, 9).flatmap(lambda kind: disasters if kind < 3 else frequent)
    return lists(kinds, min_size=20, max_size=80)


class ModelTests(SynchronousTestCase):
    @settings(max_examples=400)
    @given(
        stream=booleans(),
        announce=sampled_from(Announce),
        narrow=booleans(),
        closes_at_once=booleans(),
        outage=booleans(),
        stops=booleans(),
        deeds=actions(),
    )
    def test_anything(
        self,
        stream: bool,
        announce: Announce,
        narrow: bool,
        closes_at_once: bool,
        outage: bool,
        stops: bool,
        deeds: list[tuple[object, ...]],
    ) -> None:
        cluster = Cluster(stream, announce, narrow, closes_at_once, outage)
        for deed in deeds:
            cluster.do(deed)
        if stops:
            cluster.stop()
        else:
            cluster.heal()
        self._check_requests(cluster)
        self._check_rest(cluster)

    def _check_requests(self, cluster: Cluster) -> None:
        """Each has ended once; and whoever did not ask hears of a loss by the session's end."""
        for request, ends in cluster.ends.items():
            withdrawn = request in cluster.withdrawn
            self.assertTrue(ends == 1 or (withdrawn and ends <= 1), (request.payload, ends))
        for request in cluster.failures:
            if request in cluster.ends and request.done is None and cluster.name_of(request):
                self.assertIn(cluster.name_of(request), cluster.lost_names)

    def _check_rest(self, cluster: Cluster) -> None:
        """Nothing is left: no counter, no waiter, no session, no client that is not read."""
        self.assertTrue(cluster.is_empty())
        self.assertEqual(set(cluster.paused.values()) - {0}, set())
        for (address, name), epoch in cluster.live.items():
            node = cluster.dispatcher.nodes.known(address)
            if address not in cluster.ever_left and node is not None:
                self.assertNotEqual(node.epoch, epoch, f"{name} was never ended at {address}")
