"""One gRPC connection of this process: the shell around an HTTP/2 connection, either role.

Events are told from here only: out of dataReceived, at the end of a turn, or when the transport
has room again; so no call of the users is answered before it has returned.
"""

import typing
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
from twisted.python.failure import Failure
from zope.interface import implementer

from gnetway.errors import GatewayError
from gnetway.http2.client import ClientConnection
from gnetway.http2.frames import Http2Error
from gnetway.http2.heads import OK
from gnetway.http2.server import ServerConnection
from gnetway.http2.stream import (
    CallsAnswered,
    CallsReceived,
    Event,
    MessagesReceived,
    PeerFinished,
    Stream,
    StreamEnded,
    StreamUnprocessed,
    StreamWritable,
)
from gnetway.interfaces import ILinkTransport
from gnetway.rpc.calls import RpcOptions
from gnetway.rpc.lifecycle import ConnectionPhase
from gnetway.rpc.native.reading import Reading, SlowReaders, watch
from gnetway.rpc.status import StatusCode
from gnetway.runtime.clocks import TurnEnd
from gnetway.runtime.shortcuts import read_more, try_write

#: A peer that does not speak HTTP/2 within this time of being connected does not speak it at all.
_SETTLE_SECONDS: Final = 10.0
#: Seconds to flush pending output before a close becomes an abort.
_FLUSH_SECONDS: Final = 1.0
#: An answer to a ping is put off so long, even where others leave before. Go's servers and clients
#: ping with the next message once they have an answer, to learn how much the connection holds, and
#: add a WINDOW_UPDATE: with answers at once, reading that would cost a fifth of each round trip.
_PONG_SECONDS: Final = 0.01
#: The 8 bytes of a PING, which its answer brings back: RFC 9113, section 6.7.
_ALIVE: Final = b"alive?\0\0"
#: What both sides must have named by ALPN: RFC 9113, section 3.2.
_H2: Final = b"h2"


# Names of their own, as the phase is asked for with each read.
_CONNECTING: Final = ConnectionPhase.CONNECTING
_OPEN: Final = ConnectionPhase.OPEN
_DRAINING: Final = ConnectionPhase.DRAINING
_CLOSING: Final = ConnectionPhase.CLOSING
_LOST: Final = ConnectionPhase.LOST


class ConnectionOwner(typing.Protocol):
    """What the two roles do with their connections."""

    def check_peer(self) -> None:
        """Check who the other side of TLS is.

        :raises GatewayError: it is not the one that was called.
        """

    def event_received(self, event: Event) -> None:
        """Take an event that belongs to no stream's owner."""

    def leaving(self) -> None:
        """The connection takes no more streams; it may say so several times."""

    def drained(self) -> None:
        """No stream is left on a connection that was to drain: close it."""

    def broken(self, error: Http2Error) -> None:
        """Log or count what the peer did wrong."""

    def lost(self, why: str) -> None:
        """The connection is over, or never came to be."""


