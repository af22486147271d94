"""Who is on the ring, and when what was decided has to be decided anew."""

from hypothesis import given
from hypothesis.strategies import integers, lists, sampled_from, tuples
from twisted.trial.unittest import SynchronousTestCase

from gnetway.dispatch.node import BreakerState, Node
from gnetway.dispatch.nodes import CONNECT_AGAIN_SECONDS, FORGET_SECONDS, NodeTable
from tests.dispatch.cases import STRANGER, A, B, C, ring_of
from tests.strategies import SeededBytes

ADDRESSES = (A, B, C)
KEYS = range(-20, 20)

DEEDS = (
    "join", "leave", "connected", "connection_lost", "trip", "probe", "probe_succeeded", "failed",
    "succeeded", "update", "forget",
)  # fmt: skip


def choices(table: NodeTable) -> list[tuple[str, int]]:
    """What is decided for some keys: the node, and which life of it."""
    found = [table.choose(key, None) for key in KEYS]
    return [("", 0) if node is None else (node.address, node.epoch) for node in found]


class World:
    """A node table, and what should be true of it."""

    def __init__(self) -> None:
        self.table = NodeTable(SeededBytes(1))
        self.now = 0.0

    def node(self, address: str) -> Node:
        return self.table.named(address, self.now)[0]

    def join(self, address: str) -> Node:
        node = self.node(address)
        if not node.listed:
            self.table.join(node)
        return node

    def leave(self, address: str) -> None:
        node = self.node(address)
        if node.listed:
            self.table.leave(node, self.now)

    def connect(self, address: str) -> Node:
        node = self.node(address)
        node.connecting, node.connected = False, True
        self.table.update(node)
        return node

    def do(self, deed: str, address: str) -> None:
        self.now += 0.2
        node = self.node(address)
        if deed in {"join", "leave"}:
            getattr(self, deed)(address)
        elif deed == "connected":
            self.connect(address)
        elif deed == "connection_lost":
            self.table.connection_lost(node, self.now)
        elif deed == "forget":
            self.now += FORGET_SECONDS
            self.table.forget_unused(self.now)
        elif deed == "probe":
            self.table.probes_due(self.now + 20)
        elif deed in {"trip", "failed"}:
            getattr(node.breaker, deed)(self.now)
            self.table.update(node)
        elif deed == "probe_succeeded":
            if node.breaker.state is BreakerState.HALF_OPEN:
                node.breaker.probe_succeeded()
                self.table.update(node)
        elif deed == "succeeded":
            node.breaker.succeeded()
        else:
            self.table.update(node)

    def expected_ring(self) -> list[str]:
        return [
            address
            for address in ADDRESSES
            if (node := self.table.known(address)) is not None
            and node.listed
            and node.connected
            and node.breaker.state is BreakerState.CLOSED
        ]


