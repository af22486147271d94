"""An EmbeddedBackend with a store in memory, and a gateway's half to talk with it."""

from collections.abc import Iterable

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from gnetway.backends.embedded.backend import EmbeddedBackend
from gnetway.backends.embedded.help_config import HelpConfig
from gnetway.backends.embedded.store import IKeyStore, MemoryStore, StoredKey
from gnetway.crypto.auth_key import AuthKey
from gnetway.errors import BackendError, ProtocolError, TransportErrorCode
from gnetway.interfaces import FutureSalt, IRpcSessions, SessionClient
from gnetway.mtproto.message import MAX_FUTURE_SECONDS
from gnetway.testing import ServerMessage
from tests.backends.embedded.handlers import Recorder
from tests.backends.embedded.talk import NOW, SALT, SESSION_ID, Talker, open_plaintext
from tests.clocks import FakeWall
from tests.fakes import FakeTarget, some_key
from tests.strategies import SeededBytes

#: So many seconds after a crash nothing that comes can have come before it.
SURE_SECONDS = MAX_FUTURE_SECONDS + 2

CONFIG = HelpConfig([("192.0.2.7", 443)])
PERM = some_key(1)


@implementer(IKeyStore)
class SlowStore(MemoryStore):
    """A store whose ``load`` and ``remove`` wait for ``answer_all`` once ``slow`` is set.

    ``binding``, where set, is what ``bind`` returns instead of what it does.
    """

    def __init__(self) -> None:
        super().__init__()
        self.slow = False
        self.broken: BackendError | None = None
        self.binding: Deferred[None] | None = None
        self._waiting: list[Deferred[None]] = []

    def answer_all(self) -> None:
        """Let everything through that waits."""
        waiting, self._waiting = self._waiting, []
        for gate in waiting:
            gate.callback(None)

    def fail_all(self) -> None:
        """Let everything that waits fail with ``broken``."""
        waiting, self._waiting = self._waiting, []
        for gate in waiting:
            gate.errback(self.broken)

    def load(self, auth_key_id: int) -> Deferred[StoredKey]:
        return self._gate().addCallback(lambda _: super(SlowStore, self).load(auth_key_id))

    def remove(self, auth_key_id: int) -> Deferred[list[int]]:
        return self._gate().addCallback(lambda _: super(SlowStore, self).remove(auth_key_id))

    def bind(self, temp_auth_key_id: int, perm_auth_key_id: int) -> Deferred[None]:
        if self.binding is not None:
            return self.binding
        return super().bind(temp_auth_key_id, perm_auth_key_id)

    def _gate(self) -> Deferred[None]:
        gate: Deferred[None] = Deferred()
        if self.broken is not None:
            gate.errback(self.broken)
        elif self.slow:
            self._waiting.append(gate)
        else:
            gate.callback(None)
        return gate


class WatchedClient(SessionClient):
    """``ended`` is why its links were to end, ``failed`` the codes that their client was told."""

    __slots__ = ("ended", "failed")

    def __init__(self, key: AuthKey, session_id: int, client_ip: str, local_ip: str) -> None:
        super().__init__(key, session_id, client_ip, local_ip)
        self.ended: list[str] = []
        self.failed: list[TransportErrorCode | None] = []

    def end_links(self, cause: str) -> None:
        self.ended.append(cause)

    def fail_links(self, error: ProtocolError) -> None:
        self.failed.append(error.code_to_tell())


class OneClient:
    """The gateway's half of one session: opened at once; ``done`` keeps what was accepted."""

    def __init__(
        self, backend: EmbeddedBackend, key: AuthKey, session_id: int = SESSION_ID
    ) -> None:
        self.backend = backend
        self.key = key
        self.talker = Talker(backend._wall())
        self.done: list[BackendError | None] = []
        self.client = WatchedClient(key, session_id, "198.51.100.4", "203.0.113.9")
        backend.open_session(self.client)

    def send(self, payload: bytes, salt: int = SALT) -> None:
        """Hand over a message."""
        self.backend.send_data(self.client, salt, payload, False, self.done.append)

    def say(self, body: bytes, content_related: bool = True) -> int:
        """Send the next message; returns its msg_id."""
        self.send(self.talker.payload(body, content_related))
        return self.talker.msg_id

    def ask_http(self, body: bytes, content_related: bool = True) -> Deferred[bytes]:
        """Send the next message by HTTP."""
        payload = self.talker.payload(body, content_related)
        return self.backend.send_http_data(self.client, SALT, payload)

    def come_back(self) -> None:
        """Lose the link and open the session again, on a new SessionClient."""
        self.backend.close_session(self.client)
        self.client = WatchedClient(self.key, self.client.session_id, "198.51.100.5", "203.0.113.9")
        self.backend.open_session(self.client)


class BackendCase(SynchronousTestCase):
    """Each test has a backend with one permanent key and a handler that records."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.wall = FakeWall(self.clock, NOW)
        self.store = SlowStore()
        self.target = self.make_target()
        self.seed = 5
        self.backend = self.make_backend()
        self.add_key(PERM)

    def make_target(self) -> FakeTarget:
        """Return what takes the pushes."""
        return FakeTarget()

    def make_backend(self) -> EmbeddedBackend:
        """Return a started backend over the store; ``self.handler`` is its handler's."""
        self.seed += 1
        random_bytes = SeededBytes(self.seed)
        backend = EmbeddedBackend(
            self.clock, self.wall, self.store, CONFIG, self.make_handler, random_bytes
        )
        self.successResultOf(backend.start(self.target))
        return backend

    def restart(self) -> None:
        """Begin with another backend over the store, as another process does."""
        self.successResultOf(self.backend.stop())
        self.backend = self.make_backend()

    def crash(self) -> None:
        """Begin with another backend, as another process does after this one was killed."""
        self.backend = self.make_backend()

    def make_handler(self, sessions: IRpcSessions) -> Recorder:
        """Be the handler's class."""
        self.handler = Recorder(sessions)
        return self.handler

    def settle(self) -> int:
        """Let the turns pass until no session waits for one; returns their number."""
        turns = 0
        while any(live.queued for live in self.backend._directory.all_known()):
            self.clock.advance(0)
            turns += 1
        return turns

    def add_key(self, key: AuthKey, expires_in: int = 0) -> None:
        """Store a key as a handshake does."""
        salt = FutureSalt(NOW, NOW + 1800, SALT)
        self.assertTrue(self.successResultOf(self.backend.set_auth_key(key, salt, expires_in)))

    def open(self, key: AuthKey = PERM, session_id: int = SESSION_ID) -> OneClient:
        """Open a session."""
        return OneClient(self.backend, key, session_id)

    def heard(self, plaintexts: Iterable[bytes] | None = None) -> list[ServerMessage]:
        """Return what was pushed since the last time, or is in ``plaintexts``."""
        if plaintexts is None:
            plaintexts = [plaintext for _, _, plaintext in self.target.pushed]
            self.target.pushed.clear()
        return [message for plaintext in plaintexts for message in open_plaintext(plaintext)]
