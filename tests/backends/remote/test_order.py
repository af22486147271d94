"""Whatever fails: messages of a session arrive in order, announced, and none is lost unnoticed."""

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

from gnetway.backends.remote.connections import Announce, OutageLimits
from gnetway.rpc.calls import RpcOptions
from tests.backends.remote.cases import A, B, C, Cluster, redirecting
from tests.backends.remote.fake_carrier import FakeCall
from tests.backends.remote.fakes import FakeNode, FakeSession

NODES = (A, B, C)
SESSIONS = 3

#: Nothing expires but by the test's will.
ENDLESS = OutageLimits(max_seconds=1e6)
#: So narrow that streams and links are often full.
NARROW = RpcOptions(max_unsent_messages=3, max_calls=2)

nodes = sampled_from(NODES)
small = integers(0, 40)


def actions() -> SearchStrategy[list[tuple[object, ...]]]:
    frequent = one_of(
        tuples(just("say"), integers(0, SESSIONS - 1), integers(1, 4)),
        tuples(just("step"), small),
    )
    disasters = one_of(
        tuples(just("unanswered"), small),
        tuples(just("swallowed"), small),
        tuples(just("broken"), nodes),
        tuples(just("down"), nodes),
        tuples(just("up"), nodes),
        tuples(just("frozen"), nodes, booleans()),
        tuples(just("redirect"), nodes, one_of(just(""), nodes)),
        tuples(just("listed"), sets(nodes)),
        tuples(just("time"), sampled_from([0.1, 0.3, 1.0, 11.0])),
        tuples(just("settle")),
        tuples(just("close"), integers(0, SESSIONS - 1)),
    )
    return lists(one_of(frequent, frequent, frequent, disasters, disasters), max_size=60)


class World:
    """A cluster, what has been sent, and in which order the nodes took it."""

    def __init__(
        self, stream: bool, announce: Announce, narrow: bool, closes_at_once: bool
    ) -> None:
        self.cluster = Cluster(
            *NODES,
            stream=stream,
            announce=announce,
            outage=ENDLESS,
            options=NARROW if narrow else None,
        )
        self._closes_at_once = closes_at_once
        self._open: dict[int, FakeSession] = {}
        self.clients: list[FakeSession] = []
        self._said = [0] * SESSIONS
        self.received: list[bytes] = []
        self.ever_left: set[str] = set()
        #: Whether a node may have got what it did not answer.
        self.uncertain = False
        for address in NODES:
            self._watch(self.cluster.node(address))

    def _watch(self, node: FakeNode) -> None:
        handle = node.handle

        def noted(method: str, request: bytes) -> object:
            before = len(node.events)
            reply = handle(method, request)
            self.received += [one.payload for one in node.events[before:] if one.payload]
            return reply

        node.handle = noted  # type: ignore[assignment,method-assign]

    def do(self, action: tuple[object, ...]) -> None:
        getattr(self, f"do_{action[0]}")(*action[1:])

    def do_say(self, number: int, count: int) -> None:
        session = self._open.get(number)
        for _ in range(count):
            if session is None or number not in self._open:
                session = self._opened(number)
            self._said[number] += 1
            self.cluster.say(session, b"%d:%d" % (number, self._said[number]))

    def _opened(self, number: int) -> FakeSession:
        session = self.cluster.session(number + 1)
        self.clients.append(session)
        self._open[number] = session
        if self._closes_at_once:
            session.on_end = lambda: self._ended(number, session)
        return session

    def _ended(self, number: int, session: FakeSession) -> None:
        if self._open.get(number) is session:
            self.do_close(number)

    def do_close(self, number: int) -> None:
        session = self._open.pop(number, None)
        if session is not None:
            self.cluster.backend.close_session(session)

    def do_step(self, which: int) -> None:
        under_way = self.cluster.carrier.under_way()
        if under_way:
            under_way[which % len(under_way)].step()

    def do_unanswered(self, which: int) -> None:
        """A node takes something, but its answer is late."""
        self.uncertain = True
        under_way = self.cluster.carrier.under_way()
        if under_way:
            one = under_way[which % len(under_way)]
            if isinstance(one, FakeCall):
                one.arrive_unanswered()
            else:
                one.take()

    def do_swallowed(self, which: int) -> None:
        """The connection takes something that the node never gets, nor anything after it."""
        self.uncertain = True
        streams = [one for one in self.cluster.carrier.under_way() if not isinstance(one, FakeCall)]
        if streams:
            streams[which % len(streams)].take(heard=False)

    def do_broken(self, address: str) -> None:
        """Start a node again: it knows no session any more."""
        self.cluster.node(address).forget()
        if any(client.peer == address for client in self.cluster.carrier.clients):
            self.cluster.links_down(address)
            self.cluster.carrier.client_of(address).lose_connection()

    def do_down(self, address: str) -> None:
        self.cluster.node(address).up = False
        self.do_broken(address)

    def do_up(self, address: str) -> None:
        self.cluster.node(address).up = True

    def do_frozen(self, address: str, frozen: bool) -> None:
        self.uncertain = self.uncertain or frozen
        self.cluster.node(address).frozen = frozen

    def do_redirect(self, address: str, target: str) -> None:
        if not target:
            # What a node refuses and what it takes after that crosses on the stream: no order
            # can be kept where it changes its mind in between.
            self.do_settle()
        node = self.cluster.node(address)
        kinds = ("send_data", "create_session")
        node.refuse = redirecting(target, *kinds) if target else lambda kind: None

    def do_listed(self, addresses: set[str]) -> None:
        self.ever_left |= set(NODES) - addresses
        self.cluster.discovery.say(*sorted(addresses))

    def do_time(self, seconds: float) -> None:
        self.uncertain = self.uncertain or seconds > 1
        self.cluster.clock.advance(seconds)

    def do_settle(self) -> None:
        self.cluster.settle()

    def heal(self) -> None:
        """Let all be well again, close all sessions, and let everything come to its end."""
        for address in NODES:
            self.do_up(address)
            self.do_frozen(address, False)
            self.do_redirect(address, "")
        self.cluster.discovery.say(*NODES)
        self.cluster.pass_time(30)
        for number in range(SESSIONS):
            self.do_close(number)
        self.cluster.pass_time(30)


