"""What the gateway does in place of Autobahn: plain frames, small connections, refusals, no log.

Nearly all that comes is whole binary messages of one masked frame each, and all that is sent is
the same without a mask. Autobahn spends 40 µs on a pair of them: a cipher object for the mask, a
dozen calls, statistics. From the first byte that is not plain the frames go to
:mod:`~gnetway.net.websocket.reader`.

Most WebSockets are at rest. Autobahn keeps 90 values for each connection in a dictionary of 3.3
KiB, which with what they refer to comes to 6: its configuration, the whole request and answer of
the handshake, statistics. Here the configuration stands in a class, what changes in slots, and what
only the handshake needs goes when that is over. An attribute that another version adds is kept as
ever, in a dictionary.

Source: RFC 6455, section 5.2
"""

# ruff: noqa: N802 - the names are Autobahn's

from collections.abc import Iterable
from importlib.metadata import version
from struct import Struct
from typing import Final, NamedTuple, TypeVar

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.xormasker import create_xor_masker  # type: ignore[attr-defined]
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


#: Major and minor of the Autobahn whose state was compared: who reads and writes beside it has to
#: know when it is inside a frame, or has something to write.
KNOWN_AUTOBAHN: Final = (26, 10)

#: First byte of the last, and only, frame of a binary message.
_BINARY: Final = 0x82
_MASKED: Final = 0x80

#: Lengths up to this stand in the second byte itself; 126 says that they are the next two.
_SHORT: Final = 125
_TWO_BYTES: Final = 126
_EIGHT_BYTES: Final = 127
_LONGEST_OF_TWO: Final = 0xFFFF
_MASK_BYTES: Final = 4

#: Messages that are taken at once, so that many small ones leave the others their turn.
MAX_MESSAGES: Final = 256

#: From so many bytes on Autobahn's own cipher is faster than one large number.
LARGE_BYTES: Final = 2048

_TWO_BYTE_HEAD: Final = Struct("!BBH")
_EIGHT_BYTE_HEAD: Final = Struct("!BBQ")


def why_not() -> str:
    """Return why Autobahn reads and writes all frames here, in a few words; empty where not."""
    installed = version("autobahn")
    major, minor = installed.split(".")[:2]
    if (int(major), int(minor)) == KNOWN_AUTOBAHN:
        return ""
    return f"Autobahn {installed} was not compared"


def take_messages(data: bytes, max_bytes: int) -> tuple[bytes, int]:
    """Return what the plain messages at the beginning of ``data`` carry, joined.

    With it the number of bytes that they took: there begins a frame that is not whole, not plain,
    has more than 65,535 bytes or more than ``max_bytes``, or breaks the protocol; or they were
    ``MAX_MESSAGES``.
    """
    payloads: list[bytes] = []
    begin, end = 0, len(data)
    # An empty frame has 6 bytes; with fewer there is none, and its size need not be looked at.
    while (
        end - begin >= 2 + _MASK_BYTES and data[begin] == _BINARY and len(payloads) < MAX_MESSAGES
    ):
        # Below 0 without a mask, which a client must not leave out: the reader closes for it.
        size = data[begin + 1] - _MASKED
        mask_at = begin + 2
        if size == _TWO_BYTES:
            size = data[begin + 2] << 8 | data[begin + 3]
            mask_at += 2
            if size <= _SHORT:
                # Not the shortest form of its length: a fault, for the reader to name.
                break
        elif not 0 <= size <= _SHORT:
            break
        payload_at = mask_at + _MASK_BYTES
        if payload_at + size > end or size > max_bytes:
            break
        begin = payload_at + size
        payloads.append(unmask(data[payload_at:begin], data[mask_at:payload_at]))
    # Nearly always it is one, which need not be copied.
    return payloads[0] if len(payloads) == 1 else b"".join(payloads), begin


