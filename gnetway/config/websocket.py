"""Gnetway.Server.WebSocket: pings, which keep connections open and find dead ones."""

from dataclasses import dataclass, field

from gnetway.config.section import key
from gnetway.config.values import whole


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSocketConfig:
    """When the WebSocket connections of a listener are pinged."""

    ping_seconds: int = field(
        default=50,
        metadata=key(
            "PingSeconds",
            whole(1, 3600),
            "seconds",
            "from one ping to the next; balancers close what is silent for 60",
        ),
    )
    ping_timeout_seconds: int = field(
        default=30,
        metadata=key(
            "PingTimeoutSeconds",
            whole(1, 600),
            "seconds",
            "for anything to come after a ping, time for a phone between two networks",
        ),
    )
