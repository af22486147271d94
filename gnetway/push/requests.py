"""Pushes of a stream as session services write them, read without protobuf.

    0A length request_id  52 length push
    push: (08 constructor)  18 auth_key_id  20 session_id  2A length payload

What a push has before its last length is the same for all of a session. Protobuf
reads the first one of a session; these bytes are kept, and pushes that have the same
need no more than to be cut. Whatever is laid out in another way is for protobuf to read.
"""

from typing import Final

from gnetway.pb import gateway_pb2

#: auth_key_id, session_id, payload.
Push = tuple[int, int, bytes]

#: The field of the request_id, as an answer has it too; and the push.
StreamPush = tuple[bytes, int, int, bytes]

#: A session is looked for by so many of its bytes: all of a large auth_key_id is in them.
_KNOWN_BYTES: Final = 20

#: So many sessions are known at most, with some 400 bytes each. After so many pushes of others
#: it begins anew, so that what is known are sessions that talk.
MAX_SESSIONS: Final = 1024
MAX_UNKNOWN: Final = 8192

_REQUEST_ID_TAG: Final = 0x0A
_SEND_DATA_TAG: Final = 0x52
_PAYLOAD_TAG: Final = b"\x2a"


class PushReader:
    """Reads pushes of the sessions that it has learnt from others."""

    __slots__ = ("_heads", "_unknown")

    def __init__(self) -> None:
        self._heads: dict[bytes, tuple[bytes, int, int]] = {}
        self._unknown = 0

    def learn(self, push: gateway_pb2.TL_gateway_sendDataToGateway) -> Push:
        """Know the session of a push by its bytes from now on, with room; return the push."""
        if len(self._heads) >= MAX_SESSIONS:
            self._unknown += 1
            if self._unknown > MAX_UNKNOWN:
                self._unknown = 0
                self._heads.clear()
        auth_key_id, session_id = push.auth_key_id, push.session_id
        if len(self._heads) < MAX_SESSIONS:
            self._remember(push.constructor, auth_key_id, session_id)
        return auth_key_id, session_id, push.payload

    def _remember(
        self, constructor: gateway_pb2.Constructor, auth_key_id: int, session_id: int
    ) -> None:
        fields = gateway_pb2.TL_gateway_sendDataToGateway(
            constructor=constructor, auth_key_id=auth_key_id, session_id=session_id
        )
        head = bytes(fields.SerializeToString()) + _PAYLOAD_TAG
        if len(head) >= _KNOWN_BYTES:
            self._heads[head[:_KNOWN_BYTES]] = head, auth_key_id, session_id

    def read(self, message: bytes) -> StreamPush | None:
        """Return the push of a GatewayStreamRequest; None if protobuf has to tell."""
        try:
            id_end = message[1] + 2
            # Another id may still be no UTF-8, and then there is nothing that could be answered.
            if (
                message[0] != _REQUEST_ID_TAG
                or message[id_end] != _SEND_DATA_TAG
                or not 2 < id_end < 130
                or not message[:id_end].isascii()
            ):
                return None
            # One function for the usual lengths: to call others would cost as much as protobuf.
            size = len(message) - id_end - 2
            if size < 128:
                begin = id_end + 2 if message[id_end + 1] == size else 0
            else:
                begin = rest_begins(message, id_end + 1)
            known = self._heads.get(message[begin : begin + _KNOWN_BYTES])
            if known is None or not begin:
                return None
            head, auth_key_id, session_id = known
            if not message.startswith(head, begin):
                return None
            at = begin + len(head)
            size = len(message) - at - 1
            if size < 128:
                begin = at + 1 if message[at] == size else 0
            else:
                begin = rest_begins(message, at)
        except IndexError:
            return None
        return (message[:id_end], auth_key_id, session_id, message[begin:]) if begin else None


def rest_begins(data: bytes, at: int) -> int:
    """Return where the content begins whose length stands at ``at``, if it fills the rest.

    0 where it does not, or where its length has more than 3 bytes or more than it needs.
    """
    size = len(data) - at - 1
    if size < 128:
        return at + 1 if size >= 0 and data[at] == size else 0
    size -= 1
    if size < 1 << 14:
        return at + 2 if data[at] == size & 127 | 128 and data[at + 1] == size >> 7 else 0
    size -= 1
    length = bytes((size & 127 | 128, size >> 7 & 127 | 128, size >> 14 & 127))
    return at + 3 if size < 1 << 21 and data.startswith(length, at) else 0
