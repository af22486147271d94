"""A client that waits for each answer: over a blocking socket, or whatever stands for one."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from struct import unpack_from
from typing import Final, Protocol

from gnetway.errors import RpcError
from gnetway.testing.checks import PeerError
from gnetway.testing.exchange import (
    ClientExchange,
    PublicKey,
    Wish,
    open_plain_packet,
    plain_packet,
)
from gnetway.testing.http import HttpLink
from gnetway.testing.link import ClientLink, QuickAck
from gnetway.testing.session import ClientSession
from gnetway.testing.websocket import WebSocketEnd
from gnetway.tl.primitives import Constructor, Reader, pack_int32, pack_uint32
from gnetway.tl.service_messages import (
    BadMsgNotification,
    BadServerSalt,
    ContainedMessage,
    HttpWait,
    MsgsAck,
    Ping,
    Pong,
    RpcErrorObject,
    RpcResult,
    parse_container,
)
from gnetway.tl.unwrap import UnwrapBudget, UnwrapLimits, gunzip

RandomBytes = Callable[[int], bytes]

_RECEIVE_BYTES: Final = 1 << 16

#: Pushes that are kept; the oldest go.
_MAX_PUSHES: Final = 1024

#: Bytes of an unpacked answer.
_MAX_UNPACKED_BYTES: Final = 16 * 1024 * 1024

#: What a server says of messages, and not to the user.
_SERVICE: Final = frozenset(
    (
        Constructor.RPC_RESULT,
        Constructor.MSGS_ACK,
        Constructor.PONG,
        Constructor.NEW_SESSION_CREATED,
        Constructor.FUTURE_SALTS,
        Constructor.MSGS_STATE_INFO,
        Constructor.MSG_DETAILED_INFO,
        Constructor.MSG_NEW_DETAILED_INFO,
        Constructor.BAD_SERVER_SALT,
        Constructor.BAD_MSG_NOTIFICATION,
    )
)

#: Messages that are taken from one container.
_MAX_MESSAGES: Final = 1024

#: Asks, over HTTP, for whatever there is to say, within 25 s: what clients have.
_WAIT: Final = HttpWait(0, 0, 25_000).pack()


def _result(result: bytes) -> bytes:
    """Return the object in an rpc_result, unpacked.

    :raises RpcError: it is an rpc_error.
    """
    if unpack_from("<I", result)[0] == Constructor.GZIP_PACKED:
        limits = UnwrapLimits(max_unpacked_bytes=_MAX_UNPACKED_BYTES)
        result = gunzip(Reader(result, 4).string(), UnwrapBudget(limits))
    if unpack_from("<I", result)[0] == Constructor.RPC_ERROR:
        error = RpcErrorObject.parse(result)
        raise RpcError(error.code, error.text)
    return result


class Stream(Protocol):
    """What is used of a socket."""

    def sendall(self, data: bytes, /) -> object:
        """Send all of it."""

    def recv(self, size: int, /) -> bytes:
        """Return what has come, up to ``size`` bytes; nothing at the end."""


class LinkEnded(Exception):
    """The server has closed the connection instead of answering."""


class TransportErrorReceived(Exception):
    """The server has answered by a transport error; ``code`` is the negative number."""

    def __init__(self, code: int) -> None:
        super().__init__(f"transport error {code}")
        self.code = code


class ClientTalk:
    """One connection over ``stream``, where ``websocket`` is given as a WebSocket.

    Over HTTP the connection is kept for all requests.

    ``now`` returns Unix seconds. What ``stream`` raises, such as TimeoutError, comes out of every
    method, and so do LinkEnded, TransportErrorReceived, and PeerError for what a server must not
    send.
    """

    def __init__(
        self,
        stream: Stream,
        link: ClientLink | HttpLink,
        random_bytes: RandomBytes,
        now: Callable[[], float],
        websocket: WebSocketEnd | None = None,
    ) -> None:
        self._stream = stream
        self._link = link
        self._random_bytes = random_bytes
        self._now = now
        self._websocket = websocket
        self._got: deque[bytes | QuickAck] = deque()
        #: Updates and whatever else came beside answers, TL objects, the oldest first.
        self.pushes: deque[bytes] = deque(maxlen=_MAX_PUSHES)
        #: Seconds by which the server's clock is before ours.
        self._ahead = 0.0

    def open(self, host: str, origin: str = "") -> None:
        """Begin the WebSocket, if it is one; ``host`` and ``origin`` are for its fields."""
        if self._websocket is not None:
            self._stream.sendall(self._websocket.opening(host, origin=origin))

    def make_key(self, keys: Iterable[PublicKey], wish: Wish | None = None) -> ClientSession:
        """Make an auth key with a server that has one of ``keys``, and return a session with it."""
        exchange = ClientExchange(keys, self._random_bytes, wish)
        query: bytes | None = exchange.begin()
        while query is not None:
            self._send(plain_packet(query, self._now()))
            query = exchange.receive(open_plain_packet(self._packet()))
        assert exchange.key is not None, "the exchange is over"
        self._ahead = exchange.server_time - self._now()
        return ClientSession(exchange.key, exchange.salt, self._random_bytes)

    def ping(self, session: ClientSession, ping_id: int) -> None:
        """Send a ping and wait for its pong; a bad_server_salt is obeyed once."""
        self._send_ping(session, ping_id)
        salted = False
        for message in self._messages(session):
            body = message.body
            kind = unpack_from("<I", body)[0]
            if kind == Constructor.PONG and Pong.parse(body).ping_id == ping_id:
                return
            if kind == Constructor.BAD_SERVER_SALT and not salted:
                session.salt, salted = BadServerSalt.parse(body).new_server_salt, True
                self._send_ping(session, ping_id)
            elif kind == Constructor.BAD_MSG_NOTIFICATION:
                code = BadMsgNotification.parse(body).error_code
                raise PeerError(f"bad_msg_notification {code} for a sound ping")

    def call(self, session: ClientSession, body: bytes, layer: int = 0) -> bytes:
        """Call a method by its TL object, and return the answer's.

        ``layer`` is what the client says that it speaks, 0 to say nothing. What the server says
        beside the answer goes into ``pushes``. All of it is acknowledged, but over HTTP. A
        bad_server_salt is obeyed once.

        :raises RpcError: the answer is an rpc_error.
        """
        if layer:
            body = pack_uint32(Constructor.INVOKE_WITH_LAYER) + pack_int32(layer) + body
        self._send(session.encrypt(body, self._now() + self._ahead))
        asked, salted = session.msg_id, False
        for message in self._acknowledged(session):
            kind = unpack_from("<I", message.body)[0]
            if kind == Constructor.RPC_RESULT:
                answer = RpcResult.parse(message.body)
                if answer.req_msg_id == asked:
                    return _result(answer.result)
            elif kind == Constructor.BAD_SERVER_SALT and not salted:
                salted, session.salt = True, BadServerSalt.parse(message.body).new_server_salt
                self._send(session.encrypt(body, self._now() + self._ahead))
                asked = session.msg_id
            elif kind == Constructor.BAD_MSG_NOTIFICATION:
                code = BadMsgNotification.parse(message.body).error_code
                raise PeerError(f"bad_msg_notification {code} for a sound call")
            elif kind not in _SERVICE:
                self.pushes.append(message.body)
        raise AssertionError("the server's words have no end")

    def next_push(self, session: ClientSession) -> bytes:
        """Return the oldest of ``pushes``, or the next one to come, and acknowledge it."""
        messages = self._acknowledged(session)
        while not self.pushes:
            message = next(messages)
            if unpack_from("<I", message.body)[0] not in _SERVICE:
                self.pushes.append(message.body)
        return self.pushes.popleft()

    def _send_ping(self, session: ClientSession, ping_id: int) -> None:
        # No server counts a ping as content, but clients do.
        self._send(session.encrypt(Ping(ping_id).pack(), self._now() + self._ahead))

    def _send(self, packet: bytes) -> None:
        wire = self._link.packet(packet)
        self._stream.sendall(wire if self._websocket is None else self._websocket.frame(wire))

    def _acknowledged(self, session: ClientSession) -> Iterator[ContainedMessage]:
        """Yield what the server says, and acknowledge what is to be, each message first."""
        for message in self._messages(session):
            if message.seq_no % 2 and not isinstance(self._link, HttpLink):
                acks = MsgsAck([message.msg_id]).pack()
                self._send(session.encrypt(acks, self._now() + self._ahead, False))
            yield message

    def _messages(self, session: ClientSession) -> Iterator[ContainedMessage]:
        """Yield what the server says, containers taken apart."""
        while True:
            if isinstance(self._link, HttpLink) and not self._link.unanswered and not self._got:
                self._send(session.encrypt(_WAIT, self._now() + self._ahead, False))
            said = session.decrypt(self._packet())
            if unpack_from("<I", said.body)[0] == Constructor.MSG_CONTAINER:
                yield from parse_container(said.body, _MAX_MESSAGES)
            else:
                yield ContainedMessage(said.msg_id, said.seq_no, said.body)

    def _packet(self) -> bytes:
        """Return the next packet that is no transport error; quick acks are passed over."""
        while True:
            while not self._got:
                self._got.extend(self._link.receive(self._receive()))
            packet = self._got.popleft()
            if isinstance(packet, bytes):
                break
        # Padded framing may have up to 15 bytes behind it.
        if 4 <= len(packet) < 20:
            raise TransportErrorReceived(unpack_from("<i", packet)[0])
        return packet

    def _receive(self) -> bytes:
        data = self._stream.recv(_RECEIVE_BYTES)
        if not data:
            raise LinkEnded
        if self._websocket is None:
            return data
        carried = self._websocket.receive(data)
        if self._websocket.answers:
            self._stream.sendall(self._websocket.answers)
            self._websocket.answers = b""
        return carried
