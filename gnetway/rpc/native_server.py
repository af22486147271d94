"""Serving by the native carrier: no threads, a handler is called as its request comes in.

listening → stop: GOAWAY that names no stream, and a PING → its answer: GOAWAY with the last
stream → no stream left, or the grace is over → closed
"""

from typing import Final

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, fail, gatherResults, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress, IDelayedCall, IListeningPort, IProtocolFactory
from twisted.internet.protocol import ServerFactory
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from gnetway.http2.error_codes import ErrorCode
from gnetway.http2.events import Event, PingAnswered, StreamOpened
from gnetway.http2.frames import MAX_31_BITS
from gnetway.http2.server import ServerConnection
from gnetway.http2.streams import Stream
from gnetway.rpc.addresses import split_address
from gnetway.rpc.bridge import OneEnd
from gnetway.rpc.calls import IRpcReactor, IRpcServer, RpcHandlers, RpcOptions, RpcPeer
from gnetway.rpc.deadlines import Deadlines
from gnetway.rpc.native_link import ServerLink
from gnetway.rpc.native_served import ServedCall, ServedStream, answer, refuse
from gnetway.rpc.status import ListenFailed, StatusCode
from gnetway.turns import TurnEnd

_DRAINING: Final = b"last one"
_STOPPED: Final = "the server stops"
#: Streams that one connection may have open beyond what is served at a time, so that those over
#: the bound are told so and do not wait.
_SPARE_STREAMS: Final = 1_024


class _Link(ServerLink):
    """A connection of a client."""

    def __init__(self, server: "NativeServer", address: IAddress | None) -> None:
        options = server.options
        core = ServerConnection(
            server.handlers.unary,
            options.max_message_bytes,
            options.max_calls + options.max_streams + _SPARE_STREAMS,
        )
        super().__init__(server.reactor, server.turn_end, core, options)
        self.max_message_bytes = options.max_message_bytes
        self.peer = _name(address)
        self.rpc_peer = RpcPeer(self.peer)
        self._server = server

    def calls_received(self, streams: list[Stream]) -> None:
        """Answer unary calls."""
        for stream in streams:
            self._server.serve_call(self, stream)

    def role_event(self, event: Event) -> None:
        """Take a new stream, or note that the client knows of the end."""
        if isinstance(event, StreamOpened):
            self._server.serve_stream(self, event.stream)
        elif isinstance(event, PingAnswered) and event.payload == _DRAINING:
            self.core.last_call()
            self.drain()

    def begin_drain(self) -> None:
        """Have the client open no more streams; those on their way here are still served."""
        if self._ready and self.core.settled:
            self.core.go_away(MAX_31_BITS)
            self.core.ping(_DRAINING)
            self.touch()
        else:
            self.close()

    def cancel_all(self) -> None:
        """Cancel what is open, and close."""
        self.core.last_call()
        for stream in list(self.core.streams.values()):
            self.core.reset(stream, ErrorCode.CANCEL)
            if stream.owner is not None:
                stream.owner.ended(StatusCode.CANCELLED, _STOPPED)
        self.close()

    def ended(self, why: str) -> None:
        """Tell the server."""
        self._server.links.discard(self)


class _Factory(ServerFactory):
    noisy = False

    def __init__(self, server: "NativeServer") -> None:
        self._server = server

    def buildProtocol(self, addr: IAddress | None) -> _Link | None:
        return self._server.accept(addr)


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
        self.options = options
        self.links: set[_Link] = set()
        self._address = address
        self._port: IListeningPort | None = None
        self._deadlines = Deadlines(reactor)
        self._calls = 0
        self._streams = 0
        self._grace_seconds = 0.0
        self._patience: IDelayedCall | None = None
        self._end = OneEnd(self._begin_stop)

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
        factory: IProtocolFactory = _Factory(self)
        if self.options.tls is not None:
            # Here, so that a cluster without TLS needs no packages for it.
            from gnetway.rpc.native_tls import server_factory  # noqa: PLC0415

            factory = server_factory(factory, self.options.tls, self.reactor)
        return factory

    def stop(self, grace_seconds: float) -> Deferred[None]:
        """See IRpcServer."""
        self._grace_seconds = grace_seconds
        return self._end.ask()

    def _begin_stop(self) -> Deferred[None]:
        ended: Deferred[None] = Deferred()
        self.turn_end.call(lambda: self._stop().chainDeferred(ended))
        return ended

    def _stop(self) -> Deferred[None]:
        waiting = [link.lost for link in self.links]
        if self._port is not None:
            waiting.append(self._port.stopListening() or succeed(None))
        for link in list(self.links):
            link.begin_drain()
        if self._grace_seconds > 0 and self.links:
            self._patience = self.reactor.callLater(self._grace_seconds, self._lose_patience)
        else:
            self._cancel_all()
        return gatherResults(waiting).addCallback(self._stopped)

    def _lose_patience(self) -> None:
        self._patience = None
        self._cancel_all()

    def _cancel_all(self) -> None:
        for link in list(self.links):
            link.cancel_all()

    def _stopped(self, _: object) -> None:
        if self._patience is not None:
            self._patience.cancel()
        self._deadlines.stop()

    # -- calls ---------------------------------------------------------------------------------

    def accept(self, address: IAddress | None) -> _Link | None:
        """Return the protocol of a new connection."""
        if self._end.asked:
            return None
        link = _Link(self, address)
        self.links.add(link)
        return link

    def serve_call(self, link: _Link, stream: Stream) -> None:
        """Have a unary call answered."""
        if self._calls >= self.options.max_calls:
            link.core.end(stream, StatusCode.RESOURCE_EXHAUSTED, "too many calls")
            return
        try:
            reply = self.handlers.unary[stream.path](stream.message, link.rpc_peer)
        except Exception:  # noqa: BLE001 - becomes the call's status
            refuse(link, stream, Failure())
            return
        # Not asked for a Deferred: that is an abstract class, which costs more than all the rest.
        if isinstance(reply, bytes):
            answer(link, stream, reply)
        else:
            self._calls += 1
            ServedCall(link, stream, self._deadlines, self._call_released).wait(reply)

    def serve_stream(self, link: _Link, stream: Stream) -> None:
        """Have a stream served."""
        opened = self.handlers.streams.get(stream.path)
        if opened is None:
            link.core.end(stream, StatusCode.UNIMPLEMENTED, f"no method {stream.path}")
            return
        if self._streams >= self.options.max_streams:
            link.core.end(stream, StatusCode.RESOURCE_EXHAUSTED, "too many streams")
            return
        self._streams += 1
        link.core.begin(stream)
        served = ServedStream(
            self.turn_end, self.options, link, stream, self._deadlines, self._stream_released
        )
        try:
            served.listen(opened(served))
        except Exception:  # noqa: BLE001 - ends this stream alone
            served.handler_failed()

    def _call_released(self) -> None:
        self._calls -= 1

    def _stream_released(self) -> None:
        self._streams -= 1


def _name(address: IAddress | None) -> str:
    """Return an address as logs show it."""
    host, port = getattr(address, "host", ""), getattr(address, "port", 0)
    return f"ipv6:[{host}]:{port}" if ":" in host else f"ipv4:{host}:{port}"
