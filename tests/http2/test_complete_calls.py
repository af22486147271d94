"""Calls that come whole are taken together, and fare no differently from others."""

from collections.abc import Callable
from unittest.mock import patch

from hypothesis import example, given
from hypothesis.strategies import integers, lists, sampled_from, tuples
from twisted.trial.unittest import SynchronousTestCase

from gnetway.http2.client import ClientConnection, request_fields
from gnetway.http2.connection import Connection
from gnetway.http2.frames import (
    CONNECTION_WINDOW_BYTES,
    END_HEADERS,
    END_STREAM,
    MAX_31_BITS,
    PADDED,
    PING,
    PREFACE,
    Http2Error,
    Setting,
    pack_frame,
    pack_reset,
    pack_settings,
    pack_window_update,
)
from gnetway.http2.heads import Field
from gnetway.http2.server import ServerConnection
from gnetway.http2.stream import (
    CallsAnswered,
    CallsReceived,
    Event,
    MessagesReceived,
    Settled,
    Stream,
    StreamEnded,
)
from tests.http2.wire import (
    CALL,
    EMPTY_SETTINGS,
    REQUEST,
    SETTINGS_ACK,
    STREAM,
    ClientCase,
    Frame,
    ServerCase,
    data,
    headers,
    message,
    one_by_one,
    output,
    parse,
)

LIMIT = 300
ENDING = END_HEADERS | END_STREAM
HEAD: list[Field] = [(b":status", b"200"), (b"content-type", b"application/grpc")]
OK: list[Field] = [(b"grpc-status", b"0")]
SIZES = sampled_from([0, 1, 20, LIMIT, LIMIT + 1, 70_000])

#: What came of some bytes: events, answers, streams that are left, windows.
Outcome = tuple[list[object], list[Frame], list[object], int]


def request(*more: Field, path: str = CALL) -> list[Field]:
    fields = [(name, path.encode() if name == b":path" else value) for name, value in REQUEST]
    return [*fields, (b"grpc-timeout", b"5S"), *more]


def opening(number: int, *more: Field) -> bytes:
    return headers(request(*more), number)


#: Requests by what is unusual about them, of a stream's number and a message with its prefix.
UNUSUAL_CALLS: dict[str, Callable[[int, bytes], bytes]] = {
    "stream": lambda number, sent: headers(request(path=STREAM), number) + data(sent, number, 1),
    "open": lambda number, sent: opening(number) + data(sent, number),
    "two": lambda number, sent: opening(number) + data(sent, number) + data(sent, number, 1),
    "halves": lambda number, sent: (
        opening(number) + data(sent[:3], number) + data(sent[3:], number, 1)
    ),
    "padded": lambda number, sent: (
        opening(number) + data(b"\1" + sent + b"\0", number, PADDED | END_STREAM)
    ),
    "compressed": lambda number, sent: opening(number) + data(b"\1" + sent[1:], number, 1),
    "length": lambda number, sent: (
        opening(number, (b"content-length", b"25")) + data(sent, number, 1)
    ),
    "encoding": lambda number, sent: (
        opening(number, (b"grpc-encoding", b"gzip")) + data(sent, number, 1)
    ),
    "timeout": lambda number, sent: (
        headers([*request()[:-1], (b"grpc-timeout", b"soon")], number) + data(sent, number, 1)
    ),
    "get": lambda number, sent: (
        headers([(b":method", b"GET"), *request()[1:]], number) + data(sent, number, 1)
    ),
    "empty": lambda number, sent: headers(request(), number, ENDING),
    "elsewhere": lambda number, sent: opening(number) + data(sent, number + 2, 1),
    "reserved": lambda number, sent: opening(number | MAX_31_BITS + 1) + data(sent, number, 1),
    "given up": lambda number, sent: (
        opening(number) + data(sent, number, 1) + pack_reset(number, 8)
    ),
    "ping": lambda number, sent: (
        opening(number) + pack_frame(PING, 0, 0, bytes(8)) + data(sent, number, 1)
    ),
}


def call_frames(kind: str, number: int, size: int) -> bytes:
    """Return a request."""
    sent = message(b"x" * size)
    if kind in UNUSUAL_CALLS:
        return UNUSUAL_CALLS[kind](number, sent)
    return opening(number) + data(sent, number, END_STREAM)


