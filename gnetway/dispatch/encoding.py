"""Requests to the session service as bytes.

The fields of a session that stay the same are serialised once; what a message adds is put behind
them by hand, since fields may stand in any order and protobuf's own objects would cost more than
the rest of the way. A stream carries the very bytes of the unary requests.
"""

from typing import Final

from gnetway.crypto.auth_key import AuthKey
from gnetway.dispatch.request import Client, DataRequest, Salt
from gnetway.pb import mtproto_pb2, session_pb2
from gnetway.rpc.status import Method

#: conn_type of a session's first message, and of an HTTP request; 0 is any other.
FIRST_MESSAGE: Final = 1
HTTP_REQUEST: Final = 2

#: The one method of the stream.
STREAM_PATH: Final = "/session.RPCSessionStream/SessionDataStream"

_VARINT: Final = 0
_LENGTH: Final = 2


def _long_varint(value: int) -> bytes:
    if value < 0:
        # Negative numbers are written as 64 bits of two's complement, in ten bytes.
        value += 1 << 64
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


#: The varints of what most lengths are.
_VARINTS: Final = tuple(map(_long_varint, range(2048)))


def _varint(value: int) -> bytes:
    return _VARINTS[value] if 0 <= value < len(_VARINTS) else _long_varint(value)


def _number(field: int, value: int) -> bytes:
    """Return a varint field; proto3 leaves out zeros."""
    return _varint(field << 3 | _VARINT) + _varint(value) if value else b""


def _block(field: int, content: bytes) -> bytes:
    return b"".join((_VARINTS[field << 3 | _LENGTH], _varint(len(content)), content))


#: The beginning of TL_session_sendDataToSession, up to the length of its data.
_DATA_BEGINS: Final = _number(1, session_pb2.SEND_DATA_TO_SESSION) + _VARINTS[3 << 3 | _LENGTH]
#: The same of TL_session_sendHttpDataToSession.
_HTTP_DATA_BEGINS: Final = (
    _number(1, session_pb2.SEND_HTTP_DATA_TO_SESSION) + _VARINTS[3 << 3 | _LENGTH]
)
_PAYLOAD_BEGINS: Final = _VARINTS[12 << 3 | _LENGTH]
_ID_BEGINS: Final = _VARINTS[1 << 3 | _LENGTH]
_ACK_SUCCESS: Final = _block(10, _number(1, 1))
_FIRST: Final = _number(4, FIRST_MESSAGE)
_QUICK_ACK: Final = _number(10, 1)


def client_head(server_id: str, client: Client, perm_auth_key_id: int) -> bytes:
    """Serialise what all messages of a session have in common, for ``data_lead``."""
    head: bytes = session_pb2.SessionClientData(
        constructor=session_pb2.SESSION_CLIENT_DATA,
        server_id=server_id,
        auth_key_id=client.key.auth_key_id,
        key_type=client.key.kind.value,
        perm_auth_key_id=perm_auth_key_id,
        session_id=client.session_id,
        client_ip=client.client_ip,
    ).SerializeToString()
    return head


def data_lead(head: bytes, salt: int) -> bytes:
    """Put the salt behind a ``client_head``; it changes about twice an hour."""
    return head + _number(11, salt) + _PAYLOAD_BEGINS


def data_request(lead: bytes, first: bool, quick_ack: bool, payload: bytes) -> bytes:
    """Build TL_session_sendDataToSession; ``first`` announces the session."""
    # Fields may stand in any order, so what a message adds goes before what is kept.
    if first:
        lead = _FIRST + lead
    if quick_ack:
        lead = _QUICK_ACK + lead
    length = _varint(len(payload))
    size = _varint(len(lead) + len(length) + len(payload))
    return b"".join((_DATA_BEGINS, size, lead, length, payload))


