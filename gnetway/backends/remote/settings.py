"""How to talk to the session service, and what that means for the dispatch core."""

from dataclasses import dataclass, field
from typing import Final

from gnetway.dispatch.outage_buffer import OutageLimits
from gnetway.dispatch.shared import (
    MAX_MESSAGE_BYTES,
    STREAM_WINDOW,
    Announce,
    DispatchSettings,
)
from gnetway.rpc.calls import RpcOptions

__all__ = [
    "MAX_MESSAGE_BYTES",
    "Announce",
    "OutageLimits",
    "RemoteSettings",
    "dispatch_settings",
]

#: What unary calls to one node may hold unanswered, in bytes.
_MAX_CALLS_BYTES: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class RemoteSettings:
    """How to talk to the session service.

    ``server_id`` is this gateway's own gRPC address, where answers come back to. A node that
    does not answer within ``timeout_seconds`` is passed over. ``max_message_bytes`` bounds what a
    client may send at once: a longer message ends its connection before it is sent.
    """

    server_id: str
    use_stream: bool = False
    announce: Announce = Announce.MESSAGE
    timeout_seconds: float = 10.0
    outage: OutageLimits = field(default_factory=OutageLimits)
    max_message_bytes: int = MAX_MESSAGE_BYTES


def dispatch_settings(settings: RemoteSettings, options: RpcOptions) -> DispatchSettings:
    """Return the bounds of the dispatch core, which differ between calls and streams."""
    stream = settings.use_stream
    return DispatchSettings(
        server_id=settings.server_id,
        announce=settings.announce,
        window=STREAM_WINDOW if stream else 1,
        max_in_flight=options.max_unsent_messages if stream else options.max_calls,
        # A carrier counts what is around a message too, and is never to be full before the core.
        max_in_flight_bytes=options.max_unsent_bytes * 3 // 4 if stream else _MAX_CALLS_BYTES,
        max_message_bytes=settings.max_message_bytes,
        outage=settings.outage,
    )
