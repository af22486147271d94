"""One TCP connection: bytes, pauses and ends around the sans-I/O Connection.

Reading is paused while the connection waits for a key or a bind, and while the client does not
read what it was sent. Everything else the core decides.
"""

from collections.abc import Callable
from enum import Enum
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IDelayedCall, IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from gnetway.connection.connection import AuthKeyMissing, Connection
from gnetway.connection.events import (
    BindReceived,
    Event,
    ExchangeStoreWanted,
    ExchangeWorkWanted,
    KeyWanted,
    MessageReceived,
)
from gnetway.crypto.auth_key import AuthKey
from gnetway.errors import (
    BackendError,
    BackendRefused,
    BackendUnavailable,
    KeyUnknown,
    ProtocolError,
)
from gnetway.handshake.exchange import KeyExchange
from gnetway.interfaces import ILinkTransport
from gnetway.net.links import LinkServices
from gnetway.net.registry import Session

#: How long a connection that is ending may take to write what it still has, in seconds.
LINGER_SECONDS: Final = 3.0


class LinkState(Enum):
    """How far a link has come; it only ever moves on."""

    OPEN = "open"
    #: The end has been decided; what was written may still leave.
    ENDING = "ending"
    LOST = "lost"


@implementer(IPushProducer)
class GatewayProtocol(Protocol):
    """A client link over TCP."""

    __slots__ = (
        "_clogged",
        "_connection",
        "_idle_seconds",
        "_other_sessions",
        "_pumping",
        "_services",
        "_session",
        "_state",
        "_timeout",
        "_waiting",
        "client_ip",
        "connected",
        "deadline",
        "factory",
        "transport",
        "wheel_slot",
    )

    _log = Logger()

    transport: ILinkTransport

    def __init__(self, services: LinkServices) -> None:
        self._services = services
        self._connection = Connection(services.setup)
        self._state = LinkState.OPEN
        self._session: Session | None = None
        #: Sessions of further keys, for the few links that use several.
        self._other_sessions: list[Session] | None = None
        self._timeout: IDelayedCall | None = None
        self._pumping = False
        self._waiting = False
        self._clogged = False
        self._idle_seconds = services.limits.idle_seconds
        self.client_ip = ""
        self.deadline = 0.0
        self.wheel_slot = -1

    # -- the transport's side ------------------------------------------------------------------

    def connectionMade(self) -> None:
        """Begin: the client has ``handshake_seconds`` for its first whole message."""
        services = self._services
        self.client_ip = getattr(self.transport.getPeer(), "host", "")
        self._idle_seconds += services.random_bytes(1)[0] % 10
        self.deadline = services.clock.seconds() + services.limits.handshake_seconds
        services.wheel.add(self)
        services.open_links.add(self)
        self.transport.setTcpNoDelay(True)
        self.transport.setTcpKeepAlive(True)
        self.transport.registerProducer(self, True)

    def dataReceived(self, data: bytes) -> None:
        """Feed the core and do what it says."""
        if self._state is not LinkState.OPEN:
            return
        now = self._services.clock.seconds()
        try:
            self._connection.receive(data)
        except ProtocolError as error:
            self._end(error)
            return
        self._pump(now)
        if self._connection.whole_messages and self._state is LinkState.OPEN:
            self.deadline = now + self._idle_seconds

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Leave the sessions; what still runs for this link is told to nobody."""
        if self._state is LinkState.OPEN:
            clean = isinstance(reason.value, ConnectionDone)
            self._services.causes.count("client_closed" if clean else "client_lost")
        self._state = LinkState.LOST
        self._stop_timeout()
        self._services.wheel.remove(self)
        self._connection.close()
        sessions = self._other_sessions or []
        if self._session is not None:
            sessions.append(self._session)
        self._session = self._other_sessions = None
        for session in sessions:
            self._services.registry.leave(session, self)
        self._services.open_links.remove(self)

    def pauseProducing(self) -> None:
        """Hear that the client does not read: nothing more is written, and nothing read."""
        self._clogged = True
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Hear that the client has read."""
        self._clogged = False
        if self._state is not LinkState.OPEN:
            return
        self._flush()
        if not self._waiting and not self._clogged:
            self.transport.resumeProducing()

    def stopProducing(self) -> None:
        """Hear that the transport is gone; ``connectionLost`` does the rest."""

    # -- events --------------------------------------------------------------------------------

    def _pump(self, now: float) -> None:
        self._pumping = True
        try:
            while self._state is LinkState.OPEN:
                event = self._connection.next_event(now)
                if event is None:
                    break
                if type(event) is MessageReceived:
                    self._hand_over(event, None)
                else:
                    self._heard(event)
        except ProtocolError as error:
            self._end(error)
        finally:
            self._pumping = False
        if self._state is LinkState.OPEN:
            self._flush()

    def _heard(self, event: Event) -> None:
        if isinstance(event, KeyWanted):
            self._key_wanted(event.auth_key_id)
        elif isinstance(event, ExchangeWorkWanted):
            self._work_wanted(event)
        elif isinstance(event, ExchangeStoreWanted):
            self._store_wanted(event)
        elif isinstance(event, BindReceived):
            self._bind_received(event)

    def _hand_over(
        self, message: MessageReceived, done: Callable[[BackendError | None], None] | None
    ) -> None:
        token = message.quick_ack_token
        self._services.backend.send_data(
            self._session_of(message), message.salt, message.payload, token != 0, done
        )
        if token:
            self._connection.send_quick_ack(token)

    def _session_of(self, message: MessageReceived) -> Session:
        session = self._session
        if (
            session is None
            or session.session_id != message.session_id
            or session.key is not message.key
        ):
            session = self._change_session(message.key, message.session_id)
        return session

    def _change_session(self, key: AuthKey, session_id: int) -> Session:
        """Make the session of this key current; one session for each key is held at a time."""
        others = self._other_sessions or []
        if self._session is not None:
            others.append(self._session)
        # By id: a key that was forgotten and looked up again is another object.
        before = next((held for held in others if held.key.auth_key_id == key.auth_key_id), None)
        session = before
        if session is None or session.session_id != session_id:
            session = self._services.registry.join(key, session_id, self)
            if before is not None:
                self._services.registry.leave(before, self)
        self._session = session
        self._other_sessions = [held for held in others if held is not before] or None
        return session

    # -- keys ----------------------------------------------------------------------------------

    def _key_wanted(self, auth_key_id: int) -> None:
        key = self._services.keys.cached(auth_key_id)
        if key is not None:
            self._connection.provide_key(key)
            return
        self._wait()
        self._services.keys.lookup(auth_key_id).addCallbacks(self._key_found, self._key_not_found)

    def _key_found(self, key: AuthKey) -> None:
        if self._state is not LinkState.OPEN:
            return
        try:
            self._connection.provide_key(key)
        except ProtocolError as error:
            self._end(error)
            return
        self._go_on()

    def _key_not_found(self, failure: Failure) -> None:
        if self._state is not LinkState.OPEN:
            return
        if isinstance(failure.value, KeyUnknown):
            self._end(AuthKeyMissing("the session backend does not know the key"))
            return
        if not isinstance(failure.value, BackendError):
            self._log.failure("Looking for an auth key failed", failure)
        # Never a code: the client would throw its key away.
        self._close("backend_unavailable")

    def _bind_received(self, bind: BindReceived) -> None:
        self._wait()
        limit = self._services.limits.bind_seconds
        self._timeout = self._services.clock.callLater(
            limit, self._bind_decided, bind, BackendUnavailable(f"no decision in {limit:g} s")
        )
        self._hand_over(bind.message, lambda error: self._bind_decided(bind, error))

    def _bind_decided(self, bind: BindReceived, error: BackendError | None) -> None:
        if error is None:
            # Whatever became of this link, the key is bound for all of them.
            bind.message.key.perm_auth_key_id = bind.perm_auth_key_id
        if self._state is not LinkState.OPEN or not self._waiting:
            return
        self._stop_timeout()
        if error is None:
            self._connection.bind_accepted(bind)
        elif isinstance(error, BackendRefused | KeyUnknown):
            self._connection.bind_refused(bind, self._services.clock.seconds())
        else:
            self._close("backend_unavailable")
            return
        self._go_on()

    # -- key exchanges -------------------------------------------------------------------------

    def _work_wanted(self, event: ExchangeWorkWanted) -> None:
        working: Deferred[object] = self._services.key_maker.run(event.work)
        working.addBoth(self._work_done, event.exchange)

    def _work_done(self, result: object, exchange: KeyExchange) -> None:
        if self._state is not LinkState.OPEN:
            return
        try:
            if isinstance(result, Failure):
                self._work_failed(result, exchange)
            else:
                self._connection.work_done(exchange, result)
        except ProtocolError as error:
            self._end(error)
            return
        self._pump_again()

    def _work_failed(self, failure: Failure, exchange: KeyExchange) -> None:
        error = failure.value
        if not isinstance(error, Exception):
            failure.raiseException()
        self._connection.work_failed(exchange, error)

    def _store_wanted(self, event: ExchangeStoreWanted) -> None:
        self._services.key_maker.store(event.wanted).addCallback(self._stored, event.exchange)

    def _stored(self, ok: bool, exchange: KeyExchange) -> None:
        if self._state is LinkState.OPEN:
            self._connection.stored(exchange, ok)
            self._pump_again()

    # -- going on and ending -------------------------------------------------------------------

    def _wait(self) -> None:
        self._waiting = True
        self.transport.pauseProducing()

    def _go_on(self) -> None:
        self._waiting = False
        if not self._clogged:
            self.transport.resumeProducing()
        self._pump_again()

    def _pump_again(self) -> None:
        # An answer that comes at once is given inside the pump, which goes on by itself.
        if not self._pumping:
            self._pump(self._services.clock.seconds())

    def deliver(self, key: AuthKey, plaintext: bytes) -> bool:
        """Encrypt and send a message of the session backend; False on a link that ends."""
        if self._state is not LinkState.OPEN:
            return False
        self._connection.send_message(key, plaintext)
        if not self._pumping:
            self._flush()
        return True

    def key_forgotten(self) -> None:
        """End the connection: its key was destroyed."""
        self._close("key_destroyed")

    def shut_down(self) -> None:
        """End the connection because the gateway stops."""
        self._close("gateway_stopped")

    def deadline_passed(self) -> None:
        """Hear that nothing has come in time."""
        if self._state is LinkState.OPEN:
            spoken = self._connection.whole_messages
            self._close("idle" if spoken else "handshake_timeout")
        else:
            self.transport.abortConnection()

    def _flush(self) -> None:
        connection = self._connection
        if not self._clogged:
            data = connection.data_to_send()
            if data:
                self.transport.write(data)
        elif connection.unsent_bytes > self._services.limits.max_unsent_bytes:
            self._services.causes.count("slow_reader")
            self._state = LinkState.ENDING
            self.transport.abortConnection()

    def _end(self, error: ProtocolError) -> None:
        if self._state is LinkState.OPEN:
            self._connection.fail(error)
            self._close(error.cause, told=error.transport_error is not None)

    def _close(self, cause: str, told: bool = False) -> None:
        if self._state is not LinkState.OPEN:
            return
        self._services.causes.count(cause)
        self._stop_timeout()
        self._state = LinkState.ENDING
        data = self._connection.data_to_send()
        if data:
            self.transport.write(data)
        self.transport.unregisterProducer()
        self._services.wheel.remove(self)
        self.deadline = self._services.clock.seconds() + LINGER_SECONDS
        self._services.wheel.add(self)
        if told:
            # A full close with bytes unread would reset the connection, and the client might
            # never see the code. So only our side ends; what still comes is thrown away.
            self.transport.resumeProducing()
            self.transport.loseWriteConnection()
        else:
            self.transport.loseConnection()

    def _stop_timeout(self) -> None:
        if self._timeout is not None and self._timeout.active():
            self._timeout.cancel()
        self._timeout = None
