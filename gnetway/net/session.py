"""An open session, and what it knows of its connections.

Apart from the registry, which is compiled: a class that derives from SessionClient cannot be.
"""

from typing import Protocol

from gnetway.crypto.auth_key import AuthKey
from gnetway.errors import ProtocolError
from gnetway.interfaces import SessionClient


class Link(Protocol):
    """The part of a connection's shell that the registry needs."""

    client_ip: str
    local_ip: str

    @property
    def dc_id(self) -> int:
        """The data centre that the client names, 0 for none."""

    def deliver(self, key: AuthKey, plaintext: bytes) -> bool:
        """Encrypt and send a message; True where the connection has taken it.

        False where it is about to end, maybe by this very message.
        """

    def end(self, cause: str) -> None:
        """End the connection without a code; ``cause`` is what it is counted under."""

    def fail(self, error: ProtocolError) -> None:
        """End the connection for an error, with its code if it has one."""

    def key_gone(self, key: AuthKey) -> None:
        """End the connection, as a key that it uses is known no more."""

    def session_paused(self) -> None:
        """Read nothing until ``session_resumed`` was called as often."""

    def session_resumed(self) -> None:
        """Take back one ``session_paused``."""


class Session(SessionClient):
    """An open session and the connections that hold it."""

    __slots__ = ("_paused", "links")

    def __init__(self, key: AuthKey, session_id: int, link: Link) -> None:
        super().__init__(key, session_id, link.client_ip, link.local_ip, link.dc_id)
        #: The newest is last; a push goes there.
        self.links: list[Link] = []
        self._paused = False

    def pause_reading(self) -> None:
        """Read nothing more from the session's connections."""
        self._paused = True
        for link in self.links:
            link.session_paused()

    def resume_reading(self) -> None:
        """Read on."""
        self._paused = False
        for link in self.links:
            link.session_resumed()

    def end_links(self, cause: str) -> None:
        """End the session's connections without a code."""
        for link in list(self.links):
            link.end(cause)

    def fail_links(self, error: ProtocolError) -> None:
        """End the session's connections for an error, whose code their client is told."""
        for link in list(self.links):
            link.fail(error)

    def key_gone(self) -> None:
        """End the session's connections, as its key is known no more."""
        for link in list(self.links):
            link.key_gone(self.key)

    def join(self, link: Link) -> None:
        """Add a connection, which is then the newest."""
        self.links.append(link)
        self._come_from(link)
        if self._paused:
            link.session_paused()

    def leave(self, link: Link) -> None:
        """Take a connection out."""
        self.links.remove(link)
        if self._paused:
            link.session_resumed()
        if self.links:
            self._come_from(self.links[-1])

    def _come_from(self, newest: Link) -> None:
        self.client_ip, self.local_ip = newest.client_ip, newest.local_ip
        self.dc_id = newest.dc_id
