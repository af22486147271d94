"""One HTTP/2 connection: joins the parts, and keeps the rules that concern more than one of them.

What it hands to whom::

    bytes → parser ─ DATA ──────────────→ receiver → events: next_event()
              ├───── field blocks ──────→ the role: ClientConnection or ServerConnection
              └───── all other frames ──→ here
    bytes ← output ← sender ← messages;  the parser's answers go to the output too

``parser.receive(data)``, then ``next_event()`` until None, and ``sender.data_to_send()`` whenever
something may have been written. A frame that breaks the rules ends the connection: GOAWAY with its
code is put out, and after the events before it ``next_event()`` raises it; one that breaks a
stream's rules ends that stream.
Source: RFC 9113.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from gnetway.admission.accounts import Holding
from gnetway.http2.frames import (
    ACK,
    CONNECTION_WINDOW_BYTES,
    DEFAULT_WINDOW_BYTES,
    GOAWAY,
    MAX_31_BITS,
    MAX_FRAME_BYTES,
    PING,
    PREFACE,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    STREAM_WINDOW_BYTES,
    WINDOW_UPDATE,
    ErrorCode,
    Http2Error,
    Setting,
    StreamFault,
    pack_frame,
    pack_goaway,
    pack_reset,
    pack_settings,
    pack_window_update,
    parse_settings,
    raised,
)
from gnetway.http2.heads import (
    CANCELLED,
    INTERNAL,
    MAX_FIELDS_BYTES,
    NO_TABLE,
    FieldBlocks,
    quoted,
    status_of_reset,
)
from gnetway.http2.parser import FrameParser
from gnetway.http2.receiving import Effort, Receiver
from gnetway.http2.sending import OutputBuffer, Sender
from gnetway.http2.stream import (
    CLOSED,
    Event,
    GoneAway,
    PingAnswered,
    Role,
    Stream,
    StreamEnded,
    StreamIds,
)

#: The HPACK table that a decoder has until it says otherwise: RFC 9113, section 6.5.2.
_DEFAULT_TABLE_BYTES: Final = 4_096

#: A window that is moved costs a quarter of a microsecond.
_STREAMS_AN_EFFORT_BITS: Final = 2
_SETTINGS_ACK: Final = pack_frame(SETTINGS, ACK, 0, b"")


class Connection:
    """A connection whose ``role`` is that of a server, if it ``serves``, or a client.

    ``settled`` is True from the peer's first SETTINGS on, ``failed`` from the frame on that has
    broken the connection. ``accepts_streams`` is whether a client can still open one here, and
    ``max_peer_streams`` how many the peer allows at a time.
    """

    def __init__(
        self,
        role: Role,
        setting: tuple[Setting, int],
        max_message_bytes: int,
        *,
        serves: bool,
        make_holding: Callable[[Stream], Holding] | None = None,
    ) -> None:
        self.streams: dict[int, Stream] = {}
        self.ids = StreamIds()
        self.events: deque[Event] = deque()
        self.output = OutputBuffer()
        self.effort = Effort()
        self.blocks = FieldBlocks()
        self.sender = Sender(self.output, self.events, role)
        self.receiver = Receiver(
            self.streams,
            self.ids,
            role,
            self.events,
            self.output,
            self.effort,
            max_message_bytes,
            make_holding,
        )
        preface = PREFACE if serves else b""
        self.parser = FrameParser(preface, self, role, self.receiver, self.blocks, self.effort)
        self.settled = False
        self.failed = False
        self.accepts_streams = not serves
        self.max_peer_streams = MAX_31_BITS
        self._role = role
        self._serves = serves
        self._error: Http2Error | None = None
        ours = [
            # No table: blocks then stand alone, and equal ones can be known by their bytes.
            (Setting.HEADER_TABLE_SIZE, 0),
            # The usual 64 KiB would have each larger message wait for a round trip.
            (Setting.INITIAL_WINDOW_SIZE, STREAM_WINDOW_BYTES),
            (Setting.MAX_FRAME_SIZE, MAX_FRAME_BYTES),
            (Setting.MAX_HEADER_LIST_SIZE, MAX_FIELDS_BYTES),
            setting,
        ]
        # The first that leaves, before any answer to the peer: section 3.4.
        self.output.frames.append((b"" if serves else PREFACE) + pack_settings(ours))
        # No setting changes the window of the connection, only a WINDOW_UPDATE: section 6.9.2.
        more = CONNECTION_WINDOW_BYTES - DEFAULT_WINDOW_BYTES
        self.output.frames.append(pack_window_update(0, more))

    # -- what the shell does -------------------------------------------------------------------

    @property
    def last_peer_stream(self) -> int:
        """The last stream that the peer has opened; 0 if there was none."""
        return self.ids.last if self._serves else 0

    @property
    def has_more(self) -> bool:
        """Whether there are events, or there may be more to send."""
        return bool(self.events or self.sender.queue or self.output.frames)

    def next_event(self) -> Event | None:
        """Return the next event, or None until more is received.

        :raises Http2Error: the peer broke the connection; nothing follows.
        """
        if self.events:
            return self.events.popleft()
        if self._error is not None:
            # Behind all events: what came before the bad frame was good, and is told.
            error, self._error = self._error, None
            raise error
        return None

    def ping(self, payload: bytes) -> None:
        """Send a PING with 8 bytes; PingAnswered brings them back."""
        self.output.frames.append(pack_frame(PING, 0, 0, payload))

    def go_away(self, last_stream_id: int, code: ErrorCode = ErrorCode.NO_ERROR) -> None:
        """Tell the peer which of its streams are the last that are looked at."""
        self.output.frames.append(pack_goaway(last_stream_id, code))

    def fail(self, error: Http2Error) -> None:
        """End the connection, and tell the peer why."""
        self.failed = True
        self.accepts_streams = False
        self._error = error
        # What stands behind the bad frame means nothing any more: section 5.4.1.
        self.parser.stop()
        goaway = pack_goaway(self.last_peer_stream, error.code, error.text)
        self.output.frames.append(goaway)

    def reset(self, stream: Stream, code: ErrorCode = ErrorCode.CANCEL) -> None:
        """End a stream at once; no event follows on it."""
        if stream.state is not CLOSED:
            # A stream that never got a number is unknown to the peer.
            if stream.id:
                self.output.frames.append(pack_reset(stream.id, code))
                # What the peer has sent before it reads this is no fault of its: section 5.1.
                self.ids.note_reset(stream.id)
            self.close(stream)

    def close(self, stream: Stream) -> None:
        """Take a stream out, which has ended on both sides or by a reset."""
        stream.close()
        self.streams.pop(stream.id, None)
        self._role.stream_closed()

    # -- frames but DATA and field blocks ------------------------------------------------------

    def take_frame(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        """See FrameTarget; frames of unknown types are ignored, as section 4.1 wants it."""
        if kind == WINDOW_UPDATE:
            self._window_update(stream_id, payload)
        elif kind in (SETTINGS, PING, GOAWAY):
            if stream_id:
                raise Http2Error(ErrorCode.PROTOCOL_ERROR, "a frame of the connection on a stream")
            if kind == SETTINGS:
                self._settings(flags, payload)
            elif kind == PING:
                self._pinged(flags, payload)
            else:
                self._goaway(payload)
        elif kind == RST_STREAM:
            self._reset_by_peer(stream_id, payload)
        elif kind == PRIORITY:
            self._priority(stream_id, payload)
        elif kind == PUSH_PROMISE:
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "PUSH_PROMISE, which was not allowed")

    def _settings(self, flags: int, payload: bytes) -> None:
        """Take SETTINGS: section 6.5. Each is answered, and costs us more than the peer.

        So a flood of them is bounded twice: answers that nobody reads by ``OutputBuffer.owe``,
        and time by the effort.
        """
        if flags & ACK:
            if payload:
                raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS ACK with a payload")
            # From its acknowledgement on the peer must keep to our table of 0 bytes: RFC 7541, 4.2.
            self.blocks.table_forbidden()
            return
        for number, value in parse_settings(payload).items():
            self._apply(number, value)
        # Once all of them are in effect, as the acknowledgement says: section 6.5.3.
        self.output.owe(_SETTINGS_ACK)
        # A client waits with its calls for the first ones: only they tell how many it may open.
        first, self.settled = not self.settled, True
        self._role.settings_received(first)

    def _apply(self, number: int, value: int) -> None:
        sender = self.sender
        if number == Setting.INITIAL_WINDOW_SIZE:
            # It counts for open streams as well, by the difference; a window may fall below 0.
            self._resize_windows(value - sender.initial_window)
            sender.initial_window = value
        elif number == Setting.MAX_FRAME_SIZE:
            # Larger ones would only keep other streams waiting.
            sender.max_frame_bytes = min(value, MAX_FRAME_BYTES)
        elif number == Setting.HEADER_TABLE_SIZE and value < _DEFAULT_TABLE_BYTES:
            # We never put anything into the table, but some decoders insist on hearing it.
            sender.table_update = NO_TABLE
        elif number == Setting.MAX_CONCURRENT_STREAMS:
            self.max_peer_streams = value

    def _resize_windows(self, difference: int) -> None:
        """Move the window of every stream; those that were stalled and now are not go on.

        An overflow ends the connection: section 6.9.2.
        """
        self.effort.left -= len(self.streams) >> _STREAMS_AN_EFFORT_BITS
        for stream in self.streams.values():
            try:
                self.sender.enlarge_stream(stream, difference)
            except OverflowError as error:
                raise Http2Error(ErrorCode.FLOW_CONTROL_ERROR, str(error)) from error

    def _pinged(self, flags: int, payload: bytes) -> None:
        if len(payload) != 8:
            raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, "PING is 8 bytes")
        if flags & ACK:
            self.events.append(PingAnswered(payload))
        else:
            # Bounded as other answers are: a peer that pings and reads nothing would fill the
            # memory.
            self.output.owe(pack_frame(PING, ACK, 0, payload), pong=True)

    def _goaway(self, payload: bytes) -> None:
        if len(payload) < 8:
            raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, "GOAWAY is at least 8 bytes")
        # A second one may name a lower stream, never a higher: section 6.8.
        last = int.from_bytes(payload[:4], "big") & MAX_31_BITS
        code = int.from_bytes(payload[4:8], "big")
        # The streams above it end before the connection is told to be going: they may try again.
        self._role.goaway_received(last)
        self.events.append(GoneAway(code, quoted(payload[8:].decode(errors="replace"))))

    def _window_update(self, stream_id: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, "WINDOW_UPDATE is 4 bytes")
        # The highest bit is reserved, and means nothing: section 6.9.
        increment = int.from_bytes(payload, "big") & MAX_31_BITS
        if stream_id == 0:
            self._connection_window_update(increment)
            return
        stream = self.streams.get(stream_id)
        if stream is None:
            # One for a closed stream may come late: section 5.1.
            # A number that was never used, where a stream that is over may still get late frames.
            if self.ids.is_idle(stream_id):
                raise Http2Error(ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE on an idle stream")
            return
        if not increment:
            # An error of the stream here, of the connection in the method below: section 6.9.
            raise StreamFault(stream_id, ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE of 0")
        try:
            self.sender.enlarge_stream(stream, increment)
        except OverflowError as error:
            raise StreamFault(stream_id, ErrorCode.FLOW_CONTROL_ERROR, str(error)) from error

    def _connection_window_update(self, increment: int) -> None:
        if not increment:
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE of 0")
        try:
            self.sender.window = raised(self.sender.window, increment)
        except OverflowError as error:
            raise Http2Error(ErrorCode.FLOW_CONTROL_ERROR, str(error)) from error

    def _priority(self, stream_id: int, payload: bytes) -> None:
        """Take PRIORITY, which RFC 9113 has made meaningless: section 5.3.2."""
        if not stream_id:
            # Streams alone have priorities: section 6.3.
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "PRIORITY of the connection")
        if len(payload) != 5:
            # The payload is read by nobody, but a wrong size is a fault of the stream: section 6.3.
            code, text = ErrorCode.FRAME_SIZE_ERROR, "PRIORITY is 5 bytes"
            if self.ids.is_idle(stream_id):  # such streams may have priorities, but no RST_STREAM
                raise Http2Error(code, text)
            raise StreamFault(stream_id, code, text)

    def _reset_by_peer(self, stream_id: int, payload: bytes) -> None:
        """Take RST_STREAM: section 6.4.

        A peer may open and reset streams without end, and have each begun for nothing (the "rapid
        reset" of 2023, CVE-2023-44487). Here that is bounded by the effort of HEADERS: a turn
        takes some hundred such streams, and then the others are read.
        """
        if len(payload) != 4:
            raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, "RST_STREAM is 4 bytes")
        # Nobody can end what has not begun, so the two sides do not agree on the streams any more.
        if not stream_id or self.ids.is_idle(stream_id):
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "RST_STREAM on no stream")
        stream = self.streams.get(stream_id)
        if stream is not None:
            self.close(stream)
            self._role.reset_received(stream, int.from_bytes(payload, "big"))

    def tell_reset(self, stream: Stream, code: int) -> None:
        """Tell that the peer has reset a stream, as far as gRPC has a status for it."""
        text = "the peer has cancelled it" if code == ErrorCode.CANCEL else "reset by the peer"
        self.events.append(StreamEnded(stream, status_of_reset(code), f"{text}, code {code}"))

    def stream_failed(self, fault: StreamFault) -> None:
        """See FrameTarget; RST_STREAM is owed, as the peer could break streams without end."""
        stream = self.streams.get(fault.stream_id)
        self.output.owe(pack_reset(fault.stream_id, fault.code))
        self.ids.note_reset(fault.stream_id)
        if stream is not None:
            self.close(stream)
            status = CANCELLED if self._serves else INTERNAL
            self.events.append(StreamEnded(stream, status, f"{fault.code.name}: {fault.text}"))
