"""Which session backend a configuration asks for."""

from collections.abc import Callable

from gnetway.config.model import GatewayConfig
from gnetway.embedded.backend import EmbeddedBackend
from gnetway.embedded.handler import HandlerFactory, load_handler
from gnetway.embedded.memory_store import MemoryStore
from gnetway.embedded.server_config import ServerConfig
from gnetway.embedded.sqlite_store import SQLiteStore, check_file
from gnetway.embedded.store import StoreUnusable
from gnetway.errors import ConfigError
from gnetway.interfaces import IGatewayReactor, ISessionBackend


def find_handler(config: GatewayConfig) -> HandlerFactory | None:
    """Return the class that Session.Embedded.Handler names, None where there is none.

    :raises ConfigError: it cannot be had.
    """
    name = config.session.embedded.handler
    if name is None:
        return None
    try:
        return load_handler(name)
    except ConfigError as error:
        path = "Session.Embedded.Handler"
        allowed = "the dotted path of a class that implements gnetway.interfaces.IRpcHandler"
        raise ConfigError([config.fault(path, str(error), allowed)]) from error


def check_store(config: GatewayConfig) -> None:
    """See whether the file that Session.Embedded.Store names can be used.

    Here and not at the start, when a daemon has no terminal any more to tell it on.

    :raises ConfigError: it cannot.
    """
    embedded = config.session.embedded
    if embedded is None or embedded.in_memory:
        return
    try:
        check_file(embedded.store)
    except StoreUnusable as error:
        allowed = "an SQLite file of this program, or none yet, or memory"
        raise ConfigError([config.fault("Session.Embedded.Store", str(error), allowed)]) from error


def make_backend(
    config: GatewayConfig,
    reactor: IGatewayReactor,
    handler: HandlerFactory | None,
    addresses: list[tuple[str, int]],
    random_bytes: Callable[[int], bytes],
) -> ISessionBackend:
    """Build the backend; ``addresses`` are those at which clients reach the gateway."""
    embedded = config.session.embedded
    store = MemoryStore() if embedded.in_memory else SQLiteStore(reactor, embedded.store)
    return EmbeddedBackend(reactor, store, ServerConfig(addresses), handler, random_bytes)
