"""The server's RSA key: loading it, its fingerprint, and the raw private operation.

MTProto pads in its own ways (``rsa_padding.py``), so the bare power is needed here
(``rsa_power.py``). It is proved by the public exponent before it leaves: a single wrong bit in one
half would give the key away.
"""

from collections.abc import Callable
from hashlib import sha1
from typing import Final, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from gnetway.crypto.powers import public_power
from gnetway.crypto.rsa_power import PrivatePower, make_private_power
from gnetway.errors import GatewayError, HandshakeError
from gnetway.tl.primitives import pack_string

#: The only size that fits the 256 bytes of encrypted_data.
KEY_BITS: Final = 2048

#: Length in bytes of an encrypted block, big endian, left-padded with zeros.
BLOCK_BYTES: Final = 256

#: Small exponents invite known attacks; this is also what every key in the field has.
_MIN_EXPONENT: Final = 65537


class RsaKeyError(ValueError):
    """A PEM holds no RSA key that could serve here; the text says why."""


class RsaOpenError(HandshakeError):
    """A block that was not encrypted for this key, or not in a known way."""

    cause = "bad_rsa_block"


class RsaFault(GatewayError):
    """The private operation went wrong in this machine; its result is thrown away."""


class RsaKey:
    """A private key of 2048 bits.

    ``modulus`` and ``exponent`` are the public numbers, ``fingerprint`` is the signed 64-bit
    number under which resPQ offers the key.
    """

    __slots__ = ("_power", "exponent", "fingerprint", "modulus")

    def __init__(self, numbers: rsa.RSAPrivateNumbers, power: PrivatePower | None = None) -> None:
        public = numbers.public_numbers
        self.modulus = public.n
        self.exponent = public.e
        self.fingerprint = public_fingerprint(public.n, public.e)
        self._power = power or make_private_power(numbers)

    @classmethod
    def from_pem(cls, pem: bytes) -> Self:
        """Load an unencrypted private key in PEM, PKCS#1 ("RSA PRIVATE KEY") or PKCS#8.

        :raises RsaKeyError: it is none, is encrypted, or not a sound RSA key of 2048 bits.
        """
        numbers = _load(pem).private_numbers()
        modulus = numbers.public_numbers.n
        if modulus.bit_length() != KEY_BITS:
            raise RsaKeyError(
                f"the RSA key has {modulus.bit_length()} bits; MTProto needs {KEY_BITS}"
            )
        exponent = numbers.public_numbers.e
        if exponent < _MIN_EXPONENT:
            raise RsaKeyError(f"the public exponent {exponent} is below {_MIN_EXPONENT}")
        return cls(numbers)

    @property
    def fingerprint_hex(self) -> str:
        """The fingerprint as clients and configurations print it: unsigned, 16 digits."""
        return f"{self.fingerprint & 0xFFFF_FFFF_FFFF_FFFF:016x}"

    @property
    def public_pem(self) -> bytes:
        """The public half as PEM in PKCS#1 ("RSA PUBLIC KEY"), as clients carry it."""
        public = rsa.RSAPublicNumbers(self.exponent, self.modulus).public_key()
        return public.public_bytes(Encoding.PEM, PublicFormat.PKCS1)

    def open(self, encrypted: bytes, random_bytes: Callable[[int], bytes]) -> bytes:
        """Return encrypted^d mod n as 256 bytes, big endian: 0.3 to 1.2 ms of work.

        ``encrypted`` has 256 bytes, big endian; ``random_bytes`` feeds the blinding.

        :raises RsaOpenError: ``encrypted`` has another length or is not below the modulus.
        :raises RsaFault: the result did not stand the check.
        """
        value = int.from_bytes(encrypted, "big")
        if len(encrypted) != BLOCK_BYTES or value >= self.modulus:
            raise RsaOpenError("an encrypted block must have 256 bytes and be below the modulus")
        power = self._power(value, random_bytes)
        if public_power(power, self.exponent, self.modulus) != value:
            raise RsaFault("the RSA operation gave a wrong result: memory or processor fault")
        return power.to_bytes(BLOCK_BYTES, "big")

    def __repr__(self) -> str:
        return f"<RsaKey {self.fingerprint_hex}>"


def _load(pem: bytes) -> rsa.RSAPrivateKey:
    # "from None" throughout: the library's errors may quote what they read.
    try:
        key = load_pem_private_key(pem, password=None)
    except TypeError:
        raise RsaKeyError("the private key is encrypted; store it without a passphrase") from None
    except (ValueError, UnsupportedAlgorithm):
        raise RsaKeyError("this is no sound private key in PEM (PKCS#1 or PKCS#8)") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise RsaKeyError("the private key is not an RSA key")
    return key


def public_fingerprint(modulus: int, exponent: int) -> int:
    """Return the signed 64-bit fingerprint of a public key.

    It is the low 64 bits of SHA1 over both numbers, each big endian as a TL string.

    Source: core.telegram.org/mtproto/auth_key#presenting-proof-of-work-server-authentication
    """
    packed = b"".join(
        pack_string(number.to_bytes((number.bit_length() + 7) // 8, "big"))
        for number in (modulus, exponent)
    )
    return int.from_bytes(sha1(packed).digest()[12:], "little", signed=True)


def generate_pem(bits: int = KEY_BITS) -> bytes:
    """Make a new private key; returns it as unencrypted PEM in PKCS#1."""
    key = rsa.generate_private_key(public_exponent=_MIN_EXPONENT, key_size=bits)
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
