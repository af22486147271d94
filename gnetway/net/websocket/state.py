"""What the gateway changes about Autobahn: its memory, its log, and what it refuses by itself.

Most WebSockets are at rest. Autobahn keeps 90 values for each connection in a dictionary of 3.3
KiB, which with what they refer to comes to 6: its configuration, the whole request and answer of
the handshake, statistics. Here the configuration stands in a class, what changes in slots, and what
only the handshake needs goes when that is over. An attribute that another version adds is kept as
ever, in a dictionary.
"""

# ruff: noqa: N802 - the names are Autobahn's

from collections.abc import Iterable
from typing import Final, NamedTuple, TypeVar

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.logger import Logger

P = TypeVar("P", bound="SmallWebSocketProtocol")


class _Untold:
    """Stands for a Deferred that nobody waits for."""

    def callback(self, result: object) -> None:
        """Drop the result."""


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
    # A function in a class would be bound to its connection, which Autobahn does not call it with.
    shared = {name: staticmethod(one) if callable(one) else one for name, one in settings.items()}
    # Nothing to be copied from the factory into each connection any more.
    return type(protocol.__name__, (protocol,), {"CONFIG_ATTRS": [], **shared})


#: The empty line, with the end of the line before it.
HEAD_END: Final = b"\r\n\r\n"

_PROTOCOLS: Final = "Sec-WebSocket-Protocol"


class WebSocketHead(NamedTuple):
    """A head for Autobahn, without its end, and the Origin that it had, None for none."""

    data: bytes
    origin: bytes | None


def clear_head(data: bytes) -> WebSocketHead:
    """Return the head of a handshake in the form that Autobahn takes.

    Autobahn reads an Origin as a URL with a host, which ``qrc://``, ``file://`` and an empty one do
    not have, wants digits behind the colon of a Host, and each subprotocol once. It answers the
    rest with 400 and asks nobody. So the Origin is taken out, for the gateway to check, and the two
    others are written as Autobahn wants them; all that is wrong elsewhere stays.

    ``data`` ends before the empty line. With several Origin fields they stay as well, which is
    refused: which of them counts nobody can tell.

    Source: RFC 6455 section 4.2.1; RFC 3986 section 3.2.3 for the empty port
    """
    # Split as Autobahn does, so that nothing is a field for one and none for the other.
    lines = data.decode("latin-1").splitlines()
    kept, origins, protocols = lines[:1], [], []
    for line in lines[1:]:
        name, _, value = line.partition(":")
        kind, value = name.strip().lower(), value.strip()
        if kind == "origin":
            origins.append(value)
        elif kind == "host":
            kept.append(f"{name}: {value.removesuffix(':')}")
        elif kind == _PROTOCOLS.lower():
            protocols += [protocol.strip() for protocol in value.split(",")]
        elif line:
            # An empty one, from a lone line feed, would end the head here.
            kept.append(line)
    if protocols:
        kept.append(f"{_PROTOCOLS}: {', '.join(dict.fromkeys(protocols))}")
    if len(origins) > 1:
        kept += [f"Origin: {origin}" for origin in origins]
    origin = origins[0].encode("latin-1") if len(origins) == 1 else None
    return WebSocketHead("\r\n".join(kept).encode("latin-1"), origin)
