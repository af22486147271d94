"""An authorization key, what is known about it, and the Diffie-Hellman by which it is agreed.

That is in the one group that every client knows. The prime is safe ((p-1)/2 is prime too), 3
generates its subgroup of that order (p mod 3 = 2 makes 3 a quadratic residue), so clients need no
long proof and no short exponents leak.

The shared secret is computed in constant time, g_a by tables, which is none: see ``powers.py``.
The interpreter lock is let go for the former, so that it can run in a thread beside the reactor.

Source: core.telegram.org/mtproto/auth_key#dh-key-exchange-complete
"""

from collections.abc import Callable
from enum import IntEnum
from functools import cache
from hashlib import sha1
from typing import Final, NamedTuple

from gmpy2 import next_prime

from gnetway.crypto.powers import FixedBase, Power, make_power
from gnetway.errors import HandshakeError
from gnetway.tl.client_info import ClientInfo

#: Length of an auth_key in bytes (2048 bits, big endian, left-padded with zeros).
AUTH_KEY_BYTES: Final = 256


class KeyKind(IntEnum):
    """What an auth key is for; the numbers are auth_key_type of the session service."""

    PERM = 0
    TEMP = 1
    MEDIA_TEMP = 2


class AuthKey:
    """256 secret bytes with their id; shared by all connections that use the key.

    ``auth_key_id`` is the low 64 bits of SHA1(secret) as a signed integer, ``id_bytes`` the same
    as the 8 bytes of the wire (little endian), ``aux_hash`` the high 64 bits of that SHA1.
    ``perm_auth_key_id`` is 0 while a temporary key is unbound, and the key's own id for a
    permanent one. ``expires_at`` is in Unix seconds, 0 for never; with ``end_is_assumed`` it is
    what this gateway has set, since the session service did not tell it. ``asked_at`` belongs to
    the key lookup: when the session service last knew the key, by the lookup's clock.

    What the gateway needs to answer for a temporary key before it is bound: ``first_salt``
    (signed), the server salt that its exchange made, None where the exchange was not ours;
    ``greeted_session_id``, the session that was told new_session_created last, 0 for none; and
    ``refused_binds``, how many binds in a row were not proved.

    ``client`` is what a client with the key has said of itself, and nobody has proved.

    :raises ValueError: ``secret`` is not 256 bytes long.
    Source: core.telegram.org/mtproto/auth_key#9-server-responds-in-one-of-three-ways
    """

    __slots__ = (
        "__weakref__",
        "asked_at",
        "auth_key_id",
        "aux_hash",
        "client",
        "end_is_assumed",
        "expires_at",
        "first_salt",
        "greeted_session_id",
        "id_bytes",
        "kind",
        "perm_auth_key_id",
        "refused_binds",
        "secret",
    )

    def __init__(
        self,
        secret: bytes,
        kind: KeyKind = KeyKind.PERM,
        perm_auth_key_id: int = 0,
        expires_at: int = 0,
    ) -> None:
        if len(secret) != AUTH_KEY_BYTES:
            raise ValueError(f"an auth_key has {AUTH_KEY_BYTES} bytes, not {len(secret)}")
        digest = sha1(secret, usedforsecurity=False).digest()
        self.secret = secret
        self.aux_hash = digest[:8]
        self.id_bytes = digest[12:]
        self.auth_key_id = int.from_bytes(digest[12:], "little", signed=True)
        self.kind = kind
        self.perm_auth_key_id = self.auth_key_id if kind is KeyKind.PERM else perm_auth_key_id
        self.expires_at = expires_at
        self.end_is_assumed = False
        self.asked_at = 0.0
        self.first_salt: int | None = None
        self.greeted_session_id = 0
        self.refused_binds = 0
        self.client: ClientInfo | None = None

    @property
    def unbound(self) -> bool:
        """Whether this is a temporary key that no permanent key stands behind yet."""
        return self.perm_auth_key_id == 0

    def __repr__(self) -> str:
        return f"<AuthKey {self.auth_key_id} {self.kind.name}>"


#: p of the documents: 2048 bits, a safe prime.
DH_PRIME: Final = int(
    "c71caeb9c6b1c9048e6c522f70f13f73980d40238e3e21c14934d037563d930f"
    "48198a0aa7c14058229493d22530f4dbfa336f6e0ac925139543aed44cce7c37"
    "20fd51f69458705ac68cd4fe6b6b13abdc9746512969328454f18faf8c595f64"
    "2477fe96bb2a941d5bcd1d4ac8cc49880708fa9b378e3c4f3a9060bee67cf9a4"
    "a4a695811051907e162753b56b0f6b410dba74d8a84b2a14b3144e0ef1284754"
    "fd17ed950d5965b4b9dd46582db1178d169c6bc465b0d6ff9ca3928fef5b9ae4"
    "e418fc15e83ebea0f87fa9ff5eed70050ded2849f47bf959d956850ce929851f"
    "0d8115f635b105ee2e4e15d04b2454bf6f4fadf034b10403119cd8e3b92fcc5b",
    16,
)

