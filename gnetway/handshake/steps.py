"""The steps of one key exchange: which leads to which, and what each opens or seals.

    client                                   server
    req_pq / req_pq_multi(nonce)        →
                                        ←    resPQ(server_nonce, pq, fingerprints)
    req_DH_params(p, q, RSA(new_nonce)) →    a thread opens the RSA block
                                        ←    server_DH_params_ok(g, dh_prime, g_a)
    set_client_DH_params(g_b)           →    a thread makes the key; the backend stores it
                                        ←    dh_gen_ok, or dh_gen_retry: another g_b, please

One run belongs to one nonce and one server_nonce. A pair that :data:`NEXT` does not list is a
wrong step; it ends the run, and so does every failed check: from then on the run is DEAD and all
its queries are refused. Only an exact repeat of the last query is no step at all: it gets the
same answer again, or silence while the answer is in the making.

The encrypted parts, as the server opens and makes them:

    by RSA, from the client:           inner data with new_nonce
    by the temporary AES key, to it:   SHA1, server_DH_inner_data, 0 to 15 random bytes
    by the same key, from it:          SHA1, client_DH_inner_data, 0 to 15 random bytes

What takes about a millisecond (:func:`open_inner`, :func:`make_key`) touches nothing but its
arguments, so that it may run in a thread; two of these are sources of chance and of secrets,
which must bear that.

Source: core.telegram.org/mtproto/auth_key
"""

from collections.abc import Callable
from enum import Enum
from hashlib import sha1
from typing import Final, NamedTuple

from gnetway.crypto.aes import BLOCK_BYTES, ige_decrypt, ige_encrypt
from gnetway.crypto.auth_key import AuthKey, DHSecret, KeyKind, shared_key
from gnetway.crypto.rsa import RsaKey, open_inner_data
from gnetway.errors import TLError
from gnetway.handshake.checks import (
    SHA1_BYTES,
    BadClientDHData,
    WrongStep,
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


class Phase(Enum):
    """What a run waits for."""

    WANT_REQ_PQ = "req_pq"
    WANT_REQ_DH_PARAMS = "req_DH_params"
    OPENING = "RSA work"
    WANT_CLIENT_DH = "set_client_DH_params"
    MAKING_KEY = "key work"
    STORING = "store"
    DONE = "done"
    FAILED = "failed"
    DEAD = "dead"


class Step(Enum):
    """What happened: a client's query, or the end of something that was under way."""

    REQ_PQ = "req_pq"
    REQ_DH_PARAMS = "req_DH_params"
    SET_CLIENT_DH = "set_client_DH_params"
    INNER_DATA_OPENED = "inner data opened"
    KEY_MADE = "key made"
    KEY_STORED = "key stored"
    KEY_REFUSED = "key refused"
    KEYS_GIVEN_UP = "keys given up"


#: phase → step → next phase.
NEXT: Final[dict[Phase, dict[Step, Phase]]] = {
    Phase.WANT_REQ_PQ: {Step.REQ_PQ: Phase.WANT_REQ_DH_PARAMS},  # resPQ
    Phase.WANT_REQ_DH_PARAMS: {Step.REQ_DH_PARAMS: Phase.OPENING},
    Phase.OPENING: {Step.INNER_DATA_OPENED: Phase.WANT_CLIENT_DH},  # server_DH_params_ok
    Phase.WANT_CLIENT_DH: {Step.SET_CLIENT_DH: Phase.MAKING_KEY},
    Phase.MAKING_KEY: {
        Step.KEY_MADE: Phase.STORING,
        Step.KEY_REFUSED: Phase.WANT_CLIENT_DH,  # its id is 0: dh_gen_retry
        Step.KEYS_GIVEN_UP: Phase.FAILED,  # dh_gen_fail
    },
    Phase.STORING: {
        Step.KEY_STORED: Phase.DONE,  # dh_gen_ok
        Step.KEY_REFUSED: Phase.WANT_CLIENT_DH,  # its id is taken, or the store failed
        Step.KEYS_GIVEN_UP: Phase.FAILED,
    },
    Phase.DONE: {},
    Phase.FAILED: {},
    Phase.DEAD: {},
}

#: The phases that nothing but repeats can follow.
OVER: Final = frozenset({Phase.DONE, Phase.FAILED, Phase.DEAD})


def next_phase(phase: Phase, step: Step) -> Phase:
    """Return where ``step`` leads from ``phase``.

    :raises WrongStep: nowhere.
    """
    follower = NEXT[phase].get(step)
    if follower is None:
        raise WrongStep(f"{step.value} in phase {phase.name}")
    return follower


# What a `gnetway.handshake.exchange.KeyExchange` can say.


class Reply(NamedTuple):
    """Send this TL object to the client, unencrypted."""

    body: bytes

    def __repr__(self) -> str:
        return f"<Reply of {len(self.body)} bytes>"


class WorkWanted(NamedTuple):
    """Call ``work``, best in a thread: about 1 ms, and it touches nothing but its own data."""

    work: Callable[[], object]

    def __repr__(self) -> str:
        return "<WorkWanted>"


class StoreWanted(NamedTuple):
    """Store this key; the client hears of it only then.

    ``salt`` (signed) is valid from ``valid_since`` to ``valid_until``, Unix seconds.
    ``expires_in`` is the key's life in seconds, 0 for a permanent one. ``dc_id`` is the data centre
    that the obfuscated header names, 0 for none.
    """

    key: AuthKey
    salt: int
    valid_since: int
    valid_until: int
    expires_in: int
    dc_id: int = 0

    def __repr__(self) -> str:
        return f"<StoreWanted {self.key!r}>"


ExchangeEvent = Reply | WorkWanted | StoreWanted


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
