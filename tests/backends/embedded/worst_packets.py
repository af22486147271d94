"""The dearest packets of each kind that a client can make, as payloads of an embedded session."""

from collections.abc import Callable
from typing import Final
from zlib import compress

from gnetway.tl.key_exchange import BindTempAuthKey
from gnetway.tl.primitives import (
    MAX_IDS,
    Constructor,
    pack_int32,
    pack_int64,
    pack_string,
    pack_uint32,
    pack_vector_int64,
)
from gnetway.tl.service_messages import (
    ContainedMessage,
    DestroySession,
    GetFutureSalts,
    HttpWait,
    MsgDetailedInfo,
    MsgResendReq,
    MsgsAck,
    MsgsAllInfo,
    MsgsStateReq,
    Ping,
    RpcDropAnswer,
    pack_container,
)
from tests.backends.embedded.talk import UNKNOWN_CALL, Talker

#: Messages in a container, by the documents.
MANY: Final = 1024

GET_CONFIG: Final = pack_uint32(Constructor.HELP_GET_CONFIG)
NULL: Final = pack_uint32(Constructor.JSON_NULL)

#: What a packet is made of, given who numbers its messages and what the server has sent.
Make = Callable[[Talker, list[int]], bytes]


def gzipped(body: bytes) -> bytes:
    """Return gzip_packed; here it is a zlib stream, as some clients send."""
    return pack_uint32(Constructor.GZIP_PACKED) + pack_string(compress(body))


def json_array(members: list[bytes]) -> bytes:
    """Return a JSONValue."""
    head = pack_uint32(Constructor.JSON_ARRAY) + pack_uint32(Constructor.VECTOR)
    return head + pack_int32(len(members)) + b"".join(members)


def init_connection(params: bytes, body: bytes = GET_CONFIG) -> bytes:
    """Return a call in initConnection with these params."""
    head = pack_uint32(Constructor.INIT_CONNECTION) + pack_int32(2) + pack_int32(1)
    return head + pack_string(b"") * 6 + params + body


def layers(count: int, body: bytes) -> bytes:
    """Return a call in so many invokeWithLayer, each of another layer."""
    wrapper = pack_uint32(Constructor.INVOKE_WITH_LAYER)
    return b"".join(wrapper + pack_int32(100 + number) for number in range(count)) + body


def after_messages(count: int, body: bytes) -> bytes:
    """Return a call that waits for others."""
    head = pack_uint32(Constructor.INVOKE_AFTER_MSGS)
    return head + pack_vector_int64(list(range(0, 4 * count, 4))) + body


def many(body: bytes, content_related: bool = True, count: int = MANY) -> Make:
    """Return what makes a container of equal messages."""

    def make(talker: Talker, _: list[int]) -> bytes:
        contained = [ContainedMessage(*talker.number(content_related), body) for _ in range(count)]
        return talker.payload(pack_container(contained), content_related=False)

    return make


def packed(body: bytes, count: int) -> Make:
    """Return what makes a compressed container of equal messages."""

    def make(talker: Talker, _: list[int]) -> bytes:
        contained = [ContainedMessage(*talker.number(), body) for _ in range(count)]
        return talker.payload(gzipped(pack_container(contained)), content_related=False)

    return make


def lone(body: bytes) -> Make:
    """Return what makes one message."""
    return lambda talker, _: talker.payload(body)


def resend(talker: Talker, sent: list[int]) -> bytes:
    """Ask for what the server has sent, over and over, in as many messages as unpack."""
    body = MsgResendReq((sent * MAX_IDS)[:MAX_IDS]).pack()
    return packed(body, 31)(talker, sent)


def repeated(talker: Talker, sent: list[int]) -> bytes:
    """Repeat a call that was answered in each message of a container."""
    contained = [ContainedMessage(talker.msg_id, talker.seq_no, UNKNOWN_CALL)] * MANY
    return talker.payload(pack_container(contained), content_related=False)


def different_ids(count: int) -> list[int]:
    """Return msg_ids around those of the session, which nobody has sent."""
    return [(1_800_000_000 << 32) + 8 * number for number in range(count)]


STATES: Final = MsgsStateReq(different_ids(MAX_IDS)).pack()
BIND: Final = BindTempAuthKey(7, 8, 9, bytes(40)).pack()

KINDS: Final[dict[str, Make]] = {
    "resend": resend,
    "a repeated call": repeated,
    "states": packed(STATES, 31),
    "a lone list of states": lone(STATES),
    "small lists of states": many(MsgsStateReq(different_ids(8)).pack()),
    "acknowledgements": many(MsgsAck(different_ids(8)).pack(), content_related=False),
    "large acknowledgements": packed(MsgsAck(different_ids(MAX_IDS)).pack(), 31),
    "salts": packed(GetFutureSalts(64).pack(), MANY),
    "pings": many(Ping(1).pack()),
    "waits": many(HttpWait(1, 2, 3).pack(), content_related=False),
    "dropped answers": many(RpcDropAnswer(4).pack()),
    "destroyed sessions": many(DestroySession(5).pack()),
    "destroyed keys": many(pack_uint32(Constructor.DESTROY_AUTH_KEY)),
    "information": many(MsgsAllInfo([4] * 8, bytes(8)).pack()),
    "detailed information": many(MsgDetailedInfo(4, 8, 12, 0).pack()),
    "calls": many(UNKNOWN_CALL),
    "answered calls": many(GET_CONFIG),
    "calls of 4 bytes": many(pack_uint32(0xDEADBEEF)),
    "nothing": many(b""),
    "even calls": many(UNKNOWN_CALL, content_related=False),
    "binds": many(BIND),
    "JSON": packed(init_connection(json_array([json_array([NULL] * 8000)] * 60)), 1),
    "just so much JSON": lone(init_connection(json_array([NULL] * 2046))),
    "a little JSON each": many(init_connection(json_array([NULL] * 20))),
    "wrappers": many(layers(16, UNKNOWN_CALL)),
    "two wrappers each": many(layers(2, UNKNOWN_CALL)),
    "too many wrappers": lone(layers(100_000, UNKNOWN_CALL)),
    "waiting calls": packed(after_messages(MAX_IDS, UNKNOWN_CALL), 31),
    "zeros": lone(gzipped(bytes(2 * 1024 * 1024 - 4096))),
    "too many zeros": lone(gzipped(bytes(15 * 1024 * 1024))),
    "zeros in each": many(gzipped(UNKNOWN_CALL + bytes(2000))),
    "bombs in a bomb": packed(gzipped(UNKNOWN_CALL + bytes(1 << 20)), 31),
    "gzip in gzip": lone(gzipped(gzipped(gzipped(bytes(1 << 20))))),
    "bad gzip": many(pack_uint32(Constructor.GZIP_PACKED) + pack_string(b"x\x9c" + bytes(10))),
    "containers": many(pack_container([])),
    "a container that lies": lone(pack_uint32(Constructor.MSG_CONTAINER) + pack_int32(1024)),
    "a long text": lone(pack_uint32(Constructor.PING) + pack_int64(1) + bytes(1 << 20)),
}
