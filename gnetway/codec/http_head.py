"""Whether an HTTP request asks for a WebSocket, told from its head.

Two different servers answer the two, and each wants the connection from its first byte. So the
head is only looked at here, and neither judged nor changed.
"""

from enum import Enum
from typing import Final, NamedTuple

#: Bytes of a head that are waited for; twisted.web bounds the header fields of a request alike.
#: Whatever has more is left to the HTTP server, which refuses it.
MAX_HEAD_BYTES: Final = 16384

_HEAD_END: Final = b"\r\n\r\n"

#: Only a GET can ask for a WebSocket. Source: RFC 6455 section 4.1
_METHOD: Final = b"GET "


class HeadKind(Enum):
    """Who is to answer a request."""

    WEBSOCKET = "websocket"
    HTTP = "http"


class Head(NamedTuple):
    """Who is to answer, and all that came in."""

    kind: HeadKind
    data: bytes


class HttpHead:
    """Holds the first bytes of an HTTP connection until they tell who is to answer.

    It holds less than ``MAX_HEAD_BYTES`` between segments. Once it has answered, its work is done
    and it is to be dropped.
    """

    __slots__ = ("_data", "_searched")

    def __init__(self) -> None:
        self._data = bytearray()
        #: Where to look on for the head's end, so that a slow client costs no more than a fast one.
        self._searched = 0

    def receive(self, data: bytes) -> None:
        """Take the next segment; ``result`` then says whether it was enough."""
        self._data += data

    def result(self) -> Head | None:
        """Return who is to answer and all bytes received, or None while more are needed.

        A request that is no GET is told by its method, without its head.
        """
        data = self._data
        if data[: len(_METHOD)] != _METHOD[: len(data)]:
            return Head(HeadKind.HTTP, bytes(data))
        end = data.find(_HEAD_END, self._searched, MAX_HEAD_BYTES)
        if end < 0 and len(data) < MAX_HEAD_BYTES:
            self._searched = max(0, len(data) - len(_HEAD_END) + 1)
            return None
        asked = end >= 0 and _asks_for_websocket(bytes(data[:end]))
        return Head(HeadKind.WEBSOCKET if asked else HeadKind.HTTP, bytes(data))


def _asks_for_websocket(head: bytes) -> bool:
    """Tell whether a head has ``websocket`` among the values of an Upgrade field.

    Nothing else is asked for: what is wrong with the rest is for the WebSocket server to say.
    """
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"upgrade":
            tokens = [token.strip().lower() for token in value.split(b",")]
            if b"websocket" in tokens:
                return True
    return False
