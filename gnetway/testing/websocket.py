"""The client's end of a WebSocket that carries a stream of bytes, sans-I/O.

Source: RFC 6455; core.telegram.org/mtproto/transports#websocket
"""

from base64 import b64encode
from collections.abc import Callable
from typing import Final

from gnetway.testing.checks import demand

RandomBytes = Callable[[int], bytes]

_HEAD_END: Final = b"\r\n\r\n"
#: First bytes of frames, each the only one of its message.
_BINARY: Final = 0x82
_CLOSE: Final = 0x88
_PING: Final = 0x89
_PONG: Final = 0x8A


class WebSocketEnd:
    """``opening`` comes first; then ``frame`` wraps what is sent, ``receive`` unwraps.

    ``answers`` are frames that the protocol owes: the caller sends them and empties it.
    """

    def __init__(self, random_bytes: RandomBytes) -> None:
        self.answers = b""
        self._random_bytes = random_bytes
        self._open = False
        self._buffer = b""

    def opening(self, host: str, path: str = "/apiws", origin: str = "") -> bytes:
        """Return the request for the upgrade; ``origin`` is of a browser's page, empty for none."""
        key = b64encode(self._random_bytes(16)).decode()
        fields = f"Origin: {origin}\r\n" if origin else ""
        return (
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Protocol: binary\r\n{fields}\r\n"
        ).encode()

    def frame(self, data: bytes) -> bytes:
        """Return ``data`` as a binary message."""
        return self._frame(_BINARY, data)

    def receive(self, data: bytes) -> bytes:
        """Return what the messages carry that are complete by now.

        :raises PeerError: the server does not upgrade, or sends what is not of this protocol.
        """
        self._buffer += data
        if not self._open:
            head, end, rest = self._buffer.partition(_HEAD_END)
            if not end:
                return b""
            status = head.partition(b"\r\n")[0].decode(errors="backslashreplace")
            demand(status.startswith("HTTP/1.1 101"), f"no WebSocket: {status[:80]}")
            self._open, self._buffer = True, rest
        carried = b""
        while (one := self._take()) is not None:
            carried += one
        return carried

    def _take(self) -> bytes | None:
        """Return the payload of the next frame, empty where it is none of ours."""
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        first, size, start = buffer[0], buffer[1], 2
        if size >= 126:
            start = 4 if size == 126 else 10
            size = int.from_bytes(buffer[2:start], "big")
        if len(buffer) < max(start, start + size):
            return None
        payload, self._buffer = buffer[start : start + size], buffer[start + size :]
        demand(first in (_BINARY, _PING, _PONG, _CLOSE), "a frame of another kind")
        if first == _BINARY:
            return payload
        if first == _PING:
            self.answers += self._frame(_PONG, payload)
        elif first == _CLOSE:
            self.answers += self._frame(_CLOSE, payload[:2])
        return b""

    def _frame(self, first: int, payload: bytes) -> bytes:
        size = len(payload)
        if size < 126:
            head = bytes((first, 0x80 | size))
        elif size < 1 << 16:
            head = bytes((first, 0x80 | 126)) + size.to_bytes(2, "big")
        else:
            head = bytes((first, 0x80 | 127)) + size.to_bytes(8, "big")
        # A mask of zeros is as good as another to a server; what is carried is encrypted anyway.
        return head + bytes(4) + payload
