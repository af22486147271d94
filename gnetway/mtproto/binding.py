"""The inner message of auth.bindTempAuthKey: proof that a client has the permanent key.

It is encrypted with the permanent key by MTProto 1.0, the only place where that is still used:

    perm_auth_key_id (8 bytes), msg_key (16), AES-256-IGE of
        random (16), msg_id (8), seq_no (4), length = 40 (4), bind_auth_key_inner (40), padding (8)

msg_key is the low 128 bits of SHA1 of the plaintext without its padding.

The gateway checks this proof itself, for every session backend: auth_key_ids stand in clear in
front of each packet, so the id that a bind names says nothing, and a session service that answers
boolTrue has only queued the message. Until the proof is checked nothing may go out in that name.

Source: core.telegram.org/method/auth.bindTempAuthKey, core.telegram.org/mtproto/description_v1
"""

from hashlib import sha1
from hmac import compare_digest
from struct import Struct
from typing import Final

from gnetway.crypto.aes import ige_decrypt, ige_encrypt
from gnetway.crypto.auth_key import AuthKey, KeyKind
from gnetway.errors import GatewayError, MessageError, TLError
from gnetway.tl.key_exchange import BindAuthKeyInner, BindTempAuthKey
from gnetway.tl.service_messages import RpcErrorObject

#: What a client hears of a bind that is not proved. Android and Desktop throw their permanent key
#: away at this, so it is never the answer to a fault of ours.
BIND_REFUSED: Final = RpcErrorObject(400, "ENCRYPTED_MESSAGE_INVALID")

#: Length of bind_auth_key_inner with its constructor, in bytes.
INNER_BYTES: Final = 40

_HEADER: Final = Struct("<16sqii")

#: The plaintext with its padding, which by MTProto 1.0 fills the last block of 16 and no more. It
#: is not part of msg_key, so a longer one would be somebody else's addition.
_PADDED_BYTES: Final = 80

_KEY_ID_AND_MSG_KEY: Final = Struct("<q16s")

#: An end that a bind names sooner than this, in seconds from now, is that of a client whose clock
#: is wrong.
_SHORTEST_LIFE_SECONDS: Final = 3600


class BindRefused(GatewayError):
    """The bind is not proved: the client gets :data:`BIND_REFUSED`.

    The text says why; it holds nothing secret, and the client is not told it.
    """


def derive_aes_v1(secret: bytes, msg_key: bytes) -> tuple[bytes, bytes]:
    """Return AES key and IGE iv, 32 bytes each, by MTProto 1.0 for a client's message (x = 0)."""
    a = sha1(msg_key + secret[0:32]).digest()
    b = sha1(secret[32:48] + msg_key + secret[48:64]).digest()
    c = sha1(secret[64:96] + msg_key).digest()
    d = sha1(msg_key + secret[96:128]).digest()
    return a[:8] + b[8:20] + c[4:16], a[8:20] + b[:8] + c[16:20] + d[:8]


def seal_bind(perm_key: AuthKey, msg_id: int, inner: BindAuthKeyInner, chance: bytes) -> bytes:
    """Encrypt the proof: the client's half.

    ``msg_id`` is that of the auth.bindTempAuthKey message; ``chance`` is 24 random bytes.
    """
    body = inner.pack()
    plaintext = _HEADER.pack(chance[:16], msg_id, 0, len(body)) + body
    msg_key = sha1(plaintext).digest()[4:20]
    aes_key, aes_iv = derive_aes_v1(perm_key.secret, msg_key)
    padded = plaintext + chance[16 : 16 + _PADDED_BYTES - len(plaintext)]
    return perm_key.id_bytes + msg_key + ige_encrypt(padded, aes_key, aes_iv)


def open_bind(perm_key: AuthKey, encrypted: bytes) -> tuple[int, BindAuthKeyInner]:
    """Decrypt the proof; returns its msg_id and what it says.

    :raises MessageError: lengths, key or msg_key do not fit.
    :raises TLError: there is no bind_auth_key_inner in it.
    """
    size = len(encrypted) - _KEY_ID_AND_MSG_KEY.size
    if size != _PADDED_BYTES:
        raise MessageError(f"a bind cannot have {len(encrypted)} encrypted bytes")
    auth_key_id, msg_key = _KEY_ID_AND_MSG_KEY.unpack_from(encrypted)
    if auth_key_id != perm_key.auth_key_id:
        raise MessageError("the bind is encrypted with another key")
    aes_key, aes_iv = derive_aes_v1(perm_key.secret, msg_key)
    plaintext = ige_decrypt(encrypted[24:], aes_key, aes_iv)
    end = _HEADER.size + INNER_BYTES
    # MTProto 1.0 leaves the padding out of msg_key, and nothing is read before it is proved.
    if not compare_digest(sha1(plaintext[:end]).digest()[4:20], msg_key):
        raise MessageError("msg_key does not fit the decrypted bind")
    _, msg_id, _, length = _HEADER.unpack_from(plaintext)
    if length != INNER_BYTES:
        raise MessageError(f"the bind announces {length} bytes")
    return msg_id, BindAuthKeyInner.parse(plaintext[_HEADER.size : end])


def check_bind(
    temp_key: AuthKey,
    perm_key: AuthKey,
    bind: BindTempAuthKey,
    msg_id: int,
    session_id: int,
) -> None:
    """Check that the holder of ``perm_key`` wants ``temp_key`` bound to it, by this message.

    ``msg_id`` and ``session_id`` are those of the message that carries ``bind``. expires_at only
    has to be the same inside and outside: a phone whose clock is ahead counts the difference
    twice, and the life of the key was settled by expires_in of its exchange.

    :raises BindRefused: anything differs.
    Source: core.telegram.org/method/auth.bindTempAuthKey
    """
    # What the gateway knows of both keys comes before what the client says of them.
    if temp_key.kind is KeyKind.PERM:
        raise BindRefused("the bind was not sent with a temporary key")
    if temp_key.perm_auth_key_id not in (0, perm_key.auth_key_id):
        raise BindRefused("the temporary key is bound to another one")
    if perm_key.kind is not KeyKind.PERM:
        raise BindRefused("the key to bind to is no permanent one")
    try:
        inner_msg_id, inner = open_bind(perm_key, bind.encrypted_message)
    except (MessageError, TLError) as error:
        raise BindRefused(str(error)) from error
    expected = BindAuthKeyInner(
        bind.nonce, temp_key.auth_key_id, perm_key.auth_key_id, session_id, bind.expires_at
    )
    named = bind.perm_auth_key_id
    if named != perm_key.auth_key_id or inner_msg_id != msg_id or inner != expected:
        raise BindRefused("the proof speaks of another bind")


def note_end(temp_key: AuthKey, bind: BindTempAuthKey, now: float) -> None:
    """Take the end of a temporary key from a bind that was proved, if nothing better is known.

    What expires_in of the key's exchange said is better: the client's clock has no part in it. So
    it only replaces an assumed end, and only by an earlier one that leaves the client an hour: one
    that is too early would have it make keys over and over. ``now`` is in Unix seconds.
    """
    if temp_key.end_is_assumed and (
        now + _SHORTEST_LIFE_SECONDS <= bind.expires_at < temp_key.expires_at
    ):
        temp_key.expires_at = bind.expires_at
