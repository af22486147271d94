"""What the replies of the session service mean."""

from collections.abc import Callable
from typing import Final

from google.protobuf.message import DecodeError, Message

from gnetway.crypto.auth_key import AUTH_KEY_BYTES, AuthKey, KeyKind
from gnetway.errors import BackendError, BackendRefused, BackendUnavailable, GatewayError
from gnetway.pb import mtproto_pb2, session_pb2

#: The replies that a stream's ack stands for, which has no mtproto.Bool.
TRUE_REPLY: Final[bytes] = mtproto_pb2.Bool(
    predicate_name="boolTrue", constructor=mtproto_pb2.BOOL_TRUE
).SerializeToString()
FALSE_REPLY: Final[bytes] = mtproto_pb2.Bool(
    predicate_name="boolFalse", constructor=mtproto_pb2.BOOL_FALSE
).SerializeToString()

_KINDS: Final = {kind.value: kind for kind in KeyKind}


def _parses(message: Message, data: bytes) -> bool:
    """Read a message, and return whether the data is one."""
    try:
        message.ParseFromString(data)
    except DecodeError:
        return False
    return True


def read_bool(reply: bytes) -> bool:
    """Return whether a reply is boolTrue, by its name or its number.

    :raises BackendRefused: it is no mtproto.Bool.
    """
    if reply == TRUE_REPLY:
        return True
    message = mtproto_pb2.Bool()
    if not _parses(message, reply):
        raise BackendRefused(500, "UNREADABLE_REPLY")
    return bool(
        message.constructor == mtproto_pb2.BOOL_TRUE or message.predicate_name == "boolTrue"
    )


def read_key(reply: bytes, auth_key_id: int) -> AuthKey:
    """Return the key of an AuthKeyInfo.

    :raises BackendRefused: it is no key, or another than the one asked for.
    """
    info = mtproto_pb2.AuthKeyInfo()
    parses = _parses(info, reply)
    kind = _KINDS.get(info.auth_key_type)
    if not parses or kind is None:
        raise BackendRefused(500, "UNREADABLE_REPLY")
    if len(info.auth_key) != AUTH_KEY_BYTES:
        raise BackendRefused(500, "AUTH_KEY_INVALID")
    key = AuthKey(info.auth_key, kind, info.perm_auth_key_id)
    if key.auth_key_id != auth_key_id:
        raise BackendRefused(500, "AUTH_KEY_INVALID")
    return key


def read_http_payload(reply: bytes) -> bytes:
    """Return the plaintext of an HttpSessionData, maybe empty.

    :raises BackendRefused: it is none.
    """
    data = session_pb2.HttpSessionData()
    if not _parses(data, reply):
        raise BackendRefused(500, "UNREADABLE_REPLY")
    return bytes(data.payload)


def error_in(reply: bytes) -> BackendRefused | None:
    """Return what is wrong with a reply that should be boolTrue."""
    try:
        return None if read_bool(reply) else BackendRefused(500, "BOOL_FALSE")
    except BackendRefused as error:
        return error


class SenderReply:
    """What a node decided about a message, for the sender who waits for that."""

    __slots__ = ("_done",)

    def __init__(self, done: Callable[[BackendError | None], None]) -> None:
        self._done = done

    def finished(self, reply: bytes, error: GatewayError | None) -> None:
        """Pass it on."""
        if error is None:
            self._done(error_in(reply) if reply else None)
        elif isinstance(error, BackendError):
            self._done(error)
        else:
            self._done(BackendUnavailable(str(error)))
