"""gnetway as the gateway of ``server.py``: what docs/porting.md lists, in as many lines.

twistd -n --pidfile= --reactor=asyncio -y examples/porting/gateway.tac
"""

from server import ForLayer, Refused, Server
from zope.interface import implementer

from gnetway import make_gateway
from gnetway.errors import RpcError
from gnetway.events import Events, SessionClosed
from gnetway.interfaces import IGatewayReactor, IRpcHandler, IRpcSessions, RpcCall
from gnetway.service.gateway import GatewayService


@implementer(IRpcHandler)
class Calls:
    """The server's calls, users and updates."""

    def __init__(self, server: Server, sessions: IRpcSessions) -> None:
        self._server = server
        self._sessions = sessions
        #: The permanent key and the layer of each session, by auth_key_id and session_id.
        self._known: dict[tuple[int, int], tuple[int, int]] = {}
        self._names: dict[int, str] = {}
        server.logged_in = self._names.__setitem__
        server.send = self._send

    async def handle(self, call: RpcCall) -> bytes:
        self._known[call.auth_key_id, call.session_id] = call.perm_auth_key_id, call.layer
        # By its permanent key: that one stays when a client changes its temporary ones.
        try:
            return await self._server.handle(
                call.perm_auth_key_id, call.session_id, call.layer, call.body
            )
        except Refused as error:
            raise RpcError(error.code, error.name) from None

    def watch(self, events: Events) -> "Calls":
        """Forget sessions whose clients have left."""
        events.subscribe(
            SessionClosed,
            lambda event: self._known.pop((event.auth_key_id, event.session_id), None),
        )
        return self

    async def _send(self, name: str, update: ForLayer) -> int:
        """Send each client of a user what it can read; returns how many there are."""
        return sum(
            self._sessions.push(*ids, update(layer))
            for ids, (auth_key_id, layer) in self._known.items()
            if self._names.get(auth_key_id) == name
        )


def make_ported(
    server: Server, reactor: IGatewayReactor, address: str, key_file: str
) -> GatewayService:
    """Return the gateway of a server: a service of Twisted's."""
    gateway = make_gateway(
        {
            "RSAKey": [{"KeyFile": key_file}],
            "Gnetway": {"Server": [{"Proto": "auto", "Addresses": [address]}]},
            "Session": {"Embedded": {"Store": "memory"}},
        },
        reactor,
        handler=lambda sessions: Calls(server, sessions).watch(gateway.events),
    )
    return gateway
