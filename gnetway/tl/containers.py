"""Several messages in one: msg_container.

Source: core.telegram.org/mtproto/service_messages#simple-container
"""

from struct import Struct
from typing import Final, NamedTuple

from gnetway.errors import TLError
from gnetway.tl.constructors import Constructor
from gnetway.tl.primitives import open_boxed, pack_int32, pack_uint32

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
