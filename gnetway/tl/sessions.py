"""Pings, new and destroyed sessions, HTTP long polling.

Bytes after an object are ignored by every ``parse``; all ids are signed 64-bit numbers.

Source: core.telegram.org/mtproto/service_messages and core.telegram.org/mtproto/http
"""

from typing import NamedTuple, Self

from gnetway.tl.constructors import Constructor
from gnetway.tl.primitives import open_boxed, pack_int32, pack_int64, pack_uint32


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
