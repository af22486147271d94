"""Our own client over a real socket: every framing, quick acks, and whatever a test makes of it."""

import os
import socket
import time
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from struct import unpack_from
from typing import Protocol, Self

from gnetway.errors import TransportErrorCode
from gnetway.testing import (
    ClientExchange,
    ClientLink,
    ClientSession,
    Framing,
    QuickAck,
    Style,
    Wish,
    open_plain_packet,
    plain_packet,
)
from gnetway.tl.primitives import Constructor
from gnetway.tl.service_messages import (
    BadServerSalt,
    MsgsAck,
    Ping,
    Pong,
    RpcResult,
    parse_container,
)
from tests.live.gateway import PATIENCE_SECONDS, Gateway

OBFUSCATED_INTERMEDIATE = Style(Framing.INTERMEDIATE, True)


class LinkEnded(Exception):
    """The gateway has closed the connection."""


def now() -> float:
    """Return the time in Unix seconds."""
    return datetime.now(UTC).timestamp()


def constructor_of(body: bytes) -> int:
    return int(unpack_from("<I", body)[0])


class Stream(Protocol):
    """The part of a socket that a client needs, so that others may stand for one."""

    def sendall(self, data: bytes, /) -> None: ...

    def recv(self, size: int, /) -> bytes: ...

    def settimeout(self, seconds: float, /) -> None: ...

    def close(self) -> None: ...


def _connect(port: int) -> socket.socket:
    connected = socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connected


class LiveClient:
    """One connection; closes itself as a context manager.

    ``heard`` keeps the bodies that nobody has waited for. With ``byte_seconds``, bytes are sent
    one at a time. ``over`` is an open connection to use, None for a new one to the first address.
    """

    def __init__(
        self,
        gateway: Gateway,
        style: Style = OBFUSCATED_INTERMEDIATE,
        byte_seconds: float = 0.0,
        over: Stream | None = None,
    ) -> None:
        self.socket: Stream = over or _connect(gateway.port)
        self.end = ClientLink(style, os.urandom)
        self.heard: list[bytes] = []
        self.exchange: ClientExchange | None = None
        self._rsa = gateway.rsa
        self._byte_seconds = byte_seconds
        self._got: deque[bytes | QuickAck] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    # -- packets -------------------------------------------------------------------------------

    def send(self, packet: bytes, quick_ack: bool = False) -> None:
        wire = self.end.packet(packet, quick_ack)
        if not self._byte_seconds:
            self.socket.sendall(wire)
            return
        for byte in wire:
            self.socket.sendall(bytes((byte,)))
            time.sleep(self._byte_seconds)

    def receive(self) -> bytes | QuickAck:
        """Return the next packet or quick ack.

        :raises LinkEnded: there is none any more.
        """
        while not self._got:
            data = self.socket.recv(1 << 18)
            if not data:
                raise LinkEnded
            self._got.extend(self.end.receive(data))
        return self._got.popleft()

    def transport_error(self) -> int:
        """Return the code in the next packet, which must be one."""
        packet = self.receive()
        assert isinstance(packet, bytes) and len(packet) // 4 == 1, packet
        return int(unpack_from("<i", packet)[0])

    def ended(self) -> bool:
        """Whether the gateway closes the connection, whatever it says before."""
        try:
            while True:
                self.receive()
        except (LinkEnded, ConnectionResetError):
            return True
        except TimeoutError:
            return False

    # -- a key, and messages -------------------------------------------------------------------

    def make_key(self, wish: Wish | None = None) -> ClientSession:
        """Do a key exchange and return a session with the new key."""
        self.exchange = ClientExchange([self._rsa], os.urandom, wish)
        query: bytes | None = self.exchange.begin()
        while query is not None:
            self.send(plain_packet(query, now()))
            packet = self.receive()
            assert isinstance(packet, bytes)
            if len(packet) < 8:
                raise AssertionError(TransportErrorCode(unpack_from("<i", packet)[0]))
            query = self.exchange.receive(open_plain_packet(packet))
        assert self.exchange.key is not None
        return ClientSession(self.exchange.key, self.exchange.salt, os.urandom)

    def bodies(self, session: ClientSession) -> Iterator[bytes]:
        """Yield what the gateway says, containers taken apart; acknowledges nothing."""
        while True:
            packet = self.receive()
            if isinstance(packet, QuickAck):
                continue
            assert len(packet) >= 8, TransportErrorCode(unpack_from("<i", packet)[0])
            body = session.decrypt(packet).body
            if constructor_of(body) == Constructor.MSG_CONTAINER:
                yield from (message.body for message in parse_container(body, 1024))
            else:
                yield body

    def call(self, session: ClientSession, body: bytes) -> bytes:
        """Send a call and return what its rpc_result holds; obeys a bad_server_salt."""
        self.send(session.encrypt(body, now()))
        msg_id = session.msg_id
        for said in self.bodies(session):
            if constructor_of(said) == Constructor.RPC_RESULT:
                answer = RpcResult.parse(said)
                if answer.req_msg_id == msg_id:
                    return answer.result
            elif constructor_of(said) == Constructor.BAD_SERVER_SALT:
                session.salt = BadServerSalt.parse(said).new_server_salt
                self.send(session.encrypt(body, now()))
                msg_id = session.msg_id
            self.heard.append(said)
        raise AssertionError("unreachable")

    def ping(self, session: ClientSession, ping_id: int = 1) -> None:
        """Send a ping and wait for its pong."""
        self.send(session.encrypt(Ping(ping_id).pack(), now()))
        self.await_pong(session, ping_id)

    def await_pong(self, session: ClientSession, *ping_ids: int) -> None:
        """Wait for the pongs of some pings, in any order: pushes by calls may overtake."""
        missing = set(ping_ids)
        for said in self.bodies(session):
            if constructor_of(said) == Constructor.PONG:
                missing.discard(Pong.parse(said).ping_id)
                if not missing:
                    return
            self.heard.append(said)

    def acknowledge(self, session: ClientSession, msg_ids: list[int]) -> None:
        self.send(session.encrypt(MsgsAck(msg_ids).pack(), now(), content_related=False))
