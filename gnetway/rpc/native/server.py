"""IRpcServer by the gateway's own HTTP/2: no threads, handlers are called as requests come in.

listening → stop: GOAWAY that names no stream, and a PING → its answer: GOAWAY with the last
stream → no stream left, or the grace is over → closed
"""

from collections.abc import Callable
from functools import partial
from typing import Final

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, fail, gatherResults, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress, IDelayedCall, IListeningPort, IProtocolFactory
from twisted.internet.protocol import Protocol, ServerFactory
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from gnetway.admission.accounts import AccountLimits, Accounts, ByteBudget, Holding
from gnetway.http2.frames import MAX_31_BITS, ErrorCode, Http2Error
from gnetway.http2.heads import quoted
from gnetway.http2.server import ServerConnection
from gnetway.http2.stream import CallsReceived, Event, PingAnswered, Stream, StreamOpened
from gnetway.metrics import Measures
from gnetway.rpc.calls import IRpcReactor, IRpcServer, RpcHandlers, RpcOptions, RpcPeer
from gnetway.rpc.lifecycle import Deadlines, SharedEnd
from gnetway.rpc.native.connection import Http2Protocol
from gnetway.rpc.native.reading import SlowReaders
from gnetway.rpc.native.stream import NativeStream, ServedCall, ServingRole, answer, refuse
from gnetway.rpc.peers import PeerPlace, PeerPlaces, RefusedPeers, is_allowed, split_address
from gnetway.rpc.status import ListenFailed, RpcStatus, StatusCode
from gnetway.runtime.clocks import TurnEnd

_DRAINING: Final = b"last one"
_STOPPED: Final = "the server stops"
#: Streams that one connection may have open beyond what is served at a time, so that those over
#: the bound are told so and do not wait.
_SPARE_STREAMS: Final = 1_024
#: And in any case. A push is answered as it comes, so only those have a stream for long that have
#: not come whole.
_MAX_OPEN_STREAMS: Final = 2_048
#: Streams of one connection that may have to give way for their unfinished messages, before the
#: connection does.
_MAX_GIVEN_WAY: Final = 8
#: Why peers are refused or closed, as it is counted.
NOT_ALLOWED: Final = "not from Rpc.AllowedNetworks"
TOO_MANY_CONNECTIONS: Final = "over Rpc.MaxConnections, or those for each peer"
TOO_MANY_STREAMS: Final = "over Rpc.MaxStreams, or those for each peer"
TOO_MUCH_INPUT: Final = "over Rpc.MaxInputBytes"
_PLACE_GIVEN: Final = "its place was given to another peer"


class AcceptedConnection:
    """A connection of a client: ConnectionOwner, and ServedConnection."""

    def __init__(self, server: "NativeServer", address: IAddress | None, place: PeerPlace) -> None:
        options = server.options
        most = options.max_calls + options.max_streams + _SPARE_STREAMS
        self.http2 = ServerConnection(
            server.handlers.unary,
            options.max_message_bytes,
            min(most, _MAX_OPEN_STREAMS),
            self._holding,
        )
        self.protocol = Http2Protocol(
            server.reactor, server.turn_end, self.http2, options, server.slow_readers, self
        )
        self.max_message_bytes = options.max_message_bytes
        self.host = getattr(address, "host", "")
        self.peer = _name(address)
        self.rpc_peer = RpcPeer(self.peer)
        self._server = server
        self._place = place
        self._account = server.accounts.of(self.host, server.reactor.seconds())
        self._account.connections += 1
        self._given_way = 0

    def _holding(self, stream: Stream) -> Holding:
        return self._server.input.holding(self._account, partial(self._give_way, stream))

    def _give_way(self, stream: Stream) -> None:
        self._server.refused.note(TOO_MUCH_INPUT, self.peer)
        self.http2.give_way(stream)
        self._given_way += 1
        if self._given_way > _MAX_GIVEN_WAY:
            self._server.turn_end.call(self._end_greed)
        self.protocol.touch()

    def _end_greed(self) -> None:
        if not self.http2.core.failed:
            text = "too much of unfinished messages"
            self.http2.core.fail(Http2Error(ErrorCode.ENHANCE_YOUR_CALM, text))
            self.protocol.touch()

    def begin_drain(self) -> None:
        """Have the client open no more streams; those on their way here are still served.

        So the first GOAWAY names no last stream, and a PING tells when the client has read it:
        section 6.8 of RFC 9113.
        """
        if self.protocol.begun and self.http2.core.settled:
            self.http2.core.go_away(MAX_31_BITS)
            self.http2.core.ping(_DRAINING)
            self.protocol.touch()
        else:
            self.protocol.close()

    def cancel_all(self) -> None:
        """Cancel what is open, and close."""
        self.http2.last_call()
        for stream in list(self.http2.core.streams.values()):
            self.http2.core.reset(stream, ErrorCode.CANCEL)
            if stream.owner is not None:
                stream.owner.ended(StatusCode.CANCELLED, _STOPPED)
        self.protocol.close()

    # -- what the connection tells: see ConnectionOwner ----------------------------------------

    def check_peer(self) -> None:
        """A client's certificate was checked by TLS, where one is asked for."""

    def event_received(self, event: Event) -> None:
        """Take calls, a new stream, or note that the client knows of the end."""
        if isinstance(event, CallsReceived):
            for stream in event.streams:
                self._server.serve_call(self, stream, self.rpc_peer)
        elif isinstance(event, StreamOpened):
            self._server.serve_stream(self, event.stream)
        elif isinstance(event, PingAnswered) and event.payload == _DRAINING:
            self.http2.last_call()
            self.protocol.drain()

    def leaving(self) -> None:
        """Only clients ask for a connection that takes streams."""

    def drained(self) -> None:
        """Close the connection."""
        self.protocol.close()

    def broken(self, error: Http2Error) -> None:
        """Count what the client did wrong; whoever reaches the port could fill the log."""
        self._server.refused.note(str(error.code.name), self.peer)

    def lost(self, why: str) -> None:
        """Give its place back."""
        self._account.connections -= 1
        self._server.connections.leave(self._place)
        self._server.open_connections.discard(self)


