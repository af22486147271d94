"""Spans of unary calls by OpenTelemetry: those to session services, and those that they make here.

A call is traced or not before it is made: at random where the trace begins here, else as its
caller's ``traceparent`` says. Only of a traced one a span is made, and only such a call goes out
with a traceparent. Streams are not traced: their messages have no metadata.

Names and attributes are those of go-zero's interceptors, but for the peer's address. Nothing that a
message says is in them: no key, session, client address, payload or salt.
Source: www.w3.org/TR/trace-context, github.com/zeromicro/go-zero, core/trace
"""

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from threading import Thread
from typing import ClassVar, Final

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    TraceFlags,
    set_span_in_context,
)
from opentelemetry.trace import StatusCode as SpanStatus
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from gnetway._version import __version__
from gnetway.config.operators import Batcher, TelemetryConfig
from gnetway.rpc.calls import (
    Answered,
    ConnectionChanged,
    IRpcCarrier,
    IRpcClient,
    IRpcReactor,
    IRpcServer,
    IRpcStream,
    IStreamListener,
    Metadata,
    RpcHandlers,
    RpcOptions,
    RpcPeer,
    UnaryHandler,
)
from gnetway.rpc.status import RpcStatus, StatusCode

_FIELD: Final = "traceparent"
#: version, trace, caller's span, flags; a later version may have more behind them.
_TRACEPARENT: Final = re.compile(
    r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
)

#: So that no span becomes a child of one that the application around has open.
_NO_PARENT: Final = Context()


class Spans:
    """Makes spans, for such a part of the traces that begin here as ``ratio`` says, 0 to 1."""

    def __init__(
        self, provider: TracerProvider, ratio: float, random_bytes: Callable[[int], bytes]
    ) -> None:
        self._random_bytes = random_bytes
        self._below = round(ratio * (1 << 32))
        self._tracer = provider.get_tracer("gnetway", __version__)
        self._methods: dict[str, tuple[str, dict[str, str]]] = {}

    def chosen(self) -> bool:
        """Return whether a call that nobody has traced before is traced."""
        return int.from_bytes(self._random_bytes(4)) < self._below

    def begin(self, method: str, kind: SpanKind, parent: Context = _NO_PARENT) -> Span:
        """Return the span of a call of ``/package.Service/method``."""
        known = self._methods.get(method)
        if known is None:
            # The methods are ours, so there are few.
            name = method.lstrip("/")
            service, _, short = name.partition("/")
            attributes = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": short}
            known = self._methods[method] = name, attributes
        return self._tracer.start_span(known[0], parent, kind, known[1])

    def parent(self, traceparent: str) -> Context | None:
        """Return under what the span of a call belongs that has come, None if it has no span."""
        found = _TRACEPARENT.fullmatch(traceparent)
        if found is None:
            return _NO_PARENT if self.chosen() else None
        flags = int(found[3], 16)
        if not flags & TraceFlags.SAMPLED:
            return None
        caller = SpanContext(int(found[1], 16), int(found[2], 16), True, TraceFlags(flags))
        return set_span_in_context(NonRecordingSpan(caller), _NO_PARENT)


def _end(span: Span, status: RpcStatus | None) -> None:
    # Without the text of a status, which may have an address in it.
    if status is not None:
        span.set_status(Status(SpanStatus.ERROR))
    span.set_attribute("rpc.grpc.status_code", 0 if status is None else int(status.code))
    span.end()


