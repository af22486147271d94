"""The sessions that are open over HTTP, by auth_key_id and session_id."""

from collections.abc import Iterable
from copy import copy
from typing import ClassVar, Self

from gnetway.connection.events import MessageReceived
from gnetway.errors import ProtocolError, TransportErrorCode
from gnetway.net.http.answers import HttpSettings, QueueTotal
from gnetway.net.http.session import Caller, HttpSession
from gnetway.net.link_services import LinkServices
from gnetway.net.peer import CorsPolicy, TrustedProxies


class TooManySessions(ProtocolError):
    """A key has more sessions with waiting requests than any client has."""

    transport_error: ClassVar[TransportErrorCode | None] = TransportErrorCode.FLOOD
    cause: ClassVar[str] = "http_too_many_sessions"


class HttpSessions:
    """Opens a session at its first request.

    A key has at most ``max_sessions_per_key`` of them, as a client could otherwise open one with
    every request; the one whose last request was longest ago leaves for a new one. To the
    gateway's open links they are one, which ends with the last of them.
    """

    def __init__(self, services: LinkServices, settings: HttpSettings) -> None:
        self._services = services
        self.settings = settings
        #: By auth_key_id, then session_id; those used last are last.
        self._by_key: dict[int, dict[int, HttpSession]] = {}
        #: What waits for requests in all sessions together.
        self.total = QueueTotal()

    def __len__(self) -> int:
        return sum(map(len, self._by_key.values()))

    def of(self, message: MessageReceived, caller: Caller) -> HttpSession:
        """Return the session of a message that ``caller`` brings.

        :raises TooManySessions: all sessions of its key have requests that wait.
        """
        key_id = message.key.auth_key_id
        sessions = self._by_key.get(key_id, {})
        session = sessions.pop(message.session_id, None)
        if session is not None:
            # Last again: it is the one that was used last.
            sessions[message.session_id] = session
            if session.key is message.key:
                return session
            # A key that was forgotten and looked up again is another object. What the session has
            # queued goes with it: it is under the old key in the registry, too.
            session.end("key_changed")
        elif len(sessions) >= self.settings.max_sessions_per_key:
            self._make_room(sessions)
        # Not ``sessions``: the end of the last one has dropped that from the table.
        if not self._by_key:
            self._services.open_links.add(self)
        session = HttpSession(
            self._services, self.settings, message, caller, self.total, self._forget
        )
        self._by_key.setdefault(key_id, {})[message.session_id] = session
        return session

    def _forget(self, session: HttpSession) -> None:
        """Drop a session that has ended."""
        sessions = self._by_key[session.key.auth_key_id]
        del sessions[session.session_id]
        if not sessions:
            del self._by_key[session.key.auth_key_id]
        if not self._by_key:
            self._services.open_links.remove(self)

    def end(self, cause: str) -> None:
        """End every session; a copy is walked, as each end takes it out of the table."""
        for sessions in list(self._by_key.values()):
            for session in list(sessions.values()):
                session.end(cause)

    def _make_room(self, sessions: dict[int, HttpSession]) -> None:
        """End the session that was used longest ago, of those that nobody waits in."""
        for session in sessions.values():
            if not session.is_waiting:
                session.end("http_session_replaced")
                return
        raise TooManySessions(f"{len(sessions)} sessions of a key have requests that wait")


class HttpServices:
    """What the HTTP requests of a gateway share.

    Sessions go over any number of connections, so there is one for the whole gateway; listeners
    have copies that differ in who may come by them.
    """

    __slots__ = ("cors", "links", "sessions", "settings", "trusted_proxies")

    def __init__(self, links: LinkServices, settings: HttpSettings) -> None:
        self.links = links
        self.settings = settings
        self.cors = CorsPolicy(settings.allowed_origins)
        self.sessions = HttpSessions(links, settings)
        self.trusted_proxies = TrustedProxies()

    def take(self, settings: HttpSettings) -> None:
        """Have other bounds for the listeners and the sessions that are made from now on."""
        self.settings = self.sessions.settings = settings

    def for_listener(self, allowed_origins: Iterable[str], proxies: TrustedProxies) -> Self:
        """Return the same services, for a listener with web pages and balancers of its own."""
        services = copy(self)
        services.cors = CorsPolicy(allowed_origins)
        services.trusted_proxies = proxies
        return services
