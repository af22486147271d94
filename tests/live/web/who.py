"""A handler that says who has called."""

from typing import Final

from twisted.internet.defer import Deferred

from gnetway.interfaces import RpcCall
from gnetway.testing import ClientSession
from gnetway.tl.primitives import Reader, pack_uint32
from tests.live.client import LiveClient
from tests.live.handler import LiveHandler, cdn_file

#: → the caller's client_ip, by upload.cdnFile.
WHO: Final = 0xEC400010


class WhoHandler(LiveHandler):
    def handle(self, call: RpcCall) -> bytes | Deferred[bytes]:
        if call.constructor == WHO:
            return cdn_file(call.client_ip.encode())
        return super().handle(call)


def who_am_i(client: LiveClient, session: ClientSession) -> str:
    """Ask for the address by which the gateway knows the client."""
    return Reader(client.call(session, pack_uint32(WHO)), 4).string().decode()
