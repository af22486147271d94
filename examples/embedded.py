"""A Twisted application of its own with gnetway in it: a web site, and RPC over MTProto.

    python -m gnetway make-key etc/server_pkcs1.key      # unless `make run` has made it
    twistd -n --pidfile= -y examples/embedded.py

Beside the site at http://127.0.0.1:8080/ it serves MTProto clients on 127.0.0.1:10443, keeps
their keys in memory, and answers a call of its own (made up, so no client has a class for it):

    example.greet#6e657401 name:string = help.SupportName

What is posted to the site goes to every client as an update:

    curl -d 'Lunch is ready' http://127.0.0.1:8080/

KEY_FILE, WEB_PORT and MTPROTO_ADDRESS in the environment change the places named above.

What it takes to embed gnetway: a configuration, here a mapping of the form of etc/gnetway.yaml;
an IRpcHandler, whose ``handle`` gets every call that the backend does not know and returns the
answer's bytes or a Deferred of them, or raises RpcError; and ``make_gateway``, whose service goes
wherever the application's other services go.
"""

import os
from typing import Final, cast

from twisted.application.internet import StreamServerEndpointService
from twisted.application.service import Application, IServiceCollection
from twisted.internet import reactor  # noqa: TID251 (twistd has chosen it by now)
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.interfaces import IReactorTCP, IReactorTime
from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import Site
from zope.interface import implementer

from gnetway import make_gateway
from gnetway.backends.embedded.handler import not_served
from gnetway.errors import RpcError
from gnetway.interfaces import IGatewayReactor, IRpcHandler, IRpcSessions, RpcCall
from gnetway.tl.primitives import Reader, pack_int32, pack_string, pack_uint32

GREET: Final = 0x6E657401

# From Telegram's API schema, so that clients have classes for them.
SUPPORT_NAME: Final = 0x8C05F1C9
UPDATE_SHORT: Final = 0x78D4DEC1
UPDATE_SERVICE_NOTIFICATION: Final = 0xEBE46819
MESSAGE_MEDIA_EMPTY: Final = 0x3DED6320
VECTOR: Final = 0x1CB5C415


@implementer(IRpcHandler)
class Greeter:
    """Greets who calls, and tells news to everyone."""

    def __init__(self) -> None:
        self.greeted = 0
        self._sessions: IRpcSessions | None = None

    def serve(self, sessions: IRpcSessions) -> "Greeter":
        """Take over the sessions; the gateway calls this when it starts."""
        self._sessions = sessions
        return self

    def handle(self, call: RpcCall) -> bytes:
        if call.constructor != GREET:
            # Clients ask who is logged in; here that is nobody.
            raise not_served(call.constructor)
        name = Reader(call.body, 4).string().decode(errors="replace")
        if not name:
            raise RpcError(400, "NAME_EMPTY")
        self.greeted += 1
        return pack_uint32(SUPPORT_NAME) + pack_string(f"Hello, {name}!".encode())

    def announce(self, text: str) -> int:
        """Push ``text`` to every session and return how many have a connection now."""
        sessions = self._sessions
        if sessions is None:
            return 0
        update = _service_notification(text)
        return sum(sessions.push(*ids, update) for ids in sessions.session_ids())


def _service_notification(text: str) -> bytes:
    """Return updateShort with updateServiceNotification: no flags, type, text, no media."""
    return b"".join(
        (
            pack_uint32(UPDATE_SHORT),
            pack_uint32(UPDATE_SERVICE_NOTIFICATION),
            pack_uint32(0),
            pack_string(b"NEWS"),
            pack_string(text.encode()),
            pack_uint32(MESSAGE_MEDIA_EMPTY),
            pack_uint32(VECTOR),
            pack_uint32(0),
            pack_int32(int(cast(IReactorTime, reactor).seconds())),
        )
    )


class Front(Resource):
    """The whole web site."""

    isLeaf = True

    def __init__(self, greeter: Greeter) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._greeter = greeter

    def render_GET(self, request: Request) -> bytes:
        return f"{self._greeter.greeted} greetings so far\n".encode()

    def render_POST(self, request: Request) -> bytes:
        assert request.content is not None
        text = request.content.read(4096).decode(errors="replace")
        return f"told {self._greeter.announce(text)}\n".encode()


greeter = Greeter()

site = StreamServerEndpointService(
    TCP4ServerEndpoint(
        cast(IReactorTCP, reactor),
        int(os.environ.get("WEB_PORT", "8080")),
        interface="127.0.0.1",
    ),
    Site(Front(greeter)),
)

gateway = make_gateway(
    {
        "RSAKey": [{"KeyFile": os.environ.get("KEY_FILE", "etc/server_pkcs1.key")}],
        "Gnetway": {
            "Server": [{"Addresses": [os.environ.get("MTPROTO_ADDRESS", "127.0.0.1:10443")]}]
        },
        "Session": {"Embedded": {"Store": "memory"}},
    },
    cast(IGatewayReactor, reactor),
    handler=greeter.serve,
)

application = Application("greeter")
site.setServiceParent(IServiceCollection(application))
gateway.setServiceParent(IServiceCollection(application))  # type: ignore[no-untyped-call]
