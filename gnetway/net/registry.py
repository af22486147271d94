"""Which connections hold which session: (auth_key_id, session_id) → connections, newest last.

The backend hears ``open_session`` when the first connection joins a session and ``close_session``
when the last one leaves, so exactly one close for each open.
"""

from typing import Protocol

from zope.interface import implementer

from gnetway.crypto.auth_key import AuthKey
from gnetway.interfaces import IKeyLookup, IPushTarget, ISessionBackend, SessionClient


class Link(Protocol):
    """The part of a connection's shell that the registry needs."""

    client_ip: str

    def deliver(self, key: AuthKey, plaintext: bytes) -> bool:
        """Encrypt and send a message; False where the connection is about to end."""

    def end(self, cause: str) -> None:
        """End the connection without a code; ``cause`` is what it is counted under."""

    def hold_reading(self) -> None:
        """Read nothing until ``release_reading`` was called as often."""

    def release_reading(self) -> None:
        """Take back one ``hold_reading``."""


class Session(SessionClient):
    """An open session and the connections that hold it."""

    __slots__ = ("_paused", "links")

    def __init__(self, key: AuthKey, session_id: int, client_ip: str) -> None:
        super().__init__(key, session_id, client_ip)
        #: The newest is last; a push goes there.
        self.links: list[Link] = []
        self._paused = False

    def pause_reading(self) -> None:
        """Read nothing more from the session's connections."""
        self._paused = True
        for link in self.links:
            link.hold_reading()

    def resume_reading(self) -> None:
        """Read on."""
        self._paused = False
        for link in self.links:
            link.release_reading()

    def end_links(self, cause: str) -> None:
        """End the session's connections without a code."""
        for link in list(self.links):
            link.end(cause)

    def join(self, link: Link) -> None:
        """Add a connection, which is then the newest."""
        self.links.append(link)
        self.client_ip = link.client_ip
        if self._paused:
            link.hold_reading()

    def leave(self, link: Link) -> None:
        """Take a connection out."""
        self.links.remove(link)
        if self._paused:
            link.release_reading()
        if self.links:
            self.client_ip = self.links[-1].client_ip


@implementer(IPushTarget)
class SessionRegistry:
    """All open sessions of this process."""

    def __init__(self, backend: ISessionBackend, keys: IKeyLookup) -> None:
        self._backend = backend
        self._keys = keys
        self._sessions: dict[tuple[int, int], Session] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def join(self, key: AuthKey, session_id: int, link: Link) -> Session:
        """Add a connection to a session, which is opened if it is the first."""
        name = (key.auth_key_id, session_id)
        session = self._sessions.get(name)
        if session is None:
            session = Session(key, session_id, link.client_ip)
            self._sessions[name] = session
            self._backend.open_session(session)
        session.join(link)
        return session

    def leave(self, session: Session, link: Link) -> None:
        """Take a connection out of a session, which is closed if it was the last."""
        session.leave(link)
        if not session.links:
            del self._sessions[(session.key.auth_key_id, session.session_id)]
            self._backend.close_session(session)

    def push(self, auth_key_id: int, session_id: int, plaintext: bytes) -> bool:
        """Send to the newest connection of the session; False where there is none.

        One that is about to end, but not gone yet, is none.
        """
        session = self._sessions.get((auth_key_id, session_id))
        if session is None:
            return False
        for link in reversed(session.links):  # noqa: SIM110 - a generator for each push costs more
            if link.deliver(session.key, plaintext):
                return True
        return False

    def forget_key(self, auth_key_id: int) -> None:
        """Drop a destroyed key and end the connections that use it."""
        self._keys.forget(auth_key_id)
        for session in [s for s in self._sessions.values() if s.key.auth_key_id == auth_key_id]:
            session.end_links("key_destroyed")
