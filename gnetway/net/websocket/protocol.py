"""A client link over WebSocket, by Autobahn.

The obfuscated transport runs inside binary messages. A client may split and join it over them at
will, so what comes is passed on frame by frame as it arrives: no message is ever gathered first.
What leaves is one packet in each message, as the clients read it that take one for the other.

Source: core.telegram.org/mtproto/transports#websocket
"""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import ClassVar, Final

from autobahn.twisted.websocket import WebSocketServerFactory
from autobahn.websocket.protocol import FrameHeader, TrafficStats
from autobahn.websocket.types import ConnectionDeny, ConnectionRequest
from autobahn.websocket.utf8validator import Utf8Validator
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from gnetway.admission.place import Facts, place_of
from gnetway.codec.detect import MAX_HEAD_BYTES
from gnetway.ends import Phase, Stage
from gnetway.interfaces import ILinkTransport
from gnetway.net.link import GatewayLink
from gnetway.net.link_services import LinkServices
from gnetway.net.peer import BadForwardedFor, CorsPolicy, TrustedProxies, client_ip, local_ip
from gnetway.net.websocket.frames import (
    HEAD_END,
    PROTOCOL_ERROR,
    QuietLogger,
    SmallWebSocketProtocol,
    binary_messages,
    clear_head,
    close_code,
    configured,
    take_messages,
    why_not,
)
from gnetway.net.websocket.intake import FrameIntake
from gnetway.net.websocket.reader import ControlFrame
from gnetway.runtime.shortcuts import try_write

#: The paths that web clients ask for.
PATHS: Final = frozenset(
    f"/api{kind}{suffix}"
    for kind in ("ws", "s", "w", "")
    for suffix in ("", "_test", "_premium", "_test_premium")
)

#: The subprotocol of all MTProto web clients.
SUBPROTOCOL: Final = "binary"


@dataclass(frozen=True, slots=True)
class WebSocketSettings:
    """What a WebSocket listener allows.

    ``allowed_origins`` are patterns as in ``https://*.example.org``, ``*`` for any.
    ``trusted_proxies`` are the balancers that are believed about the address of their client.
    A connection is pinged every ``ping_seconds``, and dropped if nothing comes from it within
    ``ping_timeout_seconds`` after that. Sizes are in bytes.
    """

    allowed_origins: tuple[str, ...] = ("*",)
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    ping_seconds: float = 50
    ping_timeout_seconds: float = 30
    max_frame_bytes: int = 17 * 1024 * 1024
    max_message_bytes: int = 17 * 1024 * 1024


