"""Metrics for Prometheus: under the Go gateway's names where it has one, else under like ones.

What is not measured is left out: a zero would say that it was, and that nothing has happened.
"""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from gnetway._core_build import core_build
from gnetway._version import __version__
from gnetway.admin.status import Status

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
        if status.workers:
            yield _gauge("workers", "Worker processes that are to run.", status.workers)
            yield _gauge("workers_ready", "Worker processes that serve.", status.workers_ready)
        yield _gauge("connections", "Client connections that are open.", counts.open_connections)
        yield _counter("conn_open", "Client connections that were opened.", counts.opened)
        closed = counts.opened - counts.open_connections
        yield _counter("conn_close", "Client connections that were closed.", closed)
        late = sum(counts.causes.get(cause, 0) for cause in TIMEOUTS)
        yield _counter("conn_timeout", "Connections that a timeout has ended.", late)
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
        for name, value in counts.gauges.items():
            gauge = GAUGES[name]
            yield _gauge(gauge.name, gauge.text, value)


def render(status: Status) -> bytes:
    """Return the metrics in Prometheus' text format."""
    return generate_latest(_Families(status))


def _gauge(name: str, text: str, value: float, **labels: str) -> Metric:
    metric = GaugeMetricFamily(f"gnetway_{name}", text, labels=list(labels))
    metric.add_metric(list(labels.values()), value)
    return metric


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"gnetway_{name}", text, value=value)


def _counters(name: str, text: str, label: str, values: Mapping[str, int]) -> Metric:
    metric = CounterMetricFamily(f"gnetway_{name}", text, labels=[label])
    for key, value in values.items():
        metric.add_metric([key], value)
    return metric
