"""What the players share: connections that can be cut and joined at will, and messages taken apart.

A *line* is what an application has for a connection: a stream, TCP or WebSocket, with the framing
on it, or HTTP, where each packet is a request. Both are spoken to in packets.
"""

import gzip
import os
import socket
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Mapping
from enum import Enum
from http.client import HTTPConnection
from struct import pack, unpack_from
from typing import NamedTuple, Self

from gnetway.codec.obfuscated2 import ObfuscatedStreams, make_header
from gnetway.crypto.aes import CtrStream
from gnetway.testing import ClientLink, ClientSession, Framing, QuickAck, Style
from gnetway.tl.primitives import Constructor, Reader, pack_string, pack_uint32
from gnetway.tl.service_messages import (
    ContainedMessage,
    RpcErrorObject,
    RpcResult,
    pack_container,
    parse_container,
)
from tests.live.client import Stream, now
from tests.live.web.listeners import WebSocketStream

#: A connection that says nothing for so long will not say anything.
PATIENCE_SECONDS = 20.0

OBFUSCATED_ABRIDGED = Style(Framing.ABRIDGED, True)

#: How an application may come.
TCP, WEBSOCKET, HTTP = "TCP", "WebSocket", "HTTP"


class Ended(Exception):
    """The gateway has closed the connection."""


class TransportError(Exception):
    """A transport error instead of a packet; over HTTP also a status without one, as 503."""

    def __init__(self, code: int) -> None:
        super().__init__(str(code))
        self.code = code


class Silence(Exception):
    """Nothing has come in the time given for it."""


class Message(NamedTuple):
    """One message of the server's, containers and gzip_packed taken off."""

    msg_id: int
    seq_no: int
    body: bytes

    @property
    def kind(self) -> int:
        return int(unpack_from("<I", self.body)[0])

    @property
    def error(self) -> tuple[int, str] | None:
        """Code and text of an rpc_error, None for any other result."""
        if self.kind != Constructor.RPC_RESULT:
            return None
        result = RpcResult.parse(self.body).result
        if unpack_from("<I", result)[0] != Constructor.RPC_ERROR:
            return None
        found = RpcErrorObject.parse(result)
        return found.code, found.text


def flat(msg_id: int, seq_no: int, body: bytes) -> Iterator[Message]:
    """Yield the messages that one holds."""
    kind = unpack_from("<I", body)[0]
    if kind == Constructor.MSG_CONTAINER:
        for inner in parse_container(body, 1024):
            yield from flat(*inner)
    elif kind == Constructor.GZIP_PACKED:
        yield from flat(msg_id, seq_no, gzip.decompress(Reader(body, 4).string()))
    else:
        yield Message(msg_id, seq_no, body)


def gzipped(body: bytes) -> bytes:
    return pack_uint32(Constructor.GZIP_PACKED) + pack_string(gzip.compress(body))


def with_layer(query: bytes, layer: int = 214) -> bytes:
    """Return invokeWithLayer(initConnection(query))."""
    strings = ("phone", "system", "1.0", "en", "", "en")
    head = pack("<IIII", Constructor.INVOKE_WITH_LAYER, layer, Constructor.INIT_CONNECTION, 0)
    return head + pack("<I", 4) + b"".join(pack_string(s.encode()) for s in strings) + query


def contained(session: ClientSession, *bodies: bytes, msg_id: int = 0) -> list[ContainedMessage]:
    """Number bodies for a container; the first takes ``msg_id`` if it is given."""
    messages = []
    for body in bodies:
        mine = msg_id or session.next_msg_id(now())
        messages.append(ContainedMessage(mine, session.next_seq_no(is_content(body)), body))
        msg_id = 0
    return messages


def pack_contained(session: ClientSession, messages: list[ContainedMessage]) -> bytes:
    """Return the packet of a container."""
    body = pack_container(messages)
    return session.encrypt_message(session.next_msg_id(now()), session.next_seq_no(False), body)


def is_content(body: bytes) -> bool:
    """Whether the server is to acknowledge the message."""
    kind = unpack_from("<I", body)[0]
    return kind not in (Constructor.MSGS_ACK, Constructor.HTTP_WAIT, Constructor.MSG_CONTAINER)


class AppSession(ClientSession):
    """A session whose messages are padded as applications do: at random, by whole blocks."""

    def encrypt_message(self, msg_id: int, seq_no: int, body: bytes) -> bytes:
        head = pack("<qqqii", self.salt, self.session_id, msg_id, seq_no, len(body))
        plaintext = head + body
        least = 12 + (4 - len(plaintext)) % 16
        return self.seal(plaintext + os.urandom(least + os.urandom(1)[0] % 14 * 16))


def plain(body: bytes, msg_id: int) -> bytes:
    """Return an unencrypted packet."""
    return pack("<qqi", 0, msg_id, len(body)) + body


