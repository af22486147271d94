"""What the remote session backend measures: its nodes, and what waits for them."""

from collections.abc import Callable
from enum import Enum
from typing import Final

from gnetway.dispatch.node import BreakerState, ConnectionState, Listing, Node
from gnetway.dispatch.nodes import SessionNodes
from gnetway.dispatch.outage_buffer import OutageBuffer
from gnetway.metrics import LABEL_END, Measures, Series

#: Nodes that are told of one by one: each has a dozen series, and a redirect may name any. Those
#: that discovery lists come first.
MAX_NODES: Final = 100


def remote_measures(nodes: SessionNodes, buffer: OutageBuffer) -> Measures:
    """Return the measures of all nodes, and of the outage buffer."""
    told = sorted(nodes, key=_rank)[:MAX_NODES]
    limits = buffer.limits
    shares = nodes.shares()

    def each(value: Callable[[Node], float]) -> Series:
        return {node.address: value(node) for node in told}

    return Measures(
        totals={
            "session_node_requests": each(lambda node: node.sent),
            "session_node_failures": each(lambda node: node.failures),
        },
        levels={
            "session_node_state": _states(told, ConnectionState, lambda node: node.connection),
            "session_node_breaker": _states(told, BreakerState, lambda node: node.breaker.state),
            "session_node_listed": each(lambda node: node.listing is Listing.LISTED),
            "session_node_ring_share": each(lambda node: shares.get(node.address, 0.0)),
            "session_node_in_flight": each(lambda node: node.in_flight),
            "session_node_in_flight_bytes": each(lambda node: node.in_flight_bytes),
            "held_messages": {"": buffer.messages},
            "held_messages_limit": {"": limits.max_messages},
            "held_bytes": {"": buffer.size},
            "held_bytes_limit": {"": limits.max_bytes},
        },
        histograms={
            "backend_latency_seconds": {
                f"{node.address}{LABEL_END}{method}": histogram.as_row()
                for node in told
                for method, histogram in node.latency.items()
            }
        },
    )


def _states(told: list[Node], states: type[Enum], state: Callable[[Node], Enum]) -> Series:
    """Return a series for each node and state: 1 for the one that it is in."""
    return {
        f"{node.address}{LABEL_END}{each.value}": int(state(node) is each)
        for node in told
        for each in states
    }


def _rank(node: Node) -> tuple[bool, str]:
    return node.listing is not Listing.LISTED, node.address
