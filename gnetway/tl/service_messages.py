"""The service messages: what client and server say about messages, sessions and salts.

What runs per message or per HTTP request is written by hand (containers, acknowledgements, results,
http_wait); all else is in the table at the end, see ``primitives.py``. Messages without fields
(destroy_auth_key and its answers, rpc_answer_unknown…) are their bare constructor ids.

All ids and salts are signed 64-bit numbers, times are Unix seconds. Every ``parse`` ignores bytes
after its object, and raises :class:`~gnetway.errors.TLError` for another object and for one that
is cut short.

Source: core.telegram.org/mtproto/service_messages and
core.telegram.org/mtproto/service_messages_about_messages
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from struct import Struct
from typing import Final, NamedTuple, Self

from gnetway.errors import TLError
from gnetway.tl.primitives import (
    IDS,
    INT,
    LONG,
    MAX_IDS,
    STRING,
    TEXT,
    Constructor,
    Reader,
    Record,
    TLType,
    declare,
    open_boxed,
    pack_int32,
    pack_int64,
    pack_uint32,
    pack_vector_int64,
)

# By hand: what runs per message or per HTTP request.

#: msg_id, seq_no and length in front of each contained message.
_CONTAINED_HEAD: Final = Struct("<qii")


class ContainedMessage(NamedTuple):
    """One message of a container; ``body`` is a boxed object."""

    msg_id: int
    seq_no: int
    body: bytes

    def __repr__(self) -> str:
        return f"<ContainedMessage {self.msg_id}, {len(self.body)} bytes>"


def pack_container(messages: list[ContainedMessage]) -> bytes:
    """Return a boxed msg_container; an empty one is sound, HTTP answers with it."""
    parts = [pack_uint32(Constructor.MSG_CONTAINER), pack_int32(len(messages))]
    for msg_id, seq_no, body in messages:
        parts += [_CONTAINED_HEAD.pack(msg_id, seq_no, len(body)), body]
    return b"".join(parts)


def parse_container(body: bytes, max_messages: int) -> list[ContainedMessage]:
    """Read a boxed msg_container; the bodies are not looked into, nor what follows the last.

    :raises TooManyItems: it announces more than ``max_messages`` messages.
    :raises TLError: it is another object, is cut short, or has a length that is negative or no
        multiple of 4.
    """
    reader = open_boxed(body, Constructor.MSG_CONTAINER)
    messages = []
    for _ in range(reader.count(max_messages, _CONTAINED_HEAD.size)):
        msg_id, seq_no, length = reader.int64(), reader.int32(), reader.int32()
        if length % 4:
            raise TLError("the length of a contained message is no multiple of 4")
        messages.append(ContainedMessage(msg_id, seq_no, reader.raw(length)))
    return messages


class MsgsAck(NamedTuple):
    """These messages have come."""

    msg_ids: list[int]

    def pack(self) -> bytes:
        """Return the boxed object."""
        return pack_uint32(Constructor.MSGS_ACK) + pack_vector_int64(self.msg_ids)

    @classmethod
    def parse(cls, body: bytes, max_ids: int = MAX_IDS) -> Self:
        """Read the boxed object.

        :raises TooManyItems: it has more than ``max_ids`` ids.
        """
        return cls(open_boxed(body, Constructor.MSGS_ACK).vector_int64(max_ids))


class HttpWait(NamedTuple):
    """How long an HTTP answer may be held back; all three in milliseconds.

    Source: core.telegram.org/mtproto/service_messages#http-wait-long-poll
    """

    max_delay: int
    wait_after: int
    max_wait: int

    def pack(self) -> bytes:
        """Return the boxed object, 16 bytes."""
        return pack_uint32(Constructor.HTTP_WAIT) + b"".join(map(pack_int32, self))

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the boxed object."""
        reader = open_boxed(body, Constructor.HTTP_WAIT)
        return cls(reader.int32(), reader.int32(), reader.int32())


