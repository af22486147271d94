"""The connections of one client: one for new calls, others that end.

none → (a call) → connecting → in use → (GOAWAY, or no ids left) → draining → closed
         ↑ back-off: calls fail at once            ↓ lost
         └─────────────────────────────────────────┘
"""

import os
from typing import Any, Final, cast

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import (
    HostnameEndpoint,
    TCP4ClientEndpoint,
    TCP6ClientEndpoint,
)
from twisted.internet.interfaces import IAddress, IProtocol, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from gnetway.backoff import BackOff
from gnetway.http2.client import ClientConnection, request_fields
from gnetway.http2.frames import Http2Error
from gnetway.http2.heads import encode_field
from gnetway.http2.stream import Event, GoneAway, Settled
from gnetway.rpc.calls import ConnectionChanged, IRpcReactor, Metadata, RpcOptions
from gnetway.rpc.native.connection import Http2Protocol
from gnetway.rpc.native.reading import SlowReaders
from gnetway.rpc.peers import is_ipv4, is_ipv6, split_address
from gnetway.rpc.status import StatusCode
from gnetway.runtime.clocks import TurnEnd

_CONNECT_SECONDS: Final = 5.0
#: Within this pause after a failure calls fail without another attempt. Whoever calls has pauses
#: of its own, so these are short.
_FIRST_PAUSE_SECONDS: Final = 0.05
_LONGEST_PAUSE_SECONDS: Final = 1.0
_NO_MORE_CALLS: Final = "the peer takes no more calls on this connection"
#: Field blocks that are remembered, one for each method and timeout.
_MAX_BLOCKS: Final = 256


class DialedConnection:
    """A connection to a server: ConnectionOwner."""

    def __init__(self, dialer: "Dialer", reactor: IRpcReactor, turn_end: TurnEnd) -> None:
        self.http2 = ClientConnection(dialer.options.max_message_bytes)
        self.protocol = Http2Protocol(
            reactor, turn_end, self.http2, dialer.options, dialer.slow_readers, self
        )
        self._dialer = dialer
        self._connecting: Deferred[IProtocol] | None = None

    def connect(self, endpoint: IStreamClientEndpoint) -> None:
        """Begin to connect, unless it was closed already."""
        if self.protocol.closing:
            self.protocol.end("closed")
            return
        self._connecting = endpoint.connect(_OneProtocol(self.protocol))
        self._connecting.addBoth(self._connected)

    def _connected(self, outcome: IProtocol | Failure) -> None:
        self._connecting = None
        if isinstance(outcome, Failure):
            why = outcome.getErrorMessage()
            self.protocol.end(f"cannot connect to {self._dialer.peer}: {why}")

    def close(self) -> None:
        """Close the connection; one that is still being made is given up."""
        self.protocol.close()
        if self._connecting is not None:
            self._connecting.cancel()

    # -- what the connection tells: see ConnectionOwner ----------------------------------------

    def check_peer(self) -> None:
        """Check that the certificate is the peer's."""
        from gnetway.rpc.native.tls import check_name  # noqa: PLC0415 - see _make_endpoint

        check_name(cast("Any", self.protocol.transport).getHandle(), self._dialer.tls_name)

    def event_received(self, event: Event) -> None:
        """Take a GOAWAY, or the server's first SETTINGS."""
        if isinstance(event, GoneAway):
            self.protocol.drain()
        elif isinstance(event, Settled):
            self._dialer.connection_stands(self)

    def leaving(self) -> None:
        """Open nothing more here."""
        self._dialer.connection_leaves(self)

    def drained(self) -> None:
        """Close, unless a stream still waits for its turn."""
        if self.http2.empty:
            self.protocol.close()

    def broken(self, error: Http2Error) -> None:
        """Log what the server did wrong."""
        self._dialer.log_broken(error)

    def lost(self, why: str) -> None:
        """Tell the dialer."""
        self._dialer.connection_ended(self, why)


