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
from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol
from twisted.internet.protocol import ServerFactory, connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, Request
from zope.interface import implementer

from gnetway.admission.place import Facts, place_of
from gnetway.interfaces import ILinkTransport
from gnetway.net.http.answers import BAD_REQUEST, TIMED_OUT
from gnetway.net.http.life import (
    ANSWERING,
    LAST_REQUEST,
    MAX_CHUNK_DEBT_BYTES,
    RECEIVING,
    ChannelLife,
    ChannelState,
    RequestBounds,
)
from gnetway.net.http.request import HttpRequest, RequestLine
from gnetway.net.http.sessions import HttpServices
from gnetway.net.link_output import Backlog
from gnetway.net.peer import client_ip, local_ip
from gnetway.runtime.shortcuts import try_write

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
        #: Whether the client has closed its side: whatever state the connection is in, no other
        #: request can come than those that are here.
        self._half_closed = False
        #: What waits for a client that does not read; None while it reads.
        self._backlog: Backlog | None = None
        #: The request that was answered last. twisted.web hears of its end, and looks at the next
        #: one, only when its answer has left and the connection's turn has come.
        self._answered: HttpRequest | None = None
        #: Whether ``dataReceived`` is at work: what it reads may end in a call of itself.
        self._reading = False
        #: The requests answered in this turn of the reactor; where they were too many, the next
        #: ones wait for the channel's next turn.
        self._done_in_turn = 0
        self._is_due = False
        self._bounds = RequestBounds()
        self.wheel_slot = -1

    @property
    def deadline(self) -> float:
        """When the connection is late, in the clock's seconds."""
        return self._life.deadline

    # -- what the transport calls --------------------------------------------------------------

    def connectionMade(self) -> None:
        """Have the connection watched and known to the gateway, and wait for its first request."""
        super().connectionMade()
        links = self.services.links
        self.client_ip = client_ip(self.transport)
        self.local_ip = local_ip(self.transport)
        links.wheel.add(self)
        links.open_links.add(self)
        self._life.begin(self, place_of(self.transport), self.client_ip)

    def dataReceived(self, data: bytes) -> None:
        """Read what came, up to the first request that has to wait for its answer."""
        if self._life.is_ending:
            return
        self._life.bytes_came()
        if self._reading:
            # From within the first call: twisted.web has what stands behind a request come again.
            super().dataReceived(data)
            return
        self._reading = True
        self._done_in_turn = 0
        try:
            super().dataReceived(data)
        finally:
            self._reading = False
        # Not before: the client's last bytes may have held several requests.
        self._close_if_half_closed()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Count why the connection is gone, unless its end was decided, and have it forgotten."""
        links = self.services.links
        if not self._life.is_ending:
            clean = isinstance(reason.value, ConnectionDone)
            cause = "client_closed" if clean else "client_lost"
            # Who waits for an answer in vain leaves for the backend's sake.
            answering = self._life.state is ANSWERING
            self._life.count(links.backend_cause(cause) if answering else cause)
        # Before anything else: whatever is told now must write nothing.
        self._life.state = ChannelState.LOST
        self._clear_backlog()
        links.wheel.remove(self)
        links.open_links.remove(self)
        super().connectionLost(reason)

    def readConnectionLost(self) -> None:
        """The client sends nothing more; it may have closed, or only its own side."""
        self._half_closed = True
        if self._life.state is not ANSWERING:
            self._close_if_half_closed()
        elif (call := self.requests[0].call) is not None:
            call.half_closed()

    def writeConnectionLost(self) -> None:
        """Our own side was closed by ``finish_with``."""

    def pauseProducing(self) -> None:
        """The transport's buffer is full: write no further answer, and read no further request."""
        self._backlog = self._backlog or Backlog(self._give_way)
        super().pauseProducing()
        # twisted.web stops reading only between two requests; while one is answered it would read
        # on and keep what comes, as much as the client likes to send.
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """The client has read: go on behind the answer that it was not reading."""
        self._clear_backlog()
        super().resumeProducing()
        if not self._life.is_ending:
            self._go_on()

    # -- what twisted.web calls ----------------------------------------------------------------

    def lineReceived(self, line: bytes) -> None:
        """Take a line of a head."""
        if not self._bounds.take_line():
            self._respondToBadRequestAndDisconnect()
        # One segment may have many lines behind that which has ended the connection.
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
        """Read a body in chunks, a little at a time: only what was read shows what it carried."""
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
            # Otherwise the body has ended in this part, and what follows it was no framing.
            if self._transferDecoder is decoder and not self._life.is_ending:
                carried = self.requests[-1].body_bytes - before
                if self._bounds.take_chunks(len(part), carried):
                    self._body_came()
                else:
                    self._respondToBadRequestAndDisconnect()

    def _body_came(self) -> None:
        """Have a body looked at that is not whole yet; what is whole has been looked at."""
        if self._transferDecoder is not None and not self._life.is_ending:
            call = self.requests[-1].call
            if call is not None:
                call.came()

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
        self.finish_with(BAD_REQUEST.pack(b"", last=True), "bad_http")

    def requestDone(self, request: HttpRequest) -> None:
        """Go on after an answer, if it leaves, and if the connection has not had its turn."""
        self._life.answered()
        self._answered = request
        self._done_in_turn += 1
        if self.persistent and self._done_in_turn >= _REQUESTS_A_TURN:
            # Pipelined requests are answered from one segment, without a turn between them.
            self.transport.pauseProducing()
            if not self._is_due:
                self._is_due = True
                self.services.links.later_turns.call(self._take_turn)
        elif self._backlog is None or not self.persistent:
            self._go_on()

    def _take_turn(self) -> None:
        self._is_due = False
        if self._backlog is None and not self._life.is_ending:
            self._go_on()

    def _go_on(self) -> None:
        """Look at what follows the request that was answered, which twisted.web keeps till then."""
        request, self._answered = self._answered, None
        if request is not None:
            super().requestDone(request)
            self._close_if_half_closed()

    def loseConnection(self) -> None:
        """Close after the last answer that HTTP allows on this connection."""
        self._close(LAST_REQUEST)

    def getHost(self) -> IAddress:
        """Return our own address; each request asks for it, but the kernel is asked once."""
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
        """A request is here whole, and will be answered."""
        if not self._life.has_served:
            place_of(self.transport).opened()
        self._bounds = RequestBounds()
        self._life.request_whole()

    def write(self, data: bytes) -> None:
        """Send the answer to a request."""
        try_write(self.transport, data)
        if self._backlog is not None:
            self._backlog.written(len(data))
            self._backlog.count(self.services.links, self.client_ip)

    def finish_with(self, data: bytes, cause: str = LAST_REQUEST) -> None:
        """Send bytes and close; what still comes is thrown away.

        A full close with bytes unread would reset the connection, and the client might never see
        the answer. So only our side ends, and the client's bytes are read until it ends its own.
        """
        if self._life.is_ending:
            return
        self.transport.write(data)
        self._begin_to_end(cause)
        # Nothing more is produced; and a transport that is paused would not see the client's end.
        self.transport.unregisterProducer()
        self.transport.resumeProducing()
        if self.isSecure():
            # TLS has no half-close, but reads on until the client has ended it too.
            self.transport.loseConnection()
        else:
            self.transport.loseWriteConnection()

    # -- ends ----------------------------------------------------------------------------------

    def note(self, facts: Facts, cause: str, detail: str) -> None:
        """See Responder."""
        self._life.note(facts, cause, detail)

    def facts(self) -> Facts:
        """See Served."""
        return self._life.facts

    def end(self, cause: str) -> None:
        """End the connection; a request that waits is told to try again."""
        if self._life.is_ending:
            return
        self._life.count(cause)
        if self._life.state is ANSWERING:
            # Its answer is the last, and closes the connection by itself when it is written.
            self.persistent = False
            if (call := self.requests[0].call) is not None:
                call.unavailable()
        if not self._life.is_ending:
            self._close(cause)

    def visited(self, now: float) -> None:
        """Keep all there is."""

    def deadline_passed(self) -> None:
        """End what is late, as the table in life.py says."""
        life, links = self._life, self.services.links
        if life.is_ending:
            self.transport.abortConnection()
        elif life.state is ANSWERING:
            links.causes.count(links.backend_cause("http_answer_late"))
            # The wheel has just let go of the connection. It is in it again before the answer,
            # behind which another request, or the end, may set a deadline of its own.
            life.move_deadline()
            links.wheel.add(self)
            if (call := self.requests[0].call) is not None:
                call.unavailable()
        else:
            cause = "idle" if life.has_served else "handshake_timeout"
            if life.state is RECEIVING:
                self.finish_with(TIMED_OUT.pack(b"", last=True), cause)
            else:
                # Source: RFC 9110 section 15.5.9: a 408 is for a request that has begun.
                self._close(cause)

    def _give_way(self) -> None:
        """Close now: too much waits for all the clients that do not read."""
        if not self._life.is_ending:
            self._begin_to_end("slow_reader_total")
        self.transport.abortConnection()

    def _close_if_half_closed(self) -> None:
        """Close unless there are requests to be answered: no others can come."""
        if self._half_closed and not (
            self._reading or self._answered or self._life.state is ANSWERING
        ):
            self._close("client_closed")

    def _clear_backlog(self) -> None:
        backlog, self._backlog = self._backlog, None
        if backlog is not None:
            backlog.clear()

    def _close(self, cause: str) -> None:
        """Close once all is written; ``cause`` counts unless the end was decided before."""
        if not self._life.is_ending:
            self._begin_to_end(cause)
        super().loseConnection()

    def _begin_to_end(self, cause: str) -> None:
        # The new deadline may be before the old one, where the wheel would not look for it.
        self.services.links.wheel.remove(self)
        self._life.end(cause)
        self.services.links.wheel.add(self)


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
