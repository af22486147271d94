"""The RPC handler of the gateways under test: made-up calls, answered by upload.cdnFile.

    echo     ECHO bytes     → the same bytes
    produce  PRODUCE count  → as many bytes, a pattern
    push     PUSH bytes     → nothing, and the bytes as a push to the caller's session
    tell     TELL bytes     → nothing, and the bytes, an object of their own, as a push
    tell_session TELL_SESSION session_id bytes → the same to another session of the key
    fault    FAULT bytes    → a handler's own fault

It logs at the lowest level, so that a test can tell that the whole log was written.
"""

from typing import Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from gnetway.errors import RpcError
from gnetway.interfaces import IRpcHandler, IRpcSessions, RpcCall
from gnetway.tl.primitives import Reader, pack_int64, pack_string, pack_uint32

ECHO: Final = 0xEC400001
PRODUCE: Final = 0xEC400002
PUSH: Final = 0xEC400003
FAULT: Final = 0xEC400004
TELL: Final = 0xEC400005
TELL_SESSION: Final = 0xEC400006

#: upload.cdnFile bytes:bytes, which every client library can read.
CDN_FILE: Final = 0xA99FCA4F

DEBUG_LINE: Final = "the handler was called"


def echo(payload: bytes) -> bytes:
    return pack_uint32(ECHO) + pack_string(payload)


def produce(count: int) -> bytes:
    return pack_uint32(PRODUCE) + pack_uint32(count)


def push(payload: bytes) -> bytes:
    return pack_uint32(PUSH) + pack_string(payload)


def tell(update: bytes) -> bytes:
    return pack_uint32(TELL) + pack_string(update)


def tell_session(session_id: int, update: bytes) -> bytes:
    return pack_uint32(TELL_SESSION) + pack_int64(session_id) + pack_string(update)


def fault(payload: bytes) -> bytes:
    return pack_uint32(FAULT) + pack_string(payload)


def cdn_file(payload: bytes) -> bytes:
    return pack_uint32(CDN_FILE) + pack_string(payload)


def pattern(count: int) -> bytes:
    """Return bytes of which no two neighbouring blocks are alike."""
    return b"".join(block.to_bytes(4, "big") for block in range(-(-count // 4)))[:count]


@implementer(IRpcHandler)
class LiveHandler:
    _log = Logger()

    def __init__(self, sessions: IRpcSessions) -> None:
        self._sessions = sessions

    def handle(self, call: RpcCall) -> bytes | Deferred[bytes]:
        self._log.debug(DEBUG_LINE)
        reader = Reader(call.body, 4)
        if call.constructor == ECHO:
            return cdn_file(reader.string())
        if call.constructor == PRODUCE:
            return cdn_file(pattern(reader.uint32()))
        if call.constructor in (PUSH, TELL):
            body = reader.string()
            if call.constructor == PUSH:
                body = cdn_file(body)
            self._sessions.push(call.auth_key_id, call.session_id, body)
            return cdn_file(b"")
        if call.constructor == TELL_SESSION:
            self._sessions.push(call.auth_key_id, reader.int64(), reader.string())
            return cdn_file(b"")
        if call.constructor == FAULT:
            raise ValueError("a fault of the handler")
        raise RpcError(401, "AUTH_KEY_UNREGISTERED")


class BrokenHandler(LiveHandler):
    """A handler that shows only at the start that it cannot be."""

    def __init__(self, sessions: IRpcSessions) -> None:
        raise ValueError("no handler today")
