"""Binds that prove nothing, one of each kind.

The forger has a temporary key of his own, and knows the victim's auth_key_id, which stands in clear
in front of each of her packets. He may also hold a proof that she made for something else.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from struct import pack
from typing import Final

from gnetway.crypto.auth_key import AuthKey, KeyKind
from gnetway.tl.key_exchange import BindTempAuthKey
from tests.live.apps.proof import PROOF_BYTES, Bind


@dataclass(frozen=True)
class Scene:
    """The honest bind of the forger's key to the victim's, which he cannot make, and other keys.

    ``own`` is a permanent key of the forger's, ``other_temp`` another temporary key that is known.
    """

    honest: Bind
    own: AuthKey
    other_temp: AuthKey


Forgery = Callable[[Scene], bytes]


def _random(size: int) -> Forgery:
    return lambda scene: scene.honest.call(os.urandom(size))


def _random_behind_her_id(scene: Scene) -> bytes:
    head = scene.honest.perm.id_bytes
    return scene.honest.call(head + os.urandom(PROOF_BYTES - len(head)))


def _part_of_the_proof(size: int) -> Forgery:
    return lambda scene: scene.honest.call(scene.honest.proof.pack()[:size])


def _proof_and_more(size: int) -> Forgery:
    return lambda scene: scene.honest.call(scene.honest.proof.pack() + os.urandom(size))


def _bit_of_the_proof(scene: Scene) -> bytes:
    proof = bytearray(scene.honest.proof.pack())
    proof[60] ^= 1
    return scene.honest.call(bytes(proof))


def _sealed_by_own_key(scene: Scene) -> bytes:
    return scene.honest.call(replace(scene.honest.proof, sealed_by=scene.own).pack())


def _sealed_by_own_key_under_her_id(scene: Scene) -> bytes:
    honest = scene.honest
    proof = replace(honest.proof, sealed_by=scene.own, named=honest.perm.auth_key_id)
    return honest.call(proof.pack())


def _sealed_by_the_temporary_key(scene: Scene) -> bytes:
    honest = scene.honest
    proof = replace(honest.proof, sealed_by=honest.temp, named=honest.perm.auth_key_id)
    return honest.call(proof.pack())


def _own_proof_her_id_in_the_open(scene: Scene) -> bytes:
    """A sound bind to the forger's own key, with another name written over it."""
    mine = replace(scene.honest, perm=scene.own)
    return mine.call(perm_auth_key_id=scene.honest.perm.auth_key_id)


def _other_nonce(scene: Scene) -> bytes:
    return scene.honest.bent(nonce=scene.honest.nonce ^ 1)


def _other_session(scene: Scene) -> bytes:
    return scene.honest.bent(temp_session_id=scene.honest.session_id ^ 1)


def _other_temp_key(scene: Scene) -> bytes:
    return scene.honest.bent(temp_auth_key_id=scene.other_temp.auth_key_id)


def _other_perm_key(scene: Scene) -> bytes:
    return scene.honest.bent(perm_auth_key_id=scene.own.auth_key_id)


def _other_msg_id(scene: Scene) -> bytes:
    return scene.honest.call(replace(scene.honest.proof, msg_id=scene.honest.msg_id - 4).pack())


def _expires_later_inside(scene: Scene) -> bytes:
    return scene.honest.bent(expires_at=scene.honest.expires_at + 1)


def _expires_later_outside(scene: Scene) -> bytes:
    call = BindTempAuthKey.parse(scene.honest.call())
    return replace(call, expires_at=call.expires_at + 1).pack()


def _to(perm: Callable[[Scene], AuthKey]) -> Forgery:
    """Bind to a key that is no permanent one, with all the proof that its holder can give."""
    return lambda scene: replace(scene.honest, perm=perm(scene)).call()


def _to_key_0(scene: Scene) -> bytes:
    return scene.honest.call(pack("<q", 0) + os.urandom(PROOF_BYTES - 8), perm_auth_key_id=0)


def _to_an_unknown_key(scene: Scene) -> bytes:
    return replace(scene.honest, perm=AuthKey(os.urandom(256), KeyKind.PERM)).call()


FORGERIES: Final[dict[str, Forgery]] = {
    "random bytes": _random(PROOF_BYTES),
    "random bytes behind her id": _random_behind_her_id,
    "one block": _random(16),
    "her id, a msg_key and one block": _part_of_the_proof(40),
    "no block behind the msg_key": _part_of_the_proof(24),
    "nothing": _random(0),
    "a block too few": _part_of_the_proof(PROOF_BYTES - 16),
    "a byte too few": _part_of_the_proof(PROOF_BYTES - 1),
    "a block too many": _proof_and_more(16),
    "a byte too many": _proof_and_more(1),
    "a thousand bytes too many": _proof_and_more(1024),
    "a bit changed": _bit_of_the_proof,
    "sealed by another permanent key": _sealed_by_own_key,
    "sealed by another permanent key, under her id": _sealed_by_own_key_under_her_id,
    "sealed by the temporary key": _sealed_by_the_temporary_key,
    "sound for another key than the one named": _own_proof_her_id_in_the_open,
    "for another nonce": _other_nonce,
    "for another session": _other_session,
    "for another temporary key": _other_temp_key,
    "for another permanent key": _other_perm_key,
    "for another message": _other_msg_id,
    "expires later inside": _expires_later_inside,
    "expires later outside": _expires_later_outside,
    "to a temporary key": _to(lambda scene: scene.other_temp),
    "to itself": _to(lambda scene: scene.honest.temp),
    "to key 0": _to_key_0,
    "to an unknown key": _to_an_unknown_key,
}
