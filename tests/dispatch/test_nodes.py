"""Who is on the ring, and when what was decided has to be decided anew."""

from collections import deque

from hypothesis import given
from hypothesis.strategies import integers, lists, sampled_from, tuples
from twisted.trial.unittest import SynchronousTestCase

from gnetway.dispatch.lone_request import LoneRequest
from gnetway.dispatch.node import BreakerState, ConnectionState, Listing, Node
from gnetway.dispatch.nodes import CONNECT_AGAIN_SECONDS, FORGET_SECONDS, SessionNodes
from gnetway.dispatch.request import NodeOutput, NodeWish, Output, Request
from gnetway.dispatch.retry import Fault
from gnetway.dispatch.shared import DispatchSettings, Shared
from gnetway.rpc.status import Method
from tests.dispatch.cases import BROKEN, STRANGER, A, B, C, ring_of
from tests.strategies import SeededBytes

UP = ConnectionState.UP

ADDRESSES = (A, B, C)
KEYS = range(-20, 20)

DEEDS = (
    "join", "leave", "connect", "lose", "trip", "fail", "succeed", "tick", "probe", "probe_fails",
)  # fmt: skip


def choices(nodes: SessionNodes) -> list[tuple[str, int]]:
    """What is decided for some keys: the node, and which life of it."""
    found = [nodes.choose(key, None) for key in KEYS]
    return [("", 0) if node is None else (node.address, node.epoch) for node in found]


class World:
    """The nodes, and what is heard of them."""

    def __init__(self) -> None:
        self.outputs: deque[Output] = deque()
        self.nodes = SessionNodes(SeededBytes(1), self.outputs)
        self.now = 0.0
        self.listed: list[str] = []

    def node(self, address: str) -> Node:
        """A node; one that nobody has named is named by a redirect."""
        known = self.nodes.known(address)
        found = known or self.nodes.find(request_for(address), address, self.now)
        assert found is not None
        return found

    def wishes(self, wish: NodeWish) -> list[str]:
        """Take what is to be done, and return for which nodes it is ``wish``."""
        taken = [*self.outputs]
        self.outputs.clear()
        return [
            output.node.address
            for output in taken
            if isinstance(output, NodeOutput) and output.wish is wish
        ]

    def join(self, *addresses: str) -> Node:
        self.listed += [address for address in addresses if address not in self.listed]
        self.nodes.set_listed(self.listed, self.now)
        return self.node(addresses[0])

    def leave(self, address: str) -> None:
        self.listed = [other for other in self.listed if other != address]
        self.nodes.set_listed(self.listed, self.now)

    def connect(self, address: str) -> Node:
        node = self.node(address)
        self.nodes.connected(node, self.now)
        return node

    def lose(self, address: str) -> None:
        self.nodes.disconnected(self.node(address), "lost", self.now)

    def trip(self, address: str) -> None:
        self.nodes.blame(self.node(address), Fault.NODE, BROKEN, self.now, silent=True)

    def fail(self, address: str) -> None:
        self.nodes.blame(self.node(address), Fault.SLOW_NODE, BROKEN, self.now)

    def succeed(self, address: str) -> None:
        self.nodes.blame(self.node(address), Fault.NOBODY, BROKEN, self.now)

    def tick(self, address: str = "") -> None:
        self.nodes.tick(self.now)

    def probe(self, address: str) -> None:
        self.nodes.probed(self.node(address), None, self.now)

    def probe_fails(self, address: str) -> None:
        self.nodes.probed(self.node(address), BROKEN, self.now)

    def forgotten(self, now: float) -> list[str]:
        """Which nodes are forgotten by then."""
        self.now = now
        self.tick()
        return self.wishes(NodeWish.CLOSE)

    def expected_ring(self) -> list[str]:
        return [
            node.address
            for node in map(self.nodes.known, ADDRESSES)
            if node is not None
            and node.listing is Listing.LISTED
            and node.connection is UP
            and node.breaker.state is BreakerState.CLOSED
        ]


