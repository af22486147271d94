"""The session backend in other processes: Teamgram's session service.

discovery → node table with ring → lanes, one for each session → unary calls or streams
↘ hold, while no node answers
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from gnetway.crypto.auth_key import AuthKey
from gnetway.errors import (
    BackendError,
    BackendRefused,
    BackendUnavailable,
    GatewayError,
    KeyUnknown,
)
from gnetway.interfaces import (
    FutureSalt,
    IDiscovery,
    IPushTarget,
    ISessionBackend,
    SessionClient,
)
from gnetway.metrics import Causes
from gnetway.rpc.calls import IRpcCarrier, RpcOptions
from gnetway.session.contract import client_head, http_request, query_request, set_request
from gnetway.session.hold import Hold, HoldLimits
from gnetway.session.lane import Lanes
from gnetway.session.method import Method
from gnetway.session.nodes import Node, NodeLink, NodeTable
from gnetway.session.operation import Operation
from gnetway.session.remote_session import Announce, RemoteSession
from gnetway.session.replies import TRUE_REPLY, read_bool, read_http_payload, read_key
from gnetway.session.single import ask
from gnetway.session.stream import StreamLink
from gnetway.session.unary import UnaryLink

__all__ = ["Announce", "HoldLimits", "RemoteBackend", "RemoteSettings"]

#: How long a stop waits for what is still to be said, in seconds.
DRAIN_SECONDS: Final = 5.0

#: How many operations of a session may be on their way by stream; the links have the bounds.
_STREAM_WINDOW: Final = 1 << 30

#: The name of an error in its text, which may tell more: causes must not grow without end.
_NAME: Final = re.compile(r"\b[A-Z]{2,30}(?:_[A-Z]{1,30}){1,6}\b")


@dataclass(frozen=True, slots=True)
class RemoteSettings:
    """How to talk to the session service.

    ``server_id`` is this gateway's own gRPC address, where answers come back to. A node that
    does not answer within ``timeout_seconds`` is passed over.
    """

    server_id: str
    use_stream: bool = False
    announce: Announce = Announce.MESSAGE
    timeout_seconds: float = 10.0
    hold: HoldLimits = field(default_factory=HoldLimits)


@implementer(ISessionBackend)
class RemoteBackend:
    """Sends everything to the session nodes that ``discovery`` names.

    ``refused`` counts the messages that a node answered with an error, by the error's name, and
    ``lost`` those that no node has taken, by cause.
    """

    _log = Logger()

    takes_unbound = False

    def __init__(
        self,
        clock: IReactorTime,
        carrier: IRpcCarrier,
        options: RpcOptions,
        discovery: IDiscovery,
        settings: RemoteSettings,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._clock = clock
        self._carrier = carrier
        self._options = options
        self._discovery = discovery
        self._settings = settings
        self._nodes = NodeTable(clock, self._make_link, random_bytes, self._go_on)
        self._hold = Hold(clock, settings.hold, self._nodes.may_take)
        self._lanes = Lanes(self._nodes, self._hold, _STREAM_WINDOW if settings.use_stream else 1)
        self._sessions: dict[tuple[int, int], RemoteSession] = {}
        self._drained: Deferred[None] | None = None
        self.refused = Causes()
        self.lost = self._hold.lost
        way = "by stream" if settings.use_stream else "by unary calls"
        self.description = f"session service {way}, {discovery.description}"

    # -- life ----------------------------------------------------------------------------------

    def start(self, target: IPushTarget) -> Deferred[None]:
        """Begin to look for nodes; clients may come before there are any.

        Pushes come by the gateway's own gRPC service, not through ``target``.
        """
        self._discovery.watch(self._nodes.set_listed)
        self._discovery.start().addErrback(self._discovery_failed)
        started: Deferred[None] = Deferred()
        started.callback(None)
        return started

    def stop(self) -> Deferred[None]:
        """Say what is still to be said, for a few seconds at most, and hang up."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        if self._sessions:
            self._drained = Deferred()
            self._drained.addTimeout(DRAIN_SECONDS, self._clock, lambda *_: None)
            await self._drained
            self._drained = None
        links = self._nodes.close()
        self._hold.close()
        await DeferredList(links, consumeErrors=True)
        await self._discovery.stop()
        self._log.info(
            "messages that session nodes refused: {refused}, that were lost: {lost}",
            refused=self.refused.as_dict(),
            lost=self.lost.as_dict(),
        )

    def _discovery_failed(self, failure: Failure) -> None:
        if not isinstance(failure.value, CancelledError):
            self._log.failure("Looking for session nodes failed", failure)

    def _make_link(self, node: Node) -> NodeLink:
        options, timeout = self._options, self._settings.timeout_seconds
        client = self._carrier.client(node.address, options)
        if self._settings.use_stream:
            return StreamLink(self._clock, node, client, timeout, options, self._use_room)
        link = UnaryLink(node, client, timeout, options.max_calls, self._use_room)
        client.watch_connection(link.connection_lost)
        return link

    def _go_on(self) -> None:
        self._hold.go_on()

    def _use_room(self) -> None:
        self._hold.use_room()

    # -- keys ----------------------------------------------------------------------------------

    def query_auth_key(self, auth_key_id: int) -> Deferred[AuthKey]:
        """Fire with the key, or fail with KeyUnknown or BackendUnavailable.

        In an outage the query waits; who asks says for how long.
        """
        query = Operation(Method.QUERY_AUTH_KEY, auth_key_id, query_request(auth_key_id))
        return ask(self._lanes, query, patient=True).addCallback(read_key, auth_key_id)

    def set_auth_key(self, key: AuthKey, salt: FutureSalt, expires_in: int) -> Deferred[bool]:
        """Store a key; fails at once in an outage, since its client is told to try again."""
        request = set_request(key, salt, expires_in)
        operation = Operation(Method.SET_AUTH_KEY, key.auth_key_id, request)
        return ask(self._lanes, operation, patient=False).addCallback(read_bool)

    # -- sessions ------------------------------------------------------------------------------

    def open_session(self, client: SessionClient) -> None:
        """Note a session; its node hears of it with its first message."""
        name = (client.key.auth_key_id, client.session_id)
        session = self._sessions.get(name)
        if session is None:
            session = RemoteSession(
                self._lanes,
                client,
                self._settings.server_id,
                self._settings.announce,
                self._answered,
                self._forget,
            )
            self._sessions[name] = session
        else:
            session.reopen(client)
        client.backend_state = session

    def send_data(
        self,
        client: SessionClient,
        salt: int,
        payload: bytes,
        quick_ack: bool,
        done: Callable[[BackendError | None], None] | None,
    ) -> None:
        """Hand over one client message; messages of a session keep their order."""
        session = client.backend_state
        assert isinstance(session, RemoteSession), "open_session comes first"
        finished = self._answered if done is None else _Decision(done).finished
        session.send(salt, payload, quick_ack, finished)

    def send_http_data(self, client: SessionClient, salt: int, payload: bytes) -> Deferred[bytes]:
        """Call for an HTTP client; fires with the plaintext that answers, maybe empty."""
        head = client_head(self._settings.server_id, client, client.key.perm_auth_key_id)
        request = http_request(head, salt, payload)
        operation = Operation(Method.SEND_HTTP_DATA, client.key.auth_key_id, request)
        return ask(self._lanes, operation, patient=True).addCallback(read_http_payload)

    def close_session(self, client: SessionClient) -> None:
        """Tell the session's node that it is over."""
        session, client.backend_state = client.backend_state, None
        assert isinstance(session, RemoteSession), "open_session comes first"
        session.close()

    def _answered(self, reply: bytes, error: GatewayError | None) -> None:
        if error is None:
            if reply == TRUE_REPLY or not reply:
                return
            error = _error_in(reply)
        if isinstance(error, BackendRefused):
            named = _NAME.search(error.text)
            self.refused.count(named[0] if named is not None else str(error.code))
        elif isinstance(error, KeyUnknown):
            self.refused.count("AUTH_KEY_UNREGISTERED")

    def _forget(self, session: RemoteSession) -> None:
        if self._sessions.get(session.name) is session:
            del self._sessions[session.name]
        if not self._sessions and self._drained is not None and not self._drained.called:
            self._drained.callback(None)


def _error_in(reply: bytes) -> BackendRefused | None:
    """Return what is wrong with a reply that should be boolTrue."""
    try:
        return None if read_bool(reply) else BackendRefused(500, "BOOL_FALSE")
    except BackendRefused as error:
        return error


class _Decision:
    """What a node decided about a message whose sender waits for it."""

    __slots__ = ("_done",)

    def __init__(self, done: Callable[[BackendError | None], None]) -> None:
        self._done = done

    def finished(self, reply: bytes, error: GatewayError | None) -> None:
        """Pass it on."""
        if error is None:
            self._done(_error_in(reply))
        elif isinstance(error, BackendError):
            self._done(error)
        else:
            self._done(BackendUnavailable(str(error)))
