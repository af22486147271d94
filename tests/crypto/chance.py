"""Repeatable chance and ready-made keys for the tests of gnetway.crypto."""

from functools import cache
from hashlib import shake_128

from gnetway.crypto.rsa import RsaKey, generate_pem


class SeededBytes:
    """A source of random bytes that gives the same ones for the same seed."""

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self.calls: list[int] = []

    def __call__(self, count: int) -> bytes:
        self.calls.append(count)
        return shake_128(f"{self._seed} {len(self.calls)}".encode()).digest(count)


def zeros(count: int) -> bytes:
    """Return ``count`` zero bytes: the worst source of chance."""
    return bytes(count)


@cache
def rsa_pem() -> bytes:
    """Return one private key, the same for the whole run: making one takes long."""
    return generate_pem()


@cache
def rsa_key() -> RsaKey:
    return RsaKey.from_pem(rsa_pem())
