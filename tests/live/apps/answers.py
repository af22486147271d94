"""What the session service of these tests answers: yes to every bind, a name to who asks for it."""

from collections.abc import Iterator
from struct import unpack_from
from typing import Final

from gnetway.tl.primitives import Constructor, pack_uint32
from gnetway.tl.service_messages import Ping, PingDelayDisconnect, Pong, RpcResult
from tests.live.apps.handler import NAME, told_name
from tests.live.apps.wire import Message, flat

TRUE: Final = pack_uint32(Constructor.BOOL_TRUE)

#: Calls that are looked for behind invokeWithLayer and initConnection.
_CALLS: Final = (
    Constructor.AUTH_BIND_TEMP_AUTH_KEY,
    Constructor.HELP_GET_CONFIG,
    Constructor.GZIP_PACKED,
    NAME,
)

_WRAPPERS: Final = (Constructor.INVOKE_WITH_LAYER, Constructor.INIT_CONNECTION)


def messages_of(msg_id: int, seq_no: int, body: bytes) -> list[Message]:
    """Return what a client's message holds, wrappers taken off."""
    return [unwrapped for message in flat(msg_id, seq_no, body) for unwrapped in _bare(message)]


def _bare(message: Message) -> Iterator[Message]:
    if message.kind not in _WRAPPERS:
        yield message
        return
    for call in _CALLS:
        at = message.body.find(pack_uint32(call), 8)
        if at > 0:
            yield from flat(message.msg_id, message.seq_no, message.body[at:])
            return
    yield message


def answer_to(message: Message, perm_auth_key_id: int) -> bytes | None:
    """Return the answer to one message, None for what needs none."""
    msg_id, kind = message.msg_id, message.kind
    if kind == Constructor.PING:
        return Pong(msg_id, Ping.parse(message.body).ping_id).pack()
    if kind == Constructor.PING_DELAY_DISCONNECT:
        return Pong(msg_id, PingDelayDisconnect.parse(message.body).ping_id).pack()
    if kind in (Constructor.AUTH_BIND_TEMP_AUTH_KEY, Constructor.HELP_GET_CONFIG):
        return RpcResult(msg_id, TRUE).pack()
    if kind == NAME:
        return RpcResult(msg_id, told_name(perm_auth_key_id)).pack()
    return None


def kind_of(body: bytes) -> int:
    return int(unpack_from("<I", body)[0])
