"""What a message of a session service says of its key, found in passing.

The service has no other way to say it: it answers the client, and the gateway carries that.

    destroy_auth_key_ok, bare or in rpc_result     the key is destroyed
    rpc_error 401 AUTH_KEY_UNREGISTERED            nobody is logged in with the key: it may have
                                                   been destroyed from elsewhere, or is only new

Every push is looked at, so all but a few are let go by their length and four of their bytes.
"""

from enum import Enum
from typing import Final

from gnetway.errors import TLError
from gnetway.mtproto.message import HEADER_BYTES
from gnetway.tl.constructors import Constructor
from gnetway.tl.primitives import pack_uint32
from gnetway.tl.rpc_results import RpcErrorObject, RpcResult
from gnetway.tl.service_messages import parse_container

#: News are short, also in a container beside acknowledgements; longer bodies are not looked at.
MAX_NEWS_BYTES: Final = 256

_CONTAINER: Final = pack_uint32(Constructor.MSG_CONTAINER)
_RPC_RESULT: Final = pack_uint32(Constructor.RPC_RESULT)
_RPC_ERROR: Final = pack_uint32(Constructor.RPC_ERROR)
_DESTROYED: Final = pack_uint32(Constructor.DESTROY_AUTH_KEY_OK)

#: Lengths of the bodies that are news: the bare object, and rpc_result of either.
_BARE_BYTES: Final = 4
_DESTROYED_BYTES: Final = 16
_ERROR_BYTES: Final = 44

#: The least of a container: its head, and one message of any object.
_CONTAINER_BYTES: Final = 28

#: Lengths of bodies that may be news. A pong's, the commonest of all, is none of them.
NEWS_LENGTHS: Final = frozenset(
    (_BARE_BYTES, _DESTROYED_BYTES, *range(_CONTAINER_BYTES, MAX_NEWS_BYTES + 1))
)

#: Where the body begins in a plaintext, and in it the result of an rpc_result.
_BODY_AT: Final = HEADER_BYTES
_RESULT_AT: Final = HEADER_BYTES + 12

#: More messages than this are not in ``MAX_NEWS_BYTES``.
_MAX_MESSAGES: Final = MAX_NEWS_BYTES // 16

_NOT_LOGGED_IN: Final = RpcErrorObject(401, "AUTH_KEY_UNREGISTERED")


class KeyNews(Enum):
    """What is said of the key."""

    DESTROYED = "destroyed"
    DOUBTFUL = "doubtful"


def may_be_key_news(plaintext: bytes, length: int) -> bool:
    """Return whether it is worth to call ``key_news``; ``length`` is that of the body in bytes."""
    if length not in NEWS_LENGTHS:
        return False
    if length == _DESTROYED_BYTES:
        return plaintext[_RESULT_AT : _RESULT_AT + 4] == _DESTROYED
    if length == _ERROR_BYTES and plaintext[_RESULT_AT : _RESULT_AT + 4] == _RPC_ERROR:
        return True
    if length >= _CONTAINER_BYTES:
        return plaintext[_BODY_AT : _BODY_AT + 4] == _CONTAINER
    return length == _BARE_BYTES


def key_news(plaintext: bytes) -> KeyNews | None:
    """Return what a message says of its key, None for nothing.

    ``plaintext`` is salt, session_id, msg_id, seq_no, length, body, and maybe padding.
    """
    length = int.from_bytes(plaintext[_BODY_AT - 4 : _BODY_AT], "little")
    if not may_be_key_news(plaintext, length):
        return None
    return _news_in(plaintext[_BODY_AT : _BODY_AT + length])


def _news_in(body: bytes) -> KeyNews | None:
    try:
        if body[:4] != _CONTAINER:
            return _news_of(body)
        found = [_news_of(one.body) for one in parse_container(body, _MAX_MESSAGES)]
    except TLError:
        return None
    if KeyNews.DESTROYED in found:
        return KeyNews.DESTROYED
    return KeyNews.DOUBTFUL if KeyNews.DOUBTFUL in found else None


def _news_of(body: bytes) -> KeyNews | None:
    if body == _DESTROYED:
        return KeyNews.DESTROYED
    if body[:4] != _RPC_RESULT:
        return None
    result = RpcResult.parse(body).result
    if result == _DESTROYED:
        return KeyNews.DESTROYED
    if result[:4] == _RPC_ERROR and RpcErrorObject.parse(result) == _NOT_LOGGED_IN:
        return KeyNews.DOUBTFUL
    return None
