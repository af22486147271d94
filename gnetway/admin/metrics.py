"""Metrics for Prometheus: under the Go gateway's names where it has one, else under like ones.

What is not measured is left out: a zero would say that it was, and that nothing has happened.
"""

from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Final, NamedTuple

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from gnetway._version import __version__, core_build
from gnetway.admin.status import REFUSALS, Status
from gnetway.metrics import HANDED_MS, LABEL_END, LATENCY_SECONDS, Measures, Series

#: What the text of ``render`` is, for an HTTP header.
CONTENT_TYPE: Final = CONTENT_TYPE_LATEST

#: Causes of ends that a client was waited for too long: the Go gateway's timeout_total.
TIMEOUTS: Final = frozenset(
    {"idle", "handshake_timeout", "packet_timeout", "proxy_timeout", "http_answer_late"}
)


class _Gauge(NamedTuple):
    name: str
    text: str


#: Gauge of GatewayCounts → its metric. A bound has the name of what it bounds, with ``_limit``.
GAUGES: Final[Mapping[str, _Gauge]] = {
    "connections_limit": _Gauge("connections_limit", "Connections that may be open at a time."),
    "half_open": _Gauge("half_open_connections", "Connections that have no auth key yet."),
    "half_open_limit": _Gauge(
        "half_open_connections_limit", "Connections without an auth key that may be open."
    ),
    "held": _Gauge(
        "held_connections", "Accepted connections that wait to be let in, or to be closed."
    ),
    "held_limit": _Gauge("held_connections_limit", "Accepted connections that may wait so."),
    "networks": _Gauge("client_networks", "Client networks that have an account now."),
    "sessions": _Gauge("sessions", "MTProto sessions that have a connection."),
    "exchange_steps": _Gauge("key_exchange_steps", "Steps of key exchanges under way in threads."),
    "unsent_bytes": _Gauge("unsent_bytes", "Bytes that wait for clients that read slowly."),
    "unsent_bytes_limit": _Gauge("unsent_bytes_limit", "Bytes that may wait for clients."),
    "unfinished_bytes": _Gauge(
        "unfinished_packet_bytes", "Bytes of packets of which a part is missing."
    ),
    "unfinished_bytes_limit": _Gauge(
        "unfinished_packet_bytes_limit", "Bytes of unfinished packets that may be here."
    ),
    "resident_bytes": _Gauge("resident_memory_bytes", "Memory of the gateway's processes."),
    "loop_lag_seconds": _Gauge(
        "event_loop_lag_seconds", "By how much a timer of the reactor came late, at most, lately."
    ),
}


class _Measure(NamedTuple):
    name: str
    text: str
    labels: tuple[str, ...] = ()


_NODE: Final = ("node",)

#: Of ``Measures``: what only grows, and has _total behind its name.
TOTALS: Final[Mapping[str, _Measure]] = {
    "conn_open": _Measure(
        "conn_open", "Client connections that were opened, by what the listener speaks.", ("proto",)
    ),
    "conn_close": _Measure("conn_close", "Client connections that were closed.", ("proto",)),
    "msg_quick_ack": _Measure("msg_quick_ack", "Quick acks that were sent."),
    "codec_decode_errors": _Measure(
        "codec_decode_errors",
        "Connections that ended for what could not be decoded.",
        ("proto", "reason"),
    ),
    "received_bytes": _Measure(
        "received_bytes", "Bytes from clients, without TLS, WebSocket frames and HTTP heads."
    ),
    "sent_bytes": _Measure("sent_bytes", "Bytes to clients, likewise."),
    "received_messages": _Measure("received_messages", "Encrypted messages from clients."),
    "sent_messages": _Measure("sent_messages", "Encrypted messages to clients."),
    "connection_ends": _Measure(
        "connection_ends",
        "Ends of connections: who has ended them, in which phase, and why.",
        ("who", "phase", "cause"),
    ),
    "connection_end_stages": _Measure(
        "connection_end_stages", "Ends of connections by how far they had come.", ("stage",)
    ),
    "session_node_requests": _Measure(
        "session_node_requests", "Requests that a session node was sent.", _NODE
    ),
    "session_node_failures": _Measure(
        "session_node_failures", "Requests that failed by a session node's fault.", _NODE
    ),
    "process_cpu_seconds": _Measure("process_cpu_seconds", "Processor time of the processes."),
}

