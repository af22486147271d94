"""What a temporary key may do before it is bound to a permanent one.

    holds a bind                → the session backend decides (BIND)
    only pings and acks         → answered here: the backend never hears of such a session
    other service messages too  → the session backend answers them (FORWARD)
    any other call              → pongs, and rpc_error 401 AUTH_KEY_PERM_EMPTY for each call

Source: core.telegram.org/api/pfs
"""

from collections.abc import Callable
from enum import Enum
from typing import Final, NamedTuple

from gnetway.mtproto.message import pack_message
from gnetway.mtproto.peek import peek_message
from gnetway.tl.service_messages import (
    ContainedMessage,
    Pong,
    RpcErrorObject,
    RpcResult,
    pack_container,
)
from gnetway.tl.unwrap import UnwrapLimits

#: msg_id, seq_no and length stand before the body in a payload.
_BODY_OFFSET: Final = 16

#: A first answer's seq_no: even for a service message, odd for what wants an acknowledgement.
_SERVICE_SEQ_NO: Final = 0
_CONTENT_SEQ_NO: Final = 1

PERM_KEY_WANTED: Final = RpcErrorObject(401, "AUTH_KEY_PERM_EMPTY")
BIND_REFUSED: Final = RpcErrorObject(400, "ENCRYPTED_MESSAGE_INVALID")


class Verdict(Enum):
    """What becomes of the message."""

    BIND = "bind"
    FORWARD = "forward"
    ANSWER = "answer"


class Answer(NamedTuple):
    """One object to send back."""

    body: bytes
    seq_no: int

    def __repr__(self) -> str:
        return f"<Answer of {len(self.body)} bytes>"

    def pack(self, salt: int, session_id: int, msg_id: int) -> bytes:
        """Build the plaintext to encrypt."""
        return pack_message(salt, session_id, msg_id, self.seq_no, self.body)


Answers = list[Answer]


class Judged(NamedTuple):
    """The verdict with what goes along: the key to bind to and who asks, or the answers."""

    verdict: Verdict
    answers: Answers
    perm_auth_key_id: int = 0
    bind_msg_id: int = 0


def judge_unbound(msg_id: int, payload: bytes, limits: UnwrapLimits) -> Judged:
    """Judge a message of an unbound temporary key.

    ``payload`` is msg_id, seq_no, length, body, padding.

    :raises ProtocolError: the message cannot be read within ``limits``.
    """
    length = int.from_bytes(payload[12:16], "little")
    peek = peek_message(msg_id, payload[_BODY_OFFSET : _BODY_OFFSET + length], limits)
    if peek.bind is not None:
        return Judged(Verdict.BIND, [], peek.bind.perm_auth_key_id, peek.bind_msg_id)
    if peek.services and not peek.calls:
        return Judged(Verdict.FORWARD, [])
    answers = [
        Answer(Pong(asked, ping_id).pack(), _SERVICE_SEQ_NO) for asked, ping_id in peek.pings
    ]
    answers += [_error(call, PERM_KEY_WANTED) for call in peek.calls]
    return Judged(Verdict.ANSWER, answers)


def refuse_bind(bind_msg_id: int) -> Answers:
    """Return the answer to a bind that the backend refused."""
    return [_error(bind_msg_id, BIND_REFUSED)]


def join_answers(answers: Answers, next_msg_id: Callable[[], int]) -> Answer:
    """Return one answer that says it all: a container, unless it is one already."""
    if len(answers) == 1:
        return answers[0]
    contained = [ContainedMessage(next_msg_id(), seq_no, body) for body, seq_no in answers]
    return Answer(pack_container(contained), _SERVICE_SEQ_NO)


def _error(msg_id: int, error: RpcErrorObject) -> Answer:
    return Answer(RpcResult(msg_id, error.pack()).pack(), _CONTENT_SEQ_NO)
