"""HTTP connections of a worker, carried on to the one worker that serves HTTP.

Over HTTP a key exchange and a session live in the process, and go over as many connections as the
client likes, each of which the kernel gives to any worker. So one of them serves all of HTTP: the
others carry bytes to its socket, with the addresses of the client's connection before them in a
PROXY header, and bytes back. TLS ends here, before the relay.

That worker ends what is idle or late. What it cannot see is ended here: a client that does not read
what the worker has sent long ago, and a worker that hangs.

    state        the worker ends        the client ends        nothing moves in time

    DIALLING     aborted, CLOSING       OVER                   aborted, CLOSING
    CARRYING     closed, CLOSING        LEAVING                aborted, CLOSING
    CLOSING      still CLOSING          OVER                   aborted
    LEAVING      OVER                   -                      aborted
"""

from enum import Enum
from functools import partial
from typing import Final

from twisted.internet.error import ConnectError
from twisted.internet.interfaces import (
    IAddress,
    IConnector,
    IHalfCloseableProtocol,
    IPushProducer,
    IReactorUNIX,
)
from twisted.internet.protocol import ClientFactory, Protocol, ServerFactory, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from gnetway.admission.place import NO_PLACE, Facts, place_of
from gnetway.codec.proxy_protocol import v1_line
from gnetway.ends import Phase, Stage
from gnetway.interfaces import ILinkTransport
from gnetway.net.http.answers import HttpSettings
from gnetway.net.link_output import Backlog
from gnetway.net.link_services import LINGER_SECONDS, LinkServices
from gnetway.net.peer import client_ip

#: Seconds for the other worker's socket to take a connection; it is on this machine.
CONNECT_SECONDS: Final = 5

#: Seconds that the other worker has for ending a connection by itself, on top of its own deadline.
GRACE_SECONDS: Final = 15


class RelayState(Enum):
    """How far a relay has come; it only ever moves on."""

    #: The other worker is being connected to; nothing is read from the client.
    DIALLING = "dialling"
    #: Bytes go both ways.
    CARRYING = "carrying"
    #: The worker has closed, and what it has sent may still leave.
    CLOSING = "closing"
    #: The client is gone, and what it has sent may still leave.
    LEAVING = "leaving"
    #: Neither connection is there.
    OVER = "over"