class RpcResult(NamedTuple):
    """The answer to the call ``req_msg_id``; ``result`` is a boxed object."""

    req_msg_id: int
    result: bytes

    def pack(self) -> bytes:
        """Return the boxed object."""
        return pack_uint32(Constructor.RPC_RESULT) + pack_int64(self.req_msg_id) + self.result

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the boxed object; ``result`` is everything that follows."""
        reader = open_boxed(body, Constructor.RPC_RESULT)
        return cls(reader.int64(), reader.raw(reader.remaining()))

    def __repr__(self) -> str:
        return f"<RpcResult for {self.req_msg_id}, {len(self.result)} bytes>"


# By the table: results of calls.


@dataclass(frozen=True, slots=True)
class RpcErrorObject(Record):
    """rpc_error, which takes the result's place: 401 AUTH_KEY_UNREGISTERED and kin."""

    code: int
    text: str


@dataclass(frozen=True, slots=True)
class RpcDropAnswer(Record):
    """The client wants no answer any more to the call ``req_msg_id``."""

    req_msg_id: int


@dataclass(frozen=True, slots=True)
class RpcAnswerDropped(Record):
    """An answer was there already and is dropped; ``size`` was its length in bytes."""

    msg_id: int
    seq_no: int
    size: int


# Messages about messages.


@dataclass(frozen=True, slots=True)
class MsgsStateReq(Record):
    """Asks what became of these messages; answered by :class:`MsgsStateInfo`."""

    msg_ids: list[int]


@dataclass(frozen=True, slots=True)
class MsgsStateInfo(Record):
    """The answer to the request ``req_msg_id``: ``info`` has one byte for each id asked for."""

    req_msg_id: int
    info: bytes


@dataclass(frozen=True, slots=True)
class MsgsAllInfo(Record):
    """The state of messages, told unasked: ``info`` has one byte for each of ``msg_ids``."""

    msg_ids: list[int]
    info: bytes


@dataclass(frozen=True, slots=True)
class MsgResendReq(Record):
    """Asks for these messages once more."""

    msg_ids: list[int]


@dataclass(frozen=True, slots=True)
class MsgDetailedInfo(Record):
    """A repeated call ``msg_id`` has an answer of ``size`` bytes, waiting to be acknowledged."""

    msg_id: int
    answer_msg_id: int
    size: int
    status: int


@dataclass(frozen=True, slots=True)
class MsgNewDetailedInfo(Record):
    """A message of the server that answers nothing waits to be acknowledged."""

    answer_msg_id: int
    size: int
    status: int


@dataclass(frozen=True, slots=True)
class BadMsgNotification(Record):
    """A message was not taken; ``error_code`` tells why.

    16 and 17: msg_id too low, too high; 18: its two low bits; 19: it names a container as well;
    20: too old to tell; 32 to 35: seq_no; 64: a container that is none.
    """

    bad_msg_id: int
    bad_msg_seqno: int
    error_code: int


# Pings and sessions. Where pings are counted in thousands no record is made of them: the embedded
# backend's ``answer_ping`` copies the 8 bytes of ping_id.


@dataclass(frozen=True, slots=True)
class Ping(Record):
    """The client asks for a :class:`Pong`."""

    ping_id: int


@dataclass(frozen=True, slots=True)
class Pong(Record):
    """The answer to both pings; ``msg_id`` is that of the ping."""

    msg_id: int
    ping_id: int


@dataclass(frozen=True, slots=True)
class PingDelayDisconnect(Record):
    """A ping after whose answer the server may close in ``disconnect_delay`` seconds."""

    ping_id: int
    disconnect_delay: int


@dataclass(frozen=True, slots=True)
class NewSessionCreated(Record):
    """The server knows nothing of messages before ``first_msg_id``."""

    first_msg_id: int
    unique_id: int
    server_salt: int = field(repr=False)


