"""What the replies of the session service mean."""

from typing import Final

from google.protobuf.message import DecodeError

from gnetway.crypto.auth_key import AUTH_KEY_BYTES, AuthKey, KeyKind
from gnetway.errors import BackendRefused
from gnetway.pb import mtproto_pb2, session_pb2

#: The replies that a stream's ack stands for, which has no mtproto.Bool.
TRUE_REPLY: Final[bytes] = mtproto_pb2.Bool(
    predicate_name="boolTrue", constructor=mtproto_pb2.BOOL_TRUE
).SerializeToString()
FALSE_REPLY: Final[bytes] = mtproto_pb2.Bool(
    predicate_name="boolFalse", constructor=mtproto_pb2.BOOL_FALSE
).SerializeToString()


def read_bool(reply: bytes) -> bool:
    """Return whether a reply is boolTrue, by its name or its number.

    :raises BackendRefused: it is no mtproto.Bool.
    """
    if reply == TRUE_REPLY:
        return True
    try:
        message = mtproto_pb2.Bool.FromString(reply)
    except DecodeError:
        raise BackendRefused(500, "UNREADABLE_REPLY") from None
    return bool(
        message.constructor == mtproto_pb2.BOOL_TRUE or message.predicate_name == "boolTrue"
    )


def read_key(reply: bytes, auth_key_id: int) -> AuthKey:
    """Return the key of an AuthKeyInfo.

    :raises BackendRefused: it is no key, or another than the one asked for.
    """
    try:
        info = mtproto_pb2.AuthKeyInfo.FromString(reply)
        kind = KeyKind(info.auth_key_type)
    except (DecodeError, ValueError):
        raise BackendRefused(500, "UNREADABLE_REPLY") from None
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
    try:
        return bytes(session_pb2.HttpSessionData.FromString(reply).payload)
    except DecodeError:
        raise BackendRefused(500, "UNREADABLE_REPLY") from None


def error_in(reply: bytes) -> BackendRefused | None:
    """Return what is wrong with a reply that should be boolTrue."""
    try:
        return None if read_bool(reply) else BackendRefused(500, "BOOL_FALSE")
    except BackendRefused as error:
        return error