@implementer(IRpcClient)
class TracedClient:
    """A client whose ``call`` is traced; whatever else it does is not."""

    def __init__(self, client: IRpcClient, spans: Spans) -> None:
        self.peer = client.peer
        self._spans = spans
        self._client = client
        self._call = client.call

    def call(
        self,
        method: str,
        request: bytes,
        timeout_seconds: float,
        answered: Answered,
        metadata: Metadata = (),
    ) -> None:
        """See IRpcClient."""
        if not self._spans.chosen():
            self._call(method, request, timeout_seconds, answered, metadata)
            return
        span = self._spans.begin(method, SpanKind.CLIENT)
        context = span.get_span_context()
        traceparent = f"00-{context.trace_id:032x}-{context.span_id:016x}-01"

        def ended(reply: bytes, status: RpcStatus | None) -> None:
            _end(span, status)
            answered(reply, status)

        self._call(method, request, timeout_seconds, ended, (*metadata, (_FIELD, traceparent)))

    def unary(self, method: str, request: bytes, timeout_seconds: float) -> Deferred[bytes]:
        """See IRpcClient."""
        return self._client.unary(method, request, timeout_seconds)

    def stream(self, method: str, listener: IStreamListener, metadata: Metadata = ()) -> IRpcStream:
        """See IRpcClient."""
        return self._client.stream(method, listener, metadata)

    def connect(self) -> None:
        """See IRpcClient."""
        self._client.connect()

    def watch_connection(self, changed: ConnectionChanged) -> None:
        """See IRpcClient."""
        self._client.watch_connection(changed)

    def close(self) -> Deferred[None]:
        """See IRpcClient."""
        return self._client.close()


@implementer(IRpcCarrier)
class TracedCarrier:
    """A carrier whose clients and servers are traced."""

    def __init__(self, carrier: IRpcCarrier, spans: Spans) -> None:
        self.name = carrier.name
        self._carrier = carrier
        self._spans = spans

    def client(self, peer: str, options: RpcOptions) -> IRpcClient:
        """See IRpcCarrier."""
        return TracedClient(self._carrier.client(peer, options), self._spans)

    def server(self, address: str, handlers: RpcHandlers, options: RpcOptions) -> IRpcServer:
        """See IRpcCarrier."""
        unary = {
            method: partial(_serve, self._spans, method, handle)
            for method, handle in handlers.unary.items()
        }
        traced = replace(handlers, unary=unary, want_traceparent=True)
        return self._carrier.server(address, traced, options)


def _serve(
    spans: Spans, method: str, handle: UnaryHandler, request: bytes, peer: RpcPeer
) -> "bytes | Deferred[bytes]":
    """Have a call handled, with a span where it is traced."""
    parent = spans.parent(peer.traceparent)
    if parent is None:
        return handle(request, peer)
    span = spans.begin(method, SpanKind.SERVER, parent)
    try:
        reply = handle(request, peer)
    except Exception as error:
        _end(span, _status_of(error))
        raise
    if isinstance(reply, Deferred):
        return reply.addBoth(partial(_replied, span))
    _end(span, None)
    return reply


def _replied(span: Span, result: bytes | Failure) -> bytes | Failure:
    _end(span, _status_of(result.value) if isinstance(result, Failure) else None)
    return result


def _status_of(error: BaseException | None) -> RpcStatus:
    return error if isinstance(error, RpcStatus) else RpcStatus(StatusCode.INTERNAL, "")


# -- where spans go --------------------------------------------------------------------------------

#: Spans that wait for the collector, some 2 KiB each. Traced calls fill it; a collector that is
#: away or slow costs this memory and no more, as the oldest spans are dropped.
MAX_WAITING_SPANS: Final = 2048
_BATCH_SPANS: Final = 512
_BATCH_MILLISECONDS: Final = 5000.0

#: One delivery to the collector, with the exporter's own attempts to repeat it.
_EXPORT_SECONDS: Final = 5

#: For the last delivery; what is not out by then is lost, as the gateway has to end.
STOP_SECONDS: Final = 3.0

#: A collector that fails and comes back all the time is told of this often.
_MINUTE_SECONDS: Final = 60.0