def unmask(payload: bytes, mask: bytes) -> bytes:
    """Return a payload without its mask of 4 bytes."""
    size = len(payload)
    if size >= LARGE_BYTES:
        unmasked: bytes = create_xor_masker(mask, size).process(payload)
        return unmasked
    # One exclusive-or of two large numbers is done in C; a loop over the bytes would not be.
    masks = (mask * (size // _MASK_BYTES + 1))[:size]
    number = int.from_bytes(payload, "little") ^ int.from_bytes(masks, "little")
    return number.to_bytes(size, "little")


def binary_messages(payloads: list[bytes]) -> bytes:
    """Return a server's binary messages with these payloads, each in one frame."""
    parts = []
    for payload in payloads:
        parts.append(_message_head(len(payload)))
        parts.append(payload)
    return b"".join(parts)


def _message_head(size: int) -> bytes:
    if size <= _SHORT:
        return bytes((_BINARY, size))
    if size <= _LONGEST_OF_TWO:
        return _TWO_BYTE_HEAD.pack(_BINARY, _TWO_BYTES, size)
    return _EIGHT_BYTE_HEAD.pack(_BINARY, _EIGHT_BYTES, size)


#: Close codes. Source: RFC 6455, section 7.4.1; 1013 is in the registry of section 11.7
_NORMAL: Final = 1000
_GOING_AWAY: Final = 1001
PROTOCOL_ERROR: Final = 1002
_UNSUPPORTED_DATA: Final = 1003
_POLICY_VIOLATION: Final = 1008
TOO_BIG: Final = 1009
_INTERNAL_ERROR: Final = 1011
_TRY_AGAIN_LATER: Final = 1013

#: Causes of an end that have another close code than a protocol error: only a client that is at
#: fault is told so, and most of these are none of its own.
CLOSE_CODES: Final = {
    "gateway_stopped": _GOING_AWAY,
    "ended_by_operator": _GOING_AWAY,
    "drained_by_operator": _GOING_AWAY,
    # Nothing is wrong: a client that was silent or slow, or whose key or data centre is not here.
    "idle": _NORMAL,
    "gave_up_at_res_pq": _NORMAL,
    "handshake_timeout": _NORMAL,
    "handshake_expired": _NORMAL,
    "handshake_unknown": _NORMAL,
    "handshake_wrong_dc": _NORMAL,
    "key_destroyed": _NORMAL,
    "closed_by_handler": _NORMAL,
    "key_unknown": _NORMAL,
    "key_unregistered": _NORMAL,
    "packet_timeout": _NORMAL,
    # The gateway's own fault or its backend's, or a crowd.
    "gave_way": _TRY_AGAIN_LATER,
    "too_many_connections": _TRY_AGAIN_LATER,
    "too_many_half_open": _TRY_AGAIN_LATER,
    "backend_unavailable": _TRY_AGAIN_LATER,
    "handshake_too_fast": _TRY_AGAIN_LATER,
    "handshake_too_many": _TRY_AGAIN_LATER,
    "handshake_too_much_work": _TRY_AGAIN_LATER,
    "hold_expired": _TRY_AGAIN_LATER,
    "hold_full": _TRY_AGAIN_LATER,
    "no_session_node": _TRY_AGAIN_LATER,
    "not_acknowledged": _TRY_AGAIN_LATER,
    "unknown_keys": _TRY_AGAIN_LATER,
    "message_refused": _TRY_AGAIN_LATER,
    "stopped": _TRY_AGAIN_LATER,
    "handshake_work_failed": _INTERNAL_ERROR,
    # The client's.
    "bind_refused": PROTOCOL_ERROR,
    "message_too_big": TOO_BIG,
    "packet_too_large": TOO_BIG,
    "websocket_control_frames": _POLICY_VIOLATION,
    "websocket_small_frames": _POLICY_VIOLATION,
    "websocket_text": _UNSUPPORTED_DATA,
}


def close_code(cause: str) -> int:
    """Return the close code for a cause of an end."""
    return CLOSE_CODES.get(cause, PROTOCOL_ERROR)
