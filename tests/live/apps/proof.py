"""auth.bindTempAuthKey as applications make it, and as forgers do.

Written from the documents, not with the gateway's own code, which it is to put to the test.
Source: core.telegram.org/method/auth.bindTempAuthKey, core.telegram.org/mtproto/description_v1
"""

import os
from dataclasses import dataclass, replace
from hashlib import sha1
from struct import pack

from gnetway.crypto.aes import ige_encrypt
from gnetway.crypto.auth_key import AuthKey
from gnetway.tl.key_exchange import BindAuthKeyInner, BindTempAuthKey

#: What applications ask for: a day.
LIFETIME_SECONDS = 86_400

REFUSED = (400, "ENCRYPTED_MESSAGE_INVALID")

PROOF_BYTES = 104


@dataclass(frozen=True)
class Proof:
    """What the permanent key vouches for; ``sealed_by`` is the key that encrypts it.

    ``named`` is the auth_key_id in front of it, that of ``sealed_by`` if None.
    """

    msg_id: int
    inner: BindAuthKeyInner
    sealed_by: AuthKey
    named: int | None = None

    def pack(self) -> bytes:
        """Return encrypted_message, 104 bytes."""
        body = self.inner.pack()
        plaintext = os.urandom(16) + pack("<qii", self.msg_id, 0, len(body)) + body
        msg_key = sha1(plaintext).digest()[4:20]
        padded = plaintext + os.urandom(-len(plaintext) % 16)
        encrypted = ige_encrypt(padded, *_aes(self.sealed_by.secret, msg_key))
        named = self.sealed_by.auth_key_id if self.named is None else self.named
        return pack("<q", named) + msg_key + encrypted


def _aes(secret: bytes, msg_key: bytes) -> tuple[bytes, bytes]:
    """Return AES key and IGE iv by MTProto 1.0, x = 0."""
    a = sha1(msg_key + secret[0:32]).digest()
    b = sha1(secret[32:48] + msg_key + secret[48:64]).digest()
    c = sha1(secret[64:96] + msg_key).digest()
    d = sha1(msg_key + secret[96:128]).digest()
    return a[:8] + b[8:20] + c[4:16], a[8:20] + b[:8] + c[16:20] + d[:8]


@dataclass(frozen=True)
class Bind:
    """A whole bind: the call and the proof in it, as the honest holder of both keys makes them.

    The call goes out as message ``msg_id`` of session ``session_id``.
    """

    temp: AuthKey
    perm: AuthKey
    session_id: int
    msg_id: int
    expires_at: int
    nonce: int

    @classmethod
    def honest(
        cls, temp: AuthKey, perm: AuthKey, session_id: int, msg_id: int, expires_at: int
    ) -> "Bind":
        nonce = int.from_bytes(os.urandom(8), "little", signed=True)
        return cls(temp, perm, session_id, msg_id, expires_at, nonce)

    @property
    def inner(self) -> BindAuthKeyInner:
        return BindAuthKeyInner(
            self.nonce,
            self.temp.auth_key_id,
            self.perm.auth_key_id,
            self.session_id,
            self.expires_at,
        )

    @property
    def proof(self) -> Proof:
        return Proof(self.msg_id, self.inner, self.perm)

    def call(self, encrypted: bytes | None = None, perm_auth_key_id: int | None = None) -> bytes:
        """Return the call; with another proof or another key's id in the open where given."""
        named = self.perm.auth_key_id if perm_auth_key_id is None else perm_auth_key_id
        proof = self.proof.pack() if encrypted is None else encrypted
        return BindTempAuthKey(named, self.nonce, self.expires_at, proof).pack()

    def bent(self, **fields: int) -> bytes:
        """Return the call with a proof that speaks of something else."""
        return self.call(replace(self.proof, inner=replace(self.inner, **fields)).pack())