class _FarEnd(Protocol):
    """The connection to the worker that serves HTTP."""

    transport: ILinkTransport

    def __init__(self, relay: "HttpRelay") -> None:
        self._relay = relay

    def connectionMade(self) -> None:
        self._relay.far_end_made(self)

    def dataReceived(self, data: bytes) -> None:
        self._relay.carry_back(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._relay.far_end_lost()


class _FarEndFactory(ClientFactory):
    noisy = False

    def __init__(self, relay: "HttpRelay") -> None:
        self._relay = relay

    def buildProtocol(self, addr: IAddress | None) -> _FarEnd:
        return _FarEnd(self._relay)

    def clientConnectionFailed(  # noqa: N802
        self, connector: IConnector, reason: Failure
    ) -> None:
        reason.trap(ConnectError)
        self._relay.far_end_lost()


@implementer(IHalfCloseableProtocol, IPushProducer)
class HttpRelay(Protocol):
    """A client's connection; read only as fast as the other end takes it, and the reverse."""

    transport: ILinkTransport

    def __init__(
        self, services: LinkServices, settings: HttpSettings, reactor: IReactorUNIX, path: str
    ) -> None:
        self._services = services
        self._reactor = reactor
        self._path = path
        self._far_end: _FarEnd | None = None
        #: What goes to the other worker before all: the PROXY header, and what was read already.
        self._early = b""
        self._state = RelayState.DIALLING
        self._place = NO_PLACE
        #: What waits for a client that does not read; None while it reads.
        self._backlog: Backlog | None = None
        self._unread_seconds = settings.idle_seconds + GRACE_SECONDS
        self._silent_seconds = settings.idle_seconds + settings.answer_seconds + GRACE_SECONDS
        self.deadline = services.clock.seconds() + self._silent_seconds
        self.wheel_slot = -1

    # -- what the client's transport calls -----------------------------------------------------

    def connectionMade(self) -> None:
        """Connect to the worker that serves HTTP."""
        self._services.open_links.add(self)
        self._services.wheel.add(self)
        self._place = place_of(self.transport)
        self._place.serves(self)
        self._place.relayed()
        # What the client sends stays with the kernel until there is somebody to take it.
        self.transport.pauseProducing()
        peer, host = self.transport.getPeer(), self.transport.getHost()
        self._early = v1_line(
            getattr(peer, "host", None),
            getattr(peer, "port", 0),
            getattr(host, "host", ""),
            getattr(host, "port", 0),
        )
        self._reactor.connectUNIX(self._path, _FarEndFactory(self), CONNECT_SECONDS)

    def dataReceived(self, data: bytes) -> None:
        """Carry on."""
        if self._far_end is None:
            # Read before the relay was made: the bytes that have told that it is HTTP.
            self._early += data
            return
        self._moved()
        self._far_end.transport.write(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """End the other connection too; its end counts why."""
        self._services.open_links.remove(self)
        self._clear_backlog()
        if self._far_end is None and self._state is RelayState.DIALLING:
            self._note_end("client_closed")
        if self._far_end is None:
            self._state = RelayState.OVER
            self._services.wheel.remove(self)
            return
        self._state = RelayState.LEAVING
        self._set_deadline(LINGER_SECONDS)
        # A transport waits for a producer before it closes, and this one is gone.
        self._far_end.transport.unregisterProducer()
        self._far_end.transport.loseConnection()

    def readConnectionLost(self) -> None:
        """Carry on that the client sends nothing more; it may read on for its answer."""
        if self._far_end is None:
            self.transport.loseConnection()
        else:
            self._far_end.transport.unregisterProducer()
            self._far_end.transport.loseWriteConnection()

    def writeConnectionLost(self) -> None:
        """Our own side is never closed alone."""

    def pauseProducing(self) -> None:
        """The client does not read: nothing more is brought for it, and it has less time."""
        if self._far_end is not None and self._backlog is None:
            self._backlog = Backlog(partial(self.end, "slow_reader_total"))
            self._far_end.transport.pauseProducing()
            self._set_deadline(self._unread_seconds)

    def resumeProducing(self) -> None:
        """The client has read."""
        self._clear_backlog()
        if self._far_end is not None:
            self._moved()
            self._far_end.transport.resumeProducing()

    def stopProducing(self) -> None:
        """The client is gone; ``connectionLost`` does the rest."""

    # -- what the far end calls ----------------------------------------------------------------

    def far_end_made(self, far_end: _FarEnd) -> None:
        """The worker is there."""
        if self._state is not RelayState.DIALLING:
            # The client is gone meanwhile, or its connection was ended.
            far_end.transport.abortConnection()
            return
        self._state = RelayState.CARRYING
        self._far_end = far_end
        # The other worker watches over what it is sent.
        self._place.opened()
        far_end.transport.write(self._early)
        self._early = b""
        # Each end is read only as fast as the other takes it. For the client that is the relay, so
        # that it knows of a client that does not read.
        self.transport.registerProducer(self, True)
        far_end.transport.registerProducer(self.transport, True)
        self.transport.resumeProducing()

    def carry_back(self, data: bytes) -> None:
        """Take what the worker sends."""
        if self._state is not RelayState.CARRYING:
            return
        self._moved()
        self.transport.write(data)
        if self._backlog is not None:
            self._backlog.written(len(data))
            self._backlog.count(self._services, client_ip(self.transport))

    def far_end_lost(self) -> None:
        """The worker has ended the connection, or was not there to take it."""
        self._far_end = None
        if self._state is RelayState.DIALLING:
            self.end("http_worker_gone")
        elif self._state is RelayState.CARRYING:
            # No cause is counted: the other worker has done so.
            self._state = RelayState.CLOSING
            self._set_deadline(self._unread_seconds)
            self.transport.unregisterProducer()
            self.transport.loseConnection()
        elif self._state is RelayState.LEAVING:
            self._state = RelayState.OVER
            self._services.wheel.remove(self)

    # -- ends ----------------------------------------------------------------------------------

    def end(self, cause: str) -> None:
        """End the connection: the gateway stops, or there is no use in it."""
        self._note_end(cause)
        self._abort()

    def facts(self) -> Facts:
        """See Served."""
        return Facts(
            Stage.TRANSPORT_KNOWN, Phase.IN_USE, client_ip(self.transport), "http, relayed"
        )

    def _note_end(self, cause: str) -> None:
        self._services.records.note_end(self._place, cause, self.facts())

    def visited(self, now: float) -> None:
        """Keep all there is."""

    def deadline_passed(self) -> None:
        """Nothing has moved in time."""
        if self._state is RelayState.CARRYING:
            self.end("http_worker_silent" if self._backlog is None else "slow_reader")
        else:
            # The end was counted already; whoever was to hear the rest has not read it.
            self._abort()

    def _abort(self) -> None:
        """Close both now; the client's end, or the worker's, tells when that is done."""
        if self._state in (RelayState.DIALLING, RelayState.CARRYING):
            self._state = RelayState.CLOSING
        self._set_deadline(LINGER_SECONDS)
        if self._far_end is not None:
            self._far_end.transport.abortConnection()
        self.transport.abortConnection()

    def _moved(self) -> None:
        """Move the deadline, as bytes have moved; not for a client that does not read.

        What such a client sends does not make it read what waits for it.
        """
        if self._backlog is None:
            self.deadline = self._services.clock.seconds() + self._silent_seconds

    def _set_deadline(self, seconds: float) -> None:
        """Set a deadline that may be before the one there was, where the wheel looks for it."""
        self._services.wheel.remove(self)
        self.deadline = self._services.clock.seconds() + seconds
        self._services.wheel.add(self)

    def _clear_backlog(self) -> None:
        backlog, self._backlog = self._backlog, None
        if backlog is not None:
            backlog.clear()


class RelayFactory(ServerFactory):
    """Makes an :class:`HttpRelay` to the socket at ``path`` for each connection."""

    noisy = False

    def __init__(
        self, services: LinkServices, settings: HttpSettings, reactor: IReactorUNIX, path: str
    ) -> None:
        self._services = services
        self._settings = settings
        self._reactor = reactor
        self._path = path

    def buildProtocol(self, addr: IAddress | None) -> HttpRelay:
        """Return the protocol for a connection that was just accepted."""
        return HttpRelay(self._services, self._settings, self._reactor, self._path)
