"""A ServerSession to talk with."""

from twisted.trial.unittest import SynchronousTestCase

from gnetway.backends.embedded.calls import CallWanted, SessionEvent
from gnetway.backends.embedded.server_session import ServerSession
from gnetway.crypto.auth_key import AuthKey
from gnetway.testing import ServerMessage
from tests.backends.embedded.talk import NOW, SALT, SESSION_ID, Talker, a_schedule, open_plaintext
from tests.fakes import some_key
from tests.strategies import SeededBytes


class SessionCase(SynchronousTestCase):
    """Each test has a new session and a client that has not spoken yet."""

    def setUp(self) -> None:
        self.begin(some_key(1))

    def begin(self, key: AuthKey) -> None:
        """Start a session of ``key``."""
        self.session = ServerSession(key, SESSION_ID, a_schedule(), SeededBytes(2))
        self.talker = Talker()

    def greet(self) -> None:
        """Get new_session_created out of the way."""
        self.send(self.talker.contain(), SALT)
        self.session.out.sent.acknowledge([message.msg_id for message in self.heard()])

    def send(self, payload: bytes, salt: int = SALT, now: float = NOW) -> None:
        """Hand over a message, and let the session take all of it."""
        self.session.receive(salt, payload, now)
        while self.session.has_rest:
            self.session.take_work()
            self.session.go_on(now)

    def heard(self, now: float = NOW) -> list[ServerMessage]:
        """Return all that the session has to say."""
        messages = []
        while plaintext := self.session.out.take(now):
            messages += open_plaintext(plaintext)
        return messages

    def ask(self, body: bytes, content_related: bool = True) -> list[ServerMessage]:
        """Send a message and return what is said to it."""
        self.send(self.talker.payload(body, content_related))
        return self.heard()

    def events(self) -> list[SessionEvent]:
        """Return what the session wants, and forget it."""
        events, self.session.calls.events = self.session.calls.events, []
        return events

    def only_call(self) -> CallWanted:
        """Return the only thing the session wants: a call."""
        [event] = self.events()
        assert isinstance(event, CallWanted)
        return event
