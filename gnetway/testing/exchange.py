"""The client's half of the key exchange: it believes nothing that is not proved.

Source: core.telegram.org/mtproto/auth_key
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from hashlib import sha1
from math import gcd
from struct import pack, unpack_from
from typing import Final, NamedTuple, Protocol, Self, TypeVar

from cryptg import factorize_pq_pair
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from gmpy2 import is_prime, is_square, powmod

from gnetway.crypto.aes import ige_decrypt, ige_encrypt
from gnetway.crypto.auth_key import DH_PRIME, DH_PRIME_BYTES, AuthKey, KeyKind
from gnetway.crypto.rsa import (
    KEY_BITS,
    RsaKey,
    RsaKeyError,
    public_fingerprint,
    seal_legacy,
    seal_rsa_pad,
)
from gnetway.testing.checks import KeyGivenUp, PeerError, ServerKeyUnknown, demand
from gnetway.tl.key_exchange import (
    ClientDHInnerData,
    DHGenFail,
    DHGenOk,
    DHGenRetry,
    PQInnerData,
    ReqDHParams,
    ReqPq,
    ResPQ,
    ServerDHInnerData,
    ServerDHParamsOk,
    SetClientDHParams,
    parse_answer,
    parse_server_dh_inner_data,
)

RandomBytes = Callable[[int], bytes]
T = TypeVar("T")

#: g_a must be at least so far from 0 and from the prime.
_MARGIN: Final = 1 << (2048 - 64)
#: What new_nonce_hash1, 2 and 3 have in their middle.
_HASH_NUMBERS: Final = {DHGenOk: 1, DHGenRetry: 2, DHGenFail: 3}


def _same(value: T) -> T:
    return value


class PublicKey(Protocol):
    """A server's RSA key, as far as a client has it: see ServerKey."""

    @property
    def modulus(self) -> int:
        """The number of 2048 bits."""

    @property
    def exponent(self) -> int:
        """The public exponent."""

    @property
    def fingerprint(self) -> int:
        """The signed 64-bit number under which resPQ offers the key."""


class ServerKey(NamedTuple):
    """The public RSA key of a server that every client carries: the two numbers, 2048 bits."""

    modulus: int
    exponent: int

    @property
    def fingerprint(self) -> int:
        """The signed 64-bit number under which resPQ offers the key."""
        return public_fingerprint(self.modulus, self.exponent)

    @classmethod
    def from_pem(cls, pem: bytes) -> Self:
        """Load a key in PEM: a public one, PKCS#1 or SubjectPublicKeyInfo, or a private one.

        :raises RsaKeyError: it is none, or not of 2048 bits.
        """
        if b"PRIVATE KEY" in pem:
            private = RsaKey.from_pem(pem)
            return cls(private.modulus, private.exponent)
        try:
            key = load_pem_public_key(pem)
        except (ValueError, UnsupportedAlgorithm):
            raise RsaKeyError("this is no key in PEM") from None
        if not isinstance(key, rsa.RSAPublicKey) or key.key_size != KEY_BITS:
            raise RsaKeyError(f"this is no RSA key of {KEY_BITS} bits")
        numbers = key.public_numbers()
        return cls(numbers.n, numbers.e)


@dataclass(frozen=True)
class Wish:
    """What kind of key the client wants, and how it says so.

    ``multi`` asks by req_pq_multi, ``legacy`` pads for RSA as clients did before RSA_PAD. ``dc``
    is put into p_q_inner_data_dc; ``expires_in``, in seconds, asks for a temporary key.
    """

    multi: bool = True
    legacy: bool = False
    dc: int | None = None
    expires_in: int | None = None


@dataclass(frozen=True)
class Bends:
    """A function for each thing that the client makes; what it returns is used instead.

    ``inner_block`` and ``client_block`` get the bytes before they are encrypted: p_q_inner_data,
    and SHA1 with client_DH_inner_data and padding. The three queries come last, after all else.
    """

    inner: Callable[[PQInnerData], PQInnerData] = _same
    inner_block: Callable[[bytes], bytes] = _same
    client_inner: Callable[[ClientDHInnerData], ClientDHInnerData] = _same
    client_block: Callable[[bytes], bytes] = _same
    req_pq: Callable[[ReqPq], ReqPq] = _same
    req_dh_params: Callable[[ReqDHParams], ReqDHParams] = _same
    set_client_dh: Callable[[SetClientDHParams], SetClientDHParams] = _same