def request_for(address: str) -> Request:
    shared = Shared(DispatchSettings(""), SeededBytes(1))
    lone = LoneRequest(shared, Method.QUERY_AUTH_KEY, 0, b"", None, False)
    assert lone.request is not None
    return lone.request


class RingTests(SynchronousTestCase):
    @given(deeds=lists(tuples(sampled_from(DEEDS), sampled_from(ADDRESSES)), max_size=40))
    def test_anything(self, deeds: list[tuple[str, str]]) -> None:
        """On the ring: listed, connected, closed. And no choice changes behind the generation."""
        world = World()
        nodes = world.nodes
        for deed, address in deeds:
            before, generation = choices(nodes), nodes.generation
            usable = {node.address: node.usable for node in nodes}
            world.now += 0.2 if deed != "tick" else FORGET_SECONDS
            getattr(world, deed)(address)
            expected = world.expected_ring()
            ring = ring_of(*expected)
            for key in KEYS:
                chosen = nodes.choose(key, None)
                found = chosen.address if chosen is not None else ""
                self.assertEqual(found, ring.node_for(key) if expected else "")
            for node in nodes:
                closed = node.breaker.state is BreakerState.CLOSED
                self.assertIs(node.usable, node.connection is UP and closed)
            if choices(nodes) != before or any(
                node.usable is not usable.get(node.address, False) for node in nodes
            ):
                self.assertNotEqual(nodes.generation, generation, (deed, address))

    def test_what_changes_nothing(self) -> None:
        """Then nothing is decided anew: that would cost each message more than its way."""
        world = World()
        world.join(A, B)
        world.connect(A)
        world.connect(B)
        generation = world.nodes.generation
        world.fail(A)
        world.succeed(A)
        world.connect(A)
        world.lose(STRANGER)
        world.nodes.choose(5, {A})
        world.wishes(NodeWish.PROBE)
        self.assertEqual(world.forgotten(FORGET_SECONDS / 2), [])
        world.join(A, B)
        self.assertEqual(world.wishes(NodeWish.PROBE), [])
        self.assertEqual(world.nodes.generation, generation)

    @given(key=integers(-(2**63), 2**63 - 1), tried=sampled_from([set(), {A}, {B, C}, {A, B, C}]))
    def test_tried(self, key: int, tried: set[str]) -> None:
        """The next one is the one that would hold the key without those that were tried."""
        world = World()
        world.join(*ADDRESSES)
        for address in ADDRESSES:
            world.connect(address)
        chosen = world.nodes.choose(key, tried)
        left = [address for address in ADDRESSES if address not in tried]
        if left:
            assert chosen is not None
            self.assertEqual(chosen.address, ring_of(*left).node_for(key))
        else:
            self.assertIsNone(chosen)


