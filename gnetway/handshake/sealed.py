"""The encrypted parts of the exchange, as the server opens and makes them.

    by RSA, from the client:           inner data with new_nonce
    by the temporary AES key, to it:   SHA1, server_DH_inner_data, 0 to 15 random bytes
    by the same key, from it:          SHA1, client_DH_inner_data, 0 to 15 random bytes

What takes about a millisecond (:func:`open_inner`, :func:`make_key`) touches nothing but its
arguments, so that it may run in a thread; two of these are sources of chance and of secrets,
which must bear that.
"""

from collections.abc import Callable
from hashlib import sha1
from typing import Final, NamedTuple

from gnetway.crypto.aes import BLOCK_BYTES, ige_decrypt, ige_encrypt
from gnetway.crypto.auth_key import AuthKey, KeyKind
from gnetway.crypto.diffie_hellman import DHSecret, shared_key
from gnetway.crypto.rsa import RsaKey, open_inner_data
from gnetway.errors import TLError
from gnetway.handshake.checks import (
    SHA1_BYTES,
    BadClientDHData,
    check_client_dh_hash,
    check_client_dh_padding,
    check_client_dh_size,
)
from gnetway.tl.key_exchange import (
    ClientDHInnerData,
    PQInnerData,
    ServerDHInnerData,
    parse_client_dh_inner_data,
    parse_pq_inner_data,
)


class Opened(NamedTuple):
    """What came out of the RSA block, and the secret that will meet the client's."""

    inner: PQInnerData
    secret: DHSecret

    def __repr__(self) -> str:
        return "<Opened>"


def open_inner(
    key: RsaKey,
    encrypted: bytes,
    allow_legacy: bool,
    secret_source: Callable[[], DHSecret],
    random_bytes: Callable[[int], bytes],
) -> Opened:
    """Open the RSA block of 256 bytes, and get a secret for it: work for a thread.

    A source that has no secret at hand makes one, which takes as long again.

    :raises RsaOpenError: the block is not for this key, or not padded in an allowed way.
    :raises RsaFault: this machine miscalculated.
    """
    block = key.open(encrypted, random_bytes)
    inner = open_inner_data(block, parse_pq_inner_data, allow_legacy=allow_legacy)
    return Opened(inner, secret_source())


def make_key(secret: DHSecret, g_b: bytes, kind: KeyKind, expires_at: int) -> AuthKey:
    """Make the auth key: work for a thread. ``expires_at`` is in Unix seconds, 0 for never.

    :raises DHRangeError: ``g_b`` is out of range.
    """
    return AuthKey(shared_key(secret, g_b), kind, expires_at=expires_at)


def seal_server_dh(
    inner: ServerDHInnerData, aes: tuple[bytes, bytes], random_bytes: Callable[[int], bytes]
) -> bytes:
    """Return encrypted_answer; ``aes`` is the temporary key and its iv."""
    data = inner.pack()
    answer = sha1(data).digest() + data
    return ige_encrypt(answer + random_bytes(-len(answer) % BLOCK_BYTES), *aes)


def open_client_dh(encrypted: bytes, aes: tuple[bytes, bytes]) -> ClientDHInnerData:
    """Open encrypted_data of set_client_DH_params; ``aes`` is the temporary key and its iv.

    :raises HandshakeError: its size, layout, padding or SHA1 is wrong; one class for each.
    """
    check_client_dh_size(encrypted)
    plaintext = ige_decrypt(encrypted, *aes)
    try:
        inner, size = parse_client_dh_inner_data(plaintext[SHA1_BYTES:])
    except TLError:
        pass  # it tells of the plaintext: what is raised below must not carry it
    else:
        check_client_dh_padding(plaintext, size)
        check_client_dh_hash(plaintext, size)
        return inner
    raise BadClientDHData("no client_DH_inner_data where it should be")


# What both sides derive from their nonces: the temporary AES key, the hashes, the first salt.
#
# ``new_nonce`` has 32 bytes and is a secret of the two sides, ``server_nonce`` has 16.

#: The number that is hashed with new_nonce into the last answer, one for each kind of it.
#: Source: core.telegram.org/mtproto/auth_key#9-server-responds-in-one-of-three-ways
OK_NUMBER: Final = 1
RETRY_NUMBER: Final = 2
FAIL_NUMBER: Final = 3


def temporary_aes(new_nonce: bytes, server_nonce: bytes) -> tuple[bytes, bytes]:
    """Return tmp_aes_key and tmp_aes_iv, 32 bytes each.

    Source: core.telegram.org/mtproto/auth_key#presenting-proof-of-work-server-authentication
    """
    new_server = sha1(new_nonce + server_nonce).digest()
    server_new = sha1(server_nonce + new_nonce).digest()
    new_new = sha1(new_nonce + new_nonce).digest()
    return new_server + server_new[:12], server_new[12:] + new_new + new_nonce[:4]


def new_nonce_hash(new_nonce: bytes, number: int, aux_hash: bytes) -> bytes:
    """Return new_nonce_hash1, 2 or 3, by ``number``: 16 bytes.

    ``aux_hash`` is the auth_key_aux_hash, 8 bytes.
    """
    return sha1(new_nonce + bytes((number,)) + aux_hash).digest()[4:]


def first_salt(new_nonce: bytes, server_nonce: bytes) -> int:
    """Return the first server salt of the new key, signed."""
    left = int.from_bytes(new_nonce[:8], "little", signed=True)
    return left ^ int.from_bytes(server_nonce[:8], "little", signed=True)