class GatewayWebSocketProtocol(SmallWebSocketProtocol):
    """Moves bytes between a WebSocket and its :class:`GatewayLink`."""

    __slots__ = (
        "_client_ip",
        "_end_cause",
        "_intake",
        "_link",
        "_origin",
        "_origins",
        "_proxies",
        "_searched",
        "_services",
        "is_paused",
    )

    log = QuietLogger()

    carrier = "websocket"

    transport: ILinkTransport

    #: Whether plain messages are read and written here, and how long they may be.
    is_plain: ClassVar[bool] = False
    max_plain_bytes: ClassVar[int] = 0

    #: How long a frame, and how long a message may be.
    max_bytes: ClassVar[tuple[int, int]] = (0, 0)

    def __init__(
        self, services: LinkServices, origins: CorsPolicy, proxies: TrustedProxies
    ) -> None:
        super().__init__()
        self._services = services
        self._origins = origins
        self._proxies = proxies
        self._client_ip = ""
        #: The Origin of the handshake, None for none and once that is over.
        self._origin: bytes | None = None
        self._link: GatewayLink | None = None
        self._end_cause = "websocket_handshake"
        self.is_paused = False
        #: Where to look on for the end of the head of the handshake.
        self._searched = 0
        #: Reads what is no plain message; None before the first of that.
        self._intake: FrameIntake | None = None

    # -- what Autobahn calls -------------------------------------------------------------------

    def connectionMade(self) -> None:
        """Let the gateway know of the connection until there is a link."""
        super().connectionMade()
        self._services.open_links.add(self)
        place_of(self.transport).serves(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Read no frame any more; Autobahn calls ``onClose``, which ends the link."""
        if self._intake is not None:
            self._intake.stop()
        super().connectionLost(reason)
        self._services.open_links.remove(self)

    def dataReceived(self, data: bytes) -> None:
        """Pass on what came; what is no plain message is taken in frame by frame.

        Without the debug line that Autobahn would format for each.
        """
        # Plain messages are read without Autobahn's knowledge, wherever that changes nothing: no
        # frame is half read, nothing closes, and no ping waits for a sign of life.
        intake = self._intake
        if (
            self.is_plain
            and (intake is None or intake.is_idle)
            and self.state == self.STATE_OPEN
            and self.autoPingTimeoutCall is None
            and self._link is not None
        ):
            payload, taken = take_messages(data, self.max_plain_bytes)
            if payload:
                self._link.receive(payload)
            # Small messages are paid for here as well, and large ones pay back what is owed.
            if taken > 2 * len(payload) or (intake is not None and intake.debt_bytes):
                self._taken_in().owe(taken - 2 * len(payload))
            if taken == len(data):
                return
            data = data[taken:]
        if self.state == self.STATE_CONNECTING:
            # Autobahn gathers the head of the handshake.
            self._dataReceived(data)
        else:
            self._taken_in().receive(data)

    def consumeData(self) -> None:  # noqa: N802
        """Take what came with the end of the handshake; until then it is Autobahn's."""
        if self.state == self.STATE_CONNECTING:
            super().consumeData()
        else:
            data, self.data = self.data, b""
            self._taken_in().receive(data)

    def processHandshake(self) -> None:  # noqa: N802
        """Show Autobahn the head of the handshake without what it would refuse by itself."""
        end = self.data.find(HEAD_END, self._searched, MAX_HEAD_BYTES)
        if end >= 0:
            head, self._origin = clear_head(self.data[:end])
            self.data = head + self.data[end:]
            super().processHandshake()
        elif len(self.data) >= MAX_HEAD_BYTES:
            # What is refused need not be kept until the connection is gone.
            self.data = b""
            self.failHandshake("Request Header Fields Too Large", 431)
        else:
            # The end may be cut between two segments.
            self._searched = max(0, len(self.data) - len(HEAD_END) + 1)

    def onConnect(self, request: ConnectionRequest) -> str | None:
        """Take a connection on one of the known paths; the subprotocol is echoed."""
        origin, self._origin = self._origin, None
        if request.path not in PATHS:
            raise ConnectionDeny(ConnectionDeny.NOT_FOUND, "Not Found")
        if origin is not None and not self._origins.allows(origin):
            services = self._services
            services.refused_origins.note(origin, services.clock.seconds())
            self._end_cause = "websocket_origin"
            raise ConnectionDeny(ConnectionDeny.FORBIDDEN, "Forbidden")
        forwarded = request.headers.get("x-forwarded-for")
        values = () if forwarded is None else (forwarded.encode("latin-1"),)
        try:
            self._client_ip = self._proxies.client_ip(client_ip(self.transport), values)
        except BadForwardedFor as error:
            self._end_cause = error.cause
            raise ConnectionDeny(ConnectionDeny.BAD_REQUEST, "Bad Request") from None
        return SUBPROTOCOL if SUBPROTOCOL in request.protocols else None

    def onOpen(self) -> None:
        """Make the client link, which takes the connection's place among the open ones."""
        self.transport.setTcpNoDelay(True)
        transport = self.transport
        self._link = GatewayLink(
            self._services, self, self._client_ip, local_ip(transport), place_of(transport)
        )
        # The link is known to the gateway itself by now.
        self._services.open_links.remove(self)
        self.registerProducer(self._link.output, True)

    def _fail_connection(self, code: int = PROTOCOL_ERROR, reason: str = "") -> None:
        """End the link for a fault in the client's frames; Autobahn closes with its own code."""
        super()._fail_connection(code, reason)
        if self._link is not None:
            self._link.end("websocket_frames")

    def onAutoPingTimeout(self) -> None:  # noqa: N802
        """Drop a connection that is dead, unless its answer may wait to be read."""
        if self.is_paused:
            # The pong stands behind bytes that the gateway itself does not read now.
            self._sendAutoPing()
        else:
            super().onAutoPingTimeout()

    def onCloseFrame(self, code: int, reasonRaw: bytes) -> bool | None:  # noqa: N802, N803
        """Have the link write nothing more: Autobahn answers the close, and drops what is sent."""
        is_over = super().onCloseFrame(code, reasonRaw)
        if self._link is not None:
            self._link.client_closes()
        return is_over

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:  # noqa: N803
        """End the link; without one the handshake was not over, which has a cause of its own."""
        if self._link is None:
            place = place_of(self.transport)
            self._services.records.note_end(place, self._end_cause, self.facts())
            return
        link, self._link = self._link, None
        link.lost(clean=wasClean)

    def facts(self) -> Facts:
        """See Served: of a connection whose handshake is not over."""
        address = self._client_ip or client_ip(self.transport)
        return Facts(Stage.ACCEPTED, Phase.TRANSPORT, address, self.carrier)

    # -- what the intake asks and calls --------------------------------------------------------

    def _taken_in(self) -> FrameIntake:
        if self._intake is None:
            clock, later_turns = self._services.clock, self._services.later_turns
            self._intake = FrameIntake(self, clock, later_turns, *self.max_bytes)
        return self._intake

    @property
    def takes_messages(self) -> bool:
        """Whether messages are taken, and no close frame was sent."""
        return bool(self.state == self.STATE_OPEN)

    @property
    def is_over(self) -> bool:
        """Whether nothing at all is taken any more."""
        return bool(self.state == self.STATE_CLOSED)

    def take_payload(self, payload: bytes) -> None:
        """Pass on what data frames carry."""
        if self._link is not None:
            self._link.receive(payload)
        if self.autoPingTimeoutCall is not None:
            # Who sends is there, whether the ping was answered yet or not.
            self._cancelAutoPingTimeoutCall()  # type: ignore[unreachable] # typed as None

    def take_control(self, control: ControlFrame) -> None:
        """Let Autobahn answer a control frame."""
        # As Autobahn has them when it has read a control frame itself.
        self.current_frame = FrameHeader(control.opcode, True, 0, len(control.payload), "")
        self.control_frame_data = [control.payload]
        self.processControlFrame()
        self.current_frame = None  # type: ignore[assignment] # as Autobahn has it between two

    def fail(self, code: int, reason: str) -> None:
        """Close, as the client has broken the rules of WebSocket."""
        self._fail_connection(code, reason)

    def refuse(self, cause: str) -> None:
        """Close for a cause of our own."""
        if self._link is not None:
            self._link.end(cause)

    # -- what the link calls -------------------------------------------------------------------

    def write(self, packets: list[bytes]) -> None:
        """Send each packet as one binary message, all of them in one write.

        Web K takes a message for a packet, whatever the protocol allows.
        """
        if self.is_plain and self.state == self.STATE_OPEN and not self.send_queue:
            try_write(self.transport, binary_messages(packets))
        else:
            for packet in packets:
                self.sendMessage(packet, True)

    def pause_reading(self) -> None:
        """Read nothing more."""
        self.is_paused = True
        self.transport.pauseProducing()

    def resume_reading(self) -> None:
        """Read on, beginning with the frames that are left."""
        self.is_paused = False
        if self._intake is None:
            self.transport.resumeProducing()
        else:
            self._intake.go_on()

    def end(self, cause: str, told: bool = False) -> None:
        """Close in due form; the client was told by its last message, if there is a code."""
        if self._link is None:
            # Before the handshake is over there is no such form; ``onClose`` counts the cause.
            self._end_cause = cause
            self.transport.abortConnection()
            return
        # The client's answer to the close frame is to be read.
        self.resume_reading()
        # sendClose is for applications, which may not use most of the codes.
        self.sendCloseFrame(close_code(cause))

    def abort(self) -> None:
        """Close now."""
        if self._intake is not None:
            self._intake.stop()
        self.transport.abortConnection()


class GatewayWebSocketFactory(WebSocketServerFactory):
    """Makes a :class:`GatewayWebSocketProtocol` for each connection of a WebSocket listener."""

    log = QuietLogger()
    noisy = False

    def __init__(
        self, reactor: IReactorTime, services: LinkServices, settings: WebSocketSettings
    ) -> None:
        super().__init__(reactor=reactor, protocols=[SUBPROTOCOL], server="gnetway")
        self._services = services
        self._origins = CorsPolicy(settings.allowed_origins)
        self._proxies = TrustedProxies(settings.trusted_proxies)
        self.setProtocolOptions(
            versions=[13],
            webStatus=False,
            # The client is to see the code.
            failByDrop=False,
            maxFramePayloadSize=settings.max_frame_bytes,
            maxMessagePayloadSize=settings.max_message_bytes,
            openHandshakeTimeout=services.limits.handshake_seconds,
            autoPingInterval=settings.ping_seconds,
            autoPingTimeout=settings.ping_timeout_seconds,
            # Encrypted data does not shrink.
            perMessageCompressionAccept=lambda offers: None,
        )
        self.traffic = TrafficStats()
        self.validator = Utf8Validator()
        self._protocol = configured(GatewayWebSocketProtocol, self)
        self._protocol.is_plain = not why_not()
        self._protocol.max_bytes = settings.max_frame_bytes, settings.max_message_bytes
        self._protocol.max_plain_bytes = min(self._protocol.max_bytes)

    def buildProtocol(self, addr: object) -> GatewayWebSocketProtocol:
        """Return the protocol for a connection that was just accepted."""
        protocol = self._protocol(self._services, self._origins, self._proxies)
        protocol.factory = self
        return protocol
