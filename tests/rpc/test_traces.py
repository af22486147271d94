"""Spans of calls, and the traceparent that joins them, between both ends in memory."""

import logging
from collections.abc import Callable, Sequence
from threading import Event
from typing import ClassVar, cast

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from gnetway.config.operators import TelemetryConfig
from gnetway.push.server import UNARY_METHOD, PushServer
from gnetway.rpc.calls import (
    IRpcCarrier,
    IRpcClient,
    IRpcReactor,
    RpcHandlers,
    RpcOptions,
    RpcPeer,
)
from gnetway.rpc.carriers import NativeCarrier
from gnetway.rpc.status import RpcStatus, StatusCode
from gnetway.runtime.clocks import TurnEnd
from tests.fakes import FakeTarget
from tests.needs import missing
from tests.push.fakes import KEY_ID, PLAINTEXT, SESSION_ID, push_of
from tests.rpc.native_peer import Memory, Wire
from tests.strategies import SeededBytes

try:
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from opentelemetry.trace import SpanKind
    from opentelemetry.trace import StatusCode as SpanStatus

    from gnetway.rpc.traces import MAX_WAITING_SPANS, STOP_SECONDS, Export, Spans, TracedCarrier
except ImportError as error:
    missing(f"{error.name} is not installed")

CALL, FAIL, LATER = "/session.RPCSession/call", "/session.RPCSession/fail", "/a.B/later"
TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class TracedCase(SynchronousTestCase):
    """A session service and a gateway, each with a client and a server; spans of the gateway's."""

    def setUp(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.reactor = Memory()
        self.native = NativeCarrier(self.reactor.rpc, TurnEnd(self.reactor.rpc))
        self.carrier = self.traced(1.0)
        self.wires: list[tuple[Wire, Wire]] = []
        #: What the other side has been told of its callers.
        self.callers: list[RpcPeer] = []
        self.later: Deferred[bytes] = Deferred()

    def traced(self, ratio: float) -> TracedCarrier:
        return TracedCarrier(self.native, Spans(self.provider, ratio, SeededBytes(1)))

    def answer(self, request: bytes, peer: RpcPeer) -> bytes:
        self.callers.append(peer)
        return request * 2

    def fail_it(self, request: bytes, peer: RpcPeer) -> bytes:
        raise RpcStatus(StatusCode.NOT_FOUND, "key 4711 of 10.0.0.7")

    def answer_later(self, request: bytes, peer: RpcPeer) -> Deferred[bytes]:
        return self.later

    def serve(self, carrier: IRpcCarrier, handlers: RpcHandlers | None = None) -> None:
        handlers = handlers or RpcHandlers(
            {CALL: self.answer, FAIL: self.fail_it, LATER: self.answer_later},
            want_traceparent=True,
        )
        server = carrier.server("127.0.0.1:0", handlers, RpcOptions())
        self.successResultOf(server.start())

    def client(self, carrier: IRpcCarrier) -> IRpcClient:
        return carrier.client("10.0.0.7:20120", RpcOptions())

    def call(self, client: IRpcClient, method: str, request: bytes = b"x", **fields: str) -> object:
        """Return the answer to a call, or its status; None while there is none."""
        heard: list[object] = []
        client.call(
            method,
            request,
            9.0,
            lambda reply, status: heard.append(status or reply),
            tuple(fields.items()),
        )
        self.pump()
        return heard[0] if heard else None

    def pump(self) -> None:
        """Carry what was written, until nothing is."""
        while self.reactor.dialling():
            near = self.reactor.accept()
            factory = self.reactor.tcpServers[-1][1]
            accepted = factory.buildProtocol(IPv4Address("TCP", "10.0.0.9", 4000))
            self.wires.append((near, Wire(self.reactor, cast("IProtocol", accepted))))
        moved = True
        while moved:
            moved = False
            for one, other in self.wires:
                for wire, peer in ((one, other), (other, one)):
                    self.reactor.advance(0)
                    written = wire.value()
                    wire.clear()
                    if written:
                        moved = True
                        peer.send(written)

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())