@implementer(IPushProducer, IHandshakeListener)
class Http2Protocol(Protocol):
    """Carries the bytes of ``http2`` and hands its events to the streams' owners, or its own.

    ``lost`` fires when the connection is over and every stream has been told. ``begun`` is whether
    anything can have been written, and ``touched`` whether the end of this turn will write.
    """

    def __init__(
        self,
        clock: IReactorTime,
        turn_end: TurnEnd,
        http2: ClientConnection | ServerConnection,
        options: RpcOptions,
        slow_readers: SlowReaders,
        owner: ConnectionOwner,
    ) -> None:
        core = http2.core
        self.core = core
        self.sender = core.sender
        self.lost: Deferred[None] = Deferred()
        self.begun = False
        self.touched = False
        self._http2 = http2
        self._parser = core.parser
        self._clock = clock
        self._turn_end = turn_end
        self._options = options
        self._owner = owner
        serves = isinstance(http2, ServerConnection)
        self._reading = Reading(core.parser, slow_readers, self._read_on, stops_when_full=serves)
        self._phase: ConnectionPhase = _CONNECTING
        #: Where output goes, as soon as there may be any.
        self._output: ILinkTransport | None = None
        self._why = ""
        self._heard_at = 0.0
        self._pinged = False
        self._alarm: IDelayedCall | None = None
        self._pong: IDelayedCall | None = None

    # -- what the users of the connection do ---------------------------------------------------

    def touch(self) -> None:
        """Have what was given to the core written, and its events told, when this turn ends."""
        if not self.touched:
            self.touched = True
            self._turn_end.call(self._flush)

    def drain(self) -> None:
        """End the connection once no stream is left."""
        self._owner.leaving()
        if self._phase is _OPEN:
            self._phase = _DRAINING
        self.touch()

    def close(self) -> None:
        """End the connection; what is written leaves, if it can without delay."""
        self._owner.leaving()
        if self.closing:
            return
        # Before anything is written: a write may make room, and a flush must not go on from there.
        self._phase = _CLOSING
        self._reading.stop()
        self._set_alarm(_FLUSH_SECONDS)
        if self._output is not None:
            # Where the core has failed it has put out its own GOAWAY, with the code of the error.
            if not self.core.failed:
                self.core.go_away(self.core.last_peer_stream)
            self._write()
        if self.transport is not None:
            transport = cast("ILinkTransport", self.transport)
            # A transport waits for its producer before it closes, and this one never says that it
            # has come to its end.
            transport.unregisterProducer()
            transport.loseConnection()

    def abort(self, why: str) -> None:
        """End the connection at once."""
        self._owner.leaving()
        # The first reason is the cause; what fails on the way down follows from it.
        self._why = self._why or why
        if self._phase is not _LOST:
            self._phase = _CLOSING
        self._reading.stop()
        if self.transport is not None:
            cast("ILinkTransport", self.transport).abortConnection()

    @property
    def closing(self) -> bool:
        """Whether the connection is over, or about to be."""
        return self._phase is _CLOSING or self._phase is _LOST

    # -- the connection ------------------------------------------------------------------------

    def connectionMade(self) -> None:
        """Begin; with TLS what there is to say waits for the handshake."""
        transport = cast("ILinkTransport", self.transport)
        self._reading.begin(transport)
        self._heard_at = self._clock.seconds()
        # A turn writes once, so there is nothing for Nagle's algorithm to join: it would only wait.
        transport.setTcpNoDelay(True)
        read_more(transport)
        options = self._options
        watch(transport, options.tcp_keepalive_seconds, options.keepalive_timeout_seconds)
        # One alarm for the whole life: SETTINGS first, then silence, at last the flush of the end.
        self._set_alarm(_SETTLE_SECONDS)
        transport.registerProducer(self, True)
        if options.tls is None:
            self._open()

    def handshakeCompleted(self) -> None:  # noqa: N802 - Twisted's name
        """Go on, if the other side agrees that this is HTTP/2."""
        # A server without ALPN would read the preface as a request of HTTP/1.1.
        if getattr(self.transport, "negotiatedProtocol", None) != _H2:
            self.abort("no HTTP/2 was agreed upon by TLS")
            return
        try:
            self._owner.check_peer()
        except GatewayError as error:
            self.abort(str(error))
        else:
            self._open()

    def _open(self) -> None:
        if self._phase is _CONNECTING:
            self._phase = _OPEN
            self.begun = True
            self._output = cast("ILinkTransport", self.transport)
            # The preface and SETTINGS have waited in the core for somewhere to go.
            self.core.output.resume()
            self._flush()

    def dataReceived(self, data: bytes) -> None:
        """Take what the peer has sent; answers to it leave as one write."""
        self._heard_at = self._clock.seconds()
        self._pinged = False
        # As if touched already: what is sent meanwhile is written by this flush.
        touched, self.touched = self.touched, True
        self._parser.receive(data)
        self._flush()
        self.touched = touched  # if it was, the end of the turn is still to come
        if self._parser.put_off:
            self._reading.settle()

    def _read_on(self) -> None:
        """Take what was put off, as if it came now."""
        # As in dataReceived.
        touched, self.touched = self.touched, True
        self._parser.go_on()
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
        if self._phase is _LOST:
            return
        self._phase = _LOST
        self._output = None
        self._cancel_alarm()
        self._reading.stop()
        if self._pong is not None:
            self._pong.cancel()
            self._pong = None
        # By now the phase says so: owners that try a call again look for another connection.
        for stream in self._http2.abandon():
            if stream.owner is not None:
                stream.owner.ended(StatusCode.UNAVAILABLE, why)
        self._owner.lost(why)
        self.lost.callback(None)

    # -- output and events ---------------------------------------------------------------------

    def _flush(self) -> None:
        """Tell events and write, until there is nothing more of either."""
        try:
            self._tell_events()
            # What was told may have been answered, and what is written may make room for more.
            while self._write() and self.core.has_more:
                self._tell_events()
        finally:
            self.touched = False
        if self._phase is _DRAINING and not self.core.streams:
            self._owner.drained()

    def _write(self) -> bool:
        """Write what there is; return whether there was anything."""
        output = self._output
        if output is None:
            return False
        # Answers to pings leave with the next data, or by their timer; see _PONG_SECONDS.
        data = self.sender.data_to_send(put_off_pongs=self._phase is not _CLOSING)
        if self._pong is None and self.core.output.pongs:
            self._pong = self._clock.callLater(_PONG_SECONDS, self._answer_pings)
        if not data:
            return False
        try_write(output, data)
        return True

    def _answer_pings(self) -> None:
        self._pong = None
        data = self.sender.data_to_send()
        if data and self._output is not None:
            try_write(self._output, data)

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
                    self._owner.event_received(event)
                elif isinstance(event, CallsAnswered):
                    _tell_answered(event.streams)
                else:
                    self._tell_rare(event)
        except Http2Error as error:
            self._broken(error)

    def _tell_rare(self, event: Event) -> None:
        if not isinstance(event, StreamWritable | PeerFinished | StreamUnprocessed):
            self._owner.event_received(event)
            return
        owner = event.stream.owner
        if owner is None:
            return
        if isinstance(event, StreamWritable):
            owner.writable()
        elif isinstance(event, PeerFinished):
            owner.finished()
        else:
            # The peer has not looked at it, so the call may be tried again: RFC 9113, section 8.7.
            owner.unprocessed()

    def _broken(self, error: Http2Error) -> None:
        if not self.closing:
            self._owner.broken(error)
            self._why = f"the connection is broken: {error}"
            self.close()

    # -- back-pressure: the transport calls ----------------------------------------------------

    def pauseProducing(self) -> None:
        """Keep messages with their streams, and read no more that wants answers."""
        self.core.output.pause()
        # Who sends requests and reads no answers would have this process keep all of them.
        self._reading.full(True)

    def resumeProducing(self) -> None:
        """Go on."""
        # First, as what is written may make it full again.
        self._reading.full(False)
        if self._phase is _OPEN or self._phase is _DRAINING:
            self.core.output.resume()
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
        """The time that something was given is over."""
        self._alarm = None
        keepalive = self._options.keepalive_seconds
        if self._phase is _CLOSING:
            self.abort("closed")
        elif not self.core.settled:
            self.abort("the peer does not speak HTTP/2")
        elif self._pinged:
            self.abort("the peer does not answer")
        elif keepalive > 0:
            silent = self._clock.seconds() - self._heard_at
            if silent >= keepalive:
                # Until the next alarm anything that comes is a sign of life, not its answer alone.
                self._pinged = True
                self.core.ping(_ALIVE)
                self._set_alarm(self._options.keepalive_timeout_seconds)
                self._flush()
            else:
                self._set_alarm(keepalive - silent)


def _tell_answered(streams: list[Stream]) -> None:
    for stream in streams:
        if stream.owner is not None:
            stream.owner.ended(OK, "")
