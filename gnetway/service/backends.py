"""Session backends from prepare to stop, and which one a configuration asks for."""

import os
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final, Protocol, TypeVar

from twisted.internet.defer import Deferred, succeed

from gnetway.application import HandlerFactory, Middleware
from gnetway.backends.embedded.backend import EmbeddedBackend
from gnetway.backends.embedded.handler import (
    Embedding,
    check_middleware,
    check_store,
    load_handler,
    load_middleware,
    load_store,
)
from gnetway.backends.embedded.help_config import DEFAULT_DC, DcAddress, HelpConfig
from gnetway.backends.embedded.sqlite_file import StoreLock, check_file
from gnetway.backends.embedded.sqlite_store import SQLiteStore
from gnetway.backends.embedded.store import IKeyStore, MemoryStore, StoreUnusable
from gnetway.config.addresses import PublicAddressConfig
from gnetway.config.model import GatewayConfig
from gnetway.config.servers import Proto, ServerConfig
from gnetway.config.session import EmbeddedConfig
from gnetway.errors import ConfigError
from gnetway.events import Events
from gnetway.interfaces import IGatewayReactor, IPushTarget, ISessionBackend
from gnetway.metrics import Measures
from gnetway.runtime.clocks import TurnEnd, WallClock
from gnetway.service.listeners import Listener
from gnetway.service.remote import RemoteLifecycle, beside_another
from gnetway.service.sockets import InheritedSockets
from gnetway.tl.unwrap import UnwrapLimits

T = TypeVar("T")


class BackendLifecycle(Protocol):
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

    def is_dialled(self, host: str, port: int) -> None:
        """Hear of another address that clients can dial."""

    def take(self, config: GatewayConfig) -> None:
        """Go on with another configuration, as far as the backend can while it serves."""

    def withdraw(self) -> Deferred[None]:
        """Take that back, first of all at a stop; may come at any time, as ``stop``."""

    def stop(self) -> Deferred[None]:
        """End; fires when the backend has heard of everything."""

    def unready(self) -> list[str]:
        """Return why clients cannot be served now, one line each; asked once they are accepted."""

    def measures(self) -> Measures:
        """Return what the backend, and what only it needs, measure."""

    def pushes(self) -> Mapping[str, int]:
        """Return what became of the pushes of session services so far, by outcome."""

    def descriptors(self) -> list[int]:
        """See Estate."""

    def lend(self, lent: bool) -> None:
        """See Estate."""


# Which addresses clients are told by help.getConfig: of listeners that they can dial.
#
#     tcp, auto             its own address, or PublicAddress in its place
#     behind a balancer     PublicAddress alone: whoever dials it without a PROXY header is refused
#     a socket file, TLS    likewise: no client dials the one, and the other only behind something
#     websocket, http       none: browsers take no address from a config

#: Takes a host name, and whether IPv6 is wanted too; returns IP addresses, or raises OSError.
Resolve = Callable[[str, bool], list[str]]

#: The IP addresses of each public address.
Resolved = dict[PublicAddressConfig, list[str]]


