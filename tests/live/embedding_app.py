"""An application with a gateway in it, for test_embedding: it tells what it hears on the log.

twistd -n --pidfile= -y tests/live/embedding_app.py     KEY_FILE, ADDRESS in the environment
"""

import os
from typing import cast

from twisted.application.service import Application
from twisted.internet import reactor  # noqa: TID251 (twistd has chosen it by now)
from twisted.logger import Logger
from zope.interface import implementer

from gnetway import make_gateway
from gnetway.backends.embedded.handler import not_served
from gnetway.errors import PushFailed, TransportError
from gnetway.events import GatewayEvent
from gnetway.interfaces import IGatewayReactor, IRpcHandler, IRpcSession, IRpcSessions, RpcCall
from gnetway.tl.primitives import pack_int32, pack_string, pack_uint32

LOG = Logger(namespace="app")

#: Our calls; the first two answer boolTrue.
LOG_IN, TELL, LEAVE = 0x6E657411, 0x6E657412, 0x6E657413
BOOL_TRUE = pack_uint32(0x997275B5)

#: updateShort with updateServiceNotification: no flags, type, text, no media, no entities; a date.
NEWS = (
    pack_uint32(0x78D4DEC1)
    + pack_uint32(0xEBE46819)
    + pack_uint32(0)
    + pack_string(b"NEWS")
    + pack_string(b"to ada")
    + pack_uint32(0x3DED6320)
    + pack_uint32(0x1CB5C415)
    + pack_uint32(0)
    + pack_int32(1_800_000_000)
)


@implementer(IRpcHandler)
class Handler:
    """Knows one user, and pushes to it."""

    def __init__(self, sessions: IRpcSessions) -> None:
        self._sessions = sessions

    def handle(self, call: RpcCall) -> bytes:
        if call.constructor == LOG_IN:
            call.session.attach_key("ada")
            call.session.context["calls"] = 1
        elif call.constructor == TELL:
            for session in self._sessions.find("ada"):
                session.push_acked(NEWS).addCallbacks(self._acked, self._failed, (session,))
        elif call.constructor == LEAVE:
            raise TransportError(404)
        else:
            raise not_served(call.constructor)
        return BOOL_TRUE

    def _acked(self, _: None, session: IRpcSession) -> None:
        LOG.info("acked: context {context}", context=session.context)

    def _failed(self, failure: object) -> None:
        LOG.info("failed: {why}", why=getattr(failure, "value", PushFailed("?")))


gateway = make_gateway(
    {
        "RSAKey": [{"KeyFile": os.environ["KEY_FILE"]}],
        "Gnetway": {"Server": [{"Addresses": [os.environ["ADDRESS"]]}]},
        "Session": {"Embedded": {"Store": "memory"}},
    },
    cast(IGatewayReactor, reactor),
    handler=Handler,
    context=lambda session: {},
)


def hear(event: GatewayEvent) -> None:
    cause = getattr(event, "cause", "")
    LOG.info("heard {kind} {cause}", kind=type(event).__name__, cause=cause)


gateway.events.subscribe(GatewayEvent, hear)

application = Application("embedding")
gateway.setServiceParent(application)
