"""What a connection tells its shell, one by one."""

from typing import NamedTuple

from gnetway.http2.stream import Stream


class MessagesReceived(NamedTuple):
    """Messages of a stream that is not unary, in their order; at least one."""

    stream: Stream
    messages: list[bytes]


class StreamOpened(NamedTuple):
    """Server: a request has begun whose stream is not unary."""

    stream: Stream


class CallsReceived(NamedTuple):
    """Server: unary requests are complete, in their ``message``; at least one."""

    streams: list[Stream]


class CallsAnswered(NamedTuple):
    """Client: unary calls have ended with OK and a reply, in their ``message``; at least one.

    They are those whose answers came whole. Others, which fare no differently, get StreamEnded.
    """

    streams: list[Stream]


class PeerFinished(NamedTuple):
    """Server: the client has half-closed a stream that is not unary."""

    stream: Stream


class StreamWritable(NamedTuple):
    """There is room again on a stream that wanted it."""

    stream: Stream


class StreamEnded(NamedTuple):
    """Nothing follows on this stream; ``status`` is gRPC's number, ``text`` belongs to it."""

    stream: Stream
    status: int
    text: str


class StreamUnprocessed(NamedTuple):
    """Client: the server has not looked at this stream and will not; it may be tried anew."""

    stream: Stream


class PingAnswered(NamedTuple):
    """The peer has sent back a PING with these 8 bytes."""

    payload: bytes


class Settled(NamedTuple):
    """Client: the server has spoken; ``max_streams`` are allowed at a time."""

    max_streams: int


class GoneAway(NamedTuple):
    """The peer takes no more streams on this connection; ``code`` and ``text`` say why."""

    code: int
    text: str


Event = (
    MessagesReceived
    | StreamOpened
    | CallsReceived
    | CallsAnswered
    | PeerFinished
    | StreamWritable
    | StreamEnded
    | StreamUnprocessed
    | PingAnswered
    | Settled
    | GoneAway
)
