"""The frames about the connection itself: SETTINGS, PING, GOAWAY, and its and streams' windows.

Source: RFC 9113 sections 6.5 to 6.9.
"""

from collections.abc import Sequence
from typing import Final

from gnetway.http2.events import GoneAway, PingAnswered
from gnetway.http2.frames import (
    ACK,
    CONNECTION_WINDOW_BYTES,
    DEFAULT_WINDOW_BYTES,
    MAX_31_BITS,
    PING,
    SETTINGS,
    STREAM_WINDOW_BYTES,
    ErrorCode,
    Http2Error,
    Setting,
    StreamFault,
    pack_frame,
    pack_goaway,
    pack_settings,
    pack_window_update,
    parse_settings,
    raised,
)
from gnetway.http2.heads import MAX_FIELDS_BYTES, NO_TABLE, FieldBlocks, quoted
from gnetway.http2.messages import Stream
from gnetway.http2.sending import SendingHalf

#: What a peer may send as one frame; more than the default means fewer of them for bulk.
MAX_FRAME_BYTES: Final = 64 * 1024

_DEFAULT_TABLE_BYTES: Final = 4_096

#: A window that is moved costs a quarter of a microsecond.
_STREAMS_AN_EFFORT_BITS: Final = 2
_SETTINGS_ACK: Final = pack_frame(SETTINGS, ACK, 0, b"")