class MessageIds:
    """Rising ids by a clock that may be wrong by ``seconds``."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self._last = 0

    def __call__(self) -> int:
        self._last = max(int((now() + self.seconds) * 2**32) & ~3, self._last + 4)
        return self._last


# -- streams -----------------------------------------------------------------------------------


class Begin(Enum):
    """How a stream begins: at random as most do, or as one in 256 of those that do not avoid it."""

    ANY = "any"
    LIKE_ABRIDGED = "0xef"


def header_like_abridged(tag: bytes, dc_id: int) -> tuple[bytes, ObfuscatedStreams]:
    """Make an obfuscated header that begins as plain abridged does, with 0xef."""
    draft = b"\xef" + os.urandom(55) + tag + pack("<h", dc_id) + os.urandom(2)
    secret = draft[8:56]
    sent, got = (CtrStream(half[:32], half[32:]) for half in (secret, secret[::-1]))
    return draft[:56] + sent.update(draft)[56:], ObfuscatedStreams(tag, dc_id, got, sent)


class AppEnd(ClientLink):
    """The framing of an application: its own dc stands in the obfuscated header."""

    def __init__(self, style: Style, dc_id: int, begin: Begin = Begin.ANY) -> None:
        super().__init__(style, os.urandom)
        if style.obfuscated:
            tag = style.framing.value
            self._begin, self._streams = (
                make_header(tag, dc_id, os.urandom)
                if begin is Begin.ANY
                else header_like_abridged(tag, dc_id)
            )


class Closing(ABC):
    """A line is closed at the end of its block."""

    @abstractmethod
    def close(self) -> None:
        """Close the connection."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class StreamLine(Closing):
    """A line over a stream; ``quick_acks`` keeps the tokens that came while packets were read."""

    def __init__(self, stream: Stream, end: ClientLink) -> None:
        self.stream = stream
        self.end = end
        self.quick_acks: list[int] = []
        self._got: deque[bytes | QuickAck] = deque()

    def send(self, *packets: bytes, quick_ack: bool = False) -> None:
        """Send packets in one segment."""
        self.write(self.wire(*packets, quick_ack=quick_ack))

    def wire(self, *packets: bytes, quick_ack: bool = False) -> bytes:
        """Return the bytes of packets, which are to be written next."""
        return b"".join(self.end.packet(packet, quick_ack) for packet in packets)

    def write(self, data: bytes) -> None:
        try:
            self.stream.sendall(data)
        except OSError as error:
            raise Ended from error

    def next(self, seconds: float = PATIENCE_SECONDS) -> bytes | QuickAck:
        """Return the next packet or quick ack.

        :raises Ended: there is none any more.
        :raises Silence: none has come in time.
        :raises TransportError: it is one.
        """
        until = time.monotonic() + seconds
        while not self._got:
            self._read(until)
        got = self._got.popleft()
        if isinstance(got, bytes) and len(got) < 8:
            raise TransportError(unpack_from("<i", got)[0])
        return got

    def packet(self, seconds: float = PATIENCE_SECONDS) -> bytes:
        """Return the next packet; quick acks before it are noted."""
        while not isinstance(got := self.next(seconds), bytes):
            self.quick_acks.append(got.token)
        return got

    def _read(self, until: float) -> None:
        self.stream.settimeout(max(0.001, until - time.monotonic()))
        try:
            data = self.stream.recv(1 << 16)
        except TimeoutError as error:
            raise Silence from error
        except OSError as error:
            raise Ended from error
        if not data:
            raise Ended
        self._got.extend(self.end.receive(data))

    def close(self) -> None:
        self.stream.close()


# -- HTTP --------------------------------------------------------------------------------------


class HttpLine(Closing):
    """A line over HTTP: each packet is a POST on a connection that is kept open.

    ``quick_acks`` is there for what stands in for a stream, and stays empty.
    """

    def __init__(self, port: int, path: str = "/api") -> None:
        self.quick_acks: list[int] = []
        self._connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
        self._path = path
        self._answers: deque[tuple[int, bytes]] = deque()

    def send(self, *packets: bytes, quick_ack: bool = False) -> None:
        """Ask, and keep the answers; the next packet waits for them."""
        for packet in packets:
            try:
                self._connection.request("POST", self._path, packet, _HEADERS)
                answer = self._connection.getresponse()
                self._answers.append((answer.status, answer.read()))
            except TimeoutError as error:
                raise Silence from error
            except OSError as error:
                raise Ended from error

    @property
    def waiting(self) -> bool:
        """Whether there are answers that were not taken."""
        return bool(self._answers)

    def answer(self) -> tuple[int, bytes]:
        """Return status and body of the oldest answer that was not taken."""
        return self._answers.popleft()

    def packet(self, seconds: float = PATIENCE_SECONDS) -> bytes:
        """Return the next packet.

        :raises Silence: nothing was asked.
        :raises TransportError: the answer tells one, or has another status than 200.
        """
        while self._answers:
            status, body = self.answer()
            if len(body) == 4:
                raise TransportError(unpack_from("<i", body)[0])
            if status != 200:
                raise TransportError(-status)
            if body:
                return body
        raise Silence

    def close(self) -> None:
        self._connection.close()


_HEADERS: Mapping[str, str] = {"Content-Type": "application/octet-stream"}

Line = StreamLine | HttpLine


def connect(
    port: int,
    way: str = TCP,
    dc_id: int = 2,
    begin: Begin = Begin.ANY,
    source: str = "127.0.0.1",
    style: Style = OBFUSCATED_ABRIDGED,
) -> Line:
    """Connect to a port that speaks everything."""
    if way == HTTP:
        return HttpLine(port)
    return connect_stream(port, way, dc_id, begin, source, style)


def connect_stream(
    port: int,
    way: str = TCP,
    dc_id: int = 2,
    begin: Begin = Begin.ANY,
    source: str = "127.0.0.1",
    style: Style = OBFUSCATED_ABRIDGED,
) -> StreamLine:
    """Connect by TCP or WebSocket."""
    raw = socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS, (source, 0))
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    stream: Stream = WebSocketStream(raw) if way == WEBSOCKET else raw
    return StreamLine(stream, AppEnd(style, dc_id, begin))
