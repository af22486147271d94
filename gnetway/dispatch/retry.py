"""What becomes of a request that a session node has not done: whose fault it is, and what is next.

status                                  whose fault     what is next
CANCELLED, UNAVAILABLE                  the connection  again, elsewhere; one strike
DEADLINE_EXCEEDED                       a slow node     again, elsewhere; one strike
UNIMPLEMENTED, PERMISSION_DENIED,
UNAUTHENTICATED                         the node        again, elsewhere; the breaker opens
RESOURCE_EXHAUSTED, INVALID_ARGUMENT,
OUT_OF_RANGE, INTERNAL                  the message     fails; all others of its stream go again
AUTH_KEY_UNREGISTERED (401, or text)    the key         fails; the key is looked for no more
REDIRECT_TO_host:port (700, or text)    nobody          again, there
any other, e.g. UNKNOWN "overloaded"    nobody          fails

Data that may have come to a node twice does not go again: who sent it is told so.
"""

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Final, NamedTuple

from google.protobuf.message import DecodeError, Message

from gnetway.crypto.auth_key import AUTH_KEY_BYTES, AuthKey, KeyKind
from gnetway.dispatch.request import Request
from gnetway.errors import BackendError, BackendRefused, BackendUnavailable, GatewayError
from gnetway.pb import mtproto_pb2, session_pb2
from gnetway.rpc.status import Method, RpcStatus, StatusCode, is_key_unregistered, redirect_target

#: How often data is sent that nodes may have got without answering: once more.
MAX_SENDS: Final = 2
_LIMITED: Final = frozenset({Method.SEND_DATA, Method.SEND_HTTP_DATA})


class Fault(Enum):
    """Whose fault a status is."""

    NOBODY = "nobody"
    MESSAGE = "the message"
    CONNECTION = "the connection"
    SLOW_NODE = "a slow node"
    NODE = "the node"
    KEY = "the key"


class Next(Enum):
    """What is next for the request."""

    AGAIN = "again, elsewhere"
    FOLLOW = "again, where the redirect leads"
    FAIL = "fails"


class Decision(NamedTuple):
    """Whose fault it is, and what is next."""

    fault: Fault
    next: Next


BROKEN: Final = Decision(Fault.CONNECTION, Next.AGAIN)
#: What became of a message because of another one: it goes again, to the same node.
INNOCENT: Final = Decision(Fault.NOBODY, Next.AGAIN)
# CANCELLED is what the calls of a node get that stops: a call cancelled on our side tells nobody.
_TABLE: Final = {
    StatusCode.CANCELLED: BROKEN,
    StatusCode.UNAVAILABLE: BROKEN,
    StatusCode.DEADLINE_EXCEEDED: Decision(Fault.SLOW_NODE, Next.AGAIN),
    StatusCode.UNIMPLEMENTED: Decision(Fault.NODE, Next.AGAIN),
    StatusCode.PERMISSION_DENIED: Decision(Fault.NODE, Next.AGAIN),
    StatusCode.UNAUTHENTICATED: Decision(Fault.NODE, Next.AGAIN),
    StatusCode.RESOURCE_EXHAUSTED: Decision(Fault.MESSAGE, Next.FAIL),
    StatusCode.INVALID_ARGUMENT: Decision(Fault.MESSAGE, Next.FAIL),
    StatusCode.OUT_OF_RANGE: Decision(Fault.MESSAGE, Next.FAIL),
    StatusCode.INTERNAL: Decision(Fault.MESSAGE, Next.FAIL),
}
_BY_NUMBER: Final = {code.value: decision for code, decision in _TABLE.items()}
_REFUSED: Final = Decision(Fault.NOBODY, Next.FAIL)
_KEY_UNKNOWN: Final = Decision(Fault.KEY, Next.FAIL)
_REDIRECTED: Final = Decision(Fault.NOBODY, Next.FOLLOW)
_NOT_SERVED: Final = Decision(Fault.MESSAGE, Next.FAIL)


def decide(status: RpcStatus, method: Method) -> Decision:
    """Return whose fault the status of one request is, and what is next for it."""
    if redirect_target(status) is not None:
        return _REDIRECTED
    if is_key_unregistered(status):
        return _KEY_UNKNOWN
    if status.code == StatusCode.UNIMPLEMENTED and method is Method.SEND_HTTP_DATA:
        # Older services lack this one method; that says nothing about the rest.
        return _NOT_SERVED
    return _BY_NUMBER.get(status.code, _REFUSED)


def decide_stream(status: RpcStatus) -> Decision:
    """Return whose fault the end of a stream is, and what is next for what it left unanswered.

    A stream that ends in any other way than by the node's or a message's fault is a connection
    that has broken.
    """
    decision = _BY_NUMBER.get(status.code, BROKEN)
    if decision.fault is Fault.MESSAGE and status.code == StatusCode.INTERNAL:
        # Streams that are reset by peers and proxies end with INTERNAL too.
        unreadable = any(word in status.details for word in _UNREADABLE)
        return decision if unreadable else BROKEN
    return decision


#: What gRPC's implementations say when they cannot read a message: "failed to unmarshal the
#: received message", "error unmarshalling request", "Error parsing request", "deserializing
#: request".
_UNREADABLE: Final = ("unmarshal", "parsing", "deserializing")


def culprit(status: RpcStatus, unanswered: Sequence[Request]) -> Request | None:
    """Return which of the unanswered requests, oldest first, has ended the stream by its fault.

    A message over a node's limit is the largest, and of the largest the one that came first.
    One that cannot be read is the oldest: nodes answer in order.
    """
    if not unanswered:
        return None
    if status.code in {StatusCode.RESOURCE_EXHAUSTED, StatusCode.OUT_OF_RANGE}:
        return max(unanswered, key=lambda request: request.size)
    return unanswered[0]


def may_go_again(request: Request) -> bool:
    """Return whether a request may be sent once more, by how often nodes may have got it."""
    return request.method not in _LIMITED or request.sends < MAX_SENDS


# What the replies of the session service mean.

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
