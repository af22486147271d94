"""Messages about messages: acknowledgements, their state, wishes to see them again.

Bytes after an object are ignored by every ``parse``; all ids are signed 64-bit numbers. A list
with more than 8192 ids is a :class:`~gnetway.tl.primitives.TooManyItems`.

Source: core.telegram.org/mtproto/service_messages_about_messages
"""

from struct import Struct
from typing import Final, NamedTuple, Self

from gnetway.errors import TLError
from gnetway.tl.constructors import Constructor
from gnetway.tl.primitives import (
    MAX_IDS,
    open_boxed,
    pack_int32,
    pack_int64,
    pack_string,
    pack_uint32,
    pack_vector_int64,
)


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
        :raises TLError: it is another object, or is cut short.
        """
        return cls(open_boxed(body, Constructor.MSGS_ACK).vector_int64(max_ids))


class MsgsStateReq(NamedTuple):
    """Asks what became of these messages; answered by :class:`MsgsStateInfo`."""

    msg_ids: list[int]

    def pack(self) -> bytes:
        """Return the boxed object."""
        return pack_uint32(Constructor.MSGS_STATE_REQ) + pack_vector_int64(self.msg_ids)

    @classmethod
    def parse(cls, body: bytes, max_ids: int = MAX_IDS) -> Self:
        """Read the boxed object.

        :raises TooManyItems: it has more than ``max_ids`` ids.
        :raises TLError: it is another object, or is cut short.
        """
        return cls(open_boxed(body, Constructor.MSGS_STATE_REQ).vector_int64(max_ids))


class MsgResendReq(NamedTuple):
    """Asks for these messages once more."""

    msg_ids: list[int]

    def pack(self) -> bytes:
        """Return the boxed object."""
        return pack_uint32(Constructor.MSG_RESEND_REQ) + pack_vector_int64(self.msg_ids)

    @classmethod
    def parse(cls, body: bytes, max_ids: int = MAX_IDS) -> Self:
        """Read the boxed object.

        :raises TooManyItems: it has more than ``max_ids`` ids.
        :raises TLError: it is another object, or is cut short.
        """
        return cls(open_boxed(body, Constructor.MSG_RESEND_REQ).vector_int64(max_ids))


class MsgsStateInfo(NamedTuple):
    """The answer to the request ``req_msg_id``: ``info`` has one byte for each id asked for."""

    req_msg_id: int
    info: bytes

    def pack(self) -> bytes:
        """Return the boxed object."""
        head = pack_uint32(Constructor.MSGS_STATE_INFO)
        return head + pack_int64(self.req_msg_id) + pack_string(self.info)

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the boxed object.

        :raises TLError: it is another object, or is cut short.
        """
        reader = open_boxed(body, Constructor.MSGS_STATE_INFO)
        return cls(reader.int64(), reader.string())


class MsgsAllInfo(NamedTuple):
    """The state of messages, told unasked: ``info`` has one byte for each of ``msg_ids``."""

    msg_ids: list[int]
    info: bytes

    def pack(self) -> bytes:
        """Return the boxed object."""
        head = pack_uint32(Constructor.MSGS_ALL_INFO)
        return head + pack_vector_int64(self.msg_ids) + pack_string(self.info)

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the boxed object.

        :raises TLError: it is another object, is cut short, or has too many ids.
        """
        reader = open_boxed(body, Constructor.MSGS_ALL_INFO)
        return cls(reader.vector_int64(), reader.string())


class MsgDetailedInfo(NamedTuple):
    """A repeated call ``msg_id`` has an answer of ``size`` bytes, waiting to be acknowledged."""

    msg_id: int
    answer_msg_id: int
    size: int
    status: int

    def pack(self) -> bytes:
        """Return the boxed object, 28 bytes."""
        return (
            pack_uint32(Constructor.MSG_DETAILED_INFO)
            + pack_int64(self.msg_id)
            + pack_int64(self.answer_msg_id)
            + pack_int32(self.size)
            + pack_int32(self.status)
        )

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the boxed object.

        :raises TLError: it is another object, or is cut short.
        """
        reader = open_boxed(body, Constructor.MSG_DETAILED_INFO)
        return cls(reader.int64(), reader.int64(), reader.int32(), reader.int32())


class MsgNewDetailedInfo(NamedTuple):
    """A message of the server that answers nothing waits to be acknowledged."""

    answer_msg_id: int
    size: int
    status: int

    def pack(self) -> bytes:
        """Return the boxed object, 20 bytes."""
        head = pack_uint32(Constructor.MSG_NEW_DETAILED_INFO)
        tail = pack_int32(self.size) + pack_int32(self.status)
        return head + pack_int64(self.answer_msg_id) + tail

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the boxed object.

        :raises TLError: it is another object, or is cut short.
        """
        reader = open_boxed(body, Constructor.MSG_NEW_DETAILED_INFO)
        return cls(reader.int64(), reader.int32(), reader.int32())


class BadMsgNotification(NamedTuple):
    """A message was not taken; ``error_code`` tells why.

    16 and 17: msg_id too low, too high; 18: its two low bits; 19: it names a container as well;
    20: too old to tell; 32 to 35: seq_no; 64: a container that is none.
    """

    bad_msg_id: int
    bad_msg_seqno: int
    error_code: int

    def pack(self) -> bytes:
        """Return the boxed object, 20 bytes."""
        return (
            pack_uint32(Constructor.BAD_MSG_NOTIFICATION)
            + pack_int64(self.bad_msg_id)
            + pack_int32(self.bad_msg_seqno)
            + pack_int32(self.error_code)
        )

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the boxed object.

        :raises TLError: it is another object, or is cut short.
        """
        reader = open_boxed(body, Constructor.BAD_MSG_NOTIFICATION)
        return cls(reader.int64(), reader.int32(), reader.int32())


# Several messages in one: msg_container.
#
# See core.telegram.org/mtproto/service_messages#simple-container

#: msg_id, seq_no and length in front of each contained message.
_HEAD: Final = Struct("<qii")


class ContainedMessage(NamedTuple):
    """One message of a container; ``msg_id`` is signed, ``body`` a boxed object."""

    msg_id: int
    seq_no: int
    body: bytes

    def __repr__(self) -> str:
        return f"<ContainedMessage {self.msg_id}, {len(self.body)} bytes>"


def pack_container(messages: list[ContainedMessage]) -> bytes:
    """Return a boxed msg_container; an empty one is sound, HTTP answers with it."""
    parts = [pack_uint32(Constructor.MSG_CONTAINER), pack_int32(len(messages))]
    for msg_id, seq_no, body in messages:
        parts += [_HEAD.pack(msg_id, seq_no, len(body)), body]
    return b"".join(parts)


def parse_container(body: bytes, max_messages: int) -> list[ContainedMessage]:
    """Read a boxed msg_container; the bodies are not looked into, nor what follows the last.

    :raises TooManyItems: it announces more than ``max_messages`` messages.
    :raises TLError: it is another object, is cut short, or has a length that is negative or no
        multiple of 4.
    """
    reader = open_boxed(body, Constructor.MSG_CONTAINER)
    messages = []
    for _ in range(reader.count(max_messages, _HEAD.size)):
        msg_id, seq_no, length = reader.int64(), reader.int32(), reader.int32()
        if length % 4:
            raise TLError("the length of a contained message is no multiple of 4")
        messages.append(ContainedMessage(msg_id, seq_no, reader.raw(length)))
    return messages
