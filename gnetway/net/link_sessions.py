"""The sessions that one link holds: one for each of its auth keys at a time."""

from gnetway.connection.events import MessageReceived
from gnetway.crypto.auth_key import AuthKey
from gnetway.net.registry import SessionRegistry
from gnetway.net.session import Link, Session


class LinkSessions:
    """A link's sessions; most links have one all their life, so that one is found first.

    The link is no part of it: a connection that is gone must not wait for the garbage collector.
    """

    __slots__ = ("_current", "_others", "_registry")

    def __init__(self, registry: SessionRegistry) -> None:
        self._registry = registry
        self._current: Session | None = None
        #: Sessions of further keys, for the few links that use several.
        self._others: list[Session] | None = None

    def of(self, message: MessageReceived, link: Link) -> Session:
        """Return the session of a message on ``link``; it is opened if nobody holds it yet.

        A link that moves on to another session_id leaves the session before.
        """
        session = self._current
        if (
            session is None
            or session.session_id != message.session_id
            or session.key is not message.key
        ):
            session = self._change(message, link)
        return session

    def leave_all(self, link: Link) -> None:
        """Leave every session: ``link``, whose they are, is gone."""
        sessions = self._others or []
        if self._current is not None:
            sessions.append(self._current)
        self._current = self._others = None
        for session in sessions:
            self._registry.leave(session, link)

    def leave_key(self, key: AuthKey, link: Link) -> None:
        """Leave the sessions of a key, whose backend knows it no more."""
        sessions = self._others or []
        if self._current is not None:
            sessions.append(self._current)
        self._current = None
        self._others = [session for session in sessions if session.key is not key] or None
        for session in sessions:
            if session.key is key:
                self._registry.leave(session, link)

    def _change(self, message: MessageReceived, link: Link) -> Session:
        others = self._others or []
        if self._current is not None:
            others.append(self._current)
        # By id: a key that was forgotten and looked up again is another object.
        key_id = message.key.auth_key_id
        before = next((held for held in others if held.key.auth_key_id == key_id), None)
        session = before
        if session is None or session.session_id != message.session_id:
            session = self._registry.join(message.key, message.session_id, link)
            if before is not None:
                self._registry.leave(before, link)
        self._current = session
        self._others = [held for held in others if held is not before] or None
        return session
