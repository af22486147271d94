"""The client's end of MTProto over HTTP, sans-I/O: a packet is the body of a request or an answer.

Source: core.telegram.org/mtproto/transports#http
"""

import re
from typing import Final

from gnetway.testing.checks import demand

_HEAD_END: Final = b"\r\n\r\n"
_LENGTH: Final = re.compile(rb"^content-length: *([0-9]{1,10}) *$", re.IGNORECASE | re.MULTILINE)
#: Bytes of a transport error, which comes with a status of its own.
_ERROR_BYTES: Final = 4


class HttpLink:
    """In the place of a ClientLink: ``packet`` makes a request, ``receive`` takes answers apart.

    ``unanswered`` is how many requests wait: a server can say nothing while none does. ``origin``
    is what a browser would say of its page, empty for none.
    """

    def __init__(self, host: str, path: str = "/apiw1", origin: str = "") -> None:
        self.unanswered = 0
        fields = f"Origin: {origin}\r\n" if origin else ""
        self._head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\n{fields}Content-Length: ".encode()
        self._buffer = b""

    def packet(self, payload: bytes) -> bytes:
        """Return the request that carries a packet."""
        self.unanswered += 1
        return b"%b%d%b%b" % (self._head, len(payload), _HEAD_END, payload)

    def receive(self, data: bytes) -> list[bytes]:
        """Return the packets of the answers that are complete by now.

        :raises PeerError: an answer carries none.
        """
        self._buffer += data
        got: list[bytes] = []
        while (one := self._take()) is not None:
            self.unanswered -= 1
            got.append(one)
        return got

    def _take(self) -> bytes | None:
        head, end, rest = self._buffer.partition(_HEAD_END)
        if not end:
            return None
        lines = head.replace(b"\r\n", b"\n")
        status = lines.partition(b"\n")[0].decode(errors="backslashreplace")
        length = _LENGTH.search(lines)
        size = int(length[1]) if length else 0
        is_good = status.startswith("HTTP/1.1 200")
        demand(size > 0 if is_good else size == _ERROR_BYTES, f"no packet by HTTP: {status[:80]}")
        if len(rest) < size:
            return None
        self._buffer = rest[size:]
        return rest[:size]
