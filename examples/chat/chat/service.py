"""The whole application as one service of Twisted's."""

from time import time
from typing import Any

from chat.handlers import Chat, Presence
from chat.store import Store
from gnetway import make_gateway
from gnetway.interfaces import IGatewayReactor, IRpcSessions
from gnetway.routes import Routes
from gnetway.service.gateway import GatewayService


def make_chat(
    reactor: IGatewayReactor, address: str, key_file: str, key_store: str, database: str
) -> GatewayService:
    """Return the gateway with everything in it.

    ``key_store`` is where the gateway keeps its clients' keys, ``database`` where the chat keeps
    what is written; ``memory`` and ``:memory:`` are for tests.
    """
    store = Store(database)

    def handler(sessions: IRpcSessions) -> Routes:
        Presence(sessions, time).watch(gateway.events)
        return Routes(Chat(store, sessions, time))

    config: dict[str, Any] = {
        "RSAKey": [{"KeyFile": key_file}],
        "Gnetway": {"Server": [{"Proto": "auto", "Addresses": [address]}]},
        "Session": {"Embedded": {"Store": key_store}},
    }
    gateway = make_gateway(config, reactor, handler=handler)
    # It begins before the first call, and ends after the last one.
    store.setServiceParent(gateway)  # type: ignore[no-untyped-call]
    return gateway
