"""What was seen to go wrong with real nodes, row by row, in the core alone."""

from twisted.trial.unittest import SynchronousTestCase

from gnetway.dispatch.node import STRIKES, BreakerState, ConnectionState
from gnetway.dispatch.request import NodeChange, NodeWish, Request
from gnetway.dispatch.session_queue import SessionQueue
from gnetway.dispatch.shared import Announce
from gnetway.errors import BackendRefused, BackendUnavailable
from gnetway.rpc.status import Method, RpcStatus
from tests.dispatch.cases import (
    BROKEN,
    MEBIBYTE,
    NOT_SERVED,
    OVERLOADED,
    STRANGER,
    TOO_LARGE,
    TOO_LATE,
    A,
    B,
    Core,
    called,
    client_of,
    number_at,
    redirect_to,
)

CREATE, CLOSE, DATA = Method.CREATE_SESSION, Method.CLOSE_SESSION, Method.SEND_DATA


def talkers(core: Core, count: int, *addresses: str) -> list[SessionQueue]:
    """Sessions of keys that the first address holds."""
    queues: list[SessionQueue] = []
    number = 0
    for _ in range(count):
        number = number_at(addresses[0], *addresses, start=number + 1)
        queues.append(core.open(client_of(number, client_ip=f"192.0.2.{len(queues)}")))
    return queues


class TooLargeTests(SynchronousTestCase):
    """One client sends five messages of 5 MiB, by stream, among six honest talkers."""

    def setUp(self) -> None:
        self.core = Core(announce=Announce.CALL).with_nodes(A, B)
        self.giant, *self.honest = talkers(self.core, 7, A, B)
        for queue in (self.giant, *self.honest):
            self.core.say(queue, b"hello")
        self.core.answer_all(A)
        self.announced = self.count(CREATE)

    def count(self, method: Method) -> int:
        return sum(send.request.method is method for send in self.core.sends)

    def test_one_message_at_a_time_is_to_blame(self) -> None:
        core = self.core
        self.assertEqual(self.announced, 7)
        large = core.say(self.giant, *[bytes(5 * MEBIBYTE)] * 5)
        small = [core.say(queue, b"1", b"2") for queue in self.honest]
        core.end_stream(A, TOO_LARGE)
        # The first was at fault; of its session the rest is given up with it. All others go
        # again, at once, to the same node.
        errors = [done.error for done in core.finished if done.request in large]
        self.assertEqual(len(errors), 5)
        self.assertIsInstance(errors[0], BackendRefused)
        self.assertEqual([cause for _, cause in core.lost], ["message_refused"])
        self.assertEqual({client for client, _ in core.lost}, {self.giant.client})
        expected = {request for requests in small for request in requests}
        self.assertEqual(set(core.requests(A)), expected)
        self.assertEqual(core.requests(B), [])
        for one, two in small:
            self.assertLess(core.requests(A).index(one), core.requests(A).index(two))
        self.assertTrue(all(core.times_sent[request] == 2 for request in expected))
        self.assertTrue(all(core.times_sent[request] == 1 for request in large))
        node = core.node(A)
        self.assertEqual(
            (node.breaker.strikes, node.usable, node.connection), (0, True, ConnectionState.UP)
        )
        self.assertEqual(self.count(CREATE), self.announced)
        self.assertFalse([change for _, change in core.news if change is NodeChange.UNUSABLE])

    def test_of_five_clients(self) -> None:
        """Each has one: five streams end, and each ends one session, and one only."""
        core = self.core
        giants = self.honest[:5]
        large = [core.say(queue, bytes(5 * MEBIBYTE))[0] for queue in giants]
        (small,) = core.say(self.giant, b"1")
        core.end_stream(A, TOO_LARGE)
        self.assertEqual([done.request for done in core.finished], large[:1])
        # Nothing behind the one that ended the stream was read, so nobody is lost with it.
        for _ in giants[1:]:
            core.end_stream(A, TOO_LARGE)
        self.assertEqual([done.request for done in core.finished], large)
        self.assertEqual(core.requests(A), [small])
        self.assertEqual(core.node(A).breaker.strikes, 0)
        self.assertEqual(self.count(CREATE), self.announced)

    def test_a_second_time_not_a_third(self) -> None:
        """Counted is what may have arrived; what never left may go as often as is needed."""
        core = Core().with_nodes(A)
        (queue,) = talkers(core, 1, A)
        (request,) = core.say(queue, b"1")
        # With nothing sent no message can be at fault: then it is the connection.
        core.end_stream(A, TOO_LARGE, sent=0)
        core.connect(A)
        self.assertEqual(core.requests(A), [request])
        for left in ([request], []):
            core.end_stream(A, BROKEN)
            core.connect(A)
            self.assertEqual(core.requests(A), left)
        self.assertEqual(core.lost, [(queue.client, "not_acknowledged")])
        self.assertEqual(core.dispatcher.lost.as_dict(), {"not_acknowledged": 1})

    def test_by_calls(self) -> None:
        """The session ends without a code, told in its cause; the node has no strike."""
        core = Core(stream=False).with_nodes(A)
        (queue,) = talkers(core, 1, A)
        (request,) = core.say(queue, bytes(5 * MEBIBYTE))
        core.fail(request, TOO_LARGE)
        self.assertEqual(core.lost, [(queue.client, "message_refused")])
        self.assertEqual((core.node(A).breaker.strikes, core.times_sent[request]), (0, 1))

    def test_refused_before_it_is_sent(self) -> None:
        core = Core(max_message_bytes=4 * MEBIBYTE).with_nodes(A)
        (queue,) = talkers(core, 1, A)
        core.say(queue, bytes(4 * MEBIBYTE + 1))
        self.assertEqual((core.sends, core.lost), ([], [(queue.client, "message_too_big")]))
        core.say(queue, bytes(4 * MEBIBYTE))
        self.assertEqual(len(core.sends), 1)


