"""Binding a temporary auth key to a permanent one.

Bytes after an object are ignored by every ``parse``; all ids are signed 64-bit numbers.

Source: core.telegram.org/method/auth.bindTempAuthKey
"""

from typing import NamedTuple, Self

from gnetway.tl.constructors import Constructor
from gnetway.tl.primitives import open_boxed, pack_int32, pack_int64, pack_string, pack_uint32


class BindTempAuthKey(NamedTuple):
    """auth.bindTempAuthKey, sent under the temporary key.

    ``nonce`` is a signed 64-bit number, ``expires_at`` in Unix seconds. ``encrypted_message`` is a
    whole packet under the permanent key, in the encryption of MTProto 1.0, around a
    :class:`BindAuthKeyInner`.
    """

    perm_auth_key_id: int
    nonce: int
    expires_at: int
    encrypted_message: bytes

    def pack(self) -> bytes:
        """Return the boxed object."""
        return (
            pack_uint32(Constructor.AUTH_BIND_TEMP_AUTH_KEY)
            + pack_int64(self.perm_auth_key_id)
            + pack_int64(self.nonce)
            + pack_int32(self.expires_at)
            + pack_string(self.encrypted_message)
        )

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the boxed object.

        :raises TLError: it is another object, or is cut short.
        """
        reader = open_boxed(body, Constructor.AUTH_BIND_TEMP_AUTH_KEY)
        return cls(reader.int64(), reader.int64(), reader.int32(), reader.string())

    def __repr__(self) -> str:
        return f"<BindTempAuthKey perm {self.perm_auth_key_id}>"


class BindAuthKeyInner(NamedTuple):
    """What the permanent key vouches for; ``nonce`` and ``expires_at`` as in the outer message."""

    nonce: int
    temp_auth_key_id: int
    perm_auth_key_id: int
    temp_session_id: int
    expires_at: int

    def pack(self) -> bytes:
        """Return the boxed object, 40 bytes."""
        return (
            pack_uint32(Constructor.BIND_AUTH_KEY_INNER)
            + b"".join(map(pack_int64, self[:4]))
            + pack_int32(self.expires_at)
        )

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the boxed object.

        :raises TLError: it is another object, or is cut short.
        """
        reader = open_boxed(body, Constructor.BIND_AUTH_KEY_INNER)
        return cls(reader.int64(), reader.int64(), reader.int64(), reader.int64(), reader.int32())

    def __repr__(self) -> str:
        return f"<BindAuthKeyInner {self.temp_auth_key_id} to {self.perm_auth_key_id}>"
