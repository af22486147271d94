"""The state of a gateway as plain data, whether it is one process or several.

How many connections there are of each kind, ``Summary``, is part of it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple, Protocol, Self

from twisted.internet.defer import Deferred

from gnetway._version import __version__, core_build
from gnetway.admission.place import Facts
from gnetway.ends import Stage
from gnetway.errors import GatewayError
from gnetway.metrics import LABEL_END, GatewayCounts, Series

#: Causes by which admission refuses clients, or ends some for others: docs/admission.md.
REFUSALS: Final = frozenset(
    {
        "address_denied",
        "gave_way",
        "handshake_too_fast",
        "handshake_too_many",
        "handshake_too_much_work",
        "no_descriptor",
        "too_many_connections",
        "too_many_half_open",
        "too_many_new_connections",
        "unknown_keys",
    }
)

#: What is bounded, by the names of gauges and levels: each has a bound of that name and ``_limit``.
BUDGETS: Final = (
    "unsent_bytes",
    "unfinished_bytes",
    "held_messages",
    "held_bytes",
    "unacked_bytes",
    "rpc_connections",
    "rpc_input_bytes",
    "key_exchanges",
    "key_exchange_work",
)

#: What admission counts, and its bounds.
_ADMISSION: Final = (
    "connections_limit",
    "half_open",
    "half_open_limit",
    "held",
    "held_limit",
    "networks",
)

_END_LABELS: Final = ("who", "phase", "cause")

#: States of a session node's connection and of its breaker, the worst first: of several processes
#: the worst is told.
_NODE_STATES: Final = ("down", "connecting", "up")
_BREAKER_STATES: Final = ("open", "half open", "closed")


class WorkerState(NamedTuple):
    """One of several processes; ``pid`` is 0 where there is none now."""

    number: int
    up: bool
    pid: int


class Status(NamedTuple):
    """What a gateway knows of itself at one moment.

    ``unready`` has why clients cannot be served, one line each; ``listeners`` are the addresses as
    text. ``workers`` is 0 for a gateway in one process.
    """

    started_at: float
    unready: tuple[str, ...]
    listeners: tuple[str, ...]
    backend: str
    counts: GatewayCounts
    refused_origins: Mapping[str, int]
    workers: int = 0
    workers_ready: int = 0
    processes: tuple[WorkerState, ...] = ()
    configuration: Mapping[str, object] = {}

    def as_json(self) -> dict[str, object]:
        """Return it for /api/status; docs/admin.md has the meaning of each key."""
        counts = self.counts
        return {
            "version": __version__,
            "core": core_build(),
            "started_at": round(self.started_at, 3),
            "ready": not self.unready,
            "unready": list(self.unready),
            "backend": self.backend,
            "listeners": list(self.listeners),
            "workers": {
                "configured": self.workers,
                "ready": self.workers_ready,
                "processes": [process._asdict() for process in self.processes],
            },
            "connections": {"open": counts.open_connections, "opened": counts.opened},
            "keys_made": counts.keys,
            "ends": dict(counts.causes),
            "pushes": dict(counts.pushes),
            "gauges": dict(counts.gauges),
            "refused_origins": dict(self.refused_origins),
            "configuration": dict(self.configuration),
            **_sections(counts),
        }


# What is not measured is left out of a section, which may therefore be empty: null says that there
# is no such thing here.


def _sections(counts: GatewayCounts) -> dict[str, object]:
    totals, levels = counts.measures.totals, counts.measures.levels
    now: dict[str, float] = dict(counts.gauges)
    for name, series in levels.items():
        if "" in series:
            now[name] = series[""]
    sums = {name: series[""] for name, series in totals.items() if "" in series}
    registered = now.get("etcd_registered")
    admission: dict[str, object] = {"connections": counts.open_connections}
    admission |= {name: now[name] for name in _ADMISSION if name in now}
    admission["refused"] = {
        cause: times for cause, times in counts.causes.items() if cause in REFUSALS
    }
    return {
        "nodes": _nodes(counts),
        "etcd": None if registered is None else {"registered": bool(registered)},
        "key_cache": _picked(
            now, keys="key_cache_keys", bytes="key_cache_bytes", bytes_limit="key_cache_bytes_limit"
        ),
        "admission": admission,
        "budgets": {
            name: {"used": now[name], "limit": now[f"{name}_limit"]}
            for name in BUDGETS
            if f"{name}_limit" in now
        },
        "traffic": _picked(
            sums,
            received_bytes="received_bytes",
            sent_bytes="sent_bytes",
            received_messages="received_messages",
            sent_messages="sent_messages",
            quick_acks="msg_quick_ack",
        ),
        "listened": {
            proto: {"opened": n, "open": n - totals["conn_close"].get(proto, 0)}
            for proto, n in totals.get("conn_open", {}).items()
        },
        "certificates": [
            {"listener": listener, "expires_at": round(when)}
            for listener, when in levels.get("certificate_expiry", {}).items()
        ],
        "ends_by_phase": [
            {**dict(zip(_END_LABELS, name.split(LABEL_END), strict=True)), "count": n}
            for name, n in _most_first(totals.get("connection_ends", {}))
        ],
        "ends_by_stage": dict(_most_first(totals.get("connection_end_stages", {}))),
    }


def _nodes(counts: GatewayCounts) -> list[dict[str, object]] | None:
    """Return the session nodes, None for a backend without any."""
    totals, levels, histograms = counts.measures
    if "session_node_listed" not in levels:
        return None
    nodes: list[dict[str, object]] = []
    for address in levels["session_node_listed"]:
        answered, seconds = 0.0, 0.0
        for labels, (total, *times) in histograms.get("backend_latency_seconds", {}).items():
            if labels.partition(LABEL_END)[0] == address:
                answered, seconds = answered + sum(times), seconds + total
        node: dict[str, object] = {
            "address": address,
            "state": _worst(levels["session_node_state"], address, _NODE_STATES),
            "breaker": _worst(levels["session_node_breaker"], address, _BREAKER_STATES),
            "listed": bool(levels["session_node_listed"][address]),
            "ring_share": round(levels["session_node_ring_share"].get(address, 0.0), 4),
            "in_flight": levels["session_node_in_flight"].get(address, 0),
            "in_flight_bytes": levels["session_node_in_flight_bytes"].get(address, 0),
            "requests": totals["session_node_requests"].get(address, 0),
            "failures": totals["session_node_failures"].get(address, 0),
        }
        if answered:
            node["latency_ms"] = round(seconds / answered * 1000, 3)
        nodes.append(node)
    return nodes


def _worst(series: Series, address: str, states: tuple[str, ...]) -> str:
    return next(
        (state for state in states if series.get(f"{address}{LABEL_END}{state}")), states[0]
    )


def _picked(values: Mapping[str, float], **names: str) -> dict[str, float]:
    return {shown: values[name] for shown, name in names.items() if name in values}


def _most_first(series: Series) -> list[tuple[str, float]]:
    return sorted(series.items(), key=lambda item: -item[1])


class QueryFault(GatewayError):
    """What was asked for is not to be had; the text says which part, and what is allowed."""


class NotFound(GatewayError):
    """Nothing is known of what was asked for."""


class StatusSource(Protocol):
    """Whose status is shown: a gateway, or the parent of several workers."""

    def status(self) -> Deferred[Status]:
        """Return the status of this moment."""

    def ask(self, what: str, given: Mapping[str, str]) -> Deferred[dict[str, Any]]:
        """Answer a question about connections, or do something to one.

        ``what`` is connections, connection, summary, failures, end or drain, or of the
        configuration reload or reloads; ``given`` are the parameters of its address. It may fail
        with QueryFault or NotFound.
        """

    def drain(self) -> bool:
        """Have the whole gateway drain and end; False where somebody else has to say so."""


class Summary(NamedTuple):
    """How many open connections there are of each kind.

    What a client calls itself makes no kind: there are as many as we have names for.
    """

    by_transport: Counter[str]
    by_stage: Counter[str]
    by_application: Counter[str]

    @classmethod
    def none(cls) -> Self:
        """Return that of no connection."""
        return cls(Counter(), Counter(), Counter())

    @classmethod
    def of_all(cls, summaries: Iterable[Iterable[Mapping[str, int]]]) -> Self:
        """Return those of several processes together."""
        total = cls.none()
        for summary in summaries:
            for counter, counts in zip(total, summary, strict=True):
                counter.update(counts)
        return total

    def add(self, facts: Facts) -> None:
        """Count a connection."""
        self.by_transport[facts.transport or "not known yet"] += 1
        self.by_stage[facts.stage.text] += 1
        client = facts.client
        self.by_application["not said" if client is None else client.application or "another"] += 1

    def as_json(self, now: float) -> dict[str, Any]:
        """Return it for the API: stages in their order, of all else the most frequent first."""
        stages = [stage.text for stage in Stage]
        return {
            "now": round(now, 3),
            "open": self.by_stage.total(),
            "by_transport": dict(self.by_transport.most_common()),
            "by_stage": {name: self.by_stage[name] for name in stages if self.by_stage[name]},
            "by_application": dict(self.by_application.most_common()),
        }