class Dialer:
    """Finds the connection for a call, and makes it where there is none."""

    _log = Logger()

    def __init__(
        self, reactor: IRpcReactor, turn_end: TurnEnd, peer: str, options: RpcOptions
    ) -> None:
        self.peer = peer
        self.options = options
        self.slow_readers = SlowReaders(reactor)
        #: Why there is no connection.
        self.why = ""
        self._reactor = reactor
        self._turn_end = turn_end
        self._endpoint: IStreamClientEndpoint | None = None
        self._current: DialedConnection | None = None
        self._connections: set[DialedConnection] = set()
        self._back_off = BackOff(os.urandom, _FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)
        self._not_before = 0.0
        self.tls_name = ""
        self._scheme = "http" if options.tls is None else "https"
        self._metadata = _encoded(options.metadata)
        self._blocks: dict[tuple[str, float, Metadata], bytes] = {}
        self._watchers: list[ConnectionChanged] = []
        self._stands = False

    def connection(self) -> DialedConnection | None:
        """Return a connection that takes streams, perhaps one that is being made.

        None while the last failure is too fresh; ``why`` says which it was.
        """
        current = self._current
        if current is not None:
            if current.http2.core.accepts_streams:
                return current
            current.protocol.drain()
        if self._reactor.seconds() < self._not_before:
            return None
        return self._new_connection()

    def _new_connection(self) -> DialedConnection:
        new = self._current = DialedConnection(self, self._reactor, self._turn_end)
        self._connections.add(new)
        # Not now: it may fail before it returns.
        self._turn_end.call(lambda: self._connect(new))
        return new

    def connect(self) -> None:
        """Make a connection if there is none; who asks has pauses of its own."""
        current = self._current
        if current is None or not current.http2.core.accepts_streams:
            self._new_connection()
        elif current.http2.core.settled:
            self._turn_end.call(lambda: self._tell(self._current is current, self.why))

    def fields(self, method: str, timeout_seconds: float = 0.0, metadata: Metadata = ()) -> bytes:
        """Return the field block of a request."""
        key = (method, timeout_seconds, metadata)
        block = self._blocks.get(key)
        if block is None:
            if len(self._blocks) >= _MAX_BLOCKS:
                self._blocks.clear()
            block = request_fields(method, self.peer, self._scheme, timeout_seconds)
            block += self._metadata + _encoded(metadata)
            self._blocks[key] = block
        return block

    def watch(self, changed: ConnectionChanged) -> None:
        """Call ``changed`` whenever a connection stands or is none any more, until close()."""
        self._watchers.append(changed)

    def close(self, why: str) -> Deferred[None]:
        """Tell every stream CANCELLED, end all connections, and fire when they have ended."""
        self._watchers.clear()
        connections = list(self._connections)
        for connection in connections:
            for stream in connection.http2.abandon():
                if stream.owner is not None:
                    stream.owner.ended(StatusCode.CANCELLED, why)
            connection.close()
        ended = [connection.protocol.lost for connection in connections]
        return gatherResults(ended).addCallback(lambda _: None)

    # -- what connections tell -----------------------------------------------------------------

    def connection_stands(self, connection: DialedConnection) -> None:
        """Take note that the peer has spoken."""
        if connection is self._current:
            self._stands = True
            self._tell_later(True, "")

    def connection_leaves(self, connection: DialedConnection, why: str = _NO_MORE_CALLS) -> None:
        """Open nothing more on this connection."""
        if connection is self._current:
            self._current = None
            if self._stands:
                self._stands = False
                self._tell_later(False, why)

    def connection_ended(self, connection: DialedConnection, why: str) -> None:
        """Take note of the end of a connection."""
        self._connections.discard(connection)
        self.connection_leaves(connection, why)
        if connection.http2.core.settled:
            self._back_off.reset()
        else:
            self.why = why
            self._not_before = self._reactor.seconds() + self._back_off.next_delay()
            if self._current is None:
                self._tell_later(False, why)

    def log_broken(self, error: Http2Error) -> None:
        """Log what the peer did wrong."""
        peer = self.peer
        self._log.warn("gRPC connection with {peer} is broken: {error}", peer=peer, error=error)

    def _tell_later(self, stands: bool, why: str) -> None:
        # In a turn of its own, where an error of it does no harm.
        self._turn_end.call(lambda: self._tell(stands, why))

    def _tell(self, stands: bool, why: str) -> None:
        for changed in list(self._watchers):
            changed(stands, why)

    def _connect(self, connection: DialedConnection) -> None:
        try:
            if self._endpoint is None:
                self._endpoint = self._make_endpoint()
        except ValueError as error:  # an address or certificate that cannot be used
            connection.protocol.end(f"cannot connect to {self.peer}: {error}")
        else:
            connection.connect(self._endpoint)

    def _make_endpoint(self) -> IStreamClientEndpoint:
        host, port = split_address(self.peer)
        endpoint: IStreamClientEndpoint
        if is_ipv4(host):
            endpoint = TCP4ClientEndpoint(self._reactor, host, port, timeout=_CONNECT_SECONDS)
        elif is_ipv6(host):
            endpoint = TCP6ClientEndpoint(self._reactor, host, port, timeout=_CONNECT_SECONDS)
        else:
            endpoint = HostnameEndpoint(self._reactor, host, port, timeout=_CONNECT_SECONDS)
        tls = self.options.tls
        if tls is not None:
            # Here, so that a cluster without TLS needs no packages for it.
            from gnetway.rpc.native.tls import client_endpoint  # noqa: PLC0415

            self.tls_name = tls.server_name or host
            endpoint = client_endpoint(endpoint, tls, self.tls_name)
        return endpoint


def _encoded(metadata: Metadata) -> bytes:
    return b"".join(
        encode_field(name.encode("ascii"), value.encode("ascii")) for name, value in metadata
    )


class _OneProtocol(Factory):
    """A factory for one connection that exists already."""

    noisy = False

    def __init__(self, protocol: Http2Protocol) -> None:
        self._protocol = protocol

    def buildProtocol(self, addr: IAddress | None) -> Http2Protocol:
        return self._protocol