#: Answers by what is unusual about them, of their head, DATA and trailers.
UNUSUAL_ANSWERS: dict[str, Callable[[int, bytes, bytes, bytes], bytes]] = {
    "two": lambda number, head, body, end: head + body + body + end,
    "halves": lambda number, head, body, end: (
        head + data(body[9:12], number) + data(body[12:], number) + end
    ),
    "padded": lambda number, head, body, end: (
        head + data(b"\1" + body[9:] + b"\0", number, PADDED) + end
    ),
    "compressed": lambda number, head, body, end: head + data(b"\1" + body[10:], number) + end,
    "no trailers": lambda number, head, body, end: head + data(body[9:], number, END_STREAM),
    "status": lambda number, head, body, end: (
        head + body + headers([(b"grpc-status", b"5")], number, ENDING)
    ),
    "text": lambda number, head, body, end: (
        head + body + headers([*OK, (b"grpc-message", b"fine")], number, ENDING)
    ),
    "open": lambda number, head, body, end: head + body + headers(OK, number),
    "html": lambda number, head, body, end: (
        headers([HEAD[0], (b"content-type", b"text/html")], number) + body + end
    ),
    "500": lambda number, head, body, end: (
        headers([(b":status", b"500"), HEAD[1]], number) + body + end
    ),
    "early hints": lambda number, head, body, end: (
        headers([(b":status", b"103")], number) + head + body + end
    ),
    "nothing": lambda number, head, body, end: headers([*HEAD, *OK], number, ENDING),
    "early": lambda number, head, body, end: body + head + body + end,
    "twice": lambda number, head, body, end: head + body + end + head + body + end,
    "elsewhere": lambda number, head, body, end: head + data(body[9:], number + 2) + end,
    "reserved": lambda number, head, body, end: (
        headers(HEAD, number | MAX_31_BITS + 1) + body + end
    ),
    "given up": lambda number, head, body, end: head + body + pack_reset(number, 8),
    "unprocessed": lambda number, head, body, end: pack_reset(number, 7),
    "window": lambda number, head, body, end: head + body + pack_window_update(number, 5) + end,
}


def answer_frames(kind: str, number: int, size: int) -> bytes:
    """Return a response."""
    body = data(message(b"x" * size), number)
    head, end = headers(HEAD, number), headers(OK, number, ENDING)
    if kind in UNUSUAL_ANSWERS:
        return UNUSUAL_ANSWERS[kind](number, head, body, end)
    return head + body + end


CALLS = sampled_from(["usual"] * 10 + sorted(UNUSUAL_CALLS))
ANSWERS = sampled_from(["usual"] * 10 + sorted(UNUSUAL_ANSWERS))


def outcome(connection: Connection, segments: list[bytes]) -> Outcome:
    told: list[object] = []
    try:
        for segment in segments:
            connection.parser.receive(segment)
            while (event := connection.next_event()) is not None:
                told += plain(event)
    except Http2Error as error:
        told.append(error.code)
    left: list[object] = [
        (key, stream.receive_window, stream.state) for key, stream in connection.streams.items()
    ]
    return told, parse(output(connection)), left, connection.receiver.window


def plain(event: Event) -> list[object]:
    """Return what an event tells, whichever way it does."""
    if isinstance(event, Settled):
        return []
    if isinstance(event, CallsReceived):
        return [state("call", stream) for stream in event.streams]
    if isinstance(event, MessagesReceived):
        return [(event.stream.id, sent) for sent in event.messages]
    (event, *more) = one_by_one([event])
    if isinstance(event, StreamEnded):
        ends = [end for end in (event, *more) if isinstance(end, StreamEnded)]
        return [(*state("end", end.stream), end.status, end.text) for end in ends]
    return [type(event).__name__]


def state(what: str, stream: Stream) -> tuple[object, ...]:
    return what, stream.id, stream.path, stream.message, stream.head.timeout_seconds


def served(segments: list[bytes], max_streams: int) -> Outcome:
    server = ServerConnection({CALL}, LIMIT, max_streams)
    server.core.output.resume()
    server.core.parser.receive(PREFACE + EMPTY_SETTINGS + SETTINGS_ACK)
    return outcome(server.core, segments)


def answered(segments: list[bytes], count: int) -> Outcome:
    client = ClientConnection(LIMIT)
    client.core.output.resume()
    client.core.parser.receive(pack_settings([(Setting.MAX_CONCURRENT_STREAMS, 5)]) + SETTINGS_ACK)
    for number in range(count):
        unary = number % 5 != 4
        stream = Stream(None, CALL if unary else STREAM, unary=unary)
        client.call(stream, request_fields(stream.path, "here"), b"request")
    return outcome(client.core, segments)