class _Factory(ServerFactory):
    noisy = False

    def __init__(self, server: "NativeServer", wrap: Callable[[Protocol], Protocol]) -> None:
        self._server = server
        self._wrap = wrap

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        connection = self._server.accept(addr)
        return None if connection is None else self._wrap(connection.protocol)


@implementer(IRpcServer)
class NativeServer:
    """IRpcServer over one listening port."""

    _log = Logger()

    def __init__(
        self,
        reactor: IRpcReactor,
        turn_end: TurnEnd,
        address: str,
        handlers: RpcHandlers,
        options: RpcOptions,
    ) -> None:
        self.reactor = reactor
        self.turn_end = turn_end
        self.handlers = handlers
        #: Has a unary call answered. Chosen once: what is not traced does not pay for it.
        self.serve_call = self._serve_traced if handlers.want_traceparent else self._serve_call
        self.options = options
        self.open_connections: set[AcceptedConnection] = set()
        self.slow_readers = SlowReaders(reactor)
        self.connections = PeerPlaces(options.max_connections, options.max_peer_connections)
        #: The peers by address, for their shares of the input.
        self.accounts = Accounts(lambda _: AccountLimits())
        self.input = ByteBudget(options.max_input_bytes)
        self.refused = RefusedPeers(reactor)
        self._address = address
        self._port: IListeningPort | None = None
        self._deadlines = Deadlines(reactor)
        self._calls = 0
        self._streams = PeerPlaces(options.max_streams, options.max_peer_streams)
        self._grace_seconds = 0.0
        self._patience: IDelayedCall | None = None
        self._end = SharedEnd(self._begin_stop)

    # -- life ----------------------------------------------------------------------------------

    def start(self) -> Deferred[int]:
        """See IRpcServer."""
        if self._end.asked:
            return fail(ListenFailed(f"stopped before it listened on {self._address}"))
        try:
            host, port = split_address(self._address)
            factory = self._make_factory()
            self._port = self.reactor.listenTCP(port, factory, interface=host)  # type: ignore[arg-type]
        except CannotListenError as error:
            failed = ListenFailed(f"cannot listen on {self._address}")
            failed.__cause__ = error
            return fail(failed)
        except ValueError:
            return fail()
        bound = self._port.getHost()
        assert isinstance(bound, IPv4Address | IPv6Address)
        return succeed(bound.port)

    def _make_factory(self) -> IProtocolFactory:
        if self.options.tls is None:
            return _Factory(self, lambda protocol: protocol)
        # Here, so that a cluster without TLS needs no packages for it.
        from gnetway.rpc.native.tls import server_wrapper  # noqa: PLC0415

        return _Factory(self, server_wrapper(self.options.tls, self.reactor))

    def stop(self, grace_seconds: float) -> Deferred[None]:
        """See IRpcServer."""
        self._grace_seconds = grace_seconds
        return self._end.ask()

    def measures(self) -> Measures:
        """See IRpcServer."""
        options = self.options
        return Measures(
            levels={
                "rpc_connections": {"": len(self.open_connections)},
                "rpc_connections_limit": {"": options.max_connections},
                "rpc_input_bytes": {"": self.input.total_bytes},
                "rpc_input_bytes_limit": {"": self.input.max_bytes},
            }
        )

    def _begin_stop(self) -> Deferred[None]:
        ended: Deferred[None] = Deferred()
        self.turn_end.call(lambda: self._stop().chainDeferred(ended))
        return ended

    def _stop(self) -> Deferred[None]:
        # First all that will end, as some may end while they are told to.
        waiting = [connection.protocol.lost for connection in self.open_connections]
        if self._port is not None:
            waiting.append(self._port.stopListening() or succeed(None))
        for connection in list(self.open_connections):
            connection.begin_drain()
        if self._grace_seconds > 0 and self.open_connections:
            self._patience = self.reactor.callLater(self._grace_seconds, self._cancel_all)
        else:
            self._cancel_all()
        return gatherResults(waiting).addCallback(self._stopped)

    def _cancel_all(self) -> None:
        self._patience = None
        for connection in list(self.open_connections):
            connection.cancel_all()

    def _stopped(self, _: object) -> None:
        if self._patience is not None:
            self._patience.cancel()
        self._deadlines.stop()

    # -- calls ---------------------------------------------------------------------------------

    def accept(self, address: IAddress | None) -> AcceptedConnection | None:
        """Return the protocol of a new connection."""
        if self._end.asked:
            return None
        host = getattr(address, "host", "")
        if not is_allowed(host, self.options.allowed_networks):
            self.refused.note(NOT_ALLOWED, _name(address))
            return None
        place = self.connections.take(host)
        if place is None:
            self.refused.note(TOO_MANY_CONNECTIONS, _name(address))
            return None
        connection = AcceptedConnection(self, address, place)
        place.give_way = partial(self._give_place, connection)
        self.open_connections.add(connection)
        return connection

    def _give_place(self, connection: AcceptedConnection) -> None:
        self.refused.note(TOO_MANY_CONNECTIONS, connection.peer)
        connection.protocol.abort(_PLACE_GIVEN)

    def _serve_traced(self, connection: AcceptedConnection, stream: Stream, peer: RpcPeer) -> None:
        """Have a unary call answered by a handler that wants its traceparent."""
        traceparent = stream.head.traceparent.decode("latin-1")
        self._serve_call(connection, stream, RpcPeer(peer.address, traceparent))

    def _serve_call(self, connection: AcceptedConnection, stream: Stream, peer: RpcPeer) -> None:
        """Have a unary call answered."""
        if self._calls >= self.options.max_calls:
            connection.http2.end(stream, StatusCode.RESOURCE_EXHAUSTED, "too many calls")
            return
        try:
            reply = self.handlers.unary[stream.path](stream.message, peer)
        except Exception:  # noqa: BLE001 - becomes the call's status
            refuse(connection, stream, Failure())
            return
        # Not asked for a Deferred: that is an abstract class, which costs more than all the rest.
        if isinstance(reply, bytes):
            answer(connection, stream, reply)
        else:
            self._calls += 1
            call = ServedCall(connection, stream, self._deadlines, self._call_released)
            call.wait(reply)

    def serve_stream(self, connection: AcceptedConnection, stream: Stream) -> None:
        """Have a stream served."""
        opened = self.handlers.streams.get(stream.path)
        if opened is None:
            text = f"no method {quoted(stream.path)}"
            connection.http2.end(stream, StatusCode.UNIMPLEMENTED, text)
            return
        place = self._streams.take(connection.host, connection)
        if place is None:
            self.refused.note(TOO_MANY_STREAMS, connection.peer)
            connection.http2.end(stream, StatusCode.RESOURCE_EXHAUSTED, "too many streams")
            return
        connection.http2.begin(stream)
        released = partial(self._streams.leave, place)
        native = NativeStream(self.turn_end, self.options)
        native.begin(connection.protocol, stream)
        role = ServingRole(native, connection.http2, stream, self._deadlines, released)
        status = RpcStatus(StatusCode.RESOURCE_EXHAUSTED, _PLACE_GIVEN)
        place.give_way = partial(native.abort, status)
        try:
            native.listener = opened(native)
        except Exception:  # noqa: BLE001 - ends this stream alone
            role.handler_failed()

    def _call_released(self) -> None:
        self._calls -= 1


def _name(address: IAddress | None) -> str:
    """Return an address as logs show it."""
    host, port = getattr(address, "host", ""), getattr(address, "port", 0)
    return f"ipv6:[{host}]:{port}" if ":" in host else f"ipv4:{host}:{port}"
