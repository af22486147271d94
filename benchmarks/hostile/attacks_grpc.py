"""Attacks on the gateway's own gRPC port, ListenOn, by one connection that speaks HTTP/2."""

from struct import iter_unpack, pack, unpack
from typing import Final

from benchmarks.hostile.target import Target
from gnetway.http2.frames import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    FRAME_HEAD,
    HEAD_BYTES,
    HEADERS,
    PREFACE,
    SETTINGS,
    WINDOW_UPDATE,
    Setting,
    pack_frame,
)
from gnetway.http2.heads import encode_field, encode_string
from gnetway.push.server import STREAM_METHOD, UNARY_METHOD
from gnetway.testing.talk import LinkEnded

_MIB: Final = 1 << 20

#: What a receiver takes before it has said anything. Source: RFC 9113 section 6.9.2.
_FIRST_WINDOW: Final = 65_535

#: As many settings as fit into a frame of 64 KiB, which the gateway takes.
_SETTINGS: Final = 10_922

#: About as many as a gateway lets a session node open.
_STREAMS: Final = 17_000

#: A name of one's own stands in the table of HPACK behind the 61 that all have.
_FIRST_OWN_FIELD: Final = b"\xbe"


class _Peer:
    """A client of HTTP/2 that keeps to the windows it is given."""

    def __init__(self, target: Target, receive_buffer: int = 0, acknowledges: bool = True) -> None:
        self.socket = target.connect(target.ports.grpc, receive_buffer)
        self._target = target
        self._acknowledges = acknowledges
        self._buffer = b""
        self._window = _FIRST_WINDOW
        self._windows: dict[int, int] = {}
        self._initial_window = _FIRST_WINDOW
        self.socket.sendall(PREFACE + pack_frame(SETTINGS, 0, 0, b""))

    def open(self, stream_id: int, path: str) -> None:
        """Begin a call."""
        self._windows[stream_id] = self._initial_window
        fields = _fields(encode_field(b":path", path.encode()))
        self.socket.sendall(pack_frame(HEADERS, END_HEADERS, stream_id, fields))

    def send(self, stream_id: int, data: bytes) -> None:
        """Send a frame of data as soon as there is room for it."""
        while min(self._window, self._windows[stream_id]) < len(data):
            if self._target.over:
                return
            self.take()
        self._window -= len(data)
        self._windows[stream_id] -= len(data)
        self.socket.sendall(pack_frame(DATA, 0, stream_id, data))

    def take(self) -> None:
        """Read what has come.

        :raises LinkEnded: the gateway has closed the connection.
        """
        data = self.socket.recv(1 << 16)
        if not data:
            raise LinkEnded
        self._buffer += data
        while len(self._buffer) >= HEAD_BYTES:
            word, flags, stream_id = FRAME_HEAD.unpack_from(self._buffer)
            end = HEAD_BYTES + (word >> 8)
            if len(self._buffer) < end:
                return
            payload, self._buffer = self._buffer[HEAD_BYTES:end], self._buffer[end:]
            self._heard(word & 0xFF, flags, stream_id, payload)

    def _heard(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        if kind == WINDOW_UPDATE and not stream_id:
            self._window += unpack(">I", payload)[0]
        elif kind == WINDOW_UPDATE:
            self._windows[stream_id] += unpack(">I", payload)[0]
        elif kind == SETTINGS and not flags & ACK:
            for number, value in iter_unpack(">HI", payload):
                if number == Setting.INITIAL_WINDOW_SIZE:
                    self._initial_window = value
            if self._acknowledges:
                self.socket.sendall(pack_frame(SETTINGS, ACK, 0, b""))


def _fields(path: bytes) -> bytes:
    """Return the fields of a call; the path stands as HPACK has it."""
    return b"".join(
        (
            encode_field(b":method", b"POST"),
            encode_field(b":scheme", b"http"),
            path,
            encode_field(b":authority", b"x"),
            encode_field(b"content-type", b"application/grpc"),
            encode_field(b"te", b"trailers"),
        )
    )


def long_paths(target: Target) -> None:
    """Make 1,000 calls of a path of 4,000 bytes that is sent once; read no answer."""
    peer = _Peer(target, receive_buffer=4096, acknowledges=False)
    kept = b"\x40" + encode_string(b":path") + encode_string(b"/" + b"\xff" * 3990)
    frames = [
        pack_frame(HEADERS, END_HEADERS | END_STREAM, 2 * number + 1, _fields(path))
        for number, path in enumerate([kept] + [_FIRST_OWN_FIELD] * 1000)
    ]
    peer.socket.sendall(b"".join(frames))
    target.hold()


def unfinished_messages(target: Target) -> None:
    """Send 20 MiB each of twenty messages of 60 MiB, all on one connection."""
    peer = _Peer(target)
    peer.take()
    streams = [2 * number + 1 for number in range(20)]
    for stream_id in streams:
        peer.open(stream_id, UNARY_METHOD)
        peer.send(stream_id, pack(">BI", 0, 60 * _MIB))
        for _ in range(20 * 64):
            peer.send(stream_id, bytes(1 << 14))
    target.hold()


def push_streams(target: Target) -> None:
    """Open 64 streams as session nodes do, and say nothing on them."""
    peer = _Peer(target)
    peer.take()
    for number in range(64):
        peer.open(2 * number + 1, STREAM_METHOD)
    target.hold()


def many_settings(target: Target) -> None:
    """Change the window of as many streams as there may be by 10,922 entries of one SETTINGS."""
    peer = _Peer(target)
    fields = _fields(encode_field(b":path", UNARY_METHOD.encode()))
    streams = (
        pack_frame(HEADERS, END_HEADERS, 2 * number + 1, fields) for number in range(_STREAMS)
    )
    target.pour(peer.socket, b"".join(streams))
    entries = (
        pack(">HI", Setting.INITIAL_WINDOW_SIZE, _FIRST_WINDOW + number % 2)
        for number in range(_SETTINGS)
    )
    target.pour(peer.socket, pack_frame(SETTINGS, 0, 0, b"".join(entries)))
    target.drain(peer.socket, 3.0)
