"""What a temporary key may do before it is bound to a permanent one.

    holds a bind                → proved by the gateway, then forwarded (see ``mtproto.binding``)
    anything else               → answered here: the session service hears of nothing that has no
                                  permanent key, since it would keep all such clients in one place
        msg_id out of time      bad_msg_notification 16, 17 or 18: the client learns the time
        wrong salt              bad_server_salt: iOS throws the exchange's salt away, begins with
                                salt 0 and learns a right one from nothing else
        pings, services         their answers, then new_session_created once: whoever reads one
                                packet for his ping finds the pong in it
        calls                   rpc_error 401 AUTH_KEY_PERM_EMPTY

A backend that says so (``ISessionBackend.takes_unbound``) answers all but the bind by itself.

The salt is the one that the exchange made. Of a key that another gateway made it is not known;
then the gateway tells one of its own, the same on every gateway. The session service corrects it
with its first answer.

Source: core.telegram.org/api/pfs, core.telegram.org/mtproto/service_messages_about_messages
"""

from collections.abc import Callable
from hashlib import sha256
from typing import Final, NamedTuple

from gnetway.connection.events import BindReceived
from gnetway.crypto.auth_key import AuthKey
from gnetway.handshake.exchange import FIRST_SALT_SECONDS
from gnetway.mtproto.binding import BIND_REFUSED, BindRefused, Peek, check_bind, peek_message
from gnetway.mtproto.message import judge_message_id, pack_message, payload_body
from gnetway.tl.primitives import Constructor, pack_uint32
from gnetway.tl.service_messages import (
    WRONG_SALT,
    BadMsgNotification,
    BadServerSalt,
    ContainedMessage,
    DestroySession,
    DestroySessionNone,
    FutureSalts,
    MsgResendReq,
    MsgsStateInfo,
    MsgsStateReq,
    NewSessionCreated,
    Pong,
    RpcErrorObject,
    RpcResult,
    pack_container,
)
from gnetway.tl.unwrap import UnwrapLimits, is_error_result

PERM_KEY_WANTED: Final = RpcErrorObject(401, "AUTH_KEY_PERM_EMPTY")

#: What msgs_state_info says of a message of which nothing is known.
_FORGOTTEN: Final = b"\x01"

#: Services are answered up to so many bytes a message: a list of ids is cheap to send.
MAX_ANSWER_BYTES: Final = 64 * 1024

#: Pings, services and calls of one message that are answered, of each kind: an answer is a packet
#: of its own. Clients send a ping and a few calls; what is not answered they ask again.
MAX_ANSWERS: Final = 64

_KEY_STAYS: Final = pack_uint32(Constructor.DESTROY_AUTH_KEY_FAIL)
_ANSWER_UNKNOWN: Final = pack_uint32(Constructor.RPC_ANSWER_UNKNOWN)


class Answer(NamedTuple):
    """One object to send back.

    ``content`` is whether the client has to acknowledge it, ``response`` whether it answers a
    message of the client; both show in its numbers.
    """

    body: bytes
    content: bool = False
    response: bool = True

    def __repr__(self) -> str:
        return f"<Answer of {len(self.body)} bytes>"


Answers = list[Answer]


class UnboundMessage(NamedTuple):
    """A message of an unbound key as far as it matters here: who sent it, and its numbers.

    ``salt`` is the client's.
    """

    key: AuthKey
    salt: int
    session_id: int
    msg_id: int
    seq_no: int

    def __repr__(self) -> str:
        return f"<UnboundMessage {self.msg_id} of {self.key!r}, session {self.session_id}>"


def look_into(msg_id: int, payload: bytes, limits: UnwrapLimits) -> Peek:
    """Return what a message asks for; ``payload`` is msg_id, seq_no, length, body, padding.

    :raises ProtocolError: the message cannot be read within ``limits``.
    """
    return peek_message(msg_id, payload_body(payload), limits)


def known_salt(key: AuthKey) -> int:
    """Return the server salt that messages of an unbound key have to carry, signed."""
    if key.first_salt is None:
        # From the secret, so that every gateway and worker tells the client the same one.
        digest = sha256(b"server salt before the bind" + key.secret).digest()
        key.first_salt = int.from_bytes(digest[:8], "little", signed=True)
    return key.first_salt


def answer_unbound(
    message: UnboundMessage, peek: Peek, now: float, random_bytes: Callable[[int], bytes]
) -> Answers:
    """Return the answers to a message without a bind; ``now`` is in Unix seconds.

    :raises ProtocolError: a service message in it cannot be read.
    """
    key, msg_id, seq_no = message.key, message.msg_id, message.seq_no
    # The time before the salt: a client with a wrong clock would apply any salt to the wrong hours.
    fault = judge_message_id(msg_id, now)
    if fault:
        return [Answer(BadMsgNotification(msg_id, seq_no, fault).pack())]
    salt = known_salt(key)
    if message.salt != salt:
        return [Answer(BadServerSalt(msg_id, seq_no, WRONG_SALT, salt).pack())]
    answers = _answer_each(peek, key, now)
    if key.greeted_session_id != message.session_id:
        # Once a session, as clients resend what is older than its first_msg_id.
        key.greeted_session_id = message.session_id
        unique_id = int.from_bytes(random_bytes(8), "little", signed=True)
        created = NewSessionCreated(peek.first_msg_id, unique_id, salt)
        answers.append(Answer(created.pack(), content=True, response=False))
    return answers


