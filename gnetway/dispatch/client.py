"""What requests say of a client's session."""

from typing import Protocol

from gnetway.crypto.auth_key import AuthKey


class Client(Protocol):
    """One session of a client; all of it is read anew for each message, since it may change."""

    @property
    def key(self) -> AuthKey:
        """The auth key; its ``perm_auth_key_id`` changes with a bind."""

    @property
    def session_id(self) -> int:
        """The session_id, signed."""

    @property
    def client_ip(self) -> str:
        """The address of the newest connection."""

    @property
    def dc_id(self) -> int:
        """The data centre that the newest connection named, 1 to 1000; 0 for none."""


class Salt(Protocol):
    """A server salt and when it holds, in Unix seconds."""

    @property
    def valid_since(self) -> int:
        """When it begins to hold."""

    @property
    def valid_until(self) -> int:
        """When it ends."""

    @property
    def salt(self) -> int:
        """The salt, signed."""
