"""The state of a gateway as plain data, whether it is one process or several."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from twisted.internet.defer import Deferred

from gnetway._core_build import core_build
from gnetway._version import __version__
from gnetway.errors import GatewayError
from gnetway.metrics import GatewayCounts


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
            "workers": {"configured": self.workers, "ready": self.workers_ready},
            "connections": {"open": counts.open_connections, "opened": counts.opened},
            "keys_made": counts.keys,
            "ends": dict(counts.causes),
            "pushes": dict(counts.pushes),
            "gauges": dict(counts.gauges),
            "refused_origins": dict(self.refused_origins),
        }


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

        ``what`` is connections, connection, failures, end or drain, or of the configuration reload
        or reloads; ``given`` are the parameters of its address. It may fail with QueryFault or
        NotFound.
        """

    def drain(self) -> bool:
        """Have the whole gateway drain and end; False where somebody else has to say so."""