class ClientExchange:
    """Makes one auth key: ``begin``, then ``receive`` each answer until it returns None.

    Then ``key`` and ``salt`` are there, and ``server_time`` in Unix seconds. ``retries`` counts
    the dh_gen_retry that came; the client obeys them all.
    """

    def __init__(
        self,
        keys: Iterable[PublicKey],
        random_bytes: RandomBytes,
        wish: Wish | None = None,
        bends: Bends | None = None,
    ) -> None:
        self._keys = {key.fingerprint: key for key in keys}
        self._random_bytes = random_bytes
        self.wish = wish or Wish()
        self.bends = bends or Bends()
        self.nonce = random_bytes(16)
        self.new_nonce = random_bytes(32)
        self.server_nonce = b""
        self.exponent = 0
        self.server_dh: ServerDHInnerData | None = None
        self.candidate: AuthKey | None = None
        self.key: AuthKey | None = None
        self.salt = 0
        self.server_time = 0
        self.retries = 0

    def begin(self) -> bytes:
        """Return req_pq_multi or, by the wish, req_pq."""
        return self.bends.req_pq(ReqPq(self.nonce, self.wish.multi)).pack()

    def receive(self, body: bytes) -> bytes | None:
        """Check an answer and return the next query, or None once the key is made.

        :raises PeerError: the answer is wrong.
        :raises KeyGivenUp: it is dh_gen_fail.
        """
        answer = parse_answer(body)
        demand(answer.nonce == self.nonce, "another nonce")
        if isinstance(answer, ResPQ):
            demand(not self.server_nonce, "resPQ out of turn")
            return self._req_dh_params(answer)
        demand(answer.server_nonce == self.server_nonce, "another server_nonce")
        if isinstance(answer, ServerDHParamsOk):
            demand(self.server_dh is None, "server_DH_params_ok out of turn")
            self.server_dh = self._open_server_dh(answer.encrypted_answer)
            self.server_time = self.server_dh.server_time
            return self._set_client_dh(self.server_dh, 0)
        return self._judge(answer)

    def _req_dh_params(self, answer: ResPQ) -> bytes:
        self.server_nonce = answer.server_nonce
        pq = int.from_bytes(answer.pq, "big")
        demand(1 < pq < 1 << 63, "pq out of range")
        p, q = factor(pq)
        demand(p < q and is_prime(p) and is_prime(q), "pq is not of two primes")
        known = [self._keys[mark] for mark in answer.fingerprints if mark in self._keys]
        if not known:
            raise ServerKeyUnknown(answer.fingerprints)
        p_bytes, q_bytes = p.to_bytes(4, "big"), q.to_bytes(4, "big")
        inner = PQInnerData(
            answer.pq,
            p_bytes,
            q_bytes,
            self.nonce,
            self.server_nonce,
            self.new_nonce,
            self.wish.dc,
            self.wish.expires_in,
        )
        block = self.bends.inner_block(self.bends.inner(inner).pack())
        seal = seal_legacy if self.wish.legacy else seal_rsa_pad
        sealed = seal(known[0].modulus, known[0].exponent, block, self._random_bytes)
        mark = known[0].fingerprint
        query = ReqDHParams(self.nonce, self.server_nonce, p_bytes, q_bytes, mark, sealed)
        return self.bends.req_dh_params(query).pack()

    def _open_server_dh(self, encrypted: bytes) -> ServerDHInnerData:
        demand(len(encrypted) % 16 == 0, "encrypted_answer is no whole number of blocks")
        plaintext = ige_decrypt(encrypted, *self.aes())
        inner, size = parse_server_dh_inner_data(plaintext[20:])
        demand(sha1(plaintext[20 : 20 + size]).digest() == plaintext[:20], "SHA1 of the answer")
        demand(len(plaintext) - 20 - size < 16, "a block of padding or more")
        demand(inner.nonce == self.nonce, "another nonce inside")
        demand(inner.server_nonce == self.server_nonce, "another server_nonce inside")
        demand(inner.dh_prime == DH_PRIME_BYTES and inner.g == 3, "another group")
        g_a = int.from_bytes(inner.g_a, "big")
        demand(_MARGIN <= g_a <= DH_PRIME - _MARGIN, "g_a out of range")
        return inner

    def _set_client_dh(self, server: ServerDHInnerData, retry_id: int) -> bytes:
        self.exponent = int.from_bytes(self._random_bytes(64), "big")
        g_b = int(powmod(server.g, self.exponent, DH_PRIME))
        secret = int(powmod(int.from_bytes(server.g_a, "big"), self.exponent, DH_PRIME))
        kind = KeyKind.PERM if self.wish.expires_in is None else KeyKind.TEMP
        self.candidate = AuthKey(secret.to_bytes(256, "big"), kind)
        g_b_bytes = g_b.to_bytes((g_b.bit_length() + 7) // 8, "big")
        inner = ClientDHInnerData(self.nonce, self.server_nonce, retry_id, g_b_bytes)
        data = self.bends.client_inner(inner).pack()
        block = sha1(data).digest() + data
        block = self.bends.client_block(block + self._random_bytes(-len(block) % 16))
        query = SetClientDHParams(self.nonce, self.server_nonce, ige_encrypt(block, *self.aes()))
        return self.bends.set_client_dh(query).pack()

    def _judge(self, answer: DHGenOk | DHGenRetry | DHGenFail) -> bytes | None:
        key, server_dh = self.candidate, self.server_dh
        demand(self.key is None, "an answer out of turn")
        if key is None or server_dh is None:
            raise PeerError("an answer out of turn")
        number = bytes((_HASH_NUMBERS[type(answer)],))
        expected = sha1(self.new_nonce + number + key.aux_hash).digest()[4:]
        demand(answer.new_nonce_hash == expected, "new_nonce_hash")
        if isinstance(answer, DHGenFail):
            raise KeyGivenUp
        if isinstance(answer, DHGenRetry):
            self.retries += 1
            retry_id = int.from_bytes(key.aux_hash, "little", signed=True)
            return self._set_client_dh(server_dh, retry_id)
        mixed = bytes(a ^ b for a, b in zip(self.new_nonce[:8], self.server_nonce[:8], strict=True))
        self.key, self.salt = key, int.from_bytes(mixed, "little", signed=True)
        return None

    def aes(self) -> tuple[bytes, bytes]:
        """Return the temporary AES key and its iv."""
        new_server = sha1(self.new_nonce + self.server_nonce).digest()
        server_new = sha1(self.server_nonce + self.new_nonce).digest()
        new_new = sha1(self.new_nonce + self.new_nonce).digest()
        return new_server + server_new[:12], server_new[12:] + new_new + self.new_nonce[:4]


@cache
def factor(pq: int) -> tuple[int, int]:
    """Return the two factors of ``pq``, the smaller first (Pollard's rho).

    :raises PeerError: there are none.
    """
    if pq % 2 and pq >> 40 and not is_prime(pq) and not is_square(pq):
        # The same in C, for the numbers that it ends with: a sixth of the time.
        p, q = factorize_pq_pair(pq)
        return min(p, q), max(p, q)
    for constant in range(1, 50):
        slow = fast = 2
        divisor = 1
        while divisor == 1:
            slow = (slow * slow + constant) % pq
            fast = (fast * fast + constant) % pq
            fast = (fast * fast + constant) % pq
            divisor = gcd(slow - fast, pq)
        if divisor != pq:
            return min(divisor, pq // divisor), max(divisor, pq // divisor)
    raise PeerError("pq cannot be factored")


def plain_packet(body: bytes, now: float) -> bytes:
    """Return an unencrypted packet of a client; ``now`` is in Unix seconds."""
    return pack("<qqi", 0, int(now * 2**32) & ~3, len(body)) + body


def open_plain_packet(packet: bytes) -> bytes:
    """Return the body of a server's unencrypted packet, up to 15 bytes of padding taken off.

    :raises PeerError: it is none.
    """
    demand(len(packet) >= 20, "no unencrypted packet")
    key_id, msg_id, length = unpack_from("<qqi", packet)
    demand(key_id == 0 and msg_id % 4 == 1, "no unencrypted answer")
    demand(length >= 0 and 0 <= len(packet) - 20 - length < 16, "length of an unencrypted answer")
    return packet[20 : 20 + length]