class RingTests(SynchronousTestCase):
    @given(deeds=lists(tuples(sampled_from(DEEDS), sampled_from(ADDRESSES)), max_size=40))
    def test_anything(self, deeds: list[tuple[str, str]]) -> None:
        """On the ring: listed, connected, closed. And no choice changes behind the generation."""
        world, table = World(), None
        table = world.table
        for deed, address in deeds:
            before, generation = choices(table), table.generation
            usable = {node.address: node.usable for node in table}
            world.do(deed, address)
            expected = world.expected_ring()
            self.assertEqual(len(table), len(expected))
            ring = ring_of(*expected)
            for key in KEYS:
                chosen = table.choose(key, None)
                found = chosen.address if chosen is not None else ""
                self.assertEqual(found, ring.node_for(key) if expected else "")
            for node in table:
                closed = node.breaker.state is BreakerState.CLOSED
                self.assertIs(node.usable, node.connected and closed)
            if choices(table) != before or any(
                node.usable is not usable.get(node.address, False) for node in table
            ):
                self.assertNotEqual(table.generation, generation, (deed, address))

    def test_what_changes_nothing(self) -> None:
        """Then nothing is decided anew: that would cost each message more than its way."""
        world = World()
        for address in (A, B):
            world.join(address)
            world.connect(address)
        generation = world.table.generation
        node = world.node(A)
        node.breaker.failed(0)
        world.table.update(node)
        node.breaker.succeeded()
        world.connect(A)
        world.table.named(STRANGER, 0)
        world.table.connection_lost(world.node(STRANGER), 0)
        world.table.choose(5, {A})
        self.assertEqual(world.table.probes_due(1e6), [])
        self.assertEqual(world.table.forget_unused(FORGET_SECONDS / 2), [])
        self.assertEqual(world.table.generation, generation)

    @given(key=integers(-(2**63), 2**63 - 1), tried=sampled_from([set(), {A}, {B, C}, {A, B, C}]))
    def test_tried(self, key: int, tried: set[str]) -> None:
        """The next one is the one that would hold the key without those that were tried."""
        world = World()
        for address in ADDRESSES:
            world.join(address)
            world.connect(address)
        chosen = world.table.choose(key, tried)
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
        world.table.connection_lost(node, 1)
        world.table.connection_lost(node, 2)
        self.assertEqual(node.epoch, 1, "what is lost cannot be lost again")
        world.connect(A)
        self.assertEqual(node.epoch, 1)
        world.leave(A)
        self.assertEqual((node.epoch, node.usable, len(world.table)), (1, True, 0))
        world.join(A)
        self.assertEqual((node.epoch, len(world.table)), (2, 1))

    def test_named_anew(self) -> None:
        """It may be another process, which has not failed yet."""
        world = World()
        node = world.join(A)
        world.connect(A)
        node.breaker.trip(0)
        world.table.update(node)
        self.assertTrue(world.table.any_breaker_open)
        world.leave(A)
        world.join(A)
        self.assertEqual((node.usable, world.table.any_breaker_open), (True, False))

    def test_down(self) -> None:
        """Nobody waits for a node of which nobody knows when it will be well."""
        world = World()
        node = world.node(STRANGER)
        self.assertFalse(node.is_down(0), "the first attempt has not ended")
        world.table.connection_lost(node, 10)
        self.assertTrue(node.is_down(10 + CONNECT_AGAIN_SECONDS / 2))
        self.assertFalse(node.is_down(10 + CONNECT_AGAIN_SECONDS))
        world.connect(STRANGER)
        self.assertFalse(node.is_down(11))
        node.breaker.trip(11)
        world.table.update(node)
        self.assertTrue(node.is_down(1e6))
        listed = world.join(A)
        world.table.connection_lost(listed, 10)
        self.assertTrue(listed.is_down(1e6), "its connection is being seen to")

    def test_probes(self) -> None:
        """Only where a connection stands, and one at a time."""
        world = World()
        nodes = [world.join(address) for address in ADDRESSES]
        world.connect(A)
        world.connect(B)
        for node in (nodes[0], nodes[2]):
            node.breaker.trip(0)
            world.table.update(node)
        self.assertEqual(world.table.probes_due(0), [])
        self.assertEqual(world.table.probes_due(1), [nodes[0]])
        self.assertEqual(world.table.probes_due(1e6), [])

    def test_incomplete(self) -> None:
        """Until the first attempt with each listed node has ended, well or not."""
        world = World()
        world.join(A)
        world.join(B)
        world.node(STRANGER)
        self.assertTrue(world.table.incomplete)
        world.connect(A)
        self.assertTrue(world.table.incomplete)
        world.table.connection_lost(world.node(B), 0)
        self.assertFalse(world.table.incomplete)

    def test_why_unusable(self) -> None:
        world = World()
        self.assertEqual(world.table.why_unusable(), "no session node is known")
        world.connect(STRANGER)
        self.assertEqual(world.table.why_unusable(), "no session node is known")
        world.join(B)
        world.join(A)
        self.assertEqual(world.table.why_unusable(), f"no session node answers: {A}, {B}")
        world.connect(B)
        self.assertEqual(world.table.why_unusable(), "")


class ForgettingTests(SynchronousTestCase):
    def test_unlisted(self) -> None:
        """After a while without use; what is listed, in use or has something in flight stays."""
        world = World()
        world.join(A)
        gone, used, busy = (world.node(address) for address in (B, C, STRANGER))
        busy.in_flight = 1
        self.assertTrue(world.table.has_unlisted)
        self.assertEqual(world.table.forget_unused(FORGET_SECONDS - 1), [])
        used.sent += 1
        self.assertEqual(world.table.forget_unused(FORGET_SECONDS), [gone])
        self.assertIsNone(world.table.known(B))
        self.assertEqual(world.table.forget_unused(2 * FORGET_SECONDS - 1), [])
        busy.in_flight = 0
        self.assertEqual(world.table.forget_unused(2 * FORGET_SECONDS), [used])
        self.assertEqual(world.table.forget_unused(3 * FORGET_SECONDS), [busy])
        self.assertFalse(world.table.has_unlisted)
        self.assertEqual([node.address for node in world.table], [A])

    def test_from_when_it_left(self) -> None:
        world = World()
        node = world.join(A)
        world.table.leave(node, 100)
        self.assertEqual(world.table.forget_unused(100 + FORGET_SECONDS - 1), [])
        world.table.join(node)
        self.assertEqual(world.table.forget_unused(1e6), [])
        world.table.leave(node, 1e6)
        self.assertEqual(world.table.forget_unused(1e6 + FORGET_SECONDS), [node])

    def test_whoever_still_holds_it(self) -> None:
        """Its connection is closed with it: a session that was there has to decide anew."""
        world = World()
        node = world.connect(STRANGER)
        epoch, generation = node.epoch, world.table.generation
        self.assertEqual(world.table.forget_unused(FORGET_SECONDS), [node])
        self.assertEqual((node.usable, node.connected), (False, False))
        self.assertNotEqual((node.epoch, world.table.generation), (epoch, generation))
