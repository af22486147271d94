"""An authorization key and what is known about it."""

from enum import IntEnum
from hashlib import sha1
from typing import Final

from gnetway.tl.client_info import ClientInfo

#: Length of an auth_key in bytes (2048 bits, big endian, left-padded with zeros).
AUTH_KEY_BYTES: Final = 256


class KeyKind(IntEnum):
    """What an auth key is for; the numbers are auth_key_type of the session service."""

    PERM = 0
    TEMP = 1
    MEDIA_TEMP = 2


class AuthKey:
    """256 secret bytes with their id; shared by all connections that use the key.

    ``auth_key_id`` is the low 64 bits of SHA1(secret) as a signed integer, ``id_bytes`` the same
    as the 8 bytes of the wire (little endian), ``aux_hash`` the high 64 bits of that SHA1.
    ``perm_auth_key_id`` is 0 while a temporary key is unbound, and the key's own id for a
    permanent one. ``expires_at`` is in Unix seconds, 0 for never; with ``end_is_assumed`` it is
    what this gateway has set, since the session service did not tell it. ``asked_at`` belongs to
    the key lookup: when the session service last knew the key, by the lookup's clock.

    What the gateway needs to answer for a temporary key before it is bound: ``first_salt``
    (signed), the server salt that its exchange made, None where the exchange was not ours;
    ``greeted_session_id``, the session that was told new_session_created last, 0 for none; and
    ``refused_binds``, how many binds in a row were not proved.

    ``client`` is what a client with the key has said of itself, and nobody has proved.

    :raises ValueError: ``secret`` is not 256 bytes long.
    Source: core.telegram.org/mtproto/auth_key#9-server-responds-in-one-of-three-ways
    """

    __slots__ = (
        "__weakref__",
        "asked_at",
        "auth_key_id",
        "aux_hash",
        "client",
        "end_is_assumed",
        "expires_at",
        "first_salt",
        "greeted_session_id",
        "id_bytes",
        "kind",
        "perm_auth_key_id",
        "refused_binds",
        "secret",
    )

    def __init__(
        self,
        secret: bytes,
        kind: KeyKind = KeyKind.PERM,
        perm_auth_key_id: int = 0,
        expires_at: int = 0,
    ) -> None:
        if len(secret) != AUTH_KEY_BYTES:
            raise ValueError(f"an auth_key has {AUTH_KEY_BYTES} bytes, not {len(secret)}")
        digest = sha1(secret, usedforsecurity=False).digest()
        self.secret = secret
        self.aux_hash = digest[:8]
        self.id_bytes = digest[12:]
        self.auth_key_id = int.from_bytes(digest[12:], "little", signed=True)
        self.kind = kind
        self.perm_auth_key_id = self.auth_key_id if kind is KeyKind.PERM else perm_auth_key_id
        self.expires_at = expires_at
        self.end_is_assumed = False
        self.asked_at = 0.0
        self.first_salt: int | None = None
        self.greeted_session_id = 0
        self.refused_binds = 0
        self.client: ClientInfo | None = None

    @property
    def unbound(self) -> bool:
        """Whether this is a temporary key that no permanent key stands behind yet."""
        return self.perm_auth_key_id == 0

    def __repr__(self) -> str:
        return f"<AuthKey {self.auth_key_id} {self.kind.name}>"