#: Length in bytes of every number of the group, big endian, left-padded with zeros.
GROUP_BYTES: Final = 256

DH_PRIME_BYTES: Final = DH_PRIME.to_bytes(GROUP_BYTES, "big")

#: g of the documents.
GENERATOR: Final = 3

#: Random bytes in a secret exponent. In this group 256 bits leave an attacker 2^112 steps and
#: more, which is what the group itself is worth; 2048 bits would cost eight times as much.
_EXPONENT_BYTES: Final = 32

#: Public values nearer to 0 or to p than this are refused.
_MARGIN: Final = 1 << (2048 - 64)


class DHRangeError(HandshakeError):
    """A public value lies outside of the range that keeps the shared key secret."""

    cause = "dh_out_of_range"


class DHSecret:
    """The server's half of one exchange; ``g_a`` is its public value, 256 bytes big endian.

    ``exponent`` is secret and becomes 0 with :meth:`wipe`.
    """

    __slots__ = ("exponent", "g_a")

    def __init__(self, exponent: int, g_a: bytes) -> None:
        self.exponent = exponent
        self.g_a = g_a

    def wipe(self) -> None:
        """Drop the exponent; no shared key can be made any more."""
        self.exponent = 0

    def __repr__(self) -> str:
        return "<DHSecret>"


def make_secret(random_bytes: Callable[[int], bytes]) -> DHSecret:
    """Draw a secret exponent of 256 bits and make its ``g_a``: about 0.1 ms of work.

    :raises DHRangeError: ``g_a`` would be refused by clients; of 2^63 draws one may do that.
    """
    drawn = int.from_bytes(random_bytes(_EXPONENT_BYTES), "big")
    g_a = powers_of_generator().power(drawn)
    check_public(g_a)
    # A bit above the random ones makes every exponent equally long.
    return DHSecret(drawn | 1 << 8 * _EXPONENT_BYTES, g_a.to_bytes(GROUP_BYTES, "big"))


def check_public(value: int) -> None:
    """Check a ``g_a`` or ``g_b``.

    :raises DHRangeError: it is not above 1, not below p-1, or within 2^1984 of 0 or p.
    Source: core.telegram.org/mtproto/security_guidelines#g-a-and-g-b-validation
    """
    # The margin is far inside of the other bound, so that one test makes both.
    if not _MARGIN <= value <= DH_PRIME - _MARGIN:
        raise DHRangeError("a Diffie-Hellman public value is out of range")


def shared_key(secret: DHSecret, g_b: bytes) -> bytes:
    """Return the auth_key, 256 bytes big endian, left-padded: 0.3 to 0.6 ms of work.

    ``g_b`` is the client's public value, big endian, at most 256 bytes.

    :raises DHRangeError: see :func:`check_public`; or ``g_b`` is too long.
    :raises ValueError: ``secret`` has been wiped.
    """
    if len(g_b) > GROUP_BYTES:
        raise DHRangeError("a Diffie-Hellman public value is too long")
    public = int.from_bytes(g_b, "big")
    check_public(public)
    if not secret.exponent:
        raise ValueError("the Diffie-Hellman secret has been wiped")
    return group_power()(public, secret.exponent).to_bytes(GROUP_BYTES, "big")


@cache
def group_power() -> Power:
    """Return what takes powers in the group."""
    return make_power(DH_PRIME)


@cache
def powers_of_generator() -> FixedBase:
    """Return the tables of 3, made once, by whoever asks first: 3 ms of work."""
    return FixedBase(GENERATOR, DH_PRIME, 8 * _EXPONENT_BYTES)


# pq, the number that a client must factor before it may cost the server an RSA operation.


class PQ(NamedTuple):
    """``pq`` = ``p`` * ``q`` with primes ``p`` < ``q``; the bytes are big endian, minimal."""

    pq: int
    p: int
    q: int

    @property
    def pq_bytes(self) -> bytes:
        """``pq`` as resPQ carries it, 8 bytes."""
        return _minimal_bytes(self.pq)

    @property
    def p_bytes(self) -> bytes:
        """``p`` as the client sends it back, 4 bytes."""
        return _minimal_bytes(self.p)

    @property
    def q_bytes(self) -> bytes:
        """``q`` as the client sends it back, 4 bytes."""
        return _minimal_bytes(self.q)


def make_pq(random_bytes: Callable[[int], bytes]) -> PQ:
    """Make a ``pq`` below 2^63, of two different primes of 31 bits.

    Source: core.telegram.org/mtproto/auth_key#2-server-sends-response-of-the-form
    """
    first = _prime(random_bytes(4))
    second = _prime(random_bytes(4))
    if first == second:
        second = int(next_prime(second))
    return PQ(first * second, min(first, second), max(first, second))


def _prime(seed: bytes) -> int:
    # Taking the next prime favours those after a gap; nobody gains from that, as pq is no secret
    # but a piece of work for the client. Below 2^64 the test behind next_prime has no false primes.
    return int(next_prime(int.from_bytes(seed, "big") >> 2 | 1 << 30))


def _minimal_bytes(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")