#: What there is now, and bounds of it.
LEVELS: Final[Mapping[str, _Measure]] = {
    "key_exchanges": _Measure("key_exchanges", "Runs of key exchanges that are open."),
    "key_exchanges_limit": _Measure("key_exchanges_limit", "Runs that may be open."),
    "key_exchange_work": _Measure(
        "key_exchange_work", "Pieces of work for key exchanges that wait for a thread, or have one."
    ),
    "key_exchange_work_limit": _Measure("key_exchange_work_limit", "Pieces of it that may wait."),
    "key_cache_keys": _Measure("key_cache_keys", "Auth keys at hand."),
    "key_cache_bytes": _Measure("key_cache_bytes", "Memory that they take."),
    "key_cache_bytes_limit": _Measure("key_cache_bytes_limit", "Memory that they may take."),
    "key_lookups": _Measure("key_lookups", "Auth keys that the backend is being asked for."),
    "rsa_keys": _Measure("rsa_keys", "RSA keys that clients may use."),
    "certificate_expiry": _Measure(
        "certificate_expiry_timestamp_seconds",
        "When the certificate of a listener expires, in Unix time.",
        ("listener",),
    ),
    "etcd_registered": _Measure("etcd_registered", "Whether the gateway is registered in etcd."),
    "held_messages": _Measure(
        "outage_messages", "Messages that wait while no session node takes them."
    ),
    "held_messages_limit": _Measure("outage_messages_limit", "Messages that may wait so."),
    "held_bytes": _Measure("outage_bytes", "Bytes of these messages."),
    "held_bytes_limit": _Measure("outage_bytes_limit", "Bytes that may wait so."),
    "unacked_bytes": _Measure(
        "unacked_bytes", "Bytes that the embedded backend keeps to send again."
    ),
    "unacked_bytes_limit": _Measure("unacked_bytes_limit", "Bytes that it may keep so."),
    "rpc_connections": _Measure("rpc_connections", "Connections of session services."),
    "rpc_connections_limit": _Measure("rpc_connections_limit", "Connections that they may have."),
    "rpc_input_bytes": _Measure("rpc_input_bytes", "Bytes of their unfinished messages."),
    "rpc_input_bytes_limit": _Measure("rpc_input_bytes_limit", "Bytes of them that may be here."),
    "session_node_state": _Measure(
        "session_node_state",
        "Processes whose connection to a session node is in a state.",
        ("node", "state"),
    ),
    "session_node_breaker": _Measure(
        "session_node_breaker",
        "Processes whose breaker before a session node is in a state.",
        ("node", "state"),
    ),
    "session_node_listed": _Measure(
        "session_node_listed", "Processes to which discovery names a session node.", _NODE
    ),
    "session_node_ring_share": _Measure(
        "session_node_ring_share", "Part of all keys that a session node has, 0 to 1.", _NODE
    ),
    "session_node_in_flight": _Measure(
        "session_node_requests_in_flight", "Requests with a session node, unanswered.", _NODE
    ),
    "session_node_in_flight_bytes": _Measure(
        "session_node_in_flight_bytes", "Bytes of these requests.", _NODE
    ),
}

_WORKER_UP: Final = _Measure("worker_up", "Whether a worker process serves.", ("worker",))
_WORKER_PID: Final = _Measure("worker_pid", "The process id of a worker.", ("worker",))

#: With the bounds by which their values are counted.
HISTOGRAMS: Final[Mapping[str, tuple[_Measure, tuple[float, ...]]]] = {
    "msg_process_duration_ms": (
        _Measure(
            "msg_process_duration_ms",
            "Milliseconds from a message's decryption until the session backend has it.",
            ("type",),
        ),
        HANDED_MS,
    ),
    "backend_latency_seconds": (
        _Measure(
            "backend_latency_seconds",
            "Seconds until a session node has answered; of many requests some are timed.",
            ("node", "method"),
        ),
        LATENCY_SECONDS,
    ),
}


