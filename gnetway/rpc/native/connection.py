"""One connection of the native carrier: the shell around an HTTP/2 connection, either role.

    made → (TLS: handshake) → ready → (settled: the peer has spoken) → lost

Events are told from here only: out of dataReceived, at the end of a turn, or when the transport
has room again; so no call of the carrier's users is answered before it has returned.
"""

from typing import Final, cast

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IDelayedCall,
    IHandshakeListener,
    IPushProducer,
    IReactorTime,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from gnetway.errors import GatewayError
from gnetway.http2.client import ClientConnection
from gnetway.http2.events import (
    CallsAnswered,
    CallsReceived,
    Event,
    MessagesReceived,
    PeerFinished,
    StreamEnded,
    StreamUnprocessed,
    StreamWritable,
)
from gnetway.http2.frames import Http2Error
from gnetway.http2.heads import OK
from gnetway.http2.messages import Stream
from gnetway.http2.server import ServerConnection
from gnetway.interfaces import ILinkTransport
from gnetway.rpc.calls import RpcOptions
from gnetway.rpc.native.reading import Reading, SlowLane, watch
from gnetway.rpc.status import StatusCode
from gnetway.runtime import try_write
from gnetway.runtime.try_write import read_more
from gnetway.runtime.turn_end import TurnEnd

#: A peer that does not speak HTTP/2 within this time of being connected does not speak it at all.
_SETTLE_SECONDS: Final = 10.0
#: What is written last may take so long to leave.
_LAST_WORDS_SECONDS: Final = 1.0
#: An answer to a ping is put off so long, even where others leave before. Go's servers and clients
#: ping with the next message once they have an answer, to learn how much the connection holds, and
#: add a WINDOW_UPDATE: with answers at once, reading that would cost a fifth of each round trip.
_PONG_SECONDS: Final = 0.01
_ALIVE: Final = b"alive?\0\0"
_H2: Final = b"h2"


