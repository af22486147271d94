"""A call that tells in whose name it came, for both backends."""

from typing import Final

from twisted.internet.defer import Deferred

from gnetway.interfaces import RpcCall
from gnetway.tl.primitives import Reader, pack_uint32
from tests.live.handler import LiveHandler, cdn_file

#: → the caller's perm_auth_key_id in decimal, by upload.cdnFile.
NAME: Final = 0xEC400020

#: The call itself.
NAME_CALL: Final = pack_uint32(NAME)


def told_name(perm_auth_key_id: int) -> bytes:
    return cdn_file(str(perm_auth_key_id).encode())


def name_in(result: bytes) -> int:
    """Return the name that a result tells."""
    return int(Reader(result, 4).string())


class NameHandler(LiveHandler):
    """The embedded backend's side of it."""

    def handle(self, call: RpcCall) -> bytes | Deferred[bytes]:
        if call.constructor == NAME:
            return told_name(call.perm_auth_key_id)
        return super().handle(call)
