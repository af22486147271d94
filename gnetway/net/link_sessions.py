"""The sessions that one link holds: a few for each of its auth keys.

Most links have one all their life. A client that begins anew on a live connection moves on to
another session_id and never comes back to the one before; another program may talk in several by
turns. Which it is shows by whether it comes back:

    moved on from       left after a minute, so that the service learns of its end
    talked in by turns  left when it was silent for as long as a link may be

The service may answer in each of them meanwhile. Those of another key are left with the link.
"""

from typing import Final

from gnetway.connection.events import MessageReceived
from gnetway.crypto.auth_key import AuthKey
from gnetway.net.link_services import LinkServices
from gnetway.net.session import Link, Session

#: Sessions of a key that a link holds; with more the one that was silent longest is left. Two or
#: three were seen on a connection, and each costs a place in the session service.
MAX_SESSIONS_OF_KEY: Final = 4

#: How long a session is held that the client has moved on from, in seconds: its last answers may
#: still be on their way, but what the service pushes there makes Desktop connect anew.
MOVED_ON_SECONDS: Final = 60.0


class LinkSessions:
    """A link's sessions; the one of the last message is found first.

    The link is no part of it: a connection that is gone must not wait for the garbage collector.
    """

    __slots__ = ("_by_turns", "_current", "_others", "_services")

    def __init__(self, services: LinkServices) -> None:
        self._services = services
        self._current: Session | None = None
        #: The others with when their last message was over, for the few links that have several;
        #: the newest are last.
        self._others: list[tuple[Session, float]] | None = None
        #: Whether the client has come back to a session.
        self._by_turns = False

    def __repr__(self) -> str:
        others = [session for session, _ in self._others or []]
        sessions = others if self._current is None else [*others, self._current]
        return (
            f"<sessions {', '.join([str(session.session_id) for session in sessions]) or 'none'}>"
        )

    def __len__(self) -> int:
        return len(self._others or ()) + (self._current is not None)

    def of(self, message: MessageReceived, link: Link) -> Session:
        """Return the session of a message on ``link``; it is opened if nobody holds it yet."""
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
        sessions = [session for session, _ in self._others or []]
        if self._current is not None:
            sessions.append(self._current)
        self._current = self._others = None
        for session in sessions:
            self._services.registry.leave(session, link)

    def leave_key(self, key: AuthKey, link: Link) -> None:
        """Leave the sessions of a key, whose backend knows it no more."""
        others = self._others or []
        gone = [session for session, _ in others if session.key is key]
        self._others = [held for held in others if held[0].key is not key] or None
        current = self._current
        if current is not None and current.key is key:
            gone.append(current)
            self._current = None
        for session in gone:
            self._services.registry.leave(session, link)

    def leave_idle(self, link: Link, now: float) -> None:
        """Leave what the client has moved on from; ``now`` is in the clock's seconds."""
        others, current = self._others or [], self._current
        if not others or current is None:
            return
        seconds = self._services.limits.idle_seconds if self._by_turns else MOVED_ON_SECONDS
        moved_on = {current.key.auth_key_id}
        kept: list[tuple[Session, float]] = []
        gone: list[Session] = []
        for held in others[::-1]:
            key_id = held[0].key.auth_key_id
            if key_id in moved_on and now - held[1] >= seconds:
                gone.append(held[0])
            else:
                kept.append(held)
            moved_on.add(key_id)
        if gone:
            self._others = kept[::-1] or None
            for session in gone:
                self._services.registry.leave(session, link)

    def _change(self, message: MessageReceived, link: Link) -> Session:
        # By id: a key that was forgotten and looked up again is another object.
        key_id, session_id = message.key.auth_key_id, message.session_id
        others = self._others or []
        current = self._current
        if current is not None:
            if current.session_id == session_id and current.key.auth_key_id == key_id:
                return current
            others.append((current, self._services.clock.seconds()))
        same_key = [session for session, _ in others if session.key.auth_key_id == key_id]
        session = next((held for held in same_key if held.session_id == session_id), None)
        gone: Session | None = None
        if session is None:
            session = self._services.registry.join(message.key, session_id, link)
            if len(same_key) >= MAX_SESSIONS_OF_KEY:
                gone = same_key[0]
        elif len(same_key) > 1:
            self._by_turns = True
        self._current = session
        self._others = [
            held for held in others if held[0] is not session and held[0] is not gone
        ] or None
        if gone is not None:
            self._services.registry.leave(gone, link)
        return session
