"""Pings, new and destroyed sessions, HTTP long polling.

Bytes after an object are ignored by every ``parse``; all ids are signed 64-bit numbers.

Source: core.telegram.org/mtproto/service_messages and core.telegram.org/mtproto/http
"""

from typing import NamedTuple, Self

from gnetway.tl.constructors import Constructor
from gnetway.tl.primitives import open_boxed, pack_int32, pack_int64, pack_string, pack_uint32


class Ping(NamedTuple):
    """The client asks for a :class:`Pong`."""

    ping_id: int

    def pack(self) -> bytes:
        """Return the boxed object, 12 bytes."""
        return pack_uint32(Constructor.PING) + pack_int64(self.ping_id)

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the boxed object.

        :raises TLError: it is another object, or is cut short.
        """
        return cls(open_boxed(body, Constructor.PING).int64())


class PingDelayDisconnect(NamedTuple):
    """A ping after whose answer the server may close in ``disconnect_delay`` seconds."""

    ping_id: int
    disconnect_delay: int

    def pack(self) -> bytes:
        """Return the boxed object, 16 bytes."""
        head = pack_uint32(Constructor.PING_DELAY_DISCONNECT)
        return head + pack_int64(self.ping_id) + pack_int32(self.disconnect_delay)

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the boxed object.

        :raises TLError: it is another object, or is cut short.
        """
        reader = open_boxed(body, Constructor.PING_DELAY_DISCONNECT)
        return cls(reader.int64(), reader.int32())


class Pong(NamedTuple):
    """The answer to both pings; ``msg_id`` is that of the ping."""

    msg_id: int
    ping_id: int

    def pack(self) -> bytes:
        """Return the boxed object, 20 bytes."""
        return pack_uint32(Constructor.PONG) + pack_int64(self.msg_id) + pack_int64(self.ping_id)

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the boxed object.

        :raises TLError: it is another object, or is cut short.
        """
        reader = open_boxed(body, Constructor.PONG)
        return cls(reader.int64(), reader.int64())


class NewSessionCreated(NamedTuple):
    """The server tells that it knows nothing of messages before ``first_msg_id``."""

    first_msg_id: int
    unique_id: int
    server_salt: int

    def pack(self) -> bytes:
        """Return the boxed object, 28 bytes."""
        return pack_uint32(Constructor.NEW_SESSION_CREATED) + b"".join(map(pack_int64, self))

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the boxed object.

        :raises TLError: it is another object, or is cut short.
        """
        reader = open_boxed(body, Constructor.NEW_SESSION_CREATED)
        return cls(reader.int64(), reader.int64(), reader.int64())

    def __repr__(self) -> str:
        return f"<NewSessionCreated from {self.first_msg_id}>"


class HttpWait(NamedTuple):
    """How long an HTTP answer may be held back; all three in milliseconds."""

    max_delay: int
    wait_after: int
    max_wait: int

    def pack(self) -> bytes:
        """Return the boxed object, 16 bytes."""
        return pack_uint32(Constructor.HTTP_WAIT) + b"".join(map(pack_int32, self))

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the boxed object.

        :raises TLError: it is another object, or is cut short.
        """
        reader = open_boxed(body, Constructor.HTTP_WAIT)
        return cls(reader.int32(), reader.int32(), reader.int32())


class DestroySession(NamedTuple):
    """The client wants another of its sessions forgotten."""

    session_id: int

    def pack(self) -> bytes:
        """Return the boxed object, 12 bytes."""
        return pack_uint32(Constructor.DESTROY_SESSION) + pack_int64(self.session_id)

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the boxed object.

        :raises TLError: it is another object, or is cut short.
        """
        return cls(open_boxed(body, Constructor.DESTROY_SESSION).int64())


class DestroySessionOk(NamedTuple):
    """The session is forgotten."""

    session_id: int

    def pack(self) -> bytes:
        """Return the boxed object, 12 bytes."""
        return pack_uint32(Constructor.DESTROY_SESSION_OK) + pack_int64(self.session_id)

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the boxed object.

        :raises TLError: it is another object, or is cut short.
        """
        return cls(open_boxed(body, Constructor.DESTROY_SESSION_OK).int64())


class DestroySessionNone(NamedTuple):
    """There was no such session."""

    session_id: int

    def pack(self) -> bytes:
        """Return the boxed object, 12 bytes."""
        return pack_uint32(Constructor.DESTROY_SESSION_NONE) + pack_int64(self.session_id)

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the boxed object.

        :raises TLError: it is another object, or is cut short.
        """
        return cls(open_boxed(body, Constructor.DESTROY_SESSION_NONE).int64())


# Binding a temporary auth key to a permanent one.
#
# Bytes after an object are ignored by every ``parse``; all ids are signed 64-bit numbers.
#
# See core.telegram.org/method/auth.bindTempAuthKey


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