def http_request(head: bytes, salt: int, payload: bytes) -> bytes:
    """Build TL_session_sendHttpDataToSession."""
    lead = head + _number(4, HTTP_REQUEST) + _number(11, salt) + _PAYLOAD_BEGINS
    length = _varint(len(payload))
    size = _varint(len(lead) + len(length) + len(payload))
    return b"".join((_HTTP_DATA_BEGINS, size, lead, length, payload))


def event_request(method: Method, server_id: str, client: Client, perm_auth_key_id: int) -> bytes:
    """Build TL_session_createSession or TL_session_closeSession."""
    event = session_pb2.SessionClientEvent(
        constructor=session_pb2.SESSION_CLIENT_EVENT,
        server_id=server_id,
        auth_key_id=client.key.auth_key_id,
        key_type=client.key.kind.value,
        perm_auth_key_id=perm_auth_key_id,
        session_id=client.session_id,
        client_ip=client.client_ip,
    )
    if method is Method.CREATE_SESSION:
        create = session_pb2.TL_session_createSession(
            constructor=session_pb2.CREATE_SESSION, client=event
        )
        return bytes(create.SerializeToString())
    close = session_pb2.TL_session_closeSession(constructor=session_pb2.CLOSE_SESSION, client=event)
    return bytes(close.SerializeToString())


def query_request(auth_key_id: int) -> bytes:
    """Build TL_session_queryAuthKey."""
    request = session_pb2.TL_session_queryAuthKey(
        constructor=session_pb2.QUERY_AUTH_KEY, auth_key_id=auth_key_id
    )
    return bytes(request.SerializeToString())


def set_request(key: AuthKey, salt: Salt, expires_in: int) -> bytes:
    """Build TL_session_setAuthKey; ``expires_in`` is in seconds, 0 for a permanent key."""
    request = session_pb2.TL_session_setAuthKey(
        constructor=session_pb2.SET_AUTH_KEY,
        auth_key=mtproto_pb2.AuthKeyInfo(
            constructor=mtproto_pb2.AUTH_KEY_INFO,
            auth_key_id=key.auth_key_id,
            auth_key=key.secret,
            auth_key_type=key.kind.value,
            perm_auth_key_id=key.perm_auth_key_id,
        ),
        future_salt=mtproto_pb2.FutureSalt(
            constructor=mtproto_pb2.FUTURE_SALT,
            valid_since=salt.valid_since,
            valid_until=salt.valid_until,
            salt=salt.salt,
        ),
        expires_in=expires_in,
    )
    return bytes(request.SerializeToString())


def stream_request(request_id: bytes, method: Method, request: bytes) -> bytes:
    """Wrap a unary request into a SessionStreamRequest; the id has fewer than 128 bytes."""
    length = _varint(len(request))
    return b"".join(
        (_ID_BEGINS, _VARINTS[len(request_id)], request_id, method.stream_tag, length, request)
    )


def stream_ack(request_id: bytes) -> bytes:
    """Return the SessionStreamResponse that accepts a request, as a service writes it.

    The same answer written in another way is one for protobuf to read.
    """
    return b"".join((_ID_BEGINS, _VARINTS[len(request_id)], request_id, _ACK_SUCCESS))


class DataLead:
    """What the messages of a session begin with, kept while it stays the same.

    It does for one perm_auth_key_id, address and salt. ``SessionQueue.straight`` compares the
    attributes itself: one call more would cost it a twentieth.
    """

    __slots__ = ("client_ip", "data", "ring_key", "salt")

    def __init__(self) -> None:
        self.data = b""
        self.ring_key = 0
        self.client_ip = ""
        self.salt = 0

    def update(self, server_id: str, client: Client, request: DataRequest) -> bytes:
        """Return the bytes for a request, made anew if something in them has changed."""
        # By the key that it was handed over under: a bind that is refused meanwhile takes it away.
        key, address, salt = request.ring_key, client.client_ip, request.salt
        if not self.data or (key, address, salt) != (self.ring_key, self.client_ip, self.salt):
            self.ring_key, self.client_ip, self.salt = key, address, salt
            self.data = data_lead(client_head(server_id, client, key), salt)
        return self.data