class Controls(SendingHalf):
    """Keeps what both sides have settled, and both sides' windows of the connection.

    ``settled`` is True from the peer's first SETTINGS on. ``max_peer_streams`` is how many
    streams it allows at a time.
    """

    __slots__ = (
        "_blocks",
        "_effort",
        "_receive_window",
        "_table_update",
        "last_peer_stream",
        "max_peer_streams",
        "settled",
    )

    def __init__(self, preface: bytes, settings: Sequence[tuple[Setting, int]]) -> None:
        super().__init__()
        self.settled = False
        self.max_peer_streams = MAX_31_BITS
        self.last_peer_stream: int = 0
        self._receive_window = CONNECTION_WINDOW_BYTES
        #: What reading may still cost before the others have their turn, see Connection.
        self._effort = 0
        self._blocks = FieldBlocks()
        self._table_update = b""
        ours = [
            (Setting.HEADER_TABLE_SIZE, 0),
            (Setting.INITIAL_WINDOW_SIZE, STREAM_WINDOW_BYTES),
            (Setting.MAX_FRAME_SIZE, MAX_FRAME_BYTES),
            (Setting.MAX_HEADER_LIST_SIZE, MAX_FIELDS_BYTES),
            *settings,
        ]
        self._out.append(preface + pack_settings(ours))
        self._out.append(pack_window_update(0, CONNECTION_WINDOW_BYTES - DEFAULT_WINDOW_BYTES))

    def ping(self, payload: bytes) -> None:
        """Send a PING with 8 bytes; PingAnswered brings them back."""
        self._out.append(pack_frame(PING, 0, 0, payload))

    def go_away(self, last_stream_id: int, code: ErrorCode = ErrorCode.NO_ERROR) -> None:
        """Tell the peer which of its streams are the last that are looked at."""
        self._out.append(pack_goaway(last_stream_id, code))

    def _control(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        """Take one of those frames but WINDOW_UPDATE.

        :raises Http2Error: it breaks the rules.
        """
        if stream_id:
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "a frame of the connection on a stream")
        if kind == SETTINGS:
            self._settings(flags, payload)
        elif kind == PING:
            self._pinged(flags, payload)
        else:
            self._goaway(payload)

    def _settings(self, flags: int, payload: bytes) -> None:
        if flags & ACK:
            if payload:
                raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS ACK with a payload")
            self._blocks.table_forbidden()
            return
        for number, value in parse_settings(payload).items():
            self._apply(number, value)
        if not self.settled:
            self.settled = True
            self._peer_has_spoken()
        self._owe(_SETTINGS_ACK)
        self._slots_changed()

    def _peer_has_spoken(self) -> None:
        """Take note of the peer's first SETTINGS; for clients."""

    def _apply(self, number: int, value: int) -> None:
        if number == Setting.INITIAL_WINDOW_SIZE:
            self._resize_windows(value - self._initial_window)
            self._initial_window = value
        elif number == Setting.MAX_FRAME_SIZE:
            # Larger ones would only keep other streams waiting.
            self._max_frame_bytes = min(value, MAX_FRAME_BYTES)
        elif number == Setting.HEADER_TABLE_SIZE and value < _DEFAULT_TABLE_BYTES:
            # We never put anything into the table, but some decoders insist on hearing it.
            self._table_update = NO_TABLE
        elif number == Setting.MAX_CONCURRENT_STREAMS:
            self.max_peer_streams = value

    def _resize_windows(self, difference: int) -> None:
        """Move the window of every stream; those that were stalled and now are not go on."""
        self._effort -= len(self.streams) >> _STREAMS_AN_EFFORT_BITS
        for stream in self.streams.values():
            try:
                stream.send_window = raised(stream.send_window, difference)
            except OverflowError as error:
                raise Http2Error(ErrorCode.FLOW_CONTROL_ERROR, str(error)) from error
            if stream.pending:
                self._line_up(stream)

    def _pinged(self, flags: int, payload: bytes) -> None:
        if len(payload) != 8:
            raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, "PING is 8 bytes")
        if flags & ACK:
            self._events.append(PingAnswered(payload))
        else:
            self._owe(pack_frame(PING, ACK, 0, payload), self.pongs)

    def _goaway(self, payload: bytes) -> None:
        if len(payload) < 8:
            raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, "GOAWAY is at least 8 bytes")
        last = int.from_bytes(payload[:4], "big") & MAX_31_BITS
        code = int.from_bytes(payload[4:8], "big")
        self._peer_goes_away(last)
        self._events.append(GoneAway(code, quoted(payload[8:].decode(errors="replace"))))

    def _window_update(self, stream_id: int, payload: bytes) -> None:
        """Take a WINDOW_UPDATE.

        :raises Http2Error: it breaks the rules of the connection.
        :raises StreamFault: it breaks those of a stream.
        """
        if len(payload) != 4:
            raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, "WINDOW_UPDATE is 4 bytes")
        increment = int.from_bytes(payload, "big") & MAX_31_BITS
        if stream_id == 0:
            self._raise_connection_window(increment)
            return
        stream = self.streams.get(stream_id)
        if stream is None:
            if self._is_idle(stream_id):
                raise Http2Error(ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE on an idle stream")
            return
        if not increment:
            raise StreamFault(stream_id, ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE of 0")
        try:
            stream.send_window = raised(stream.send_window, increment)
        except OverflowError as error:
            raise StreamFault(stream_id, ErrorCode.FLOW_CONTROL_ERROR, str(error)) from error
        if stream.pending:
            self._line_up(stream)

    def _raise_connection_window(self, increment: int) -> None:
        if not increment:
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE of 0")
        try:
            self._send_window = raised(self._send_window, increment)
        except OverflowError as error:
            raise Http2Error(ErrorCode.FLOW_CONTROL_ERROR, str(error)) from error

    def _send_fields(self, stream: Stream, block: bytes, *, end_stream: bool) -> None:
        if self._table_update:
            block = self._table_update + block
            self._table_update = b""
        super()._send_fields(stream, block, end_stream=end_stream)

    def _is_idle(self, stream_id: int) -> bool:
        """Whether no stream with this id was opened yet."""
        raise NotImplementedError

    def _peer_goes_away(self, last_stream_id: int) -> None:
        """Note that the peer looks at no stream of ours after that one."""
        raise NotImplementedError

    def _slots_changed(self) -> None:
        """Note that the peer may allow more or fewer streams than before."""
        raise NotImplementedError
