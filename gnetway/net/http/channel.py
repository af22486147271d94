"""One HTTP connection: twisted.web's channel with our deadlines, ends and silence.

What a client's bytes may cost is bounded (for the deadlines see ``ChannelLife``)

    requests in a row          a few, then the others' turn; nothing is read meanwhile
    heads, bodies in chunks    more lines than any client sends, more framing than body 400, closed
"""

# ruff: noqa: N802, N815 - the names are Twisted's
# mypy: disallow-untyped-calls=False
# (the methods of twisted.web's channel, called by super(), have no types)

from typing import Final

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress, IDelayedCall, IHalfCloseableProtocol
from twisted.internet.protocol import ServerFactory, connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, Request
from zope.interface import implementer

from gnetway.admission.admission import place_of
from gnetway.interfaces import ILinkTransport
from gnetway.net.http.answer import BAD_REQUEST, pack_status
from gnetway.net.http.life import MAX_CHUNK_DEBT_BYTES, ChannelLife, ChannelState, RequestBounds
from gnetway.net.http.request import HttpRequest, RequestLine
from gnetway.net.http.sessions import HttpServices
from gnetway.net.link_output import Backlog
from gnetway.net.peer import client_ip, local_ip
from gnetway.runtime import try_write

_REQUEST_TIMEOUT: Final = 408

#: Requests of a connection that are answered in one turn of the reactor, each in 0.2 ms or so.
_REQUESTS_A_TURN: Final = 4


