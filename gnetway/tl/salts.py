"""Server salts: asking for future ones, and the notice that one was wrong.

Salts are signed 64-bit numbers, times Unix seconds. Bytes after an object are ignored by every
``parse``.

Source: core.telegram.org/mtproto/service_messages#request-for-several-future-salts
"""

from collections.abc import Sequence
from typing import Final, NamedTuple, Self

from gnetway.tl.constructors import Constructor
from gnetway.tl.primitives import open_boxed, pack_int32, pack_int64, pack_uint32

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