def resolve(host: str, ipv6: bool) -> list[str]:
    """Return the IP addresses of a host, those of IPv4 alone unless ``ipv6``; may wait for DNS.

    :raises OSError: there are none.
    """
    is_literal = ":" in host
    family = socket.AF_UNSPEC if ipv6 or is_literal else socket.AF_INET
    found = socket.getaddrinfo(host, None, family, socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def resolve_public(config: GatewayConfig, find: Resolve = resolve) -> Resolved:
    """Return the IP addresses of all public addresses.

    :raises ConfigError: with a line for each name that has none; or for the last address, if all
        of them are for media only, so that clients would have none for anything else.
    """
    resolved: Resolved = {}
    faults: list[str] = []
    told = [public for server in config.gnetway.servers for public in _public(server)]
    for public in told:
        try:
            resolved[public] = find(public.host, public.ipv6)
        except OSError as error:
            found = f"{public.host}, which cannot be resolved: {error.strerror or error}"
            faults.append(config.fault(public.path, found, "an IP address, or a name that has one"))
    is_plain = any(not public.media_only for public in told) or any(
        _is_dialled(server) for server in config.gnetway.servers
    )
    if told and not is_plain:
        found, allowed = "only addresses with MediaOnly", "one without, for all else"
        faults.append(config.fault(told[-1].path, found, allowed))
    if faults:
        raise ConfigError(faults)
    return resolved


def dc_addresses(listeners: Iterable[Listener], resolved: Resolved) -> list[DcAddress]:
    """Return what clients are told, in the order of the listeners."""
    told: list[DcAddress] = []
    for listener in listeners:
        server = listener.server
        for public in _public(server):
            port = public.port or listener.port
            if port:
                told += [DcAddress(host, port, public.media_only) for host in resolved[public]]
        if _is_dialled(server) and listener.file is None:
            told.append(DcAddress(listener.host, listener.port))
    return told


def _public(server: ServerConfig) -> tuple[PublicAddressConfig, ...]:
    return server.public_addresses if server.speaks_tcp else ()


def _is_dialled(server: ServerConfig) -> bool:
    """Return whether clients dial the very addresses that the listener has."""
    hidden = server.proxy is not None or (server.proto is Proto.TCP and server.tls is not None)
    return server.speaks_tcp and not hidden and not server.public_addresses


HANDLER: Final = "the dotted path of a class that implements gnetway.interfaces.IRpcHandler"
STORE_CLASS: Final = "class: and the dotted path of a class that makes an IKeyStore of the reactor"
MIDDLEWARE: Final = "dotted paths of functions that take a call and what hands it on"


class EmbeddedLifecycle:
    """The backend in this process: a BackendLifecycle."""

    def __init__(
        self,
        config: GatewayConfig,
        embedded: EmbeddedConfig,
        reactor: IGatewayReactor,
        wall: WallClock,
        given: Embedding,
        random_bytes: Callable[[int], bytes],
        inherited: InheritedSockets | None = None,
        events: Events | None = None,
    ) -> None:
        self._config = config
        self._embedded = embedded
        self._inherited = inherited or InheritedSockets()
        self._reactor = reactor
        self._wall = wall
        self._given = given
        self._events = events
        self._random_bytes = random_bytes
        self._backend: EmbeddedBackend | None = None
        self._told: HelpConfig | None = None
        self._public: Resolved = {}
        self._lock = StoreLock(embedded.store_file)

    def prepare(self) -> None:
        """See BackendLifecycle."""
        self._given = replace(
            self._given,
            handler=self._handler(),
            store=self._store(),
            middleware=self._middleware(),
        )
        self._check_file()
        self._public = resolve_public(self._config)

    # What the configuration names counts, unless code has given another.

    def _handler(self) -> HandlerFactory | None:
        name = self._embedded.handler
        if self._given.handler is not None or name is None:
            return self._given.handler
        return self._found("Handler", lambda: load_handler(name), HANDLER)

    def _store(self) -> IKeyStore | None:
        store, path = self._given.store, self._embedded.store_class
        if store is None and path:
            return self._found("Store", lambda: load_store(path, self._reactor), STORE_CLASS)
        return None if store is None else check_store(store)

    def _middleware(self) -> Sequence[Middleware]:
        names = self._embedded.middleware or ()
        if self._given.middleware or not names:
            return [check_middleware(one) for one in self._given.middleware]
        return self._found("Middleware", lambda: list(map(load_middleware, names)), MIDDLEWARE)

    def _found(self, key: str, load: Callable[[], T], allowed: str) -> T:
        try:
            return load()
        except ConfigError as error:
            path = f"Session.Embedded.{key}"
            raise ConfigError([self._config.fault(path, str(error), allowed)]) from error

    def _check_file(self) -> None:
        """See whether the file that Session.Embedded.Store names can be used.

        Here and not at the start, when a daemon has no terminal any more to tell it on.
        """
        store = self._embedded.store_file
        if self._given.store is not None or not store:
            return
        try:
            # A missing one is made, and locked, at the start, by the user that it will belong to.
            if os.path.exists(store):
                self._lock.take(self._inherited.take_file)
                check_file(store, self._lock.is_shared)
        except StoreUnusable as error:
            self._lock.release()
            path, allowed = (
                "Session.Embedded.Store",
                "an SQLite file of this program that no other process uses, or none yet, or memory",
            )
            raise ConfigError([self._config.fault(path, str(error), allowed)]) from error

    def begin(self, listeners: list[Listener]) -> Deferred[ISessionBackend]:
        """See BackendLifecycle."""
        this_dc = self._embedded.this_dc or self._config.gnetway.strict_dc or DEFAULT_DC
        told = self._told = HelpConfig(dc_addresses(listeners, self._public), this_dc)
        given, max_keys = self._given, self._embedded.max_keys
        store: IKeyStore
        if given.store is not None:
            store = given.store
        elif self._embedded.in_memory:
            store = MemoryStore(max_keys)
        else:
            store = SQLiteStore(self._reactor, self._embedded.store, self._lock, max_keys)
        backend = EmbeddedBackend(
            self._reactor,
            self._wall,
            store,
            told,
            given.handler,
            self._random_bytes,
            UnwrapLimits(max_unpacked_bytes=self._config.gnetway.limits.max_unpacked_bytes),
            self._embedded.max_unacked_bytes,
            given.middleware,
            given.context,
            self._events,
        )
        self._backend = backend
        return succeed(backend)

    def serve(self, target: IPushTarget) -> Deferred[None]:
        """See BackendLifecycle."""
        assert self._backend is not None, "begin comes first"
        return self._backend.start(target)

    def publish(self) -> None:
        """See BackendLifecycle; nobody has to know."""

    def is_dialled(self, host: str, port: int) -> None:
        """See BackendLifecycle: help.getConfig tells of it."""
        if self._told is not None:
            self._told.add(DcAddress(host, port))

    def take(self, config: GatewayConfig) -> None:
        """See BackendLifecycle; all that it has needs a restart."""

    def withdraw(self) -> Deferred[None]:
        """See BackendLifecycle."""
        return succeed(None)

    def stop(self) -> Deferred[None]:
        """See BackendLifecycle."""
        if self._backend is None:
            self._lock.release()
            return succeed(None)
        return self._backend.stop()

    def unready(self) -> list[str]:
        """See BackendLifecycle; nobody else is needed."""
        return []

    def measures(self) -> Measures:
        """See BackendLifecycle."""
        return Measures() if self._backend is None else self._backend.measures()

    def pushes(self) -> Mapping[str, int]:
        """See BackendLifecycle; there are no session services."""
        return {}

    def descriptors(self) -> list[int]:
        """See Estate: the lock of the store, which both gateways have then, and no third one."""
        return self._lock.descriptors()

    def lend(self, lent: bool) -> None:
        """See Estate."""
        if self._backend is not None:
            self._backend.is_last = not lent


def make_lifecycle(
    config: GatewayConfig,
    reactor: IGatewayReactor,
    wall: WallClock,
    given: Embedding | HandlerFactory | None,
    random_bytes: Callable[[int], bytes],
    turn_end: TurnEnd,
    inherited: InheritedSockets | None = None,
    events: Events | None = None,
) -> BackendLifecycle:
    """Return the lifecycle of the backend that Session asks for.

    ``given`` is what an application puts in: all of it, or a handler alone.

    :raises ConfigError: something is given for a remote backend.
    """
    if not isinstance(given, Embedding):
        given = Embedding(handler=given)
    embedded = config.session.embedded
    if embedded is not None:
        return EmbeddedLifecycle(
            config, embedded, reactor, wall, given, random_bytes, inherited, events
        )
    if given != Embedding():
        found = "a remote session backend, but a handler, store, middleware or context for calls"
        raise ConfigError([config.fault("Session", found, "Session.Embedded with them")])
    if inherited is not None and inherited.of_another:
        config = beside_another(config)
    return RemoteLifecycle(config, reactor, random_bytes, os.environ, turn_end)
