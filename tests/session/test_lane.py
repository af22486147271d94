"""One lane over a link that does only what the test says: order, trials, room."""

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gnetway.errors import GatewayError
from gnetway.rpc.status import RpcStatus, StatusCode
from gnetway.session.hold import Hold, HoldLimits
from gnetway.session.lane import Lane, Lanes
from gnetway.session.method import Method
from gnetway.session.nodes import Answered, Health, Node, NodeTable
from gnetway.session.operation import Operation
from gnetway.session.single import SingleRequest
from tests.session.cases import A, B, redirect_to
from tests.strategies import SeededBytes

UNAVAILABLE = RpcStatus(StatusCode.UNAVAILABLE, "gone")


class ManualLink:
    """Takes requests while it has ``room``; answers when told."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.room = 100
        self.too_large = False
        self.flying: list[tuple[Operation, bytes, Answered]] = []

    def perform(self, operation: Operation, request: bytes, answered: Answered) -> bool:
        if self.too_large:
            raise RpcStatus(StatusCode.RESOURCE_EXHAUSTED, "TOO_LARGE")
        if len(self.flying) >= self.room:
            return False
        self.flying.append((operation, request, answered))
        return True

    @property
    def requests(self) -> list[bytes]:
        return [request for _, request, _ in self.flying]

    def answer(
        self, request: bytes, status: RpcStatus | None = None, arrived: bool = False
    ) -> None:
        (found,) = [one for one in self.flying if one[1] == request]
        self.flying.remove(found)
        operation, _, answered = found
        operation.uncertain = arrived
        answered(operation, self.node, b"", status)

    def close(self) -> Deferred[None]:
        return succeed(None)


class TalkativeSpeaker(SingleRequest):
    """A speaker of many operations, whose client is told things."""

    __slots__ = ("drains", "on_lost", "paused")

    def __init__(self, lanes: Lanes) -> None:
        super().__init__(lanes, patient=True)
        self.paused = False
        self.on_lost: list[Operation] = []
        self.drains = 0

    def pause(self) -> None:
        assert not self.paused
        self.paused = True

    def resume(self) -> None:
        assert self.paused
        self.paused = False

    def lost(self, cause: str) -> None:
        while self.on_lost:
            self.lane.push(self.on_lost.pop())

    def drained(self) -> None:
        self.drains += 1


class LaneTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.links: dict[str, ManualLink] = {}
        self.nodes = NodeTable(self.clock, self._link, SeededBytes(1), self.go_on)
        limits = HoldLimits(max_messages=8)
        self.hold = Hold(self.clock, limits, self.nodes.may_take)
        self.lanes = Lanes(self.nodes, self.hold, 1000)
        self.speaker = TalkativeSpeaker(self.lanes)
        self.ends: list[tuple[bytes, GatewayError | None]] = []
        self.key = 1
        self.nodes.set_listed([A])

    def _link(self, node: Node) -> ManualLink:
        self.links[node.address] = ManualLink(node)
        return self.links[node.address]

    def go_on(self) -> None:
        self.hold.go_on()

    @property
    def lane(self) -> Lane:
        return self.speaker.lane

    def data(self, text: bytes) -> Operation:
        def finished(reply: bytes, error: GatewayError | None) -> None:
            self.ends.append((text, error))

        return Operation(Method.SEND_DATA, self.key, text, finished)

    def push(self, *texts: bytes) -> list[Operation]:
        operations = [self.data(text) for text in texts]
        for operation in operations:
            self.lane.push(operation)
        return operations

    def test_all_fly_in_order(self) -> None:
        self.push(b"1", b"2", b"3")
        self.assertEqual(self.links[A].requests, [b"1", b"2", b"3"])
        for text in (b"3", b"1", b"2"):
            self.links[A].answer(text)
        self.assertEqual(self.ends, [(b"3", None), (b"1", None), (b"2", None)])
        self.assertGreater(self.speaker.drains, 0)

    def test_one_at_a_time(self) -> None:
        self.lanes.window = 1
        self.push(b"1", b"2")
        self.assertEqual(self.links[A].requests, [b"1"])
        self.links[A].answer(b"1")
        self.assertEqual(self.links[A].requests, [b"2"])

    def test_another_node_waits_for_the_last_answer(self) -> None:
        self.nodes.set_listed([B])
        self.nodes.set_listed([A, B])
        self.key = next(key for key in range(99) if self.home(key) == B)
        self.nodes.set_listed([A])
        self.push(b"1", b"2")
        self.nodes.set_listed([A, B])
        self.push(b"3")
        self.assertEqual(self.links[B].requests, [])
        self.links[A].answer(b"1")
        self.assertEqual(self.links[B].requests, [])
        self.links[A].answer(b"2")
        self.assertEqual(self.links[B].requests, [b"3"])

    def home(self, key: int) -> str:
        node = self.nodes.choose(Operation(Method.QUERY_AUTH_KEY, key, b""), "")
        assert node is not None
        return node.address

    def test_failures_out_of_order(self) -> None:
        """They go again in the order of being sent, behind nothing that came later."""
        self.push(b"1", b"2", b"3", b"4")
        self.links[A].answer(b"3", redirect_to(B))
        self.push(b"5")
        self.links[A].answer(b"1", redirect_to(B))
        self.links[A].answer(b"4", redirect_to(B))
        self.assertEqual(self.links[A].requests, [b"2"])
        self.links[A].answer(b"2", redirect_to(B))
        self.assertEqual(self.links[B].requests[:4], [b"1", b"2", b"3", b"4"])
        for text in (b"1", b"2", b"3", b"4"):
            self.links[B].answer(text)
        self.assertEqual(self.links[A].requests + self.links[B].requests, [b"5"])

    def test_nothing_starts_amid_failures(self) -> None:
        """A break is told one by one: what is not told yet goes before what is new."""
        self.push(b"1", b"2", b"3")
        self.links[A].answer(b"1", UNAVAILABLE)
        self.push(b"4")
        self.assertEqual(self.links[A].requests, [b"2", b"3"])
        self.links[A].answer(b"2", UNAVAILABLE)
        self.links[A].answer(b"3")
        self.clock.advance(0.25)
        self.assertEqual(self.links[A].requests, [b"1", b"2", b"4"])

    def test_nothing_starts_amid_losses(self) -> None:
        """Nor after a failure that is given up, when the client hangs up at once."""
        (first, _) = self.push(b"1", b"2")
        first.sends = 1
        self.speaker.on_lost = [self.data(b"3")]
        self.links[A].answer(b"1", UNAVAILABLE, arrived=True)
        self.assertEqual(self.links[A].requests, [b"2"])
        self.links[A].answer(b"2", UNAVAILABLE, arrived=True)
        self.clock.advance(0.25)
        self.assertEqual(self.links[A].requests, [b"2", b"3"])

    def test_withdrawn_amid_failures(self) -> None:
        (first, _) = self.push(b"1", b"2")
        self.links[A].answer(b"1", UNAVAILABLE)
        self.lane.withdraw(first)
        self.links[A].answer(b"2", UNAVAILABLE)
        self.clock.advance(0.25)
        self.assertEqual(self.links[A].requests, [b"2"])
        self.links[A].answer(b"2")
        self.assertEqual(self.ends, [(b"2", None)])

    def test_failures_need_room_in_a_held_lane(self) -> None:
        self.links[A].room = 3
        self.push(*(b"%d" % number for number in range(6)))
        self.assertEqual((self.hold.messages, self.speaker.paused), (3, True))
        self.links[A].room = 0
        for text in (b"0", b"1", b"2"):
            self.links[A].answer(text, UNAVAILABLE)
        self.assertEqual((self.hold.messages, self.hold.size), (6, 6))
        self.push(b"6", b"7")
        self.assertEqual(self.hold.messages, 8)
        self.push(b"8")
        self.assertEqual((self.hold.messages, self.hold.size, len(self.hold)), (0, 0, 0))
        self.assertEqual(self.hold.lost.as_dict(), {"hold_full": 9})
        self.assertFalse(self.speaker.paused)

    def test_withdrawn_in_the_hold(self) -> None:
        self.nodes.set_listed([])
        operations = self.push(b"1", b"22")
        self.lane.withdraw(operations[0])
        self.assertEqual((self.hold.messages, self.hold.size), (1, 2))
        self.lane.withdraw(operations[1])
        self.assertEqual((self.hold.messages, len(self.hold)), (0, 0))
        self.assertFalse(self.speaker.paused)

    def test_a_wait_ends_what_a_redirect_began(self) -> None:
        """Whatever was tried before, afterwards all nodes count again, and one redirect."""
        self.push(b"1")
        self.links[A].answer(b"1", redirect_to(B))
        self.links[B].answer(b"1", UNAVAILABLE)
        self.links[A].answer(b"1", redirect_to(B))
        self.assertEqual(len(self.hold), 1)
        self.nodes.set_listed([B])
        self.links[B].answer(b"1", redirect_to(A))
        self.links[A].answer(b"1")
        self.assertEqual(self.ends, [(b"1", None)])

    def test_a_redirect_to_a_node_that_has_its_trial(self) -> None:
        """Two nodes do not throw a message to and fro while the one does not answer."""
        node = self.nodes.named(B)
        for _ in range(3):
            self.nodes.failed(node, broken=True)
        self.clock.advance(0.1)
        node.trying = True
        self.push(b"1")
        self.links[A].answer(b"1", redirect_to(B))
        self.assertEqual((self.links[A].requests, len(self.hold)), ([], 1))

    def test_a_redirect_that_comes_too_late(self) -> None:
        """A node that was named, and took nothing by then, is not named again in one round."""
        node = self.nodes.named(B)
        for _ in range(3):
            self.nodes.failed(node, broken=True)
        self.clock.advance(0.1)
        self.push(b"1", b"2")
        self.links[A].answer(b"1", redirect_to(B))
        node.trying = True
        self.links[A].answer(b"2")
        self.assertEqual(self.links[A].requests, [b"1"])
        node.trying = False
        self.links[A].answer(b"1", redirect_to(B))
        self.assertEqual((self.links[A].requests, len(self.hold)), ([], 1))
        self.hold.go_on()
        self.links[A].answer(b"1", redirect_to(B))
        self.assertEqual(self.links[B].requests, [b"1"])

    def test_a_trial_that_was_not_sent(self) -> None:
        """It is no trial: the next operation may try the node."""
        node = self.nodes.named(A)
        for _ in range(3):
            self.nodes.failed(node, broken=True)
        self.clock.advance(0.1)
        self.assertIs(node.health, Health.ON_TRIAL)
        link = self.links[A]
        link.too_large = True
        self.push(b"1")
        self.assertEqual((len(self.ends), node.trying), (1, False))
        link.too_large = False
        link.room = 0
        self.push(b"2")
        self.assertEqual((len(self.hold), node.trying), (1, False))
        link.room = 1
        self.hold.go_on()
        self.assertEqual((link.requests, node.trying), ([b"2"], True))
        self.push(b"3")
        self.assertEqual(link.requests, [b"2"])
        link.answer(b"2")
        self.assertEqual((link.requests, node.health), ([b"3"], Health.WELL))

    def test_an_answer_from_within(self) -> None:
        """What an answer makes its hearer send goes behind what waits."""
        self.lanes.window = 1
        first, _ = self.push(b"1", b"2")

        def finished(reply: bytes, error: GatewayError | None) -> None:
            self.push(b"3")

        first.finished = finished
        self.links[A].answer(b"1")
        self.assertEqual(self.links[A].requests, [b"2"])
        self.links[A].answer(b"2")
        self.assertEqual(self.links[A].requests, [b"3"])
