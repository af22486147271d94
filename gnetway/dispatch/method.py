"""The calls of the session service.

A module of its own because it is not compiled: in a compiled one an Enum cannot have an
``__init__``, which takes its members for objects of another class while they are made.
"""

from enum import Enum
from typing import Final

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
