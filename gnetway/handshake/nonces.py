"""What both sides derive from their nonces: the temporary AES key, the hashes, the first salt.

``new_nonce`` has 32 bytes and is a secret of the two sides, ``server_nonce`` has 16.
"""

from hashlib import sha1
from typing import Final

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
