"""The node table: who is on the ring, who rests, and who comes back."""

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gnetway.session.method import Method
from gnetway.session.nodes import FORGET_SECONDS, Answered, Health, Node, NodeTable
from gnetway.session.operation import Operation
from gnetway.session.ring import Ring
from tests.session.cases import A, B, C
from tests.strategies import SeededBytes


class FakeLink:
    """Sends nothing."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.closed = False

    def perform(self, operation: Operation, request: bytes, answered: Answered) -> bool:
        return True

    def close(self) -> Deferred[None]:
        self.closed = True
        return succeed(None)


class NodeTableCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.links: list[FakeLink] = []
        self.changes = 0
        self.table = NodeTable(self.clock, self._link, SeededBytes(1), self._changed)

    def tearDown(self) -> None:
        for closed in self.table.close():
            self.successResultOf(closed)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def _link(self, node: Node) -> FakeLink:
        self.links.append(FakeLink(node))
        return self.links[-1]

    def _changed(self) -> None:
        self.changes += 1

    def query(self, key: int = 1) -> Operation:
        return Operation(Method.QUERY_AUTH_KEY, key, b"")

    def chosen(self, key: int = 1) -> str:
        node = self.table.choose(self.query(key), "")
        return "" if node is None else node.address

    def strike(self, address: str, times: int = 3, broken: bool = True) -> Node:
        node = self.table.named(address)
        for _ in range(times):
            self.table.failed(node, broken)
        return node


class ListTests(NodeTableCase):
    def test_nobody(self) -> None:
        self.assertEqual(self.chosen(), "")
        self.assertFalse(self.table.may_take())

    def test_ring_decides(self) -> None:
        self.table.set_listed([A, B, C])
        ring = Ring()
        for address in (A, B, C):
            ring.add(address)
        self.assertEqual(len(self.table), 3)
        for key in range(200):
            self.assertEqual(self.chosen(key), ring.node_for(key))

    def test_coming_and_going(self) -> None:
        """The keys of other nodes stay where they are."""
        self.table.set_listed([A, B])
        before = {key: self.chosen(key) for key in range(300)}
        self.table.set_listed([A, B, C])
        for key, address in before.items():
            self.assertIn(self.chosen(key), {address, C})
        self.table.set_listed([A, B])
        self.assertEqual({key: self.chosen(key) for key in before}, before)
        self.table.set_listed([B])
        for key, address in before.items():
            self.assertEqual(self.chosen(key), B, address)
        self.assertEqual(self.changes, 4)

    def test_gone(self) -> None:
        """A node that a redirect named was never listed, and so has not gone."""
        self.table.set_listed([A])
        self.table.named(B)
        self.assertFalse(self.table.gone(A))
        self.assertFalse(self.table.gone(B))
        self.assertTrue(self.table.gone(C))
        self.table.set_listed([])
        self.assertTrue(self.table.gone(A))
        self.assertFalse(self.table.may_take() and self.table.gone(B))

    def test_links_of_the_gone_are_closed_later(self) -> None:
        self.table.set_listed([A, B])
        self.table.set_listed([B])
        self.clock.advance(FORGET_SECONDS - 1)
        self.assertEqual([link.closed for link in self.links], [False, False])
        for _ in range(2):
            self.clock.advance(FORGET_SECONDS)
        self.assertEqual([link.closed for link in self.links], [True, False])
        self.table.set_listed([A, B])
        self.assertEqual(len(self.links), 3)

    def test_a_used_link_is_kept(self) -> None:
        """A redirect may lead to a node that discovery does not name."""
        for _ in range(9):
            self.assertIsNotNone(self.table.choose(self.query(), C))
            self.clock.advance(FORGET_SECONDS / 2)
        self.assertEqual([link.closed for link in self.links], [False])

    def test_a_rejoined_node_may_have_forgotten(self) -> None:
        self.table.set_listed([A])
        epoch = self.table.named(A).epoch
        self.table.set_listed([])
        self.table.set_listed([A])
        self.assertNotEqual(self.table.named(A).epoch, epoch)


class HealthTests(NodeTableCase):
    def setUp(self) -> None:
        super().setUp()
        self.table.set_listed([A, B])
        self.key = next(key for key in range(99) if self.chosen(key) == A)

    def test_three_strikes(self) -> None:
        node = self.strike(A, 2)
        self.assertEqual(self.chosen(self.key), A)
        self.table.answered(node)
        self.strike(A, 2)
        self.assertEqual(self.chosen(self.key), A)
        self.strike(A, 1)
        self.assertEqual((self.chosen(self.key), node.health), (B, Health.RESTING))

    def test_on_trial_with_one(self) -> None:
        node = self.strike(A)
        changes = self.changes
        self.clock.advance(0.1)
        self.assertEqual((self.chosen(self.key), node.health), (A, Health.ON_TRIAL))
        self.assertEqual(self.changes, changes + 1)
        node.trying = True
        self.assertEqual(self.chosen(self.key), B)
        self.table.answered(node)
        self.assertEqual((self.chosen(self.key), node.health), (A, Health.WELL))
        self.assertEqual(self.changes, changes + 2)

    def test_delays_double(self) -> None:
        """From 100 ms to 10 s, less up to a quarter; anew after it was well."""
        node = self.strike(A)
        for longest in (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0):
            self.clock.advance(longest * 0.74)
            self.assertIs(node.health, Health.RESTING)
            self.clock.advance(longest * 0.26)
            self.assertIs(node.health, Health.ON_TRIAL)
            self.strike(A, 1)
        self.table.answered(node)
        self.strike(A)
        self.clock.advance(0.1)
        self.assertIs(node.health, Health.ON_TRIAL)

    def test_news_of_discovery_end_a_rest(self) -> None:
        """A node that registers again under another key is in the list as before."""
        node = self.strike(A)
        for _ in range(5):
            self.strike(A, 1)
            self.table.set_listed([A, B])
            self.assertEqual((self.chosen(self.key), node.health), (A, Health.ON_TRIAL))
        self.strike(A, 1)
        self.clock.advance(0.1)
        self.assertIs(node.health, Health.RESTING)

    def test_another_node_s_return_ends_a_rest(self) -> None:
        for _ in range(6):
            first, second = self.strike(A), self.strike(B)
            self.table.set_listed([A, B])
        self.strike(A)
        self.strike(B)
        self.strike(C)
        changes = self.changes
        self.table.answered(first)
        self.assertEqual((first.health, second.health), (Health.WELL, Health.ON_TRIAL))
        self.assertIs(self.table.named(C).health, Health.RESTING)
        self.assertEqual(self.changes, changes + 1)
        self.table.answered(first)
        self.assertEqual(self.changes, changes + 1)

    def test_listed_anew(self) -> None:
        node = self.strike(A)
        self.table.set_listed([B])
        self.table.set_listed([A, B])
        self.assertEqual((self.chosen(self.key), node.health), (A, Health.WELL))

    def test_a_late_answer(self) -> None:
        node = self.strike(A)
        self.table.answered(node)
        self.assertEqual((self.chosen(self.key), node.timer), (A, None))

    def test_nobody_is_well(self) -> None:
        self.strike(A)
        self.strike(B)
        self.assertEqual(self.chosen(self.key), "")
        self.assertFalse(self.table.may_take())
        self.assertTrue(self.table.busy(A))
        self.assertFalse(self.table.busy(C))
        self.clock.advance(0.1)
        self.assertFalse(self.table.busy(A))
        self.table.named(A).trying = True
        self.assertTrue(self.table.busy(A))

    def test_the_tried_are_passed_over(self) -> None:
        query = self.query(self.key)
        query.failed_by(A)
        node = self.table.choose(query, "")
        assert node is not None
        self.assertEqual(node.address, B)
        self.assertIsNone(self.table.choose(query, A))
        query.failed_by(B)
        self.assertIsNone(self.table.choose(query, ""))

    def test_epoch(self) -> None:
        """It changes once for all that fails together; a missed deadline changes nothing."""
        node = self.table.named(A)
        epochs = [node.epoch]
        for broken in (False, True, True):
            self.table.failed(node, broken)
            epochs.append(node.epoch)
        self.table.answered(node)
        self.table.failed(node, True)
        epochs.append(node.epoch)
        self.assertEqual(epochs, [0, 0, 1, 1, 2])

    def test_a_target_at_rest(self) -> None:
        self.strike(C)
        self.assertIsNone(self.table.choose(self.query(), C))

    def test_the_end_of_a_session_calls_nobody_back(self) -> None:
        close = Operation(Method.CLOSE_SESSION, 1, b"")
        self.assertIsNone(self.table.choose(close, C))
        self.assertEqual(len(self.links), 2)

    def test_closed(self) -> None:
        self.strike(A)
        self.table.close()
        self.strike(B)
        self.table.set_listed([A, B, C])
        self.assertEqual((self.chosen(self.key), self.table.may_take()), ("", False))
        self.assertEqual([link.closed for link in self.links], [True, True])