class _Families:
    """What prometheus-client asks for metrics."""

    def __init__(self, status: Status) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        """Yield every metric of this moment."""
        status, counts = self._status, self._status.counts
        build = {"version": __version__, "core": core_build()}
        yield _gauge("info", "Version and build of the gateway.", 1, **build)
        yield _gauge("ready", "Whether clients can be served now.", int(not status.unready))
        yield _gauge("start_time_seconds", "When it started, in Unix time.", status.started_at)
        if loaded := status.configuration:
            digest = str(loaded["digest"])
            yield _gauge("config_info", "The configuration that runs.", 1, digest=digest)
            yield _gauge(
                "config_load_timestamp_seconds",
                "When it was read, or read again, in Unix time.",
                float(str(loaded["loaded_at"])),
            )
            yield _gauge(
                "config_last_reload_successful",
                "Whether the last reload was taken, by all workers.",
                bool(loaded["last_taken"]),
            )
        if status.workers:
            yield _gauge("workers", "Worker processes that are to run.", status.workers)
            yield _gauge("workers_ready", "Worker processes that serve.", status.workers_ready)
        yield _gauge("connections", "Client connections that are open.", counts.open_connections)
        if status.processes:
            yield _series(
                GaugeMetricFamily,
                _WORKER_UP,
                {str(process.number): process.up for process in status.processes},
            )
            yield _series(
                GaugeMetricFamily,
                _WORKER_PID,
                {str(process.number): process.pid for process in status.processes if process.pid},
            )
        late = sum(counts.causes.get(cause, 0) for cause in TIMEOUTS)
        yield CounterMetricFamily(
            "gnetway_conn_timeout", "Connections that a timeout has ended.", value=late
        )
        failed = sum(
            times for cause, times in counts.causes.items() if cause.startswith("handshake_")
        )
        results = {"ok": counts.keys, "error": failed}
        yield _counters("handshake", "Key exchanges by their result.", "result", results)
        yield _counters(
            "ends",
            "Ends of connections and failed requests by their cause, see docs/troubleshooting.md.",
            "cause",
            counts.causes,
        )
        yield _counters(
            "pushes", "Pushes of session services by what became of them.", "outcome", counts.pushes
        )
        refused = {cause: n for cause, n in counts.causes.items() if cause in REFUSALS}
        yield _counters(
            "refused", "Clients that admission has refused or ended, by why.", "cause", refused
        )
        for name, value in counts.gauges.items():
            gauge = GAUGES[name]
            yield _gauge(gauge.name, gauge.text, value)
        yield from _of_measures(counts.measures)


def _of_measures(measures: Measures) -> Iterator[Metric]:
    for name, series in measures.totals.items():
        yield _series(CounterMetricFamily, TOTALS[name], series)
    for name, series in measures.levels.items():
        yield _series(GaugeMetricFamily, LEVELS[name], series)
    for name, rows in measures.histograms.items():
        measure, bounds = HISTOGRAMS[name]
        metric = HistogramMetricFamily(
            f"gnetway_{measure.name}", measure.text, labels=measure.labels
        )
        ends = [*map(str, bounds), "+Inf"]
        for labels, (total, *counts) in rows.items():
            buckets = list(zip(ends, accumulate(counts), strict=True))
            metric.add_metric(_split(labels), buckets, total)
        yield metric


def _series(
    family: type[CounterMetricFamily] | type[GaugeMetricFamily], measure: _Measure, series: Series
) -> Metric:
    metric = family(f"gnetway_{measure.name}", measure.text, labels=measure.labels)
    for labels, value in series.items():
        metric.add_metric(_split(labels), value)
    return metric


def _split(labels: str) -> list[str]:
    return labels.split(LABEL_END) if labels else []


def render(status: Status) -> bytes:
    """Return the metrics in Prometheus' text format."""
    return generate_latest(_Families(status))


def _gauge(name: str, text: str, value: float, **labels: str) -> Metric:
    metric = GaugeMetricFamily(f"gnetway_{name}", text, labels=list(labels))
    metric.add_metric(list(labels.values()), value)
    return metric


def _counters(name: str, text: str, label: str, values: Mapping[str, int]) -> Metric:
    metric = CounterMetricFamily(f"gnetway_{name}", text, labels=[label])
    for key, value in values.items():
        metric.add_metric([key], value)
    return metric
