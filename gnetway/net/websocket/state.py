"""Autobahn's server protocol with less of it in memory: most of an open WebSocket is at rest.

Autobahn keeps 90 values for each connection in a dictionary of 3.3 KiB, which with what they refer
to comes to 6: its configuration, the whole request and answer of the handshake, statistics. Here
the configuration stands in a class, what changes in slots, and what only the handshake needs goes
when that is over. An attribute that another version adds is kept as ever, in a dictionary.
"""

# ruff: noqa: N802 - the names are Autobahn's

from collections.abc import Iterable
from typing import Final, TypeVar

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.logger import Logger

P = TypeVar("P", bound="SmallWebSocketProtocol")


class _Untold:
    """Stands for a Deferred that nobody waits for."""

    def callback(self, result: object) -> None:
        """Tell nobody."""


_UNTOLD: Final = _Untold()

#: What an open connection has no use for.
_OF_HANDSHAKES: Final = (
    "_transport_details",
    "_wskey",
    "http_headers",
    "http_request_data",
    "http_request_host",
    "http_request_params",
    "http_request_path",
    "http_request_uri",
    "http_response_data",
    "http_status_line",
    "websocket_extensions",
    "websocket_extensions_in_use",
    "websocket_origin",
    "websocket_protocols",
)

#: What Autobahn sets when a connection is made, and during its life.
_OF_CONNECTIONS: Final = (
    "_isMessageCompressed",
    "_perMessageCompress",
    "autoPingPending",
    "autoPingPendingCall",
    "autoPingPendingSent",
    "autoPingPendingSeq",
    "autoPingTimeoutCall",
    "closeHandshakeTimeoutCall",
    "closedByMe",
    "connected",
    "control_frame_data",
    "current_frame",
    "current_frame_masker",
    "data",
    "droppedByMe",
    "factory",
    "failedByMe",
    "frame_data",
    "frame_length",
    "inside_message",
    "is_closed",
    "is_open",
    "localCloseCode",
    "localCloseReason",
    "message_data",
    "message_data_total_length",
    "message_is_binary",
    "openHandshakeTimeoutCall",
    "peer",
    "remoteCloseCode",
    "remoteCloseReason",
    "send_queue",
    "send_state",
    "state",
    "trackedTimings",
    "trafficStats",
    "transport",
    "triggered",
    "utf8validateIncomingCurrentMessage",
    "utf8validateLast",
    "utf8validator",
    "wasCloseHandshakeTimeout",
    "wasClean",
    "wasMaxFramePayloadSizeExceeded",
    "wasMaxMessagePayloadSizeExceeded",
    "wasNotCleanReason",
    "wasOpenHandshakeTimeout",
    "wasServerConnectionDropTimeout",
    "wasServingFlashSocketPolicyFile",
    "websocket_protocol_in_use",
    "websocket_version",
)


class SmallWebSocketProtocol(WebSocketServerProtocol):
    """To be made from a class that ``configured`` returns."""

    __slots__ = (*_OF_CONNECTIONS, *_OF_HANDSHAKES)

    def set_valid_events(self, valid_events: Iterable[str] | None = None) -> None:
        """Keep no table: nothing listens to Autobahn's events."""

    def succeedHandshake(self, res: object) -> None:
        """Forget the handshake once it is over."""
        super().succeedHandshake(res)
        if self.state == self.STATE_CONNECTING:
            return
        for name in _OF_HANDSHAKES:
            setattr(self, name, None)
        self.is_closed = self.is_open = _UNTOLD
        # Of all connections together, which is as good: text ends a connection, so that only its
        # first frame is ever looked at.
        self.trafficStats = self.factory.traffic
        self.utf8validator = self.factory.validator
        # Nothing here is sent in pieces of its own timing.
        self.send_queue = ()  # type: ignore[assignment]


class QuietLogger:
    """Takes Autobahn's lines about single clients: their mistakes are counted, not logged."""

    _log = Logger()

    def trace(self, *args: object, **values: object) -> None:
        """Drop it."""

    debug = info = warn = trace

    def error(self, text: str, **values: object) -> None:
        """Log a fault of our own."""
        self._log.error(text, **values)

    critical = failure = error


def configured(protocol: type[P], factory: WebSocketServerFactory) -> type[P]:
    """Return a class of connections that has the configuration of ``factory`` once for all."""
    settings = {name: getattr(factory, name) for name in protocol.CONFIG_ATTRS}
    shared = {name: staticmethod(one) if callable(one) else one for name, one in settings.items()}
    return type(protocol.__name__, (protocol,), {"CONFIG_ATTRS": [], **shared})