class OrderTests(SynchronousTestCase):
    @settings(max_examples=400)
    @given(
        stream=booleans(),
        announce=sampled_from(Announce),
        narrow=booleans(),
        closes_at_once=booleans(),
        deeds=actions(),
    )
    def test_anything(
        self,
        stream: bool,
        announce: Announce,
        narrow: bool,
        closes_at_once: bool,
        deeds: list[tuple[object, ...]],
    ) -> None:
        world = World(stream, announce, narrow, closes_at_once)
        for deed in deeds:
            world.do(deed)
        world.heal()
        self._check_messages(world)
        self._check_nodes(world)
        self._check_backend(world)

    def _check_messages(self, world: World) -> None:
        """Each is told of once; what is told to be accepted was taken; in the order of sending."""
        allowed = {"ok", "BackendUnavailable", "BackendRefused"}
        for payload in world.cluster.outcomes:
            outcome = world.cluster.outcome(payload)
            self.assertIn(outcome, allowed, payload)
            if outcome == "ok":
                self.assertIn(payload, world.received)
            self.assertLessEqual(world.received.count(payload), 2, payload)
        firsts = list(dict.fromkeys(world.received))
        for number in range(SESSIONS):
            numbers = [int(one.split(b":")[1]) for one in firsts if one.startswith(b"%d:" % number)]
            self.assertEqual(numbers, sorted(numbers), number)
        lost = world.cluster.backend.lost.as_dict()
        unavailable = sum(
            world.cluster.outcome(payload) == "BackendUnavailable"
            for payload in world.cluster.outcomes
        )
        self.assertEqual(lost, {"not_acknowledged": unavailable} if unavailable else {})

    def _check_nodes(self, world: World) -> None:
        """Nothing came for a session that was not announced, and none is left open."""
        for address in NODES:
            node = world.cluster.node(address)
            self.assertEqual(node.unannounced, [], address)
            if not world.uncertain:
                # An announcement may have come to a node that has left it unanswered.
                self.assertEqual(node.closed_unknown, [], address)
            if address not in world.ever_left:
                self.assertEqual(node.live, set(), address)

    def _check_backend(self, world: World) -> None:
        backend = world.cluster.backend
        hold = world.cluster.buffer
        self.assertEqual((len(hold), hold.messages, hold.size), (0, 0, 0))
        self.assertEqual(world.cluster.sessions, {})
        self.assertEqual([client.paused for client in world.clients], [0] * len(world.clients))
        self.successResultOf(backend.stop())
        self.assertEqual(world.cluster.clock.getDelayedCalls(), [])
