"""Answers to calls: results, errors, and the dropping of an answer.

Bytes after an object are ignored by every ``parse``; all ids are signed 64-bit numbers. The two
answers without fields, rpc_answer_unknown and rpc_answer_dropped_running, are their bare
constructor ids.

Source: core.telegram.org/mtproto/service_messages#response-to-an-rpc-query
"""

from collections.abc import Sequence
from typing import Final, NamedTuple, Self

from gnetway.errors import TLError
from gnetway.tl.constructors import Constructor
from gnetway.tl.primitives import open_boxed, pack_int32, pack_int64, pack_string, pack_uint32
from gnetway.tl.unwrap import first_bytes

_RPC_RESULT: Final = pack_uint32(Constructor.RPC_RESULT)
_RPC_ERROR: Final = pack_uint32(Constructor.RPC_ERROR)
_GZIP_PACKED: Final = pack_uint32(Constructor.GZIP_PACKED)

#: Constructor and req_msg_id stand before the result.
_RESULT_OFFSET: Final = 12

#: Enough to see what begins a result, through two layers of compression.
_LOOKED_AT_BYTES: Final = 1024


class RpcResult(NamedTuple):
    """The answer to the call ``req_msg_id``; ``result`` is a boxed object."""

    req_msg_id: int
    result: bytes

    def pack(self) -> bytes:
        """Return the boxed object."""
        return pack_uint32(Constructor.RPC_RESULT) + pack_int64(self.req_msg_id) + self.result

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the boxed object; ``result`` is everything that follows.

        :raises TLError: it is another object, or is cut short.
        """
        reader = open_boxed(body, Constructor.RPC_RESULT)
        return cls(reader.int64(), reader.raw(reader.remaining()))

    def __repr__(self) -> str:
        return f"<RpcResult for {self.req_msg_id}, {len(self.result)} bytes>"


class RpcErrorObject(NamedTuple):
    """rpc_error, which takes the result's place: 401 AUTH_KEY_UNREGISTERED and kin."""

    code: int
    text: str

    def pack(self) -> bytes:
        """Return the boxed object."""
        head = pack_uint32(Constructor.RPC_ERROR)
        return head + pack_int32(self.code) + pack_string(self.text.encode())

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the boxed object.

        :raises TLError: it is another object, is cut short, or its text is no UTF-8.
        """
        reader = open_boxed(body, Constructor.RPC_ERROR)
        code, text = reader.int32(), reader.string()
        try:
            return cls(code, text.decode())
        except UnicodeDecodeError:
            pass  # it has the whole text: what is raised below must not carry it
        raise TLError("the text of an rpc_error is no UTF-8")


def is_error_result(body: bytes) -> bool:
    """Whether a message is the rpc_error of a call; it, or what it holds, may be compressed.

    Web A leaves a container at its first error: what stands behind one is lost to it.
    """
    kind = body[:4]
    if kind != _RPC_RESULT and kind != _GZIP_PACKED:
        return False
    head = first_bytes(body, _LOOKED_AT_BYTES)
    result = head[_RESULT_OFFSET:]
    return head[:4] == _RPC_RESULT and first_bytes(result, 4) == _RPC_ERROR


class RpcDropAnswer(NamedTuple):
    """The client wants no answer any more to the call ``req_msg_id``."""

    req_msg_id: int

    def pack(self) -> bytes:
        """Return the boxed object, 12 bytes."""
        return pack_uint32(Constructor.RPC_DROP_ANSWER) + pack_int64(self.req_msg_id)

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the boxed object.

        :raises TLError: it is another object, or is cut short.
        """
        return cls(open_boxed(body, Constructor.RPC_DROP_ANSWER).int64())


class RpcAnswerDropped(NamedTuple):
    """An answer was there already and is dropped; ``size`` was its length in bytes."""

    msg_id: int
    seq_no: int
    size: int

    def pack(self) -> bytes:
        """Return the boxed object, 20 bytes."""
        head = pack_uint32(Constructor.RPC_ANSWER_DROPPED)
        return head + pack_int64(self.msg_id) + pack_int32(self.seq_no) + pack_int32(self.size)

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the boxed object.

        :raises TLError: it is another object, or is cut short.
        """
        reader = open_boxed(body, Constructor.RPC_ANSWER_DROPPED)
        return cls(reader.int64(), reader.int32(), reader.int32())


# Server salts: asking for future ones, and the notice that one was wrong.
#
# Salts are signed 64-bit numbers, times Unix seconds. Bytes after an object are ignored by every
# ``parse``.
#
# See core.telegram.org/mtproto/service_messages#request-for-several-future-salts

#: The most salts one may ask for, by the documents.
MAX_SALTS: Final = 64

#: error_code of :class:`BadServerSalt`.
WRONG_SALT: Final = 48


class GetFutureSalts(NamedTuple):
    """The client asks for ``num`` salts, 1 to 64 by the documents; it is not checked here."""

    num: int

    def pack(self) -> bytes:
        """Return the boxed object, 8 bytes."""
        return pack_uint32(Constructor.GET_FUTURE_SALTS) + pack_int32(self.num)

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the boxed object.

        :raises TLError: it is another object, or is cut short.
        """
        return cls(open_boxed(body, Constructor.GET_FUTURE_SALTS).int32())


class FutureSalts(NamedTuple):
    """The answer: ``salts`` are (valid_since, valid_until, salt).

    It goes out bare, not inside of rpc_result; ``req_msg_id`` names the request.
    """

    req_msg_id: int
    now: int
    salts: Sequence[tuple[int, int, int]]

    def pack(self) -> bytes:
        """Return the boxed object; the salts in it are bare, their vector too."""
        parts = [
            pack_uint32(Constructor.FUTURE_SALTS),
            pack_int64(self.req_msg_id),
            pack_int32(self.now),
            pack_int32(len(self.salts)),
        ]
        for valid_since, valid_until, salt in self.salts:
            parts += [pack_int32(valid_since), pack_int32(valid_until), pack_int64(salt)]
        return b"".join(parts)

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the boxed object.

        :raises TLError: it is another object, is cut short, or has more than 64 salts.
        """
        reader = open_boxed(body, Constructor.FUTURE_SALTS)
        req_msg_id, now = reader.int64(), reader.int32()
        count = reader.count(MAX_SALTS, 16)
        salts = [(reader.int32(), reader.int32(), reader.int64()) for _ in range(count)]
        return cls(req_msg_id, now, salts)

    def __repr__(self) -> str:
        return f"<FutureSalts for {self.req_msg_id}, {len(self.salts)} salts>"


class BadServerSalt(NamedTuple):
    """A message came with a wrong salt: the client shall send it again with the new one."""

    bad_msg_id: int
    bad_msg_seqno: int
    error_code: int
    new_server_salt: int

    def pack(self) -> bytes:
        """Return the boxed object, 28 bytes."""
        return (
            pack_uint32(Constructor.BAD_SERVER_SALT)
            + pack_int64(self.bad_msg_id)
            + pack_int32(self.bad_msg_seqno)
            + pack_int32(self.error_code)
            + pack_int64(self.new_server_salt)
        )

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the boxed object.

        :raises TLError: it is another object, or is cut short.
        """
        reader = open_boxed(body, Constructor.BAD_SERVER_SALT)
        return cls(reader.int64(), reader.int32(), reader.int32(), reader.int64())

    def __repr__(self) -> str:
        return f"<BadServerSalt for {self.bad_msg_id}>"
