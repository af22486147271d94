"""Which of the gateway's fast paths run here, and why others do not."""

from typing import NamedTuple

from gnetway.config.model import GatewayConfig
from gnetway.config.servers import Proto
from gnetway.runtime import epoll, try_write


class SlowPath(NamedTuple):
    """A fast path that is not taken, and why."""

    name: str
    why: str


def slow_paths(config: GatewayConfig, reactor: object, own_process: bool) -> list[SlowPath]:
    """Return the fast paths that are not taken; everything works without them, at 10 to 40 % more.

    ``own_process`` is as in GatewayService.
    """
    other = "the process is another application's"
    reasons = {
        "the loop for epoll": epoll.why_not(reactor) if own_process else other,
        "sends without a wait for the socket": try_write.WHY_NOT,
        "plain WebSocket frames": _why_not_websocket(config),
    }
    return [SlowPath(name, why) for name, why in reasons.items() if why]


def _why_not_websocket(config: GatewayConfig) -> str:
    if not any(server.serves(Proto.WEBSOCKET) for server in config.gnetway.servers):
        return ""
    # Its package need not be there where nothing listens for it.
    from gnetway.net.websocket import frames  # noqa: PLC0415

    return frames.why_not()
