"""The number that a client must factor before it may cost the server an RSA operation."""

from collections.abc import Callable
from typing import NamedTuple

from gmpy2 import next_prime


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