def general(work: Callable[[list[bytes], int], Outcome], wire: bytes, bound: int) -> Outcome:
    """Do the same with every frame taken alone."""
    with (
        patch.object(ServerConnection, "complete_calls", lambda _, __, position: position),
        patch.object(ClientConnection, "complete_calls", lambda _, __, position: position),
    ):
        return work([wire], bound)


class CompleteCallsTests(SynchronousTestCase):
    @example(steps=[("usual", 2, 1)] * 3 + [("usual", 4, 20), ("given up", 2, 1)], cut=500, most=9)
    @given(
        steps=lists(tuples(CALLS, sampled_from([2, 2, 2, 2, 4, 1, -2]), SIZES), max_size=8),
        cut=integers(1, 500),
        most=integers(1, 9),
    )
    def test_requests(self, steps: list[tuple[str, int, int]], cut: int, most: int) -> None:
        wire, number = b"", 1
        for kind, further, size in steps:
            wire += call_frames(kind, number, size)
            number = max(1, number + further)
        wanted = general(served, wire, most)
        self.assertEqual(served([wire], most), wanted)
        cuts = [wire[start : start + cut] for start in range(0, len(wire), cut)]
        self.assertEqual(served(cuts, most), wanted)

    @example(steps=[("usual", 1)] * 4 + [("no trailers", 1), ("usual", 20)] * 2, cut=500)
    @given(steps=lists(tuples(ANSWERS, SIZES), max_size=8), cut=integers(1, 500))
    def test_answers(self, steps: list[tuple[str, int]], cut: int) -> None:
        wire = b"".join(
            answer_frames(kind, 2 * number + 1, size) for number, (kind, size) in enumerate(steps)
        )
        wanted = general(answered, wire, len(steps))
        self.assertEqual(answered([wire], len(steps)), wanted)
        cuts = [wire[start : start + cut] for start in range(0, len(wire), cut)]
        self.assertEqual(answered(cuts, len(steps)), wanted)


class ServerTests(ServerCase):
    def test_known_requests_are_told_together(self) -> None:
        self.receive(call_frames("usual", 1, 5))
        (event,) = self.receive(*(call_frames("usual", number, 5) for number in (3, 5, 7)))
        assert isinstance(event, CallsReceived)
        self.assertEqual([stream.id for stream in event.streams], [3, 5, 7])

    def test_updates_are_rare(self) -> None:
        """One for half a window, however the requests come."""
        payload = 60_000
        count = CONNECTION_WINDOW_BYTES // payload
        for number in range(count):
            self.receive(call_frames("usual", 2 * number + 1, payload))
            self.server.reply(self.server.core.streams[2 * number + 1], b"")
        updates = [frame for frame in self.sent() if frame.kind == 8]
        self.assertEqual(len(updates), 1)

    def test_no_request_is_looked_at_after_the_last_call(self) -> None:
        self.receive(call_frames("usual", 1, 5))
        self.server.last_call()
        self.assertEqual(self.receive(call_frames("usual", 3, 5)), [])


class ClientTests(ClientCase):
    def call(self) -> Stream:
        stream = Stream(None, CALL, unary=True)
        self.client.call(stream, request_fields(CALL, "here"), b"request")
        return stream

    def test_known_answers_are_told_together(self) -> None:
        self.call()
        self.receive(answer_frames("usual", 1, 5))
        streams = [self.call() for _ in range(3)]
        got = self.receive(*(answer_frames("usual", number, 5) for number in (3, 5, 7)))
        self.assertEqual(got, [CallsAnswered(streams)])
        self.assertEqual([stream.message for stream in streams], [b"xxxxx"] * 3)
        self.assertTrue(self.client.empty)

    def test_an_answer_before_the_request_is_whole(self) -> None:
        """The rest of the request is taken back, as with any other answer."""
        self.call()
        self.receive(answer_frames("usual", 1, 5))
        stream = self.open(CALL)
        self.sent()
        self.assertEqual(self.receive(answer_frames("usual", 3, 5)), [StreamEnded(stream, 0, "")])
        self.assertEqual(self.sent(), parse(pack_reset(3, 0)))

    def test_calls_that_wait_for_a_place(self) -> None:
        """Answers make room for them, however they come."""
        self.receive(pack_settings([(Setting.MAX_CONCURRENT_STREAMS, 2)]))
        for _ in range(5):
            self.call()
        self.receive(answer_frames("usual", 1, 5))
        self.assertEqual(sorted(self.client.core.streams), [3, 5])
        self.sent()
        got = self.receive(answer_frames("usual", 3, 5), answer_frames("usual", 5, 5))
        self.assertEqual([type(event) for event in got], [CallsAnswered])
        self.assertEqual(sorted(self.client.core.streams), [7, 9])