@implementer(IPushProducer, IHandshakeListener)
class NativeLink(Protocol):
    """Carries the bytes of ``core`` and hands its events to the streams' owners.

    ``lost`` fires when the connection is over and every stream has been told.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        turn_end: TurnEnd,
        core: ClientConnection | ServerConnection,
        options: RpcOptions,
        slow_lane: SlowLane,
    ) -> None:
        self.core = core
        self.peer = ""
        self.lost: Deferred[None] = Deferred()
        self.touched = False
        self._clock = clock
        self._turn_end = turn_end
        self._options = options
        serves = isinstance(core, ServerConnection)
        self._reading = Reading(core, slow_lane, self._read_on, stops_when_full=serves)
        self._wire: ILinkTransport | None = None
        self._ready = False
        self._draining = False
        self._closing = False
        self._over = False
        self._why = ""
        self._heard_at = 0.0
        self._pinged = False
        self._alarm: IDelayedCall | None = None
        self._pong: IDelayedCall | None = None

    @property
    def ready(self) -> bool:
        """Whether anything can have been written."""
        return self._ready

    # -- what the users of the connection do ---------------------------------------------------

    def touch(self) -> None:
        """Have what was given to the core written, and its events told, when this turn ends."""
        if not self.touched:
            self.touched = True
            self._turn_end.call(self._flush)

    def drain(self) -> None:
        """End the connection once no stream is left."""
        self._draining = True
        self.touch()

    def close(self) -> None:
        """End the connection; what is written leaves, if it can without delay."""
        if self._closing or self._over:
            return
        self._closing = True
        self._reading.stop()
        self._set_alarm(_LAST_WORDS_SECONDS)
        if self._wire is not None:
            if self._ready and not self.core.failed:
                self.core.go_away(self.core.last_peer_stream)
            self._write()
            self._wire.unregisterProducer()
            self._wire.loseConnection()

    def abort(self, why: str) -> None:
        """End the connection at once."""
        self._why = self._why or why
        self._closing = True
        self._reading.stop()
        if self._wire is not None:
            self._wire.abortConnection()

    # -- the connection ------------------------------------------------------------------------

    def connectionMade(self) -> None:
        """Begin; with TLS what there is to say waits for the handshake."""
        wire = self._wire = cast("ILinkTransport", self.transport)
        self._reading.begin(wire)
        self._heard_at = self._clock.seconds()
        self._tune_socket(wire)
        self._set_alarm(_SETTLE_SECONDS)
        wire.registerProducer(self, True)
        if self._options.tls is None:
            self._go()

    def handshakeCompleted(self) -> None:  # noqa: N802 - Twisted's name
        """Go on, if the other side agrees that this is HTTP/2."""
        if getattr(self.transport, "negotiatedProtocol", None) != _H2:
            self.abort("no HTTP/2 was agreed upon by TLS")
            return
        try:
            self.check_peer()
        except GatewayError as error:
            self.abort(str(error))
        else:
            self._go()

    def check_peer(self) -> None:
        """Check who the other side of TLS is; for subclasses.

        :raises GatewayError: it is not the one that was called.
        """

    def _go(self) -> None:
        self._ready = True
        if not self._closing:
            self.core.release()
            self._flush()

    def _tune_socket(self, wire: ILinkTransport) -> None:
        wire.setTcpNoDelay(True)
        read_more(wire)
        options = self._options
        watch(wire, options.tcp_keepalive_seconds, options.keepalive_timeout_seconds)

    def dataReceived(self, data: bytes) -> None:
        """Take what the peer has sent; answers to it leave as one write."""
        self._heard_at = self._clock.seconds()
        self._pinged = False
        touched, self.touched = self.touched, True
        self.core.receive(data)
        self._flush()
        self.touched = touched  # if it was, the end of the turn is still to come
        if self.core.put_off:
            self._reading.settle()

    def _read_on(self) -> None:
        """Take what was put off, as if it came now."""
        touched, self.touched = self.touched, True
        self.core.go_on()
        self._flush()
        self.touched = touched

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell every stream that is left."""
        if not self._why:
            done = reason.check(ConnectionDone) is not None
            self._why = "the peer has closed the connection" if done else reason.getErrorMessage()
        self.end(self._why)

    def end(self, why: str) -> None:
        """Take note that there is no connection, or never will be."""
        if self._over:
            return
        self._over = self._closing = True
        self._cancel_alarm()
        self._reading.stop()
        if self._pong is not None:
            self._pong.cancel()
            self._pong = None
        for stream in self.core.abandon():
            if stream.owner is not None:
                stream.owner.ended(StatusCode.UNAVAILABLE, why)
        self.ended(why)
        self.lost.callback(None)

    def ended(self, why: str) -> None:
        """Take note that the connection is over; for subclasses."""

    # -- output and events ---------------------------------------------------------------------

    def _flush(self) -> None:
        """Tell events and write, until there is nothing more of either."""
        try:
            self._tell_events()
            while self._ready and self._write() and self.core.has_more:
                self._tell_events()
        finally:
            self.touched = False
        if self._draining and not self.core.streams and not self._closing:
            self.drained()

    def drained(self) -> None:
        """Close, as no stream is left; for subclasses that know of more."""
        self.close()

    def _write(self) -> bool:
        if not self._ready or self._over:
            return False
        data = self.core.data_to_send(put_off_pongs=not self._closing)
        if self.core.pongs and self._pong is None:
            self._pong = self._clock.callLater(_PONG_SECONDS, self._answer_pings)
        return self._write_out(data)

    def _answer_pings(self) -> None:
        self._pong = None
        self._write_out(self.core.data_to_send())

    def _write_out(self, data: bytes) -> bool:
        if not data or self._wire is None:
            return False
        try_write.write(self._wire, data)
        return True

    def _tell_events(self) -> None:
        core = self.core
        try:
            while (event := core.next_event()) is not None:
                if isinstance(event, MessagesReceived):
                    if event.stream.owner is not None:
                        event.stream.owner.messages_received(event.messages)
                elif isinstance(event, StreamEnded):
                    if event.stream.owner is not None:
                        event.stream.owner.ended(event.status, event.text)
                elif isinstance(event, CallsReceived):
                    self.calls_received(event.streams)
                elif isinstance(event, CallsAnswered):
                    _tell_answered(event.streams)
                else:
                    self._tell_rare(event)
        except Http2Error as error:
            self._broken(error)

    def _tell_rare(self, event: Event) -> None:
        if isinstance(event, StreamWritable | PeerFinished | StreamUnprocessed):
            owner = event.stream.owner
            if owner is None:
                return
            if isinstance(event, StreamWritable):
                owner.writable()
            elif isinstance(event, PeerFinished):
                owner.finished()
            else:
                owner.unprocessed()
        else:
            self.role_event(event)

    def calls_received(self, streams: list[Stream]) -> None:
        """Answer unary calls; for servers."""
        raise NotImplementedError

    def role_event(self, event: Event) -> None:
        """Take an event that only one of the roles has; for subclasses."""

    def _broken(self, error: Http2Error) -> None:
        if self._closing:
            return
        self.tell_broken(error)
        self._why = f"the connection is broken: {error}"
        self.close()

    def tell_broken(self, error: Http2Error) -> None:
        """Log what the peer did wrong; for subclasses whose peers may be anybody."""
        peer = self.peer
        self._log.warn("gRPC connection with {peer} is broken: {error}", peer=peer, error=error)

    # -- back-pressure: the transport calls ----------------------------------------------------

    def pauseProducing(self) -> None:
        """Keep messages with their streams, and read no more that wants answers."""
        self.core.hold()
        self._reading.full(True)

    def resumeProducing(self) -> None:
        """Go on."""
        # First, as what is written may make it full again.
        self._reading.full(False)
        if self._ready and not self._closing:
            self.core.release()
            self._flush()

    def stopProducing(self) -> None:
        """The connection is lost; that is told by itself."""

    # -- silence -------------------------------------------------------------------------------

    def _set_alarm(self, seconds: float) -> None:
        self._cancel_alarm()
        self._alarm = self._clock.callLater(seconds, self._look)

    def _cancel_alarm(self) -> None:
        if self._alarm is not None and self._alarm.active():
            self._alarm.cancel()
        self._alarm = None

    def _look(self) -> None:
        self._alarm = None
        keepalive = self._options.keepalive_seconds
        if self._closing:
            self.abort("closed")
        elif not self.core.settled:
            self.abort("the peer does not speak HTTP/2")
        elif self._pinged:
            self.abort("the peer does not answer")
        elif keepalive > 0:
            silent = self._clock.seconds() - self._heard_at
            if silent >= keepalive:
                self._pinged = True
                self.core.ping(_ALIVE)
                self._set_alarm(self._options.keepalive_timeout_seconds)
                self._flush()
            else:
                self._set_alarm(keepalive - silent)


class ServerLink(NativeLink):
    """What calls and streams know of the connection they came by."""

    core: ServerConnection
    max_message_bytes: int


def _tell_answered(streams: list[Stream]) -> None:
    for stream in streams:
        if stream.owner is not None:
            stream.owner.ended(OK, "")
