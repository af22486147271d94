"""Binds of a temporary key as a client makes them."""

from dataclasses import asdict, replace

from gnetway.crypto.auth_key import AuthKey
from gnetway.mtproto.binding import seal_bind
from gnetway.testing import ClientSession
from gnetway.tl.key_exchange import BindAuthKeyInner, BindTempAuthKey
from tests.backends.embedded.talk import NOW, SESSION_ID
from tests.strategies import SeededBytes

NONCE = -12345
EXPIRES_AT = NOW + 86_400


def good_inner(
    temp_key: AuthKey, perm_key: AuthKey, session_id: int = SESSION_ID
) -> BindAuthKeyInner:
    """What a client proves that binds ``temp_key`` in a session."""
    return BindAuthKeyInner(
        NONCE, temp_key.auth_key_id, perm_key.auth_key_id, session_id, EXPIRES_AT
    )


def make_bind(
    temp_key: AuthKey, perm_key: AuthKey, msg_id: int, inner: BindAuthKeyInner | None = None
) -> BindTempAuthKey:
    """Return the request that goes out as message ``msg_id``; ``inner`` bends the proof."""
    proof = inner or good_inner(temp_key, perm_key)
    sealed = seal_bind(perm_key, msg_id, proof, SeededBytes(4)(24))
    return BindTempAuthKey(perm_key.auth_key_id, NONCE, EXPIRES_AT, sealed)


def bind_in(session: ClientSession, perm_key: AuthKey, msg_id: int) -> BindTempAuthKey:
    """Return a good request that goes out in ``session`` as message ``msg_id``."""
    inner = good_inner(session.key, perm_key, session.session_id)
    return make_bind(session.key, perm_key, msg_id, inner)


def next_bind(session: ClientSession, perm_key: AuthKey, now: float) -> BindTempAuthKey:
    """Return a good request that is the next thing said in ``session``; ``now`` is when."""
    return bind_in(session, perm_key, session.coming_msg_id(now))


def bind_until(
    session: ClientSession, perm_key: AuthKey, now: float, expires_at: int
) -> BindTempAuthKey:
    """Return ``next_bind`` with another end, in Unix seconds."""
    inner = replace(good_inner(session.key, perm_key, session.session_id), expires_at=expires_at)
    bind = make_bind(session.key, perm_key, session.coming_msg_id(now), inner)
    return replace(bind, expires_at=expires_at)


def forged_binds(
    session: ClientSession, perm_key: AuthKey, other_key: AuthKey, msg_id: int
) -> dict[str, BindTempAuthKey]:
    """Return binds to ``perm_key`` that are not proved, by what is wrong with them.

    ``other_key`` is a permanent key that the forger has.
    """
    good = bind_in(session, perm_key, msg_id)
    inner = good_inner(session.key, perm_key, session.session_id)
    own = make_bind(session.key, other_key, msg_id, inner).encrypted_message
    sealed = good.encrypted_message
    forged = {
        "random proof": SeededBytes(8)(104),
        "random proof that names the key": perm_key.id_bytes + SeededBytes(8)(96),
        "proof by another key": own,
        "proof by another key that names this one": perm_key.id_bytes + own[8:],
        "no proof": b"",
        "proof of one block": sealed[: 24 + 16],
        "proof cut short": sealed[:-16],
        "proof with a bit changed": sealed[:-1] + bytes([sealed[-1] ^ 1]),
    }
    binds = {name: replace(good, encrypted_message=proof) for name, proof in forged.items()}
    for field in asdict(inner):
        bent = replace(inner, **{field: getattr(inner, field) + 4})
        binds[f"proof of another {field}"] = make_bind(session.key, perm_key, msg_id, bent)
    binds["proof of another message"] = bind_in(session, perm_key, msg_id + 4)
    binds["call with another nonce"] = replace(good, nonce=good.nonce + 1)
    binds["call with another expires_at"] = replace(good, expires_at=good.expires_at + 1)
    return binds
