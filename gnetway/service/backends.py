"""The side of a gateway that faces its session backend, and which one a configuration asks for."""

import os
from collections.abc import Callable, Mapping
from typing import Protocol

from twisted.internet.defer import Deferred, succeed

from gnetway.backends.embedded.backend import EmbeddedBackend
from gnetway.backends.embedded.handler import HandlerFactory, load_handler
from gnetway.backends.embedded.server_config import DEFAULT_DC, ServerConfig
from gnetway.backends.embedded.sqlite_file import StoreLock, check_file
from gnetway.backends.embedded.sqlite_store import SQLiteStore
from gnetway.backends.embedded.store import MemoryStore, StoreUnusable
from gnetway.config.model import GatewayConfig
from gnetway.config.session import EmbeddedConfig
from gnetway.errors import ConfigError
from gnetway.interfaces import IGatewayReactor, IPushTarget, ISessionBackend
from gnetway.runtime.clocks import WallClock
from gnetway.runtime.turn_end import TurnEnd
from gnetway.service.cluster import ClusterSide
from gnetway.service.dc_options import Resolved, dc_addresses, resolve_public
from gnetway.service.listeners import Listener
from gnetway.tl.unwrap import UnwrapLimits


class BackendSide(Protocol):
    """A session backend and all that only it needs; called in the order of the methods."""

    def prepare(self) -> None:
        """Do what can fail for the configuration's sake, but start nothing.

        :raises ConfigError: with a line for each fault.
        """

    def begin(self, listeners: list[Listener]) -> Deferred[ISessionBackend]:
        """Build the backend; ``listeners`` are those that clients come to."""

    def serve(self, target: IPushTarget) -> Deferred[None]:
        """Start the backend; messages for clients go to ``target`` from now on."""

    def publish(self) -> None:
        """Make the gateway known, now that it serves."""

    def withdraw(self) -> Deferred[None]:
        """Take that back, first of all at a stop; may come at any time, as ``stop``."""

    def stop(self) -> Deferred[None]:
        """End; fires when the backend has heard of everything."""

    def unready(self) -> list[str]:
        """Return why clients cannot be served now, one line each; asked once they are accepted."""

    def pushes(self) -> Mapping[str, int]:
        """Return what became of the pushes of session services so far, by outcome."""


class EmbeddedSide:
    """The backend in this process: a BackendSide."""

    def __init__(
        self,
        config: GatewayConfig,
        embedded: EmbeddedConfig,
        reactor: IGatewayReactor,
        wall: WallClock,
        handler: HandlerFactory | None,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._config = config
        self._embedded = embedded
        self._reactor = reactor
        self._wall = wall
        self._handler = handler
        self._random_bytes = random_bytes
        self._backend: ISessionBackend | None = None
        self._public: Resolved = {}
        self._lock = StoreLock(embedded.store)

    def prepare(self) -> None:
        """See BackendSide."""
        self._find_handler()
        self._check_store()
        self._public = resolve_public(self._config)

    def _find_handler(self) -> None:
        """Find the class that Session.Embedded.Handler names, unless code has given another."""
        name = self._embedded.handler
        if self._handler is not None or name is None:
            return
        try:
            self._handler = load_handler(name)
        except ConfigError as error:
            path = "Session.Embedded.Handler"
            allowed = "the dotted path of a class that implements gnetway.interfaces.IRpcHandler"
            raise ConfigError([self._config.fault(path, str(error), allowed)]) from error

    def _check_store(self) -> None:
        """See whether the file that Session.Embedded.Store names can be used.

        Here and not at the start, when a daemon has no terminal any more to tell it on.
        """
        if self._embedded.in_memory:
            return
        store = self._embedded.store
        try:
            # A missing one is made, and locked, at the start, by the user that it will belong to.
            if os.path.exists(store):
                self._lock.take()
                check_file(store)
        except StoreUnusable as error:
            self._lock.release()
            path, allowed = (
                "Session.Embedded.Store",
                "an SQLite file of this program that no other process uses, or none yet, or memory",
            )
            raise ConfigError([self._config.fault(path, str(error), allowed)]) from error

    def begin(self, listeners: list[Listener]) -> Deferred[ISessionBackend]:
        """See BackendSide."""
        this_dc = self._embedded.this_dc or self._config.gnetway.strict_dc or DEFAULT_DC
        told = ServerConfig(dc_addresses(listeners, self._public), this_dc)
        store = (
            MemoryStore(self._embedded.max_keys)
            if self._embedded.in_memory
            else SQLiteStore(
                self._reactor, self._embedded.store, self._lock, self._embedded.max_keys
            )
        )
        backend = EmbeddedBackend(
            self._reactor,
            self._wall,
            store,
            told,
            self._handler,
            self._random_bytes,
            UnwrapLimits(max_unpacked_bytes=self._config.gnetway.limits.max_unpacked_bytes),
            self._embedded.max_unacked_bytes,
        )
        self._backend = backend
        return succeed(backend)

    def serve(self, target: IPushTarget) -> Deferred[None]:
        """See BackendSide."""
        assert self._backend is not None, "begin comes first"
        return self._backend.start(target)

    def publish(self) -> None:
        """See BackendSide; nobody has to know."""

    def withdraw(self) -> Deferred[None]:
        """See BackendSide."""
        return succeed(None)

    def stop(self) -> Deferred[None]:
        """See BackendSide."""
        if self._backend is None:
            self._lock.release()
            return succeed(None)
        return self._backend.stop()

    def unready(self) -> list[str]:
        """See BackendSide; nobody else is needed."""
        return []

    def pushes(self) -> Mapping[str, int]:
        """See BackendSide; there are no session services."""
        return {}


def make_side(
    config: GatewayConfig,
    reactor: IGatewayReactor,
    wall: WallClock,
    handler: HandlerFactory | None,
    random_bytes: Callable[[int], bytes],
    turn_end: TurnEnd,
) -> BackendSide:
    """Return the side that Session asks for.

    :raises ConfigError: ``handler``, which answers calls, is given for a remote backend.
    """
    embedded = config.session.embedded
    if embedded is not None:
        return EmbeddedSide(config, embedded, reactor, wall, handler, random_bytes)
    if handler is not None:
        found = "a remote session backend, but a handler that is to answer calls"
        raise ConfigError([config.fault("Session", found, "Session.Embedded with a handler")])
    return ClusterSide(config, reactor, random_bytes, os.environ, turn_end)