class Export:
    """Traces on their way to a collector, from one thread of the SDK's; never waited for.

    ``exporter`` is for tests.
    """

    _log: ClassVar = Logger()

    def __init__(
        self,
        telemetry: TelemetryConfig,
        gateway: str,
        reactor: IRpcReactor,
        random_bytes: Callable[[int], bytes],
        exporter: SpanExporter | None = None,
    ) -> None:
        self._reactor = reactor
        self._endpoint = telemetry.endpoint
        self._told_at: float | None = None
        self._told = False
        # The SDK writes a line for each failure and each span that it drops.
        self._sdk_log = logging.getLogger("opentelemetry")
        self._level = self._sdk_log.level
        self._sdk_log.setLevel(logging.CRITICAL + 1)
        self._exporter = _Exporter(exporter or _exporter_of(telemetry), self._reached)
        processor: SpanProcessor = BatchSpanProcessor(
            self._exporter,
            max_queue_size=MAX_WAITING_SPANS,
            schedule_delay_millis=_BATCH_MILLISECONDS,
            max_export_batch_size=_BATCH_SPANS,
        )
        resource = Resource(
            {"service.name": telemetry.name or gateway, "service.version": __version__}
        )
        # What is to be traced is decided before: see Spans.
        self._provider = TracerProvider(ALWAYS_ON, resource, shutdown_on_exit=False)
        self._provider.add_span_processor(processor)
        self.spans = Spans(self._provider, telemetry.ratio, random_bytes)

    def stop(self) -> Deferred[None]:
        """Deliver what waits; fires when that is done, or has taken too long."""
        self._exporter.ending = True
        done: Deferred[None] = Deferred()
        patience: IDelayedCall = self._reactor.callLater(STOP_SECONDS, done.callback, None)

        def ended() -> None:
            if patience.active():
                patience.cancel()
                done.callback(None)

        def shut_down() -> None:
            self._provider.shutdown()
            self._reactor.callFromThread(ended)

        # A thread of its own, which nobody waits for: that of the SDK may be in a delivery.
        Thread(target=shut_down, name="gnetway traces", daemon=True).start()
        return done.addCallback(self._stopped)

    def _stopped(self, _: object) -> None:
        self._sdk_log.setLevel(self._level)

    def _reached(self, reached: bool) -> None:
        """Note what has become of a delivery, where that has changed; called in its thread."""
        self._reactor.callFromThread(self._tell, reached)

    def _tell(self, reached: bool) -> None:
        if reached:
            if self._told:
                self._log.info("traces reach {endpoint} again", endpoint=self._endpoint)
            self._told = False
            return
        now = self._reactor.seconds()
        if self._told_at is None or now - self._told_at >= _MINUTE_SECONDS:
            self._told_at, self._told = now, True
            self._log.warn(
                "traces do not reach {endpoint} (Telemetry.Endpoint), and are lost until they do",
                endpoint=self._endpoint,
            )


class _Exporter(SpanExporter):
    """An exporter whose failures are told once; once it is ``ending``, the first one is enough."""

    def __init__(self, exporter: SpanExporter, reached: Callable[[bool], None]) -> None:
        self._exporter = exporter
        self._tell = reached
        self._reached = True
        self.ending = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Deliver spans."""
        if self.ending and not self._reached:
            return SpanExportResult.FAILURE
        try:
            result = self._exporter.export(spans)
        except Exception:  # noqa: BLE001 - whatever it is, the spans are lost
            result = SpanExportResult.FAILURE
        reached = result is SpanExportResult.SUCCESS
        if reached is not self._reached:
            self._reached = reached
            self._tell(reached)
        return result

    def shutdown(self) -> None:
        """Hang up."""
        self._exporter.shutdown()


def _exporter_of(telemetry: TelemetryConfig) -> SpanExporter:
    headers = dict(telemetry.headers or {})
    if telemetry.batcher is Batcher.OTLP_GRPC:
        from opentelemetry.exporter.otlp.proto.grpc import trace_exporter  # noqa: PLC0415

        return trace_exporter.OTLPSpanExporter(
            telemetry.endpoint, insecure=True, headers=headers, timeout=_EXPORT_SECONDS
        )
    from opentelemetry.exporter.otlp.proto.http import (  # noqa: PLC0415
        trace_exporter as http_exporter,
    )

    scheme = "https" if telemetry.http_secure else "http"
    url = f"{scheme}://{telemetry.endpoint}{telemetry.http_path}"
    return http_exporter.OTLPSpanExporter(url, headers=headers, timeout=_EXPORT_SECONDS)