@dataclass(frozen=True, slots=True)
class DestroySession(Record):
    """The client wants another of its sessions forgotten."""

    session_id: int


@dataclass(frozen=True, slots=True)
class DestroySessionOk(Record):
    """The session is forgotten."""

    session_id: int


@dataclass(frozen=True, slots=True)
class DestroySessionNone(Record):
    """There was no such session."""

    session_id: int


# Server salts.

#: The most salts one may ask for, by the documents.
MAX_SALTS: Final = 64

#: error_code of :class:`BadServerSalt`.
WRONG_SALT: Final = 48


@dataclass(frozen=True, slots=True)
class GetFutureSalts(Record):
    """The client asks for ``num`` salts, 1 to 64 by the documents; it is not checked here."""

    num: int


@dataclass(frozen=True, slots=True)
class FutureSalts(Record):
    """The answer: ``salts`` are (valid_since, valid_until, salt), at most 64.

    It goes out bare, not inside of rpc_result; ``req_msg_id`` names the request.
    """

    req_msg_id: int
    now: int
    salts: Sequence[tuple[int, int, int]] = field(repr=False)


@dataclass(frozen=True, slots=True)
class BadServerSalt(Record):
    """A message came with a wrong salt: the client shall send it again with the new one."""

    bad_msg_id: int
    bad_msg_seqno: int
    error_code: int
    new_server_salt: int = field(repr=False)


# The table.


def _pack_salts(salts: Sequence[tuple[int, int, int]]) -> bytes:
    parts = [pack_int32(len(salts))]
    parts += [_SALT.pack(*salt) for salt in salts]
    return b"".join(parts)


def _read_salts(reader: Reader) -> list[tuple[int, int, int]]:
    count = reader.count(MAX_SALTS, _SALT.size)
    return [(reader.int32(), reader.int32(), reader.int64()) for _ in range(count)]


#: The salts are bare, their vector too: neither has a constructor id.
_SALT: Final = Struct("<iiq")
_SALTS: Final = TLType(_pack_salts, _read_salts)

declare(RpcErrorObject, Constructor.RPC_ERROR, INT, TEXT)
declare(RpcDropAnswer, Constructor.RPC_DROP_ANSWER, LONG)
declare(RpcAnswerDropped, Constructor.RPC_ANSWER_DROPPED, LONG, INT, INT)
declare(MsgsStateReq, Constructor.MSGS_STATE_REQ, IDS)
declare(MsgsStateInfo, Constructor.MSGS_STATE_INFO, LONG, STRING)
declare(MsgsAllInfo, Constructor.MSGS_ALL_INFO, IDS, STRING)
declare(MsgResendReq, Constructor.MSG_RESEND_REQ, IDS)
declare(MsgDetailedInfo, Constructor.MSG_DETAILED_INFO, LONG, LONG, INT, INT)
declare(MsgNewDetailedInfo, Constructor.MSG_NEW_DETAILED_INFO, LONG, INT, INT)
declare(BadMsgNotification, Constructor.BAD_MSG_NOTIFICATION, LONG, INT, INT)
declare(Ping, Constructor.PING, LONG)
declare(Pong, Constructor.PONG, LONG, LONG)
declare(PingDelayDisconnect, Constructor.PING_DELAY_DISCONNECT, LONG, INT)
declare(NewSessionCreated, Constructor.NEW_SESSION_CREATED, LONG, LONG, LONG)
declare(DestroySession, Constructor.DESTROY_SESSION, LONG)
declare(DestroySessionOk, Constructor.DESTROY_SESSION_OK, LONG)
declare(DestroySessionNone, Constructor.DESTROY_SESSION_NONE, LONG)
declare(GetFutureSalts, Constructor.GET_FUTURE_SALTS, INT)
declare(FutureSalts, Constructor.FUTURE_SALTS, LONG, INT, _SALTS)
declare(BadServerSalt, Constructor.BAD_SERVER_SALT, LONG, INT, INT, LONG)