def prove_bind(bind: BindReceived, perm_key: AuthKey) -> bool:
    """Check the proof of a bind by the permanent key that it names.

    True: the key is bound from here on, and ``bind.message`` may be forwarded in the name of
    ``perm_key``; then comes the connection's ``bind_accepted`` or, if the backend knows better,
    ``bind_refused``. False: ``bind_refused`` is all that may follow.
    """
    key = bind.message.key
    try:
        check_bind(key, perm_key, bind.bind, bind.peek.bind_msg_id, bind.message.session_id)
    except BindRefused:
        return False
    key.perm_auth_key_id = perm_key.auth_key_id
    return True


def refuse_bind(peek: Peek, key: AuthKey, now: float) -> Answers:
    """Return the answers to a message whose bind was not proved."""
    return [_error(peek.bind_msg_id, BIND_REFUSED), *_answer_each(peek, key, now)]


def pack_answers(
    answers: Answers, salt: int, session_id: int, next_msg_id: Callable[[bool], int]
) -> list[bytes]:
    """Return a plaintext to encrypt for each answer; ``next_msg_id`` is told whether it is one."""
    plaintexts = []
    for body, seq_no, response in _numbered(answers):
        plaintexts.append(pack_message(salt, session_id, next_msg_id(response), seq_no, body))
    return plaintexts


def join_answers(
    answers: Answers, salt: int, session_id: int, next_msg_id: Callable[[bool], int]
) -> bytes:
    """Return one plaintext that says it all: a container, unless it is one answer.

    Errors are its last: some clients leave a container at its first error. Nothing is kept for
    the next request, so several of them stand in one, a refused bind before refused calls.
    """
    if len(answers) == 1:
        return pack_answers(answers, salt, session_id, next_msg_id)[0]
    contained = [
        ContainedMessage(next_msg_id(response), seq_no, body)
        for body, seq_no, response in _numbered(sorted(answers, key=_is_error))
    ]
    count = sum(answer.content for answer in answers)
    msg_id = next_msg_id(False)
    return pack_message(salt, session_id, msg_id, 2 * count, pack_container(contained))


def _numbered(answers: Answers) -> list[tuple[bytes, int, bool]]:
    """Return body, seq_no and ``response`` of each.

    Source: core.telegram.org/mtproto/description#message-sequence-number-msg-seqno
    """
    numbered = []
    count = 0
    for body, content, response in answers:
        numbered.append((body, 2 * count + content, response))
        count += content
    return numbered


def _answer_each(peek: Peek, key: AuthKey, now: float) -> Answers:
    answers = [Answer(Pong(asked, ping_id).pack()) for asked, ping_id in peek.pings[:MAX_ANSWERS]]
    size = 0
    for msg_id, constructor, body in peek.services[:MAX_ANSWERS]:
        answer = _answer_service(msg_id, constructor, body, key, now)
        # An answer may be longer than its question, that to get_future_salts most of all.
        size += len(answer.body)
        if size > MAX_ANSWER_BYTES:
            break
        answers.append(answer)
    answers += [_error(call, PERM_KEY_WANTED) for call in peek.calls[:MAX_ANSWERS]]
    return answers


def _answer_service(msg_id: int, constructor: int, body: bytes, key: AuthKey, now: float) -> Answer:
    """Answer as one who knows nothing but this key: no other session, no message before."""
    if constructor == Constructor.GET_FUTURE_SALTS:
        return Answer(_future_salts(msg_id, key, int(now)).pack())
    if constructor == Constructor.MSGS_STATE_REQ:
        return Answer(_nothing_known(msg_id, MsgsStateReq.parse(body).msg_ids).pack())
    if constructor == Constructor.MSG_RESEND_REQ:
        return Answer(_nothing_known(msg_id, MsgResendReq.parse(body).msg_ids).pack())
    if constructor == Constructor.DESTROY_SESSION:
        return Answer(DestroySessionNone(DestroySession.parse(body).session_id).pack())
    if constructor == Constructor.DESTROY_AUTH_KEY:
        return Answer(_KEY_STAYS)
    assert constructor == Constructor.RPC_DROP_ANSWER
    return Answer(RpcResult(msg_id, _ANSWER_UNKNOWN).pack(), content=True)


def _future_salts(msg_id: int, key: AuthKey, now: int) -> FutureSalts:
    # The one salt, for now and for later: told a single one, clients ask again in a hot loop.
    salt = known_salt(key)
    later = now + FIRST_SALT_SECONDS
    return FutureSalts(msg_id, now, [(now, later, salt), (later, later + FIRST_SALT_SECONDS, salt)])


def _nothing_known(msg_id: int, msg_ids: list[int]) -> MsgsStateInfo:
    return MsgsStateInfo(msg_id, _FORGOTTEN * len(msg_ids))


def _is_error(answer: Answer) -> bool:
    return is_error_result(answer.body)


def _error(msg_id: int, error: RpcErrorObject) -> Answer:
    return Answer(RpcResult(msg_id, error.pack()).pack(), content=True)
