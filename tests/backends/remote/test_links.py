"""The two kinds of links to a node."""

from collections.abc import Sequence

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from gnetway.backends.remote.requests import (
    AGAIN_SECONDS,
    MEASURED_EACH,
    StreamLink,
    UnaryLink,
)
from gnetway.dispatch.encoding import query_request, stream_ack
from gnetway.dispatch.lone_request import LoneRequest
from gnetway.dispatch.node import CircuitBreaker, Node
from gnetway.dispatch.request import Request
from gnetway.dispatch.retry import FALSE_REPLY, TRUE_REPLY
from gnetway.dispatch.shared import DispatchSettings, Shared
from gnetway.pb import session_pb2
from gnetway.rpc.calls import IStreamListener, RpcOptions
from gnetway.rpc.status import Method, RpcStatus, StatusCode
from tests.backends.remote.cases import A
from tests.backends.remote.fake_carrier import FakeCarrier, FakeClient, FakeStream
from tests.backends.remote.fakes import key_info
from tests.fakes import some_key
from tests.strategies import SeededBytes


class LinkCase(SynchronousTestCase):
    """One link; ``heard`` is what it said about requests, by their ring keys.

    ``arrived`` is whether the node may have got what failed.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.carrier = FakeCarrier(self.clock)
        self.heard: list[tuple[int, bytes, int]] = []
        self.arrived: dict[int, bool] = {}
        self.silent: list[bool] = []
        self.node = Node(A, CircuitBreaker(SeededBytes(1)), 0)
        shared = Shared(DispatchSettings(""), SeededBytes(1))
        self.owner = LoneRequest(shared, Method.QUERY_AUTH_KEY, 0, b"", None, False)

    def client(self, **options: int) -> FakeClient:
        made = FakeClient(self.carrier, A, RpcOptions(**options))  # type: ignore[arg-type]
        self.carrier.clients.append(made)
        return made

    def answered(self, request: Request, reply: bytes) -> None:
        self.heard.append((request.ring_key, reply, 0))

    def failed(self, request: Request, status: RpcStatus, sent: bool) -> None:
        self.heard.append((request.ring_key, b"", status.code))
        self.arrived[request.ring_key] = sent

    def stream_ended(
        self,
        node: Node,
        status: RpcStatus,
        unanswered: Sequence[tuple[Request, bool]],
        silent: bool,
    ) -> None:
        self.assertIs(node, self.node)
        self.silent.append(silent)
        for request, sent in unanswered:
            self.failed(request, status, sent)

    def send(
        self,
        link: UnaryLink | StreamLink,
        number: int,
        size: int = 0,
        method: Method = Method.QUERY_AUTH_KEY,
    ) -> RpcStatus | None:
        payload = query_request(number)
        request = Request(self.owner, method, number, payload)
        return link.send(request, payload + bytes(size))


class UnaryTests(LinkCase):
    def link(self) -> UnaryLink:
        return UnaryLink(self.clock, self.node, self.client(), 3.0, self)

    def test_latency_of_one_message_of_eight_and_of_all_else(self) -> None:
        link = self.link()
        for method, calls, measured in (
            (Method.QUERY_AUTH_KEY, 4, 4),
            (Method.SEND_DATA, 1, 1),
            (Method.SEND_DATA, 5 * MEASURED_EACH, 5),
        ):
            self.node.latency.clear()
            for number in range(1, 1 + calls):
                self.node.sent = number
                self.send(link, number, method=method)
                self.clock.advance(0.02)
                self.carrier.client_of(A).calls.pop().answer.callback(b"x")
            (histogram,) = self.node.latency.values()
            self.assertEqual(sum(histogram.as_row()[1:]), measured)

    def test_answers(self) -> None:
        key = some_key(1)
        self.carrier.node(A).keys[key.auth_key_id] = key
        link = self.link()
        self.send(link, key.auth_key_id)
        self.send(link, 2)
        self.carrier.settle()
        known, unknown = self.heard
        self.assertEqual(known[1:], (key_info(key).SerializeToString(), 0))
        self.assertEqual(unknown, (2, b"", StatusCode.UNKNOWN))

    def test_failures(self) -> None:
        """What the carrier knows not to have left was not got by the node."""
        link = self.link()
        self.send(link, 1)
        self.carrier.node(A).frozen = True
        self.clock.advance(3)
        self.send(link, 2)
        self.carrier.node(A).up = False
        self.carrier.settle()
        self.send(link, 3)
        call = self.carrier.client_of(A).calls[0]
        call._end()
        call.answer.errback(ValueError("no status"))
        codes = [code for _, _, code in self.heard]
        wanted = [StatusCode.DEADLINE_EXCEEDED, StatusCode.UNAVAILABLE, StatusCode.INTERNAL]
        self.assertEqual(codes, wanted)
        self.assertEqual(self.arrived, {1: True, 2: False, 3: True})

    def test_a_broken_connection(self) -> None:
        """The node may have got what was on its way."""
        link = self.link()
        self.send(link, 1)
        status = RpcStatus(StatusCode.UNAVAILABLE, "broken")
        self.carrier.client_of(A).calls[0].fail(status)
        self.assertEqual(self.heard, [(1, b"", StatusCode.UNAVAILABLE)])
        self.assertEqual(self.arrived, {1: True})


class StreamTests(LinkCase):
    def link(self, **options: int) -> StreamLink:
        return StreamLink(self.clock, self.node, self.client(**options), 5.0, self)

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
        self.send(link, 1)
        self.send(link, 2)
        self.assertEqual(self.carrier.client_of(A).opened, 1)
        self.assertEqual(self.request_ids(), ["1", "2"])

    def test_latency_of_one_message_of_eight_and_of_all_else(self) -> None:
        link = self.link()
        for number in range(1, 1 + 2 * MEASURED_EACH):
            self.send(link, number, method=Method.SEND_DATA)
            self.clock.advance(0.02)
            self.stream().listener.message_received(stream_ack(b"%d" % number))
        (messages,) = self.node.latency.values()
        total, *counts = messages.as_row()
        self.assertAlmostEqual(total, 2 * 0.02)
        self.assertEqual(counts, [0, 0, 2, 0, 0, 0, 0])
        for number in range(101, 104):
            self.send(link, number)
        for number in range(1 + 2 * MEASURED_EACH, 4 + 2 * MEASURED_EACH):
            self.stream().listener.message_received(stream_ack(b"%d" % number))
        _, queries = self.node.latency.values()
        self.assertEqual(sum(queries.as_row()[1:]), 3)

    def test_answers_are_matched(self) -> None:
        """By id, in whatever order; what nobody asked is passed over."""
        link = self.link()
        for number in (11, 12, 13, 14, 15, 16):
            self.send(link, number)
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
            self.send(link, number)
        stream = self.stream()
        stream.take()
        stream.step()
        stream.take()
        stream.end(RpcStatus(StatusCode.UNAVAILABLE, "gone"))
        unavailable = StatusCode.UNAVAILABLE
        self.assertEqual([one[2] for one in self.heard], [StatusCode.UNKNOWN] + [unavailable] * 2)
        self.assertEqual(self.arrived, {1: True, 2: True, 3: False})
        self.send(link, 4)
        self.assertEqual(self.request_ids(), ["4"])

    def test_taken_before_anything_was_heard(self) -> None:
        link = self.link()
        self.send(link, 1)
        self.stream().take(heard=False)
        self.stream().end(None)
        self.assertEqual(self.arrived, {1: True})

    def test_an_idle_break_counts(self) -> None:
        """Whoever ended the stream may be another process now."""
        link = self.link()
        self.send(link, 1)
        self.carrier.settle()
        self.stream().end(None)
        self.assertEqual(self.silent, [False])

    def test_frozen(self) -> None:
        """The oldest decides; younger ones fail with it."""
        link = self.link()
        self.carrier.node(A).frozen = True
        self.send(link, 1)
        self.clock.pump([1.0] * 4)
        self.send(link, 2)
        self.clock.advance(1)
        self.assertFalse(self.stream().aborted)
        self.clock.pump([1.0, AGAIN_SECONDS])
        self.assertTrue(self.stream().aborted)
        self.send(link, 3)
        self.carrier.settle()
        self.assertEqual([one[2] for one in self.heard], [StatusCode.DEADLINE_EXCEEDED] * 3)
        self.assertEqual((set(self.arrived.values()), self.silent), ({False}, [True]))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_slow_but_steady(self) -> None:
        link = self.link()
        self.send(link, 1)
        for number in range(2, 12):
            self.clock.advance(3)
            self.send(link, number)
            self.respond(str(number - 1), ack=session_pb2.SessionStreamAck(success=True))
        self.assertFalse(self.stream().aborted)

    def test_answers_that_nobody_had_time_to_read(self) -> None:
        """A turn of the reactor that takes too long comes back to its timers first."""
        link = self.link()
        self.send(link, 1)
        self.send(link, 2)
        self.clock.rightNow += 60
        self.clock.advance(0)
        for request_id in self.request_ids():
            self.respond(request_id, ack=session_pb2.SessionStreamAck(success=True))
        self.clock.advance(1)
        self.assertEqual([ring_key for ring_key, _, _ in self.heard], [1, 2])
        self.assertFalse(self.stream().aborted)

    def test_no_answer_at_all(self) -> None:
        link = self.link()
        self.send(link, 1)
        self.stream().listener.message_received(b"\xff\xff")
        self.carrier.settle()
        self.assertEqual(self.heard, [(1, b"", StatusCode.CANCELLED)])

    def test_too_large(self) -> None:
        """It can never be sent: the caller is told, and nobody waits for an answer."""
        link = self.link(max_message_bytes=50)
        status = self.send(link, 1, 100)
        assert status is not None
        self.assertEqual(status.code, StatusCode.RESOURCE_EXHAUSTED)
        self.assertIsNone(self.send(link, 2))
        self.carrier.settle()
        self.assertEqual([one[0] for one in self.heard], [2])

    def test_http_goes_as_a_call(self) -> None:
        link = self.link()
        link.send(Request(self.owner, Method.SEND_HTTP_DATA, 1, b""), b"")
        (call,) = self.carrier.client_of(A).calls
        self.assertEqual(call.method, "session_sendHttpDataToSession")
        self.carrier.settle()
        self.assertEqual(self.carrier.client_of(A).opened, 0)

    def test_close(self) -> None:
        link = self.link()
        self.send(link, 1)
        link.close()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_full_stream(self) -> None:
        """The core sends no more than fits, but carriers have a bound of their own."""
        link = self.link(max_unsent_messages=1)
        self.assertIsNone(self.send(link, 1))
        status = self.send(link, 2)
        assert status is not None
        self.assertEqual((status.code, status.unsent), (StatusCode.UNAVAILABLE, True))

    def test_slow_but_not_silent(self) -> None:
        """A node that answers others meanwhile is slow with one request only."""
        link = self.link()
        self.send(link, 1)
        self.send(link, 2)
        self.respond("2", ack=session_pb2.SessionStreamAck(success=True))
        self.carrier.node(A).frozen = True
        self.clock.pump([1.0] * 6 + [AGAIN_SECONDS])
        self.carrier.settle()
        self.assertEqual((self.silent, self.arrived), ([False], {1: False}))