@implementer(IHalfCloseableProtocol)
class GatewayHttpChannel(HTTPChannel):
    """Reads requests one after another.

    The next one is looked at when the last is answered and its answer has left for the most part,
    so that no more than one answer waits for a client that does not read. What a client has asked
    before it has closed its own side is answered before the connection ends.
    """

    transport: ILinkTransport
    persistent: bool
    requestFactory = HttpRequest  # type: ignore[assignment] # it wants a channel of ours

    #: The timer of twisted.web logs a line for each client that it ends; the wheel is used instead.
    timeOut = None

    def __init__(self, services: HttpServices) -> None:
        super().__init__()
        self.services = services
        self.client_ip = self.local_ip = ""
        self._life = ChannelLife(services)
        self._host: IAddress | None = None
        self._peer: IAddress | None = None
        #: Whether the client sends nothing more.
        self._half_closed = False
        #: What waits for a client that does not read; None while it reads.
        self._backlog: Backlog | None = None
        #: The request that was answered last, until its answer has left.
        self._answered: HttpRequest | None = None
        #: Whether the client's bytes are being read, how many requests they have brought, and the
        #: turn in which the next ones are looked at.
        self._reading = False
        self._done_in_turn = 0
        self._turn: IDelayedCall | None = None
        self._bounds = RequestBounds()
        self.wheel_slot = -1

    @property
    def deadline(self) -> float:
        """See Watched."""
        return self._life.deadline

    # -- what the transport calls --------------------------------------------------------------

    def connectionMade(self) -> None:
        """Begin."""
        super().connectionMade()
        links = self.services.links
        self.client_ip = client_ip(self.transport)
        self.local_ip = local_ip(self.transport)
        self._life.begin()
        links.wheel.add(self)
        links.open_links.add(self)
        place_of(self.transport).serves(self)

    def dataReceived(self, data: bytes) -> None:
        """Read on."""
        if self._life.is_ending:
            return
        self._life.bytes_came()
        if self._reading:
            # What stands behind a request, for whoever reads it.
            super().dataReceived(data)
            return
        self._reading = True
        self._done_in_turn = 0
        try:
            super().dataReceived(data)
        finally:
            self._reading = False
        self._close_if_half_closed()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """End."""
        links = self.services.links
        if not self._life.is_ending:
            clean = isinstance(reason.value, ConnectionDone)
            cause = "client_closed" if clean else "client_lost"
            answering = self._life.state is ChannelState.ANSWERING
            self._life.count(links.backend_cause(cause) if answering else cause)
        self._life.state = ChannelState.LOST
        self._clear_backlog()
        if self._turn is not None:
            self._turn.cancel()
        links.wheel.remove(self)
        links.open_links.remove(self)
        super().connectionLost(reason)

    def readConnectionLost(self) -> None:
        """Hear that the client sends nothing more; it may have closed, or only its own side."""
        self._half_closed = True
        if self._life.state is ChannelState.ANSWERING:
            self.requests[0].half_closed()
        else:
            self._close_if_half_closed()

    def writeConnectionLost(self) -> None:
        """Our own side was closed by ``finish_with``."""

    def pauseProducing(self) -> None:
        """Hear that the client does not read."""
        self._backlog = self._backlog or Backlog(self._give_way)
        super().pauseProducing()
        # The channel reads on where a request is being answered, and then keeps what comes.
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Hear that the client has read."""
        self._clear_backlog()
        super().resumeProducing()
        if not self._life.is_ending:
            self._go_on()

    # -- what twisted.web calls ----------------------------------------------------------------

    def lineReceived(self, line: bytes) -> None:
        """Take a line of a head."""
        if not self._bounds.take_line():
            self._respondToBadRequestAndDisconnect()
        if not self._life.is_ending:
            super().lineReceived(line)

    def rawDataReceived(self, data: bytes) -> None:
        """Take a part of a body, or what follows a request that is being answered."""
        if self._life.is_ending:
            return
        if self._transferDecoder is None:
            super().rawDataReceived(data)
        elif self.length is not None:
            super().rawDataReceived(data)
            self._body_came()
        else:
            self._chunks_received(data)

    def _chunks_received(self, data: bytes) -> None:
        decoder = self._transferDecoder
        for begin in range(0, len(data), MAX_CHUNK_DEBT_BYTES):
            if self._life.is_ending:
                return
            if self._transferDecoder is not decoder:
                # The body has ended, and its request may be answered already.
                following = self.dataReceived if self.line_mode else self.rawDataReceived
                following(data[begin:])
                return
            part = data[begin : begin + MAX_CHUNK_DEBT_BYTES]
            before = self.requests[-1].body_bytes
            super().rawDataReceived(part)
            if self._transferDecoder is decoder and not self._life.is_ending:
                carried = self.requests[-1].body_bytes - before
                if self._bounds.take_chunks(len(part), carried):
                    self._body_came()
                else:
                    self._respondToBadRequestAndDisconnect()

    def _body_came(self) -> None:
        if self._transferDecoder is not None and not self._life.is_ending:
            self.requests[-1].body_came()

    def lineLengthExceeded(self, line: bytes) -> None:
        """Refuse a head that is too long."""
        self._respondToBadRequestAndDisconnect()

    def headerReceived(self, line: bytes) -> bool:
        """Take a header field; returns whether it may stand."""
        if not self._bounds.take_field(line):
            self._respondToBadRequestAndDisconnect()
        return not self._life.is_ending and bool(super().headerReceived(line))

    def _respondToBadRequestAndDisconnect(self) -> None:
        """Refuse what is no HTTP; twisted.web's own answer has no length and is not counted."""
        if not self._life.is_ending:
            self._life.count("bad_http")
            self.finish_with(pack_status(BAD_REQUEST, b"", last=True))

    def requestDone(self, request: HttpRequest) -> None:
        """Go on after an answer."""
        self._life.answered()
        self._answered = request
        self._done_in_turn += 1
        if self.persistent and self._done_in_turn >= _REQUESTS_A_TURN:
            self.transport.pauseProducing()
            if self._turn is None:
                self._turn = self.services.links.clock.callLater(0, self._next_turn)
        elif self._backlog is None or not self.persistent:
            self._go_on()

    def _next_turn(self) -> None:
        self._turn = None
        if self._backlog is None and not self._life.is_ending:
            self._go_on()

    def _go_on(self) -> None:
        """Look at what follows the request that was answered."""
        request, self._answered = self._answered, None
        if request is not None:
            super().requestDone(request)
            self._close_if_half_closed()

    def loseConnection(self) -> None:
        """Close after the last answer that HTTP allows on this connection."""
        if not self._life.is_ending:
            self._life.count("http_last_request")
            self._begin_to_end()
        super().loseConnection()

    def getHost(self) -> IAddress:
        """Return our own address, for which the kernel is asked once and not for each request."""
        self._host = self._host or super().getHost()
        return self._host

    def getPeer(self) -> IAddress:
        """Return the address of the other end."""
        self._peer = self._peer or super().getPeer()
        return self._peer

    # -- what a request calls ------------------------------------------------------------------

    @property
    def request_line(self) -> RequestLine:
        """The first line of the request that is being received."""
        return RequestLine(self._command, self._path)

    def request_received(self) -> None:
        """Hear that a request is here whole, and will be answered."""
        if not self._life.has_served:
            place_of(self.transport).opened()
        self._bounds.next_request()
        self._life.request_whole()

    def write(self, data: bytes) -> None:
        """Send the answer to a request."""
        try_write.write(self.transport, data)
        if self._backlog is not None:
            self._backlog.written(len(data))
            self._backlog.count(self.services.links, self.client_ip)

    def finish_with(self, data: bytes) -> None:
        """Send bytes and close; what still comes is thrown away.

        A full close with bytes unread would reset the connection, and the client might never see
        the answer. So only our side ends.
        """
        if self._life.is_ending:
            return
        self.transport.write(data)
        self._begin_to_end()
        self.transport.unregisterProducer()
        self.transport.resumeProducing()
        if self.isSecure():
            self.transport.loseConnection()
        else:
            self.transport.loseWriteConnection()

    def pause_reading(self) -> None:
        """Read nothing more."""
        self.transport.pauseProducing()

    def resume_reading(self) -> None:
        """Read on."""
        if not self._life.is_ending:
            self.transport.resumeProducing()

    # -- ends ----------------------------------------------------------------------------------

    def end(self, cause: str) -> None:
        """End the connection; a request that waits is told to try again."""
        if self._life.is_ending:
            return
        self._life.count(cause)
        if self._life.state is ChannelState.ANSWERING:
            self.persistent = False
            self.requests[0].unavailable()
        if not self._life.is_ending:
            self._begin_to_end()
            super().loseConnection()

    def visited(self, now: float) -> None:
        """Keep all there is."""

    def deadline_passed(self) -> None:
        """Hear that it is late."""
        links = self.services.links
        if self._life.is_ending:
            self.transport.abortConnection()
        elif self._life.state is ChannelState.ANSWERING:
            links.causes.count(links.backend_cause("http_answer_late"))
            self._life.wait_on()
            links.wheel.add(self)
            self.requests[0].unavailable()
        else:
            late = self._life.state is ChannelState.RECEIVING
            self._life.count("idle" if self._life.has_served else "handshake_timeout")
            if late:
                self.finish_with(pack_status(_REQUEST_TIMEOUT, b"", last=True))
            else:
                self._begin_to_end()
                super().loseConnection()

    def _give_way(self) -> None:
        if not self._life.is_ending:
            self._life.count("slow_reader_total")
            self._begin_to_end()
        self.transport.abortConnection()

    def _close_if_half_closed(self) -> None:
        """Close unless there are requests to be answered: no others can come."""
        if not self._half_closed or self._reading or self._answered:
            return
        if self._life.state is ChannelState.ANSWERING:
            return
        if not self._life.is_ending:
            self._life.count("client_closed")
            self._begin_to_end()
        super().loseConnection()

    def _clear_backlog(self) -> None:
        backlog, self._backlog = self._backlog, None
        if backlog is not None:
            backlog.clear()

    def _begin_to_end(self) -> None:
        links = self.services.links
        links.wheel.remove(self)
        self._life.end()
        links.wheel.add(self)


# The factory of HTTP connections.


class GatewayHttpFactory(ServerFactory):
    """Makes a :class:`GatewayHttpChannel` for each connection of an HTTP listener."""

    noisy = False

    def __init__(self, services: HttpServices) -> None:
        self._services = services

    def buildProtocol(self, addr: IAddress | None) -> GatewayHttpChannel:
        """Return the protocol for a connection that was just accepted."""
        channel = GatewayHttpChannel(self._services)
        channel.factory = self
        return channel

    def log(self, request: Request) -> None:
        """Write no line: a request is counted where it fails."""
