"""One session node as the dispatch core knows it."""

from typing import Any, Protocol

from gnetway.dispatch.breaker import BreakerState, CircuitBreaker


class Waiter(Protocol):
    """Who waits for room at a node."""

    def go_on(self, now: float) -> None:
        """Send what can be sent now."""


class Node:
    """One session node.

    It is ``connected`` while a connection to it stands, and ``connecting`` from its first mention
    until the first attempt has ended. ``listed`` is whether discovery names it now. ``epoch``
    changes whenever its connection was lost: what it was told before that, it may have forgotten.
    ``in_flight`` requests of ``in_flight_bytes`` are with it, unanswered; ``sent`` counts all that
    ever were. ``usable`` follows from the others, and is set by the node table alone. ``link``
    belongs to the shell.
    """

    __slots__ = (
        "address",
        "breaker",
        "connect_after",
        "connected",
        "connecting",
        "epoch",
        "in_flight",
        "in_flight_bytes",
        "link",
        "listed",
        "reported",
        "room_waiters",
        "sent",
        "unused_since",
        "usable",
        "used",
        "was_listed",
    )

    def __init__(self, address: str, breaker: CircuitBreaker, now: float) -> None:
        self.address = address
        self.breaker = breaker
        self.connected = False
        self.connecting = True
        #: Before this time no redirect has another attempt made to connect to it.
        self.connect_after = now
        self.epoch = 0
        self.listed = self.was_listed = False
        self.usable = False
        #: Whether the operator has read that it is not used.
        self.reported = False
        self.in_flight = 0
        self.in_flight_bytes = 0
        self.sent = 0
        self.link: Any = None
        #: Who waits for room, first come first.
        self.room_waiters: dict[Waiter, None] = {}
        #: How many it had been sent, and when that was last seen to grow; for nodes that discovery
        #: does not name.
        self.used = 0
        self.unused_since = now

    @property
    def well(self) -> bool:
        """Whether its connection stands and its breaker is closed."""
        return self.connected and self.breaker.state is BreakerState.CLOSED

    def is_down(self, now: float) -> bool:
        """Return whether it cannot be used, and nobody knows whether it soon will."""
        return (
            not self.usable
            and not self.connecting
            and (
                self.listed
                or now < self.connect_after
                or self.breaker.state is not BreakerState.CLOSED
            )
        )

    def __repr__(self) -> str:
        return f"<Node {self.address}>"
