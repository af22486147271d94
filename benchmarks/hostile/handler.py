"""The RPC handler of the gateways under attack: any number of bytes, at hardly any cost.

The gateway may be of another checkout, so this file is copied to where that finds it, and needs
nothing but gnetway.
"""

from typing import Final

from twisted.internet.defer import Deferred
from zope.interface import implementer

from gnetway.errors import RpcError
from gnetway.interfaces import IRpcHandler, IRpcSessions, RpcCall
from gnetway.tl.primitives import Reader, pack_string, pack_uint32

#: PRODUCE count → upload.cdnFile of as many zeros.
PRODUCE: Final = 0xEC400002
_CDN_FILE: Final = 0xA99FCA4F


def produce(count: int) -> bytes:
    return pack_uint32(PRODUCE) + pack_uint32(count)


@implementer(IRpcHandler)
class LargeAnswers:
    def __init__(self, _sessions: IRpcSessions) -> None:
        pass

    def handle(self, call: RpcCall) -> bytes | Deferred[bytes]:
        if call.constructor == PRODUCE:
            return pack_uint32(_CDN_FILE) + pack_string(bytes(Reader(call.body, 4).uint32()))
        raise RpcError(401, "AUTH_KEY_UNREGISTERED")