class LifeTests(SynchronousTestCase):
    def test_epochs(self) -> None:
        """Another one with each lost connection, and when discovery has named it anew."""
        world = World()
        node = world.join(A)
        world.connect(A)
        self.assertEqual(node.epoch, 0)
        world.lose(A)
        world.lose(A)
        self.assertEqual(node.epoch, 1, "what is lost cannot be lost again")
        world.connect(A)
        self.assertEqual(node.epoch, 1)
        world.leave(A)
        self.assertEqual((node.epoch, node.usable), (1, True))
        self.assertIsNone(world.nodes.choose(1, None))
        world.join(A)
        self.assertEqual(node.epoch, 2)
        self.assertIs(world.nodes.choose(1, None), node)

    def test_named_anew(self) -> None:
        """It may be another process, which has not failed yet."""
        world = World()
        node = world.join(A)
        world.connect(A)
        world.trip(A)
        self.assertTrue(world.nodes.needs_ticks)
        world.leave(A)
        world.join(A)
        self.assertEqual((node.usable, world.nodes.needs_ticks), (True, False))

    def test_down(self) -> None:
        """Nobody waits for a node of which nobody knows when it will be well."""
        world = World()
        node = world.node(STRANGER)
        self.assertFalse(node.is_down(0), "the first attempt has not ended")
        world.now = 10
        world.lose(STRANGER)
        self.assertTrue(node.is_down(10 + CONNECT_AGAIN_SECONDS / 2))
        self.assertFalse(node.is_down(10 + CONNECT_AGAIN_SECONDS))
        world.connect(STRANGER)
        self.assertFalse(node.is_down(11))
        world.trip(STRANGER)
        self.assertTrue(node.is_down(1e6))
        listed = world.join(A)
        world.lose(A)
        self.assertTrue(listed.is_down(1e6), "its connection is being seen to")

    def test_probes(self) -> None:
        """Only where a connection is up, and one at a time."""
        world = World()
        world.join(*ADDRESSES)
        world.connect(A)
        world.connect(B)
        world.trip(A)
        world.trip(C)
        for now, expected in ((0, []), (1, [A]), (1e6, [])):
            world.now = now
            world.tick()
            self.assertEqual(world.wishes(NodeWish.PROBE), expected)

    def test_incomplete(self) -> None:
        """Until the first attempt with each listed node has ended, well or not."""
        world = World()
        world.join(A, B)
        world.node(STRANGER)
        self.assertTrue(world.nodes.incomplete)
        world.connect(A)
        self.assertTrue(world.nodes.incomplete)
        world.lose(B)
        self.assertFalse(world.nodes.incomplete)

    def test_why_unusable(self) -> None:
        world = World()
        self.assertEqual(world.nodes.why_unusable(), "no session node is known")
        world.connect(STRANGER)
        self.assertEqual(world.nodes.why_unusable(), "no session node is known")
        world.join(B, A)
        self.assertEqual(world.nodes.why_unusable(), f"no session node answers: {A}, {B}")
        world.connect(B)
        self.assertEqual(world.nodes.why_unusable(), "")


class ForgettingTests(SynchronousTestCase):
    def test_unlisted(self) -> None:
        """After a while without use; what is listed, in use or has something in flight stays."""
        world = World()
        world.join(A)
        _, used, busy = (world.node(address) for address in (B, C, STRANGER))
        busy.in_flight = 1
        self.assertTrue(world.nodes.needs_ticks)
        self.assertEqual(world.forgotten(FORGET_SECONDS - 1), [])
        used.sent += 1
        self.assertEqual(world.forgotten(FORGET_SECONDS), [B])
        self.assertIsNone(world.nodes.known(B))
        self.assertEqual(world.forgotten(2 * FORGET_SECONDS - 1), [])
        busy.in_flight = 0
        self.assertEqual(world.forgotten(2 * FORGET_SECONDS), [C])
        self.assertEqual(world.forgotten(3 * FORGET_SECONDS), [STRANGER])
        self.assertFalse(world.nodes.needs_ticks)
        self.assertEqual([node.address for node in world.nodes], [A])

    def test_from_when_it_left(self) -> None:
        world = World()
        world.join(A)
        world.now = 100
        world.leave(A)
        self.assertEqual(world.forgotten(100 + FORGET_SECONDS - 1), [])
        world.join(A)
        self.assertEqual(world.forgotten(1e6), [])
        world.leave(A)
        self.assertEqual(world.forgotten(1e6 + FORGET_SECONDS), [A])

    def test_whoever_is_still_with_it(self) -> None:
        """Its connection is closed with it: a session that was there has to decide anew."""
        world = World()
        node = world.connect(STRANGER)
        epoch, generation = node.epoch, world.nodes.generation
        self.assertEqual(world.forgotten(FORGET_SECONDS), [STRANGER])
        self.assertEqual((node.usable, node.connection), (False, ConnectionState.DOWN))
        self.assertNotEqual((node.epoch, world.nodes.generation), (epoch, generation))