class CallTests(TracedCase):
    def test_interfaces(self) -> None:
        self.assertTrue(verifyObject(IRpcCarrier, self.carrier))
        self.assertTrue(verifyObject(IRpcClient, self.client(self.carrier)))

    def test_a_span_and_its_traceparent_on_the_wire(self) -> None:
        self.serve(self.native)
        client = self.client(self.carrier)
        self.assertEqual(self.call(client, CALL), b"xx")
        (span,) = self.spans
        self.assertEqual(span.name, "session.RPCSession/call")
        self.assertIs(span.kind, SpanKind.CLIENT)
        self.assertEqual(
            dict(span.attributes or {}),
            {
                "rpc.system": "grpc",
                "rpc.service": "session.RPCSession",
                "rpc.method": "call",
                "rpc.grpc.status_code": 0,
            },
        )
        self.assertIs(span.status.status_code, SpanStatus.UNSET)
        self.assertIsNone(span.parent)
        self.assertEqual(
            [peer.traceparent for peer in self.callers],
            [f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-01"],
        )

    def test_each_call_is_a_trace_of_its_own(self) -> None:
        self.serve(self.native)
        client = self.client(self.carrier)
        for _ in range(3):
            self.call(client, CALL)
        self.assertEqual(len({span.context.trace_id for span in self.spans}), 3)

    def test_a_call_that_fails(self) -> None:
        self.serve(self.native)
        status = self.call(self.client(self.carrier), FAIL)
        assert isinstance(status, RpcStatus)
        self.assertEqual(status.code, StatusCode.NOT_FOUND)
        (span,) = self.spans
        assert span.attributes is not None
        self.assertEqual(span.attributes["rpc.grpc.status_code"], 5)
        self.assertIs(span.status.status_code, SpanStatus.ERROR)
        self.assertNotIn("4711", span.to_json())
        self.assertNotIn("10.0.0.7", span.to_json())

    def test_not_chosen(self) -> None:
        self.serve(self.native)
        self.assertEqual(self.call(self.client(self.traced(0.0)), CALL), b"xx")
        self.assertEqual(self.spans, [])
        self.assertEqual([peer.traceparent for peer in self.callers], [""])

    def test_a_part_of_them(self) -> None:
        self.serve(self.native)
        client = self.client(self.traced(0.25))
        for _ in range(200):
            self.call(client, CALL)
        traced = [peer for peer in self.callers if peer.traceparent]
        self.assertEqual(len(traced), len(self.spans))
        self.assertTrue(30 < len(traced) < 70, len(traced))


class ServeTests(TracedCase):
    def parent(self, flags: str = "01") -> str:
        return f"00-{TRACE}-{CALLER}-{flags}"

    def call_here(self, traceparent: str, method: str = CALL, ratio: float = 0.0) -> object:
        self.serve(self.traced(ratio))
        return self.call(self.client(self.native), method, traceparent=traceparent)

    def test_the_trace_of_the_caller_is_joined(self) -> None:
        self.assertEqual(self.call_here(self.parent()), b"xx")
        (span,) = self.spans
        self.assertIs(span.kind, SpanKind.SERVER)
        self.assertEqual(span.name, "session.RPCSession/call")
        self.assertEqual(f"{span.context.trace_id:032x}", TRACE)
        assert span.parent is not None
        self.assertEqual(f"{span.parent.span_id:016x}", CALLER)

    def test_a_caller_that_traces_nothing(self) -> None:
        self.assertEqual(self.call_here(self.parent("00"), ratio=1.0), b"xx")
        self.assertEqual(self.spans, [])

    def test_what_is_no_traceparent(self) -> None:
        bad = ("", "x", "ff" + self.parent()[2:], self.parent()[:-1], self.parent().upper())
        for traceparent in bad:
            self.call_here(traceparent)
        self.assertEqual(self.spans, [])
        for traceparent in bad:
            self.call_here(traceparent, ratio=1.0)
        self.assertEqual([span.parent for span in self.spans], [None] * len(bad))

    def test_ids_that_are_nothing_begin_a_trace(self) -> None:
        self.call_here(f"00-{'0' * 32}-{CALLER}-01")
        (span,) = self.spans
        self.assertNotEqual(span.context.trace_id, 0)

    def test_a_handler_that_fails(self) -> None:
        status = self.call_here(self.parent(), FAIL)
        assert isinstance(status, RpcStatus)
        self.assertEqual((status.code, status.details), (5, "key 4711 of 10.0.0.7"))
        (span,) = self.spans
        assert span.attributes is not None
        self.assertEqual(span.attributes["rpc.grpc.status_code"], 5)
        self.assertNotIn("4711", span.to_json())

    def test_an_answer_that_comes_later(self) -> None:
        self.assertIsNone(self.call_here(self.parent(), LATER))
        self.assertEqual(self.spans, [])
        self.later.callback(b"at last")
        (span,) = self.spans
        self.assertIs(span.status.status_code, SpanStatus.UNSET)

    def test_an_error_that_comes_later(self) -> None:
        self.call_here(self.parent(), LATER)
        self.later.errback(RpcStatus(StatusCode.ABORTED, ""))
        (span,) = self.spans
        self.assertIs(span.status.status_code, SpanStatus.ERROR)

    def test_a_push(self) -> None:
        pushes, target = PushServer(), FakeTarget()
        pushes.serve(target)
        self.serve(self.carrier, pushes.handlers())
        request = push_of().SerializeToString()
        self.call(self.client(self.native), UNARY_METHOD, request, traceparent=self.parent())
        self.assertEqual(target.pushed, [(KEY_ID, SESSION_ID, PLAINTEXT)])
        (span,) = self.spans
        self.assertEqual(span.name, "gateway.RPCGateway/gateway_sendDataToGateway")
        self.assertEqual(f"{span.context.trace_id:032x}", TRACE)
        # No key, session, payload or address.
        self.assertEqual(
            dict(span.attributes or {}),
            {
                "rpc.system": "grpc",
                "rpc.service": "gateway.RPCGateway",
                "rpc.method": "gateway_sendDataToGateway",
                "rpc.grpc.status_code": 0,
            },
        )
        self.assertEqual(list(span.events), [])

    def test_without_traces_a_handler_is_not_told(self) -> None:
        self.serve(self.native, RpcHandlers({CALL: self.answer}))
        self.call(self.client(self.native), CALL, traceparent=self.parent())
        self.assertEqual([peer.traceparent for peer in self.callers], [""])


class Collector(SpanExporter):
    """A collector that is away, or holds a delivery up, as the test says."""

    def __init__(self) -> None:
        self.result = SpanExportResult.SUCCESS
        self.open = Event()
        self.open.set()
        self.delivered: list[ReadableSpan] = []
        self.deliveries = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.open.wait(60)
        self.deliveries += 1
        if self.result is SpanExportResult.SUCCESS:
            self.delivered += spans
        return self.result


class _Threads(MemoryReactorClock):
    """A reactor whose calls from threads the test runs."""

    def __init__(self) -> None:
        super().__init__()
        self.posted: list[Callable[[], object]] = []
        self.news = Event()

    def callFromThread(self, call: Callable[..., object], *args: object) -> None:  # noqa: N802
        self.posted.append(lambda: call(*args))
        self.news.set()

    def run_posted(self) -> None:
        """Run what threads post, once there is something."""
        assert self.news.wait(30)
        self.news.clear()
        while self.posted:
            self.posted.pop(0)()


class ExportTests(SynchronousTestCase):
    telemetry: ClassVar = TelemetryConfig(endpoint="jaeger:4317")

    def setUp(self) -> None:
        self.reactor = _Threads()
        self.collector = Collector()
        self.addCleanup(self.collector.open.set)
        self.export = Export(
            self.telemetry,
            "gateway",
            cast("IRpcReactor", self.reactor),
            SeededBytes(1),
            self.collector,
        )
        self.told: list[str] = []
        observer = cast("ILogObserver", self.observe)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def observe(self, event: LogEvent) -> None:
        if event.get("log_namespace", "").endswith("Export"):
            self.told.append(str(event["log_format"]).format(**event))

    def make(self, count: int) -> None:
        for _ in range(count):
            self.export.spans.begin(CALL, SpanKind.CLIENT).end()

    def stop(self) -> None:
        stopped = self.export.stop()
        while not stopped.called:
            self.reactor.run_posted()

    def test_a_stop_delivers_what_waits(self) -> None:
        self.make(700)
        self.stop()
        self.assertEqual(len(self.collector.delivered), 700)
        resource = self.collector.delivered[0].resource.attributes
        self.assertEqual(resource["service.name"], "gateway")
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(self.told, [])

    def test_a_collector_that_is_away_is_one_line(self) -> None:
        self.collector.result = SpanExportResult.FAILURE
        heard: list[logging.LogRecord] = []
        handler = logging.Handler()
        handler.emit = heard.append  # type: ignore[method-assign, assignment]
        logging.getLogger().addHandler(handler)
        self.addCleanup(logging.getLogger().removeHandler, handler)
        self.make(600)
        self.reactor.run_posted()
        self.make(3 * MAX_WAITING_SPANS)
        self.stop()
        self.assertEqual(
            self.told,
            ["traces do not reach jaeger:4317 (Telemetry.Endpoint), and are lost until they do"],
        )
        self.assertEqual(heard, [])

    def test_a_collector_that_comes_back(self) -> None:
        self.collector.result = SpanExportResult.FAILURE
        self.make(512)
        self.reactor.run_posted()
        self.collector.result = SpanExportResult.SUCCESS
        self.make(512)
        self.reactor.run_posted()
        self.assertEqual(self.told[1:], ["traces reach jaeger:4317 again"])
        self.stop()

    def test_a_collector_that_hangs_holds_nothing_up(self) -> None:
        self.collector.open.clear()
        self.make(MAX_WAITING_SPANS + 1000)
        stopped = self.export.stop()
        self.assertNoResult(stopped)
        self.reactor.advance(STOP_SECONDS)
        self.successResultOf(stopped)
        self.collector.open.set()
        self.reactor.run_posted()
        # Those in delivery, and as many as may wait.
        self.assertLessEqual(len(self.collector.delivered), MAX_WAITING_SPANS + 512)

    def test_the_log_of_the_sdk_is_as_it_was(self) -> None:
        self.assertGreater(logging.getLogger("opentelemetry").level, logging.CRITICAL)
        self.stop()
        self.assertEqual(logging.getLogger("opentelemetry").level, logging.NOTSET)


class SpansTests(SynchronousTestCase):
    def test_a_span_around_is_no_parent(self) -> None:
        provider = TracerProvider(shutdown_on_exit=False)
        spans = Spans(provider, 1.0, SeededBytes(1))
        with provider.get_tracer("application").start_as_current_span("around"):
            span = cast("ReadableSpan", spans.begin(CALL, SpanKind.CLIENT))
        self.assertIsNone(span.parent)