class BlameTests(SynchronousTestCase):
    def test_no_session_service(self) -> None:
        """Its breaker opens, the message goes to the next node, and the operator reads one line."""
        for stream in (True, False):
            core = Core(stream=stream).with_nodes(A, B)
            queues = talkers(core, 3, A, B)
            requests = [core.say(queue, b"1")[0] for queue in queues]
            if stream:
                core.end_stream(A, NOT_SERVED)
            else:
                for request in requests:
                    core.fail(request, NOT_SERVED)
            self.assertEqual(core.requests(B), requests)
            self.assertIs(core.node(A).breaker.state, BreakerState.OPEN)
            unusable = [address for address, what in core.news if what is NodeChange.UNUSABLE]
            self.assertEqual(unusable, [A])
            core.say(talkers(core, 4, A, B)[-1], b"2")
            self.assertEqual(core.requests(A), [])
            # A probe that hears the same changes nothing; one that is answered does.
            core.tick(40)
            self.assertEqual(core.wishes[-1], (A, NodeWish.PROBE))
            core.dispatcher.probed(core.node(A), NOT_SERVED, core.now)
            self.assertFalse(core.node(A).usable)
            core.tick(80)
            core.dispatcher.probed(core.node(A), OVERLOADED, core.now)
            core.flush()
            self.assertEqual(core.news[-1], (A, NodeChange.WELL_AGAIN))
            self.assertTrue(core.node(A).usable)

    def test_overloaded(self) -> None:
        """A refusal of data ends the client's connections, and the node is not blamed."""
        for stream in (True, False):
            core = Core(stream=stream).with_nodes(A, B)
            (queue,) = talkers(core, 1, A, B)
            for number in range(5):
                (request,) = core.say(queue, b"%d" % number)
                core.fail(request, OVERLOADED)
            self.assertEqual(core.lost, [(queue.client, "message_refused")] * 5)
            self.assertEqual((core.requests(B), core.node(A).breaker.strikes), ([], 0))

    def test_who_asks_decides(self) -> None:
        core = Core().with_nodes(A)
        (queue,) = talkers(core, 1, A)
        (request,) = core.say(queue, b"1", asks=True)
        core.fail(request, OVERLOADED)
        self.assertEqual(core.lost, [])
        self.assertIsInstance(core.finished[0].error, BackendRefused)

    def test_not_connected(self) -> None:
        """A dead address gets nothing, however long; who comes goes to a node that is there."""
        core = Core(stream=False)
        core.set_nodes(A, B)
        queues = talkers(core, 20, A, B)
        for queue in queues:
            core.say(queue, b"1")
        self.assertEqual(core.sends, [])
        core.connect(B)
        core.tick()
        self.assertEqual(len(core.requests(B)), 20)
        for _ in range(50):
            core.tick()
            core.lose_connection(A, "timed out")
        self.assertEqual(core.requests(A), [])
        self.assertEqual(core.news.count((A, NodeChange.UNUSABLE)), 1)

    def test_silent(self) -> None:
        """A node that answers nothing at all is not tried three times."""
        for silent in (True, False):
            core = Core().with_nodes(A, B)
            core.say(talkers(core, 1, A, B)[0], b"1")
            core.end_stream(A, TOO_LATE, silent=silent)
            self.assertIs(core.node(A).usable, not silent)
            self.assertEqual(core.payloads(B), [b"1"])

    def test_one_strike(self) -> None:
        """However many messages were on it: a stream, or the calls of a connection."""
        for stream in (True, False):
            core = Core(stream=stream).with_nodes(A, B)
            requests: list[Request] = []
            for queue in talkers(core, 10, A, B):
                requests += core.say(queue, b"1")
            if stream:
                core.end_stream(A, BROKEN)
            else:
                for request in requests:
                    core.fail(request, BROKEN)
            self.assertEqual(core.node(A).breaker.strikes, 1)
            self.assertEqual(core.wishes.count((A, NodeWish.CONNECT)), 2)
            self.assertEqual(set(core.requests(B)), set(requests))
            self.assertLess(core.node(A).breaker.strikes, STRIKES)

    def test_a_lost_connection_is_told(self) -> None:
        """Once, whether its requests fail before that is heard or after."""
        for told_first in (True, False):
            core = Core(stream=False).with_nodes(A, B)
            (request,) = core.say(talkers(core, 1, A, B)[0], b"1")
            if told_first:
                core.lose_connection(A)
            core.fail(request, BROKEN)
            for _ in range(3):
                core.lose_connection(A)
            self.assertEqual(core.news.count((A, NodeChange.UNUSABLE)), 1, told_first)
            core.connect(A)
            self.assertEqual(core.news.count((A, NodeChange.WELL_AGAIN)), 1, told_first)


class OtherTests(SynchronousTestCase):
    def test_nothing_waits_after_a_stop(self) -> None:
        """Whatever nodes still say: what would wait for a connection fails."""
        core = Core(stream=False).with_nodes(A)
        core.dispatcher.ask(Method.QUERY_AUTH_KEY, 1, b"key", called, core.now, patient=True)
        core.flush()
        core.say(talkers(core, 1, A)[0], b"1", asks=True)
        waiting = core.requests(A)
        core.dispatcher.stop(core.now)
        core.flush()
        for request in waiting:
            core.fail(request, redirect_to(STRANGER))
        errors = [type(done.error) for done in core.finished]
        self.assertEqual(errors, [BackendUnavailable] * 2)
        self.assertEqual(len(core.dispatcher.buffer), 0)

    def test_keys_that_are_gone(self) -> None:
        """Data of a key that the service does not know: everybody forgets the key."""
        core = Core().with_nodes(A)
        (queue,) = talkers(core, 1, A)
        (request,) = core.say(queue, b"1")
        core.fail(request, RpcStatus(401, "AUTH_KEY_UNREGISTERED"))
        self.assertEqual(core.gone, [queue.client.key.auth_key_id])
        self.assertEqual(core.lost, [(queue.client, "key_unregistered")])
