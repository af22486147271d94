"""The two kinds of links to a node."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from gnetway.backoff import BackOff
from gnetway.pb import session_pb2
from gnetway.rpc.calls import IStreamListener, RpcOptions
from gnetway.rpc.status import RpcStatus, StatusCode
from gnetway.session.contract import query_request
from gnetway.session.method import Method
from gnetway.session.nodes import Node
from gnetway.session.operation import Operation
from gnetway.session.replies import FALSE_REPLY, TRUE_REPLY
from gnetway.session.stream import AGAIN_SECONDS, StreamLink
from gnetway.session.unary import UnaryLink
from tests.fakes import some_key
from tests.session.cases import A
from tests.session.fakes import FakeCarrier, FakeClient, FakeStream, key_info
from tests.strategies import SeededBytes

#: A field that nobody knows, in two bytes.
IGNORED = b"\x28\x00"


class LinkCase(SynchronousTestCase):
    """One link; ``heard`` is what it said about operations, by their ring keys."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.carrier = FakeCarrier(self.clock)
        self.heard: list[tuple[int, bytes, int]] = []
        self.sent: list[Operation] = []
        self.writable = 0

    def client(self, **options: int) -> FakeClient:
        made = FakeClient(self.carrier, A, RpcOptions(**options))  # type: ignore[arg-type]
        self.carrier.clients.append(made)
        return made

    def became_writable(self) -> None:
        self.writable += 1

    def answered(
        self, operation: Operation, node: Node, reply: bytes, status: RpcStatus | None
    ) -> None:
        self.assertEqual(node.address, A)
        self.heard.append((operation.ring_key, reply, 0 if status is None else status.code))

    def perform(self, link: UnaryLink | StreamLink, number: int, size: int = 0) -> bool:
        operation = Operation(
            Method.QUERY_AUTH_KEY, number, query_request(number) + IGNORED * (size // 2)
        )
        self.sent.append(operation)
        return link.perform(operation, operation.request(b"", False), self.answered)


class UnaryTests(LinkCase):
    def link(self, max_calls: int = 10) -> UnaryLink:
        links: list[UnaryLink] = []

        def make(node: Node) -> UnaryLink:
            links.append(UnaryLink(node, self.client(), 3.0, max_calls, self.became_writable))
            return links[0]

        Node(A, make, BackOff(SeededBytes(1)), 0)
        return links[0]

    def test_answers(self) -> None:
        key = some_key(1)
        self.carrier.node(A).keys[key.auth_key_id] = key
        link = self.link()
        self.assertTrue(self.perform(link, key.auth_key_id))
        self.assertTrue(self.perform(link, 2))
        self.carrier.settle()
        known, unknown = self.heard
        self.assertEqual(known[1:], (key_info(key).SerializeToString(), 0))
        self.assertEqual(unknown, (2, b"", StatusCode.UNKNOWN))

    def test_failures(self) -> None:
        """What the carrier knows not to have left was not got by the node."""
        link = self.link()
        self.perform(link, 1)
        self.carrier.node(A).frozen = True
        self.clock.advance(3)
        self.perform(link, 2)
        self.carrier.node(A).up = False
        self.carrier.settle()
        self.perform(link, 3)
        call = self.carrier.client_of(A).calls[0]
        call._end()
        call.answer.errback(ValueError("no status"))
        codes = [code for _, _, code in self.heard]
        wanted = [StatusCode.DEADLINE_EXCEEDED, StatusCode.UNAVAILABLE, StatusCode.INTERNAL]
        self.assertEqual(codes, wanted)
        self.assertEqual([one.uncertain for one in self.sent], [True, False, True])

    def test_a_broken_connection(self) -> None:
        """The node may have got what was on its way."""
        link = self.link()
        self.perform(link, 1)
        status = RpcStatus(StatusCode.UNAVAILABLE, "broken")
        self.carrier.client_of(A).calls[0].fail(status)
        self.assertEqual(self.heard, [(1, b"", StatusCode.UNAVAILABLE)])
        self.assertTrue(self.sent[0].uncertain)

    def test_full(self) -> None:
        link = self.link(max_calls=2)
        self.assertEqual([self.perform(link, n) for n in range(3)], [True, True, False])
        self.carrier.under_way()[0].step()
        self.assertEqual((self.writable, len(self.heard)), (1, 1))
        self.carrier.settle()
        self.assertEqual((self.writable, len(self.heard)), (1, 2))

    def test_close(self) -> None:
        link = self.link()
        self.perform(link, 1)
        self.successResultOf(link.close())
        self.assertEqual(self.heard, [(1, b"", StatusCode.CANCELLED)])


class StreamTests(LinkCase):
    def link(self, **options: int) -> StreamLink:
        client = self.client(**options)
        links: list[StreamLink] = []

        def make(node: Node) -> StreamLink:
            made = StreamLink(self.clock, node, client, 5.0, client.options, self.became_writable)
            links.append(made)
            return made

        self.node = Node(A, make, BackOff(SeededBytes(1)), 0)
        return links[0]

    def stream(self) -> FakeStream:
        (stream,) = self.carrier.client_of(A).streams
        return stream

    def respond(self, request_id: str, **payload: object) -> None:
        response = session_pb2.SessionStreamResponse(request_id=request_id, **payload)  # type: ignore[arg-type]
        self.stream().listener.message_received(response.SerializeToString())

    def request_ids(self) -> list[str]:
        return [
            session_pb2.SessionStreamRequest.FromString(one).request_id
            for one in self.stream().unsent
        ]

    def test_interface(self) -> None:
        self.assertTrue(verifyObject(IStreamListener, self.link()))

    def test_opened_on_demand(self) -> None:
        link = self.link()
        self.assertEqual(self.carrier.client_of(A).opened, 0)
        self.perform(link, 1)
        self.perform(link, 2)
        self.assertEqual(self.carrier.client_of(A).opened, 1)
        self.assertEqual(self.request_ids(), ["1", "2"])

    def test_answers_are_matched(self) -> None:
        """By id, in whatever order; what nobody asked is passed over."""
        link = self.link()
        for number in (11, 12, 13, 14, 15, 16):
            self.perform(link, number)
        key = key_info(some_key(1))
        self.respond("4", auth_key=key)
        self.respond("99", ack=session_pb2.SessionStreamAck(success=True))
        self.respond("1", ack=session_pb2.SessionStreamAck(success=True))
        self.respond("1", ack=session_pb2.SessionStreamAck(success=True))
        self.respond("2", ack=session_pb2.SessionStreamAck(success=False))
        self.respond("3", error=session_pb2.SessionStreamError(code=700, message="x"))
        self.respond("5", error=session_pb2.SessionStreamError(code=500, message="y"))
        self.respond("6")
        self.assertEqual(
            self.heard,
            [
                (14, key.SerializeToString(), 0),
                (11, TRUE_REPLY, 0),
                (12, FALSE_REPLY, 0),
                (13, b"", StatusCode.REDIRECT),
                (15, b"", StatusCode.UNKNOWN),
                (16, b"", 0),
            ],
        )

    def test_broken(self) -> None:
        """What the connection had taken may have arrived; the rest has not."""
        link = self.link()
        for number in (1, 2, 3):
            self.perform(link, number)
        stream = self.stream()
        stream.take()
        stream.step()
        stream.take()
        stream.end(RpcStatus(StatusCode.UNAVAILABLE, "gone"))
        unavailable = StatusCode.UNAVAILABLE
        self.assertEqual([one[2] for one in self.heard], [StatusCode.UNKNOWN] + [unavailable] * 2)
        self.assertEqual([one.uncertain for one in self.sent], [False, True, False])
        self.perform(link, 4)
        self.assertEqual(self.request_ids(), ["4"])

    def test_taken_before_anything_was_heard(self) -> None:
        link = self.link()
        self.perform(link, 1)
        self.stream().take(heard=False)
        self.stream().end(None)
        self.assertTrue(self.sent[0].uncertain)

    def test_an_idle_break_counts(self) -> None:
        """Whoever ended the stream may be another process now."""
        link = self.link()
        self.perform(link, 1)
        self.carrier.settle()
        self.stream().end(None)
        self.assertEqual((self.node.epoch, self.node.broken), (1, True))

    def test_a_new_stream_while_the_old_one_fails(self) -> None:
        """What is sent from within an answer goes on the next stream, and counts for that."""
        link = self.link()
        again = Operation(Method.QUERY_AUTH_KEY, 9, b"")

        def resend(
            operation: Operation, node: Node, reply: bytes, status: RpcStatus | None
        ) -> None:
            link.perform(again, b"", self.answered)

        first = Operation(Method.QUERY_AUTH_KEY, 8, b"")
        link.perform(first, b"", resend)
        self.perform(link, 1)
        for _ in range(2):
            self.stream().take(heard=False)
        self.stream().end(None)
        self.assertTrue(first.uncertain and self.sent[0].uncertain)
        self.assertEqual(self.request_ids(), ["3"])
        self.stream().end(None)
        self.assertEqual((self.heard[-1][0], again.uncertain), (9, False))

    def test_frozen(self) -> None:
        """The oldest decides; younger ones fail with it."""
        link = self.link()
        self.carrier.node(A).frozen = True
        self.perform(link, 1)
        self.clock.pump([1.0] * 4)
        self.perform(link, 2)
        self.clock.advance(1)
        self.assertFalse(self.stream().aborted)
        self.clock.pump([1.0, AGAIN_SECONDS])
        self.assertTrue(self.stream().aborted)
        self.perform(link, 3)
        self.carrier.settle()
        self.assertEqual([one[2] for one in self.heard], [StatusCode.UNAVAILABLE] * 3)
        self.assertEqual([one.uncertain for one in self.sent], [False] * 3)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_slow_but_steady(self) -> None:
        link = self.link()
        self.perform(link, 1)
        for number in range(2, 12):
            self.clock.advance(3)
            self.perform(link, number)
            self.respond(str(number - 1), ack=session_pb2.SessionStreamAck(success=True))
        self.assertFalse(self.stream().aborted)

    def test_answers_that_nobody_had_time_to_read(self) -> None:
        """A turn of the reactor that takes too long comes back to its timers first."""
        link = self.link()
        self.perform(link, 1)
        self.perform(link, 2)
        self.clock.rightNow += 60
        self.clock.advance(0)
        for request_id in self.request_ids():
            self.respond(request_id, ack=session_pb2.SessionStreamAck(success=True))
        self.clock.advance(1)
        self.assertEqual([ring_key for ring_key, _, _ in self.heard], [1, 2])
        self.assertFalse(self.stream().aborted)

    def test_no_answer_at_all(self) -> None:
        link = self.link()
        self.perform(link, 1)
        self.stream().listener.message_received(b"\xff\xff")
        self.carrier.settle()
        self.assertEqual(self.heard, [(1, b"", StatusCode.UNAVAILABLE)])

    def test_full_stream(self) -> None:
        link = self.link(max_unsent_messages=2)
        self.assertEqual([self.perform(link, n) for n in (1, 2, 3)], [True, True, False])
        self.carrier.settle()
        self.assertEqual([one[0] for one in self.heard], [1, 2])
        self.assertGreaterEqual(self.writable, 1)
        self.assertTrue(self.perform(link, 4))

    def test_unsent_bound_of_the_carrier(self) -> None:
        """The stream may be full before the link is."""
        link = self.link(max_unsent_messages=4)
        for number in (1, 2):
            self.perform(link, number)
        self.carrier.client_of(A).options = RpcOptions(max_unsent_messages=2)
        self.assertFalse(self.perform(link, 3))
        self.stream().take()
        self.assertEqual(self.writable, 1)
        self.assertTrue(self.perform(link, 3))

    def test_bytes_unanswered(self) -> None:
        link = self.link(max_unsent_bytes=100)
        self.assertTrue(self.perform(link, 1, size=200))
        self.stream().take(heard=False)
        self.assertFalse(self.perform(link, 2))
        self.assertEqual(self.writable, 0)
        self.respond("1", ack=session_pb2.SessionStreamAck(success=True))
        self.assertEqual(self.writable, 1)
        self.assertTrue(self.perform(link, 2, size=80))
        self.stream().end(None)
        self.assertTrue(self.perform(link, 3))
        self.assertTrue(self.perform(link, 4))

    def test_a_break_makes_room(self) -> None:
        link = self.link(max_unsent_messages=1)
        self.perform(link, 1)
        self.assertFalse(self.perform(link, 2))
        self.stream().end(None)
        self.assertEqual(self.writable, 1)

    def test_too_large(self) -> None:
        """It can never be sent: the caller is told, and nobody waits for an answer."""
        link = self.link(max_message_bytes=50)
        self.assertRaises(RpcStatus, self.perform, link, 1, 100)
        self.assertTrue(self.perform(link, 2))
        self.carrier.settle()
        self.assertEqual([one[0] for one in self.heard], [2])

    def test_http_goes_as_a_call(self) -> None:
        link = self.link()
        link.perform(Operation(Method.SEND_HTTP_DATA, 1, b""), b"", self.answered)
        (call,) = self.carrier.client_of(A).calls
        self.assertEqual(call.method, "session_sendHttpDataToSession")
        self.carrier.settle()
        self.assertEqual(self.carrier.client_of(A).opened, 0)

    def test_close(self) -> None:
        link = self.link()
        self.perform(link, 1)
        self.successResultOf(link.close())
        self.perform(link, 2)
        self.carrier.settle()
        self.assertEqual(len(self.heard), 2)
        self.assertEqual(self.clock.getDelayedCalls(), [])
