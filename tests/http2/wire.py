"""Frames by hand, and both roles joined in memory."""

from typing import NamedTuple

from hpack import Encoder
from twisted.trial.unittest import SynchronousTestCase

from gnetway.http2 import frames
from gnetway.http2.client import ClientConnection, request_fields
from gnetway.http2.connection import Connection
from gnetway.http2.frames import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    ErrorCode,
    Http2Error,
    pack_frame,
)
from gnetway.http2.heads import Field
from gnetway.http2.server import ServerConnection
from gnetway.http2.stream import CallsAnswered, CallsReceived, Event, Settled, Stream, StreamEnded

MIB = 1 << 20
CALL = "/test.Service/call"
STREAM = "/test.Service/stream"
REQUEST: list[Field] = [
    (b":method", b"POST"),
    (b":scheme", b"http"),
    (b":path", STREAM.encode()),
    (b":authority", b"here"),
    (b"content-type", b"application/grpc"),
    (b"te", b"trailers"),
]
SETTINGS_ACK = pack_frame(SETTINGS, ACK, 0, b"")
EMPTY_SETTINGS = pack_frame(SETTINGS, 0, 0, b"")


class Frame(NamedTuple):
    kind: int
    flags: int
    stream_id: int
    payload: bytes


def parse(data: bytes) -> list[Frame]:
    """Return the frames in ``data``, which has to end with one; a preface is skipped."""
    found = []
    data = data.removeprefix(PREFACE)
    while data:
        word, flags, stream_id = frames.FRAME_HEAD.unpack_from(data)
        found.append(Frame(word & 0xFF, flags, stream_id, data[9 : 9 + (word >> 8)]))
        assert len(data) >= 9 + (word >> 8)
        data = data[9 + (word >> 8) :]
    return found


def block(fields: list[Field]) -> bytes:
    """Return fields as a block that does not depend on any before it."""
    encoder = Encoder()
    encoder.header_table_size = 0
    encoder.table_size_changes = []
    return encoder.encode(fields)


def headers(
    fields: list[Field], stream_id: int = 1, flags: int = END_HEADERS, prefix: bytes = b""
) -> bytes:
    return pack_frame(HEADERS, flags, stream_id, prefix + block(fields))


def message(payload: bytes) -> bytes:
    """Return a gRPC message with its prefix."""
    return frames.MESSAGE_PREFIX.pack(0, len(payload)) + payload


def data(payload: bytes, stream_id: int = 1, flags: int = 0) -> bytes:
    return pack_frame(DATA, flags, stream_id, payload)


def events(connection: Connection) -> list[Event]:
    """Return what was told, but for the server's first word, which each client hears once."""
    found: list[Event] = []
    while (event := connection.next_event()) is not None:
        if not isinstance(event, Settled):
            found.append(event)
    return found


def called(told: list[Event]) -> list[Stream]:
    """Return the calls that a server was told of, and nothing else."""
    calls: list[Stream] = []
    for event in told:
        assert isinstance(event, CallsReceived), event
        calls += event.streams
    return calls


def one_by_one(told: list[Event]) -> list[Event]:
    """Return a client's events with an end for each stream, whichever way it was told."""
    found: list[Event] = []
    for event in told:
        if isinstance(event, CallsAnswered):
            found += [StreamEnded(stream, 0, "") for stream in event.streams]
        else:
            found.append(event)
    return found


def output(connection: Connection) -> bytes:
    """Return all that there is to send."""
    sent = b""
    while part := connection.sender.data_to_send():
        sent += part
    return sent


def hand_over(connection: Connection, received: bytes) -> None:
    """Have a connection receive, in as many turns as it takes."""
    connection.parser.receive(received)
    while connection.parser.put_off:
        connection.parser.go_on()


