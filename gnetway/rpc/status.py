"""gRPC statuses as errors, and the session service's part in gRPC: its calls, its own statuses.

The session service answers with numbers outside gRPC's 0 to 16. Not every carrier hands those
through: grpcio shows them as UNKNOWN, so the text decides and the number only has to agree.

This module is not compiled: in a compiled one an Enum cannot have an ``__init__``, as ``Method``
has, which takes its members for objects of another class while they are made.

Source: grpc.github.io/grpc/core/md_doc_statuscodes.html
"""

import re
from enum import Enum, IntEnum
from typing import Final

from gnetway.errors import GatewayError


class StatusCode(IntEnum):
    """The statuses of gRPC by number, and the two of the session service."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16
    KEY_UNREGISTERED = 401
    REDIRECT = 700


_NAMES: Final = {code.value: code.name for code in StatusCode}
_KEY_UNREGISTERED: Final = "AUTH_KEY_UNREGISTERED"
# Searched for, not matched whole: services wrap the text in "rpc error: code = … desc = …".
_REDIRECT: Final = re.compile(
    r"\bREDIRECT_TO_(?P<peer>(?:\[[^\s\]]+\]|[^\s:\[\]]+):(?P<port>\d{1,5}))(?!\S)"
)


class RpcStatus(GatewayError):
    """An RPC or a stream ended with something other than OK.

    ``code`` is the number as far as the carrier knows it, ``details`` the peer's text. ``unsent``
    is whether a call's request has surely not come to its handler; otherwise it may have.
    """

    def __init__(self, code: int, details: str = "", unsent: bool = False) -> None:
        super().__init__(f"{code} {_NAMES.get(code, 'status')}: {details}")
        self.code = code
        self.details = details
        self.unsent = unsent


class StreamClosed(GatewayError):
    """Nothing more can be sent: the stream was closed, aborted, or has ended."""


class StreamFull(GatewayError):
    """The bound of unsent bytes or messages is reached; ``stream_writable`` will follow."""


class ListenFailed(GatewayError):
    """The address of a server cannot be bound."""


def is_key_unregistered(status: RpcStatus) -> bool:
    """Return whether the service has proved that it does not know the auth key."""
    return (
        status.code in {StatusCode.KEY_UNREGISTERED, StatusCode.UNKNOWN}
        and _KEY_UNREGISTERED in status.details
    )


def redirect_target(status: RpcStatus) -> str | None:
    """Return the ``host:port`` that the key lives on, or None if this is no redirect."""
    if status.code not in {StatusCode.REDIRECT, StatusCode.UNKNOWN}:
        return None
    found = _REDIRECT.search(status.details)
    if found is None or not 0 < int(found["port"]) < 1 << 16:
        return None
    return found["peer"]


#: The wire type of a field that begins with its length.
#: Source: protobuf.dev/programming-guides/encoding
_LENGTH: Final = 2


class Method(Enum):
    """A call of the session service: its name, and its field in SessionStreamRequest."""

    QUERY_AUTH_KEY = ("session_queryAuthKey", 13)
    SET_AUTH_KEY = ("session_setAuthKey", 14)
    CREATE_SESSION = ("session_createSession", 11)
    SEND_DATA = ("session_sendDataToSession", 10)
    CLOSE_SESSION = ("session_closeSession", 12)
    #: Only as a unary call: the stream has no field for it.
    SEND_HTTP_DATA = ("session_sendHttpDataToSession", 0)

    def __init__(self, rpc_name: str, stream_field: int) -> None:
        self.rpc_name = rpc_name
        self.path = f"/session.RPCSession/{rpc_name}"
        self.stream_field = stream_field
        #: What its field begins with; the number and type of any of them fit into a byte.
        self.stream_tag = bytes((stream_field << 3 | _LENGTH,))
