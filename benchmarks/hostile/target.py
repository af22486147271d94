"""A gateway as an attacker sees it, and the client that every attack begins with."""

import gzip
import json
import os
import select
import socket
import time
import zlib
from collections.abc import Iterable, Iterator
from struct import pack, unpack_from
from typing import Final, NamedTuple, Self

from gnetway.testing import (
    ClientLink,
    ClientSession,
    Framing,
    KeyGivenUp,
    PeerError,
    QuickAck,
    ServerKey,
    Style,
    Wish,
)
from gnetway.testing.talk import ClientTalk, LinkEnded, TransportErrorReceived
from gnetway.tl.primitives import Constructor, pack_string, pack_uint32
from gnetway.tl.service_messages import ContainedMessage, Ping, pack_container, parse_container
from tests.live.client import now

#: Who attacks; the others are honest.
ATTACKER: Final = "127.0.0.2"

#: Plain, since ciphers would cost the attacker more than the gateway.
PLAIN: Final = Style(Framing.INTERMEDIATE, False)

#: What an attack may meet where the gateway defends itself.
TURNED_AWAY: Final = (OSError, LinkEnded, PeerError, KeyGivenUp, TransportErrorReceived)

#: Longer than any reactor has been seen to stand still.
ANSWER_SECONDS: Final = 120.0

#: Between two looks at the clock.
_LOOK_SECONDS: Final = 0.2

_RECEIVE_BYTES: Final = 1 << 18


class Ports(NamedTuple):
    """Where the gateway listens on 127.0.0.1; ``grpc`` is 0 where it has no ListenOn."""

    tcp: int
    websocket: int
    http: int
    grpc: int = 0


class Target:
    """What an attack gets: the gateway's ports and key, and the time that the attack has.

    Connections are those of ``source`` and stay open until ``let_go``.
    """

    def __init__(self, ports: Ports, key: ServerKey, seconds: float, source: str) -> None:
        self.ports = ports
        self.key = key
        self._end = time.monotonic() + seconds
        self._source = source
        self._open: list[socket.socket] = []

    @property
    def over(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() >= self._end

    def connect(self, port: int, receive_buffer: int = 0) -> socket.socket:
        """Open a connection; who reads nothing has a small ``receive_buffer``, in bytes."""
        made = socket.socket()
        self._open.append(made)
        if receive_buffer:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.settimeout(ANSWER_SECONDS)
        made.bind((self._source, 0))
        made.connect(("127.0.0.1", port))
        return made

    def hold(self) -> None:
        """Keep the connections until the time is over, or the gateway has closed them all."""
        watch = select.poll()
        for one in self._open:
            watch.register(one, select.POLLRDHUP)
        left = len(self._open)
        while left and not self.over:
            for descriptor, _ in watch.poll(_LOOK_SECONDS * 1e3):
                watch.unregister(descriptor)
                left -= 1

    def let_go(self) -> None:
        """Close all connections."""
        for one in self._open:
            one.close()
        self._open.clear()

    def pour(self, over: socket.socket, data: bytes) -> bytes:
        """Send all of it while what comes back is read; return that.

        :raises LinkEnded: the gateway has closed the connection.
        """
        over.setblocking(False)
        left, got = memoryview(data), b""
        while left and not self.over:
            readable, writable, _ = select.select([over], [over], [], _LOOK_SECONDS)
            if readable:
                got += self._read(over)
            if writable:
                left = left[over.send(left) :]
        over.settimeout(ANSWER_SECONDS)
        return got

    def drain(self, over: socket.socket, seconds: float) -> bytes:
        """Read until nothing has come for ``seconds``; return that."""
        got = b""
        while not self.over and select.select([over], [], [], seconds)[0]:
            got += self._read(over)
        return got

    def _read(self, over: socket.socket) -> bytes:
        data = over.recv(_RECEIVE_BYTES)
        if not data:
            raise LinkEnded
        return data

    def packed(self) -> str:
        """Return it for another process, which has as much time as is left."""
        left = self._end - time.monotonic()
        return json.dumps([self.ports, self.key, left, self._source])

    @classmethod
    def unpack(cls, text: str) -> Self:
        """Read what ``packed`` has made."""
        ports, key, seconds, source = json.loads(text)
        return cls(Ports(*ports), ServerKey(*key), seconds, source)


class Client:
    """A connection over TCP in plain intermediate framing."""

    def __init__(self, target: Target, receive_buffer: int = 0) -> None:
        self.socket = target.connect(target.ports.tcp, receive_buffer)
        self.link = ClientLink(PLAIN, os.urandom)
        self._key = target.key

    def make_key(self, wish: Wish | None = None) -> ClientSession:
        """Make an auth key and return a session with it."""
        talk = ClientTalk(self.socket, self.link, os.urandom, now)
        return talk.make_key([self._key], wish)

    def send(self, packets: Iterable[bytes]) -> None:
        """Send packets in one write."""
        self.socket.sendall(b"".join(self.link.packet(packet) for packet in packets))

    def packets(self) -> Iterator[bytes]:
        """Yield the packets of the gateway.

        :raises LinkEnded: there is none any more.
        """
        while True:
            data = self.socket.recv(_RECEIVE_BYTES)
            if not data:
                raise LinkEnded
            for packet in self.link.receive(data):
                if isinstance(packet, QuickAck):
                    continue
                if len(packet) < 8:
                    raise TransportErrorReceived(unpack_from("<i", packet)[0])
                yield packet

    def await_message(self, session: ClientSession, wanted: Constructor) -> ContainedMessage:
        """Return the next message with this constructor; others are passed over."""
        for packet in self.packets():
            said = session.decrypt(packet)
            messages = [ContainedMessage(said.msg_id, said.seq_no, said.body)]
            if unpack_from("<I", said.body)[0] == Constructor.MSG_CONTAINER:
                messages = parse_container(said.body, 1024)
            for message in messages:
                if unpack_from("<I", message.body)[0] == wanted:
                    return message
        raise LinkEnded

    def ping(self, session: ClientSession) -> None:
        """Wait until all that was sent before is done with: for the pong of a ping."""
        self.send([session.encrypt(Ping(1).pack(), now())])
        self.await_message(session, Constructor.PONG)


def known_client(target: Target, session: ClientSession, receive_buffer: int = 0) -> Client:
    """Return a new connection on which the gateway knows the session's key already."""
    client = Client(target, receive_buffer)
    client.ping(session)
    return client


def same_key(session: ClientSession) -> ClientSession:
    """Return another session with the key of one."""
    return ClientSession(session.key, session.salt, os.urandom)


def gzipped(body: bytes) -> bytes:
    """Return gzip_packed of an object."""
    return pack_uint32(Constructor.GZIP_PACKED) + pack_string(gzip.compress(body, 9))


def gzipped_zeros(count: int) -> bytes:
    """Return the gzip stream of so many zeros, in pieces so that memory does not hold them."""
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    step = 1 << 20
    return b"".join(packer.compress(bytes(step)) for _ in range(count // step)) + packer.flush()


def container(session: ClientSession, bodies: Iterable[bytes]) -> bytes:
    """Return a msg_container of new messages of the session."""
    return pack_container(
        [
            ContainedMessage(session.next_msg_id(now()), session.next_seq_no(True), body)
            for body in bodies
        ]
    )


def head(size: int) -> bytes:
    """Return the head of an intermediate packet of so many bytes."""
    return pack("<I", size)
