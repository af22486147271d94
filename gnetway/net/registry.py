"""Which connections hold which session: (auth_key_id, session_id) → connections, newest last.

The backend hears ``open_session`` when the first connection joins a session and ``close_session``
when the last one leaves, so exactly one close for each open.
"""

from collections.abc import Callable

from zope.interface import classImplements

from gnetway.crypto.auth_key import AuthKey
from gnetway.events import AuthKeyDestroyed, Events, SessionClosed, SessionOpened
from gnetway.interfaces import IKeyLookup, IPushTarget, ISessionBackend
from gnetway.net.session import Link, Session


class SessionRegistry:
    """All open sessions of this process."""

    def __init__(
        self, backend: ISessionBackend, keys: IKeyLookup, events: Events | None = None
    ) -> None:
        self._backend = backend
        self._events = events or Events()
        self._keys = keys
        self._sessions: dict[tuple[int, int], Session] = {}
        self._key_gone: Callable[[int], object] = _tell_nobody
        keys.when_gone(self.forget_key)

    def __len__(self) -> int:
        return len(self._sessions)

    def join(self, key: AuthKey, session_id: int, link: Link) -> Session:
        """Add a connection to a session, which is opened if it is the first."""
        name = (key.auth_key_id, session_id)
        session = self._sessions.get(name)
        if session is None:
            session = Session(key, session_id, link)
            self._sessions[name] = session
            self._backend.open_session(session)
            if self._events.heard:
                self._events.tell(
                    SessionOpened(key.auth_key_id, key.perm_auth_key_id, session_id, link.client_ip)
                )
        session.join(link)
        return session

    def leave(self, session: Session, link: Link) -> None:
        """Take a connection out of a session, which is closed if it was the last."""
        session.leave(link)
        if not session.links:
            del self._sessions[(session.key.auth_key_id, session.session_id)]
            self._backend.close_session(session)
            if self._events.heard:
                key = session.key
                self._events.tell(
                    SessionClosed(key.auth_key_id, key.perm_auth_key_id, session.session_id)
                )

    def push(self, auth_key_id: int, session_id: int, plaintext: bytes) -> bool:
        """Send to the newest connection of the session that takes it; False where none does."""
        session = self._sessions.get((auth_key_id, session_id))
        if session is None:
            return False
        for link in reversed(session.links):  # noqa: SIM110 - a generator for each push costs more
            if link.deliver(session.key, plaintext):
                return True
        return False

    def holds(self, auth_key_id: int, session_id: int) -> bool:
        """Return whether a connection holds the session, be it one that is closing."""
        return (auth_key_id, session_id) in self._sessions

    def when_key_gone(self, listener: Callable[[int], object]) -> None:
        """Call ``listener`` with the id of each key that is gone by ``forget_key``."""
        self._key_gone = listener

    def forget_key(self, auth_key_id: int) -> None:
        """End a key that is gone, and tell whoever wants to know."""
        self.end_key(auth_key_id)
        self._key_gone(auth_key_id)
        if self._events.heard:
            self._events.tell(AuthKeyDestroyed(auth_key_id))

    def end_key(self, auth_key_id: int) -> None:
        """Drop a key that is gone; end its connections, and temporary keys bound to it."""
        self._keys.forget(auth_key_id)
        gone = [
            session
            for session in self._sessions.values()
            if auth_key_id in (session.key.auth_key_id, session.key.perm_auth_key_id)
        ]
        for session in gone:
            if session.key.auth_key_id != auth_key_id:
                self._keys.forget(session.key.auth_key_id)
            session.key_gone()

    def doubt_key(self, auth_key_id: int) -> None:
        """Have a key that is at hand asked for again."""
        self._keys.doubt(auth_key_id)


def _tell_nobody(auth_key_id: int) -> None:
    """Stand for a listener that is not there."""


classImplements(SessionRegistry, IPushTarget)
