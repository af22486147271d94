"""What clients put around their calls, and temporary keys with a wish to be bound."""

from gzip import compress
from zlib import compress as deflate

from gnetway.crypto.auth_key import AuthKey, KeyKind
from gnetway.tl.key_exchange import BindTempAuthKey
from gnetway.tl.primitives import Constructor, pack_int32, pack_string, pack_uint32
from gnetway.tl.service_messages import ContainedMessage, pack_container
from tests.connection.talk import SALT
from tests.fakes import some_key

PERM = some_key(50)

#: help.getConfig, the call that clients begin with.
CALL = pack_uint32(Constructor.HELP_GET_CONFIG)


def temp_key(number: int = 51, expires_at: int = 0) -> AuthKey:
    """An unbound temporary key whose exchange made the salt of the clients in Talk."""
    key = some_key(number, KeyKind.TEMP, expires_at)
    key.first_salt = SALT
    return key


def bind_body(perm: AuthKey = PERM) -> bytes:
    """auth.bindTempAuthKey whose proof is none."""
    return BindTempAuthKey(perm.auth_key_id, 77, 1_900_000_000, bytes(104)).pack()


def with_layer(body: bytes) -> bytes:
    return pack_uint32(Constructor.INVOKE_WITH_LAYER) + pack_int32(200) + body


def without_updates(body: bytes) -> bytes:
    return pack_uint32(Constructor.INVOKE_WITHOUT_UPDATES) + body


def init_connection(body: bytes) -> bytes:
    strings = pack_string(b"x") * 6
    return pack_uint32(Constructor.INIT_CONNECTION) + pack_int32(0) * 2 + strings + body


def gzipped(body: bytes) -> bytes:
    return pack_uint32(Constructor.GZIP_PACKED) + pack_string(compress(body, mtime=0))


def zipped(body: bytes) -> bytes:
    return pack_uint32(Constructor.GZIP_PACKED) + pack_string(deflate(body))


def contained(*bodies: bytes, first_msg_id: int = 400) -> bytes:
    """A container whose messages have rising msg_ids from ``first_msg_id`` on, 4 apart."""
    return pack_container(
        [ContainedMessage(first_msg_id + 4 * n, 2 * n + 1, body) for n, body in enumerate(bodies)]
    )
