"""The public half of a server's RSA key, which every client carries."""

from typing import NamedTuple, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from gnetway.crypto.rsa import KEY_BITS, RsaKey, RsaKeyError, public_fingerprint


class ServerKey(NamedTuple):
    """The two numbers of a key of 2048 bits."""

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
