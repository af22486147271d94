# ruff: noqa: N805 - zope interfaces have no self
"""The seam between the gateway and what carries its gRPC: unary and stream, calling and serving.

Messages are serialised already: protobuf is the callers' business. Everything here is called in
the reactor thread, and calls back in it. No method blocks, and none calls back before it returns;
a Deferred that one returns may have fired.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads, IReactorTCP, IReactorTime
from zope.interface import Attribute, Interface

from gnetway.metrics import Measures
from gnetway.rpc.peers import Network
from gnetway.rpc.status import RpcStatus


@dataclass(frozen=True, slots=True)
class TlsOptions:
    """Certificates in PEM.

    A client trusts ``ca`` (None: the public ones) and shows ``cert`` with ``key`` where given.
    A server shows ``cert`` with ``key``, and with ``ca`` asks every client for a certificate of
    that authority. ``server_name`` is the name a client expects in the server's certificate, the
    peer's host if empty.
    """

    ca: bytes | None = None
    cert: bytes | None = None
    key: bytes | None = field(default=None, repr=False)
    server_name: str = ""


@dataclass(frozen=True, slots=True)
class RpcOptions:
    """Bounds and timers of one client or server; bytes and seconds."""

    #: One message, either way. The largest MTProto packet is 16 MiB; protobuf adds little.
    max_message_bytes: int = 64 << 20
    #: A peer that is silent this long is pinged. Go's servers hang up on clients that ping an
    #: otherwise silent connection more often than every 5 minutes; 0 never pings.
    keepalive_seconds: float = 310.0
    #: The kernel asks a peer that is silent this long whether it is there, which no peer minds; 0
    #: never asks.
    tcp_keepalive_seconds: float = 60.0
    #: A ping, or data in the kernel, not acknowledged for this long breaks the connection.
    keepalive_timeout_seconds: float = 20.0
    #: None is plaintext.
    tls: TlsOptions | None = None
    #: Client: names, in lower case, and ASCII values of fields that go with each request.
    metadata: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    #: What one stream holds unsent, and separately what it holds unread.
    max_unsent_bytes: int = 16 << 20
    max_unsent_messages: int = 16_384
    #: Unary calls in flight: of one client, or waiting for and in the handlers of one server.
    max_calls: int = 16_384
    #: Streams that one server serves at a time, and those of one peer; a session node opens one.
    max_streams: int = 128
    max_peer_streams: int = 64
    #: Connections that one server takes, and those of one peer, by its address; native only.
    max_connections: int = 512
    max_peer_connections: int = 64
    #: What one server holds of messages that have begun and not ended, over all connections; above
    #: it the peer that holds most gives way. At least ``max_message_bytes``; native only.
    max_input_bytes: int = 128 << 20
    #: From where a server takes connections; anywhere if empty.
    allowed_networks: tuple[Network, ...] = ()
    #: Threads that serve unary calls, where the carrier needs any. More only fight for the
    #: interpreter: 256 calls in flight cost 250 µs each with 2 or 4 threads, 360 with 32.
    threads: int = 4


class RpcPeer(NamedTuple):
    """Who calls; ``address`` is for logs, e.g. ``ipv4:10.0.0.7:40312``.

    ``traceparent`` is what a unary call has in that field, for handlers that want it.
    """

    address: str
    traceparent: str = ""


class IRpcStream(Interface):
    """One open bidi stream, either side of it."""

    unsent_bytes: int = Attribute("Bytes given to send() that the connection has not taken.")
    unsent_messages: int = Attribute("Their number.")

    untouched_messages: int = Attribute(
        "Those of them of which the connection has not taken a byte: they have surely not arrived."
    )

    def send(message: bytes) -> None:
        """Queue a message; messages arrive in the order of the calls.

        A message over the bound of bytes is taken while nothing else is unsent.

        :raises StreamClosed: after close(), abort() or the end of the stream.
        :raises StreamFull: the bound is reached; nothing was queued.
        :raises RpcStatus: RESOURCE_EXHAUSTED, the message is over ``max_message_bytes``; the
            stream goes on.
        """

    def close() -> None:
        """End this side after everything queued.

        A client half-closes and goes on listening; a server ends the stream with OK.
        """

    def abort(status: RpcStatus | None = None) -> None:
        """Give up the stream and what is unsent; only stream_closed follows.

        A server tells the client ``status``, as far as the carrier can carry its number; a
        client cannot tell, so there the peer sees a cancellation.
        """


class IStreamListener(Interface):
    """Hears what comes out of one stream."""

    def message_received(message: bytes) -> None:
        """Take the next message."""

    def peer_finished() -> None:
        """Server only: the client has half-closed. The stream stays open until close()."""

    def stream_writable() -> None:
        """At most half of the bound is unsent; called once after each run of StreamFull."""

    def stream_closed(error: RpcStatus | None) -> None:
        """Nothing follows; called exactly once for each stream, None for a regular end.

        What was queued may not have arrived if there is an error.
        """


#: Hears once how a call has ended: with a reply, or a status (then the reply is empty).
Answered = Callable[[bytes, RpcStatus | None], object]


#: Names, in lower case, and ASCII values of fields that go with one request.
Metadata = tuple[tuple[str, str], ...]

#: Hears whether a connection stands, and if not, why.
ConnectionChanged = Callable[[bool, str], object]


class IRpcClient(Interface):
    """Calls one peer, over a connection that is made and made again as needed."""

    peer: str = Attribute("host:port")

    def unary(method: str, request: bytes, timeout_seconds: float) -> Deferred[bytes]:
        """Call ``/package.Service/method``; fire with the reply or fail with RpcStatus.

        Fails at once, with UNAVAILABLE, where the peer cannot be reached; ``unsent`` of the
        status tells whether the request may have been handled all the same. Cancelling the
        Deferred cancels the call. Calls on their way together may overtake each other.
        """

    def call(
        method: str,
        request: bytes,
        timeout_seconds: float,
        answered: Answered,
        metadata: Metadata = (),
    ) -> None:
        """Call like ``unary``, but tell ``answered``, which is cheaper; it cannot be cancelled."""

    def stream(method: str, listener: IStreamListener, metadata: Metadata = ()) -> IRpcStream:
        """Open a stream; it ends with UNAVAILABLE where the peer cannot be reached.

        After close() it ends with CANCELLED.
        """

    def connect() -> None:
        """See that there is a connection; ``watch_connection`` tells what comes of it."""

    def watch_connection(changed: ConnectionChanged) -> None:
        """Call ``changed`` with True when a connection stands, with False when there is none.

        That is whenever a connection is made, lost, or left because the peer wants no more calls
        on it; when an attempt has failed; and after each ``connect`` that finds one standing.
        The text says why there is none. What was under way on a lost connection fails as well,
        before or after. Nothing is told after close().
        """

    def close() -> Deferred[None]:
        """Cancel everything that is open, and fire when all of it has been told so."""


UnaryHandler = Callable[[bytes, RpcPeer], "bytes | Deferred[bytes]"]
StreamHandler = Callable[[IRpcStream], IStreamListener]


@dataclass(frozen=True, slots=True)
class RpcHandlers:
    """What a server answers, by ``/package.Service/method``.

    A unary handler returns or fires the reply; RpcStatus becomes the status, any other error is
    logged and becomes INTERNAL. Its Deferred is cancelled where the caller has gone. A stream
    handler is called for each new stream and returns its listener. ``want_traceparent`` is whether
    the unary ones look at that of RpcPeer, which costs a little.
    """

    unary: Mapping[str, UnaryHandler] = field(default_factory=dict)
    streams: Mapping[str, StreamHandler] = field(default_factory=dict)
    want_traceparent: bool = False


class IRpcServer(Interface):
    """Serves handlers on one address."""

    def start() -> Deferred[int]:
        """Listen, and fire with the bound port; fails with ListenFailed."""

    def stop(grace_seconds: float) -> Deferred[None]:
        """Take no more calls; after the grace cancel what is open. Fires when all has ended."""

    def measures() -> Measures:
        """Return what it measures, by the names of ``gnetway.admin.metrics``."""


class IRpcReactor(IReactorFromThreads, IReactorTCP, IReactorTime):
    """What a carrier wants of the reactor; to find peers by name also a name resolver."""


class IRpcCarrier(Interface):
    """Makes clients and servers that speak gRPC in one way."""

    name: str = Attribute("As the configuration names it.")

    def client(peer: str, options: RpcOptions) -> IRpcClient:
        """Return a client of ``host:port``; it connects on first use."""

    def server(address: str, handlers: RpcHandlers, options: RpcOptions) -> IRpcServer:
        """Return a server for ``host:port``, not started; port 0 takes any free one."""
