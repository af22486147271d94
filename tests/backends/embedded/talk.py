"""Both ends of the talk with an embedded session: numbering messages, opening what it says."""

from struct import Struct

from gnetway.backends.embedded.key_state import SaltSchedule, make_salt
from gnetway.crypto.auth_key import AuthKey, KeyKind
from gnetway.testing import ServerMessage
from gnetway.tl.primitives import Constructor, pack_uint32
from gnetway.tl.service_messages import (
    BadMsgNotification,
    ContainedMessage,
    RpcErrorObject,
    RpcResult,
    pack_container,
    parse_container,
)
from tests.fakes import some_key
from tests.strategies import SeededBytes

#: Unix seconds at which the tests begin.
NOW = 1_800_000_000

#: The salt of the key that the tests use, current at NOW.
SALT = 7777
SESSION_ID = 55
#: Any RPC method that nobody here knows.
UNKNOWN_CALL = pack_uint32(0xDEADBEEF) + bytes(8)

_HEAD = Struct("<qii")
_PLAINTEXT_HEAD = Struct("<qqqii")


def a_schedule(seed: int = 1) -> SaltSchedule:
    """Salts of which SALT holds at NOW."""
    return SaltSchedule([make_salt(SALT, NOW)], SeededBytes(seed))


def temp_key(number: int, expires_at: int = NOW + 86_400) -> AuthKey:
    """An unbound temporary key."""
    return some_key(number, KeyKind.TEMP, expires_at)


class Talker:
    """Numbers messages as a client does; ``msg_id`` and ``seq_no`` are those of the last one."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now
        self.msg_id = 0
        self.seq_no = 0
        self._contents = 0

    def number(self, content_related: bool = True) -> tuple[int, int]:
        """Return the next msg_id and seq_no."""
        self.msg_id = max(int(self.now * 2**32) & ~3, self.msg_id + 4)
        self.seq_no = 2 * self._contents + content_related
        self._contents += content_related
        return self.msg_id, self.seq_no

    def payload(self, body: bytes, content_related: bool = True) -> bytes:
        """Return the payload of the next message."""
        return payload(*self.number(content_related), body)

    def contain(self, *bodies: bytes) -> bytes:
        """Return the payload of a container with content-related messages."""
        messages = [ContainedMessage(*self.number(), body) for body in bodies]
        return self.payload(pack_container(messages), content_related=False)


def payload(msg_id: int, seq_no: int, body: bytes) -> bytes:
    """Return a payload as the gateway hands it over, padding included."""
    return _HEAD.pack(msg_id, seq_no, len(body)) + body + bytes(12)


def open_plaintext(plaintext: bytes) -> list[ServerMessage]:
    """Return the messages of a plaintext; a container's are taken out of it."""
    salt, session_id, msg_id, seq_no, length = _PLAINTEXT_HEAD.unpack_from(plaintext)
    body = plaintext[32:]
    assert len(body) == length
    if constructor_of(body) != Constructor.MSG_CONTAINER:
        return [ServerMessage(salt, session_id, msg_id, seq_no, body)]
    assert seq_no % 2 == 0
    inner = parse_container(body, 1024)
    assert all(message.msg_id < msg_id for message in inner)
    return [ServerMessage(salt, session_id, *message) for message in inner]


def constructor_of(body: bytes) -> int:
    """Return the constructor id of a boxed object."""
    return int.from_bytes(body[:4], "little")


def kinds(messages: list[ServerMessage]) -> list[Constructor]:
    """Return what kinds of messages these are."""
    return [Constructor(constructor_of(message.body)) for message in messages]


def find(messages: list[ServerMessage], kind: Constructor) -> bytes:
    """Return the body of the only message of a kind."""
    found = [message.body for message in messages if constructor_of(message.body) == kind]
    assert len(found) == 1, f"{len(found)} of {kind.name} in {kinds(messages)}"
    return found[0]


def results(messages: list[ServerMessage]) -> dict[int, bytes]:
    """Return what was answered to which msg_id."""
    parsed = [
        RpcResult.parse(message.body)
        for message in messages
        if constructor_of(message.body) == Constructor.RPC_RESULT
    ]
    return {result.req_msg_id: result.result for result in parsed}


def errors(messages: list[ServerMessage]) -> dict[int, tuple[int, str]]:
    """Return which rpc_error was answered to which msg_id."""
    found = {}
    for msg_id, result in results(messages).items():
        if constructor_of(result) == Constructor.RPC_ERROR:
            error = RpcErrorObject.parse(result)
            found[msg_id] = error.code, error.text
    return found


def faults(messages: list[ServerMessage]) -> list[tuple[int, int]]:
    """Return (bad_msg_id, error_code) of each bad_msg_notification."""
    parsed = [
        BadMsgNotification.parse(message.body)
        for message in messages
        if constructor_of(message.body) == Constructor.BAD_MSG_NOTIFICATION
    ]
    return [(fault.bad_msg_id, fault.error_code) for fault in parsed]
