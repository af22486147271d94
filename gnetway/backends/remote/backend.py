"""The session backend in other processes: Teamgram's session service.

discovery → dispatch core: nodes with ring, session queues, outage buffer → unary calls or streams

This is the shell around the core: connections, timers, and the clients' sessions. The core is told
what has happened, and then everything it wants done is done, in order.
"""

import re
from collections.abc import Callable, Sequence
from typing import ClassVar, Final, cast

from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import classImplements

from gnetway.backends.remote.connections import (
    NodeConnections,
    NodeLog,
    RemoteSettings,
    dispatch_settings,
    remote_measures,
)
from gnetway.crypto.auth_key import AuthKey
from gnetway.dispatch.dispatcher import TICK_SECONDS, Dispatcher
from gnetway.dispatch.encoding import client_head, http_request, query_request, set_request
from gnetway.dispatch.lone_request import LoneRequest
from gnetway.dispatch.node import Node
from gnetway.dispatch.request import (
    DataRequest,
    Finished,
    KeyGone,
    NodeNews,
    NodeOutput,
    NodeWish,
    Output,
    Reading,
    Request,
    Send,
    SessionLost,
)
from gnetway.dispatch.retry import SenderReply, read_bool, read_http_payload, read_key
from gnetway.dispatch.session_queue import SessionQueue
from gnetway.errors import (
    BackendError,
    BackendRefused,
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
from gnetway.metrics import Causes, Measures
from gnetway.rpc.calls import IRpcCarrier, RpcOptions
from gnetway.rpc.status import Method, RpcStatus

#: How long a stop waits for what is still to be said, in seconds.
DRAIN_SECONDS: Final = 5.0

#: The name of an error in its text, which may tell more: causes must not grow without end.
_NAME: Final = re.compile(r"\b[A-Z]{2,30}(?:_[A-Z]{1,30}){1,6}\b")


class RemoteBackend:
    """Sends everything to the session nodes that ``discovery`` names.

    ``refused`` counts the messages that a node answered with an error, by the error's name, and
    ``lost`` those that no node has taken, by cause.
    """

    _log: ClassVar = Logger()

    takes_unbound: ClassVar = False

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
        self._discovery = discovery
        self._settings = settings
        self._core = Dispatcher(dispatch_settings(settings, options), random_bytes)
        self._connections = NodeConnections(clock, carrier, options, settings, random_bytes, self)
        self._node_log = NodeLog(clock)
        self._target: IPushTarget | None = None
        self._flushing = False
        #: Whether nodes have changed since it was last asked whether they need ticks.
        self._nodes_heard = False
        self._tick: IDelayedCall | None = None
        self._stopped = False
        #: While stopping: fires when every node has heard of its sessions' ends.
        self._drained: Deferred[None] | None = None
        self.refused = Causes()
        self.lost = self._core.lost
        self._way = "by stream" if settings.use_stream else "by unary calls"

    @property
    def description(self) -> str:
        """See ISessionBackend."""
        return f"session service {self._way}, {self._discovery.description}"

    # -- life ----------------------------------------------------------------------------------

    def start(self, target: IPushTarget) -> Deferred[None]:
        """Begin to look for nodes; clients may come before there are any.

        Pushes come by the gateway's own gRPC service; ``target`` hears of keys that are gone.
        """
        self._target = target
        self._discovery.watch(self._listed)
        self._discovery.start().addErrback(self._discovery_failed)
        started: Deferred[None] = Deferred()
        started.callback(None)
        return started

    def stop(self) -> Deferred[None]:
        """Say what is still to be said, for a few seconds at most, and hang up."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        # First the ends of sessions, which their clients have just been cut off from: nodes would
        # keep the sessions until they time out.
        if self._core.sessions:
            self._drained = Deferred()
            self._drained.addTimeout(DRAIN_SECONDS, self._clock, lambda *_: None)
            await self._drained
            self._drained = None
        self._core.stop(self._clock.seconds())
        self._flush()
        # From here on no connection is made, whatever the closing ones bring about.
        self._stopped = True
        closing = self._connections.close()
        self._flush()
        await DeferredList(closing, consumeErrors=True)
        await self._discovery.stop()
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None
        self._log.info(
            "messages that session nodes refused: {refused}, that were lost: {lost}",
            refused=self.refused.as_dict(),
            lost=self.lost.as_dict(),
        )

    def _discovery_failed(self, failure: Failure) -> None:
        if not isinstance(failure.value, CancelledError):
            self._log.failure("Looking for session nodes failed", failure)

    def unready(self) -> str:
        """See ISessionBackend: where no node is known, discovery knows best why."""
        why = self._core.why_unready()
        return why and (self._discovery.unready() or why)

    def measures(self) -> Measures:
        """See ISessionBackend."""
        return remote_measures(self._core.nodes, self._core.buffer)

    # -- what the core wants done --------------------------------------------------------------

    def _flush(self, nodes_heard: bool = True) -> None:
        """Do everything that the core wants done; what that brings about is done here too.

        ``nodes_heard`` is whether something may have changed about nodes, so that the core may
        need ticks for them: to find that out for each message would cost as much as the rest.
        """
        self._nodes_heard = self._nodes_heard or nodes_heard
        # Whoever is told of one output may bring about others. Those are left to the loop below
        # that has told it: all is done in the core's order, and nothing in the midst of another.
        if self._flushing:
            return
        self._flushing = True
        try:
            while (output := self._core.next_output()) is not None:
                try:
                    self._do(output)
                except Exception:  # noqa: BLE001 - one session's fault must not stop the others
                    self._log.failure("What a session was to be told could not be told")
        finally:
            self._flushing = False
        if self._tick is None and not self._stopped:
            heard, self._nodes_heard = self._nodes_heard, False
            if self._core.needs_ticks if heard else len(self._core.buffer):
                self._tick = self._clock.callLater(TICK_SECONDS, self._ticked)
        if self._drained is not None and not self._core.sessions and not self._drained.called:
            self._drained.callback(None)

    def _do(self, output: Output) -> None:
        if isinstance(output, Send):
            self._send(output.request, output.data)
        elif isinstance(output, Finished):
            self._finished(output)
        elif isinstance(output, Reading):
            client = cast("SessionClient", output.client)
            if output.paused:
                client.pause_reading()
            else:
                client.resume_reading()
        elif isinstance(output, SessionLost):
            cast("SessionClient", output.client).end_links(output.cause)
        else:
            self._do_rare(output)

    def _do_rare(self, output: Output) -> None:
        if isinstance(output, KeyGone):
            if self._target is not None:
                self._target.forget_key(output.auth_key_id)
                if output.perm_auth_key_id not in {0, output.auth_key_id}:
                    self._target.doubt_key(output.perm_auth_key_id)
        elif isinstance(output, NodeOutput):
            if output.wish is NodeWish.CLOSE:
                self._node_log.forget(output.node.address)
            if not self._stopped:
                self._connections.fulfil(output.node, output.wish)
        elif isinstance(output, NodeNews):
            self._node_log.tell(output.node.address, output.change, output.why)

    def _send(self, request: Request, data: bytes) -> None:
        node = request.node
        assert node is not None, "it is sent to one"
        status = node.link.send(request, data)
        if status is not None:
            self._core.failed(request, status, False, self._clock.seconds())

    def _finished(self, output: Finished) -> None:
        error = output.error
        done, output.request.done = output.request.done, None
        if done is not None:
            done(output.reply, error)
        elif isinstance(error, BackendRefused):
            named = _NAME.search(error.text)
            self.refused.count(named[0] if named is not None else str(error.code))
        elif isinstance(error, KeyUnknown):
            self.refused.count("AUTH_KEY_UNREGISTERED")

    def _ticked(self) -> None:
        self._tick = None
        self._core.tick(self._clock.seconds())
        self._flush()

    # -- what nodes say ------------------------------------------------------------------------

    def answered(self, request: Request, reply: bytes) -> None:
        """See RequestListener."""
        if self._core.answered(request, reply):
            following = self._core.following(request)
            if following is not None:
                self._send(following.request, following.data)
            else:
                self._core.resume(request, self._clock.seconds())
        if self._core.outputs:
            self._flush(nodes_heard=False)

    def failed(self, request: Request, status: RpcStatus, sent: bool) -> None:
        """See RequestListener."""
        self._core.failed(request, status, sent, self._clock.seconds())
        self._flush()

    def stream_ended(
        self,
        node: Node,
        status: RpcStatus,
        unanswered: Sequence[tuple[Request, bool]],
        silent: bool,
    ) -> None:
        """See RequestListener."""
        self._core.stream_ended(node, status, unanswered, self._clock.seconds(), silent=silent)
        self._flush()

    def node_connected(self, node: Node) -> None:
        """See NodeListener."""
        self._core.connected(node, self._clock.seconds())
        self._flush()

    def node_disconnected(self, node: Node, why: str) -> None:
        """See NodeListener."""
        self._core.disconnected(node, why, self._clock.seconds())
        self._flush()

    def node_probed(self, node: Node, status: RpcStatus | None) -> None:
        """See NodeListener."""
        self._core.probed(node, status, self._clock.seconds())
        self._flush()

    def _listed(self, addresses: list[str]) -> None:
        if not self._stopped:
            self._core.set_nodes(addresses, self._clock.seconds())
            self._flush()

    # -- keys ----------------------------------------------------------------------------------

    def query_auth_key(self, auth_key_id: int, dc_id: int = 0) -> Deferred[AuthKey]:
        """Fire with the key, or fail with KeyUnknown or BackendUnavailable.

        In an outage the query waits; who asks says for how long.
        """
        asked = self._ask(Method.QUERY_AUTH_KEY, auth_key_id, query_request(auth_key_id), dc_id)
        return asked.addCallback(read_key, auth_key_id)

    def set_auth_key(
        self, key: AuthKey, salt: FutureSalt, expires_in: int, dc_id: int = 0
    ) -> Deferred[bool]:
        """Store a key; fails at once in an outage, since its client is told to try again."""
        request = set_request(key, salt, expires_in)
        asked = self._ask(Method.SET_AUTH_KEY, key.auth_key_id, request, dc_id, patient=False)
        return asked.addCallback(read_bool)

    def _ask(
        self,
        method: Method,
        ring_key: int,
        payload: bytes,
        dc_id: int = 0,
        *,
        patient: bool = True,
    ) -> Deferred[bytes]:
        """Send a lone request; fires with the reply or fails. Cancelling withdraws it."""
        lone: LoneRequest
        asked: Deferred[bytes] = Deferred(lambda _: lone.withdraw())

        def done(reply: bytes, error: GatewayError | None) -> None:
            if error is None:
                asked.callback(reply)
            else:
                asked.errback(error)

        now = self._clock.seconds()
        lone = self._core.ask(method, ring_key, payload, done, now, patient=patient, dc_id=dc_id)
        self._flush()
        return asked

    # -- sessions ------------------------------------------------------------------------------

    def open_session(self, client: SessionClient) -> None:
        """Note a session; its node hears of it with its first message."""
        client.backend_state = self._core.open_session(client)
        if self._core.outputs:
            self._flush()

    def send_data(
        self,
        client: SessionClient,
        salt: int,
        payload: bytes,
        quick_ack: bool,
        done: Callable[[BackendError | None], None] | None,
    ) -> None:
        """Hand over one client message; messages of a session keep their order."""
        queue = client.backend_state
        assert isinstance(queue, SessionQueue), "open_session comes first"
        key_id = client.key.perm_auth_key_id
        decided = None if done is None else SenderReply(done).finished
        request = DataRequest(queue, key_id, salt, payload, quick_ack, decided)
        # What nearly all messages take is in here, not in methods that it calls: those cost as much
        # as their lines do.
        data = queue.straight(request)
        if data is None:
            # It waits for an answer; it may have been one too many, so that reading is to stop.
            if self._core.outputs:
                self._flush(nodes_heard=False)
            return
        if not data:
            queue.submit(request, self._clock.seconds())
            self._flush(nodes_heard=False)
            return
        node = request.node
        assert node is not None, "it goes where the last one went"
        status = node.link.send(request, data)
        if status is not None:
            self._core.failed(request, status, False, self._clock.seconds())
            self._flush()

    def send_http_data(self, client: SessionClient, salt: int, payload: bytes) -> Deferred[bytes]:
        """Call for an HTTP client; fires with the plaintext that answers, maybe empty."""
        head = client_head(self._settings.server_id, client, client.key.perm_auth_key_id)
        request = http_request(head, salt, payload)
        asked = self._ask(Method.SEND_HTTP_DATA, client.key.auth_key_id, request)
        return asked.addCallback(read_http_payload)

    def close_session(self, client: SessionClient) -> None:
        """Tell the session's node that it is over."""
        queue, client.backend_state = client.backend_state, None
        assert isinstance(queue, SessionQueue), "open_session comes first"
        queue.close(self._clock.seconds())
        self._flush()


classImplements(RemoteBackend, ISessionBackend)