class ConnectionCase(SynchronousTestCase):
    """A connection under test, its peer by hand."""

    connection: Connection

    def sent(self) -> list[Frame]:
        """Return the frames put out since the last look."""
        return parse(output(self.connection))

    def receive(self, *frames: bytes) -> list[Event]:
        """Hand over frames and return the events."""
        hand_over(self.connection, b"".join(frames))
        return events(self.connection)

    def assert_connection_error(self, code: ErrorCode, *frames: bytes) -> None:
        """The frames end the connection with that code, and the peer is told."""
        self.connection.parser.receive(b"".join(frames))
        error = self.assertRaises(Http2Error, events, self.connection)
        self.assertEqual(error.code, code)
        last = self.sent()[-1]
        self.assertEqual((last.kind, last.payload[4:8]), (GOAWAY, code.to_bytes(4, "big")))
        self.assertTrue(self.connection.failed)
        self.assertEqual(self.receive(b"anything"), [])

    def assert_stream_error(self, code: ErrorCode, stream_id: int, *frames: bytes) -> list[Event]:
        """The frames end the stream with that code and leave the connection; return the events."""
        found = self.receive(*frames)
        resets = [frame for frame in self.sent() if frame.kind == RST_STREAM]
        self.assertEqual(resets, [Frame(RST_STREAM, 0, stream_id, code.to_bytes(4, "big"))])
        self.assertNotIn(stream_id, self.connection.streams)
        self.assertFalse(self.connection.failed)
        return found


class ServerCase(ConnectionCase):
    """A server whose client has sent its preface; both sides' settings are acknowledged."""

    max_streams = 100
    max_message_bytes = MIB

    def setUp(self) -> None:
        self.server = ServerConnection({CALL}, self.max_message_bytes, self.max_streams)
        self.connection = self.server.core
        self.server.core.output.resume()
        self.receive(PREFACE, EMPTY_SETTINGS, SETTINGS_ACK)
        self.sent()

    def open(self, path: str = STREAM, stream_id: int = 1, *, end: bool = False) -> Stream:
        """Open a stream."""
        fields = [(name, path.encode() if name == b":path" else value) for name, value in REQUEST]
        flags = END_HEADERS | (END_STREAM if end else 0)
        self.receive(headers(fields, stream_id, flags))
        return self.server.core.streams[stream_id]


class ClientCase(ConnectionCase):
    """A client whose server has sent and acknowledged settings."""

    def setUp(self) -> None:
        self.client = ClientConnection(MIB)
        self.connection = self.client.core
        self.client.core.output.resume()
        self.receive(EMPTY_SETTINGS, SETTINGS_ACK)
        self.sent()

    def open(self, path: str = STREAM) -> Stream:
        """Open a stream; it is unary if the path is CALL."""
        stream = Stream(None, path, unary=path == CALL)
        self.client.open(stream, request_fields(path, "here"))
        return stream


class Pair:
    """A client and a server joined; ``cut`` is how many bytes arrive at a time."""

    def __init__(self, cut: int = 1 << 30, max_message_bytes: int = MIB) -> None:
        self.cut = cut
        self.client = ClientConnection(max_message_bytes)
        self.server = ServerConnection({CALL}, max_message_bytes, 1000)
        self.client.core.output.resume()
        self.server.core.output.resume()
        self.client_events: list[Event] = []
        self.server_events: list[Event] = []

    def open(self, path: str = STREAM, timeout_seconds: float = 0.0) -> Stream:
        stream = Stream(None, path, unary=path == CALL)
        self.client.open(stream, request_fields(path, "here", timeout_seconds=timeout_seconds))
        return stream

    def run(self) -> None:
        """Carry bytes until neither side has any more."""
        while self._carry(self.client.core, self.server.core) | self._carry(
            self.server.core, self.client.core
        ):
            self.client_events += events(self.client.core)
            self.server_events += events(self.server.core)

    def _carry(self, source: Connection, target: Connection) -> bool:
        sent = output(source)
        for start in range(0, len(sent), self.cut):
            hand_over(target, sent[start : start + self.cut])
        return bool(sent)
