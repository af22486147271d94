"""Binds of a temporary key as a client makes them."""

from gnetway.crypto.auth_key import AuthKey
from gnetway.mtproto.binding import seal_bind
from gnetway.tl.service_messages import BindAuthKeyInner, BindTempAuthKey
from tests.embedded.talk import NOW, SESSION_ID
from tests.strategies import SeededBytes

NONCE = -12345
EXPIRES_AT = NOW + 86_400


def good_inner(temp_key: AuthKey, perm_key: AuthKey) -> BindAuthKeyInner:
    """What a client proves that binds ``temp_key`` in the session of the tests."""
    return BindAuthKeyInner(
        NONCE, temp_key.auth_key_id, perm_key.auth_key_id, SESSION_ID, EXPIRES_AT
    )


def make_bind(
    temp_key: AuthKey, perm_key: AuthKey, msg_id: int, inner: BindAuthKeyInner | None = None
) -> BindTempAuthKey:
    """Return the request that goes out as message ``msg_id``; ``inner`` bends the proof."""
    proof = inner or good_inner(temp_key, perm_key)
    sealed = seal_bind(perm_key, msg_id, proof, SeededBytes(4)(24))
    return BindTempAuthKey(perm_key.auth_key_id, NONCE, EXPIRES_AT, sealed)
