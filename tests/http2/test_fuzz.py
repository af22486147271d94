"""Whatever comes, the only error is Http2Error, and the windows and streams stay sound."""

from hypothesis import given, settings
from hypothesis.strategies import DataObject, binary, builds, integers, lists, sampled_from
from hypothesis.strategies import data as draws
from twisted.trial.unittest import SynchronousTestCase

from gnetway.http2.client import ClientConnection, request_fields
from gnetway.http2.frames import PREFACE, Http2Error, pack_frame
from gnetway.http2.server import ServerConnection
from gnetway.http2.stream import (
    CLOSED,
    CallsReceived,
    Stream,
    StreamEnded,
    StreamOpened,
    StreamUnprocessed,
)
from tests.http2.wire import (
    CALL,
    EMPTY_SETTINGS,
    MIB,
    REQUEST,
    SETTINGS_ACK,
    block,
    events,
    message,
    one_by_one,
)
from tests.http2.wire import output as all_output

_HEAD = block([(b":status", b"200"), (b"content-type", b"application/grpc")])
_TRAILERS = block([(b"grpc-status", b"0")])
_PAYLOADS = sampled_from(
    [block(REQUEST), _HEAD, _TRAILERS, message(b"hello"), message(b""), bytes(8), bytes(4), b""]
)
_FRAMES = builds(
    pack_frame,
    integers(0, 10),
    sampled_from([0, 1, 4, 5, 5, 8, 0x20, 0x2D]) | integers(0, 255),
    sampled_from([0, 1, 1, 3, 3, 5, 7]) | integers(0, 2**32 - 1),
    _PAYLOADS | _PAYLOADS | binary(max_size=40),
)
_STREAMS = lists(_FRAMES, max_size=30).map(b"".join) | binary(max_size=200)


class FuzzTests(SynchronousTestCase):
    def feed(self, role: ClientConnection | ServerConnection, wire: bytes, cut: int) -> None:
        """Hand over bytes, answering what can be answered."""
        connection = role.core
        ended: set[int] = set()
        for start in range(0, len(wire), cut):
            connection.parser.receive(wire[start : start + cut])
            try:
                for event in one_by_one(events(connection)):
                    if isinstance(event, StreamEnded | StreamUnprocessed):
                        self.assertNotIn(id(event.stream), ended)
                        ended.add(id(event.stream))
                        self.kept.append(event.stream)
                    elif isinstance(role, ServerConnection):
                        self.answer(role, event)
            except Http2Error:
                self.assertTrue(connection.failed)
            all_output(connection)
        for stream in connection.streams.values():
            self.assertIsNot(stream.state, CLOSED)

    def answer(self, server: ServerConnection, event: object) -> None:
        if isinstance(event, CallsReceived):
            for stream in event.streams:
                server.reply(stream, stream.message)
        elif isinstance(event, StreamOpened):
            server.begin(event.stream)
            server.core.sender.send(event.stream, bytes(100))

    @settings(max_examples=400)
    @given(wire=_STREAMS, cut=integers(1, 300), draw=draws())
    def test_server(self, wire: bytes, cut: int, draw: DataObject) -> None:
        self.kept: list[Stream] = []
        server = ServerConnection(
            {CALL, "/test.Service/stream"} if draw.draw(integers(0, 1)) else (), MIB, 4
        )
        server.core.output.resume()
        self.feed(server, PREFACE + EMPTY_SETTINGS + SETTINGS_ACK + wire, cut)

    @settings(max_examples=400)
    @given(wire=_STREAMS, cut=integers(1, 300))
    def test_client(self, wire: bytes, cut: int) -> None:
        self.kept = []
        client = ClientConnection(MIB)
        client.core.output.resume()
        for path in (CALL, "/a", CALL):
            stream = Stream(None, path, unary=path == CALL)
            client.open(stream, request_fields(path, "here"))
            if path == CALL:
                client.core.sender.send_last(stream, bytes(40_000))
            else:
                client.core.sender.send(stream, bytes(40_000))
        self.feed(client, EMPTY_SETTINGS + SETTINGS_ACK + wire, cut)

    @given(wire=binary(max_size=100))
    def test_anything_in_place_of_a_preface(self, wire: bytes) -> None:
        self.kept = []
        self.feed(ServerConnection((), MIB, 4), wire, 7)
        self.feed(ClientConnection(MIB), wire, 7)
