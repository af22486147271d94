"""The server's RSA key: loading it, its bare private operation, and the paddings of MTProto.

MTProto pads in ways of its own, so value^d mod n is needed bare. It comes from OpenSSL or from
gmpy2, both times blinded, in constant time, by the Chinese remainder theorem. A result that is
wrong in one half, by a fault of the machine, would give the key away: each is proved by the public
exponent before it leaves, whoever made it.

Source: core.telegram.org/mtproto/auth_key#41-rsa-paddata-server-public-key
"""

from collections.abc import Callable
from hashlib import sha1, sha256
from hmac import compare_digest
from typing import Final, Protocol, Self, TypeVar

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from gmpy2 import invert, mpz

from gnetway.crypto.aes import IGE_IV_BYTES, KEY_BYTES, ige_decrypt, ige_encrypt
from gnetway.crypto.powers import (
    Gmpy2Power,
    Libcrypto,
    OpensslError,
    OpensslPrivateKey,
    libcrypto,
    public_power,
)
from gnetway.errors import GatewayError, HandshakeError, TLError
from gnetway.tl.primitives import pack_string

_T = TypeVar("_T")

#: The only size that fits the 256 bytes of encrypted_data.
KEY_BITS: Final = 2048

#: Length in bytes of an encrypted block, big endian, left-padded with zeros.
BLOCK_BYTES: Final = 256

#: Small exponents invite known attacks; this is also what every key in the field has.
_MIN_EXPONENT: Final = 65537

#: Bytes of data and its random padding inside RSA_PAD, and the most of data a sender may put in.
PADDED_DATA_BYTES: Final = 192
MAX_DATA_BYTES: Final = 144

#: In a legacy block data starts after the zero byte and the SHA1; this many bytes are left.
_LEGACY_DATA_START: Final = 21
MAX_LEGACY_DATA_BYTES: Final = BLOCK_BYTES - _LEGACY_DATA_START

#: The AES key of RSA_PAD is used once, so its iv may be fixed.
_ZERO_IV: Final = bytes(IGE_IV_BYTES)


class RsaKeyError(ValueError):
    """A PEM holds no RSA key that could serve here; the text says why."""


class RsaOpenError(HandshakeError):
    """A block that was not encrypted for this key, or not in a known way."""

    cause = "bad_rsa_block"


class RsaFault(GatewayError):
    """The private operation went wrong in this machine; its result is thrown away."""


class PrivatePower(Protocol):
    """Takes values to the power of one private exponent; may be called from any thread."""

    def __call__(self, value: int, random_bytes: Callable[[int], bytes]) -> int:
        """Return value^d mod n; ``random_bytes`` feeds the blinding where it is done here."""


class BlindedCrt:
    """The operation on gmpy2: about 1.1 ms."""

    __slots__ = ("_coefficient", "_exponent", "_left", "_modulus", "_p", "_q", "_right")

    def __init__(self, numbers: rsa.RSAPrivateNumbers) -> None:
        self._modulus = mpz(numbers.public_numbers.n)
        self._exponent = numbers.public_numbers.e
        self._p = mpz(numbers.p)
        self._q = mpz(numbers.q)
        self._left = Gmpy2Power(numbers.p), numbers.dmp1
        self._right = Gmpy2Power(numbers.q), numbers.dmq1
        self._coefficient = mpz(numbers.iqmp)

    def __call__(self, value: int, random_bytes: Callable[[int], bytes]) -> int:
        """Return value^d mod n."""
        modulus = self._modulus
        # Eight bytes more than the modulus has make the remainder uniform; 0 has no inverse.
        size = (modulus.bit_length() + 7) // 8 + 8
        blind = int.from_bytes(random_bytes(size), "big") % (modulus - 1) + 1
        blinded = value * public_power(blind, self._exponent, modulus) % modulus
        return int(self._power(blinded) * invert(blind, modulus) % modulus)

    def _power(self, value: mpz) -> mpz:
        power, exponent = self._left
        left = power(value % self._p, exponent)
        power, exponent = self._right
        right = power(value % self._q, exponent)
        return right + (left - right) * self._coefficient % self._p * self._q


def make_private_power(
    numbers: rsa.RSAPrivateNumbers, library: Libcrypto | None = None
) -> PrivatePower:
    """Return the faster one that is right; ``library`` is the machine's where it is not given."""
    sure = BlindedCrt(numbers)
    library = library or libcrypto()
    if library is None:
        return sure
    public = numbers.public_numbers
    trial = public.n // 3
    try:
        fast = OpensslPrivateKey(library, _der(numbers), (public.n.bit_length() + 7) // 8)
        right = fast(int(public_power(trial, public.e, public.n)), bytes) == trial
    except OpensslError:
        return sure
    return fast if right else sure


def _der(numbers: rsa.RSAPrivateNumbers) -> bytes:
    key = numbers.private_key(unsafe_skip_rsa_key_validation=True)
    return key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())


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
    def from_pem(cls, pem: bytes, was_sound: bool = False) -> Self:
        """Load an unencrypted private key in PEM, PKCS#1 ("RSA PRIVATE KEY") or PKCS#8.

        One that ``was_sound`` when it was loaded before, maybe by another process, is not looked
        through again: that takes some 50 ms, which nothing else of Python runs in.

        :raises RsaKeyError: it is none, is encrypted, or not a sound RSA key of 2048 bits.
        """
        numbers = _load(pem, was_sound).private_numbers()
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


def _load(pem: bytes, was_sound: bool) -> rsa.RSAPrivateKey:
    # "from None" throughout: the library's errors may quote what they read.
    try:
        key = load_pem_private_key(pem, None, unsafe_skip_rsa_key_validation=was_sound)
    except TypeError:
        raise RsaKeyError("the private key is encrypted; store it without a passphrase") from None
    except (ValueError, UnsupportedAlgorithm):
        if b"PUBLIC KEY-----" in pem:
            raise RsaKeyError("this is a public key, the half for clients") from None
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
    """Make a new private key; returns it as unencrypted PEM in PKCS#1.

    Its fingerprint has no 0 for the first of 16 hexadecimal digits: mtcute and mtproto-core look a
    key up without leading zeros, and would not find one key in 16.
    """
    while True:
        key = rsa.generate_private_key(public_exponent=_MIN_EXPONENT, key_size=bits)
        public = key.public_key().public_numbers()
        if public_fingerprint(public.n, public.e) % (1 << 64) >= 1 << 60:
            return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


# The two paddings under which a client's first secret comes.
#
# RSA_PAD, of today's documents, fills all 256 bytes and may begin with any byte; the legacy block
# is a zero byte, SHA1(data), data, random bytes. Several client libraries still send the latter.
# A gateway only opens; sealing is the client's half.
#
# No failure tells which check it was: a hint at how a chosen block decrypts, such as its leading
# byte being zero, can be used to decrypt a recorded one (Bleichenbacher's attack).


def open_inner_data(
    block: bytes, parse: Callable[[bytes], tuple[_T, int]], *, allow_legacy: bool = True
) -> _T:
    """Return the object in a decrypted block of 256 bytes, padded in either way.

    ``parse`` gets data with what follows it and returns the object and its length in bytes; it
    may raise TLError.

    :raises RsaOpenError: the block is of neither kind (of RSA_PAD, without ``allow_legacy``), or
        ``parse`` refused the data.
    """
    # RSA_PAD first: it proves itself by a hash over everything, and its first byte may be zero.
    try:
        data = open_rsa_pad(block)
    except RsaOpenError:
        if not allow_legacy:
            raise
        return open_legacy(block, parse)
    try:
        return parse(data)[0]
    except TLError:
        raise _unknown_block() from None


def open_rsa_pad(block: bytes) -> bytes:
    """Return data and its padding, 192 bytes, out of a decrypted RSA_PAD block of 256.

    :raises RsaOpenError: the length or the SHA256 is wrong.
    """
    if len(block) != BLOCK_BYTES:
        raise _unknown_block()
    masked_key, encrypted = block[:KEY_BYTES], block[KEY_BYTES:]
    temp_key = _xor(masked_key, sha256(encrypted).digest())
    data_with_hash = ige_decrypt(encrypted, temp_key, _ZERO_IV)
    padded = data_with_hash[:PADDED_DATA_BYTES][::-1]
    digest = sha256(temp_key + padded).digest()
    if not compare_digest(digest, data_with_hash[PADDED_DATA_BYTES:]):
        raise _unknown_block()
    return padded


def open_legacy(block: bytes, parse: Callable[[bytes], tuple[_T, int]]) -> _T:
    """Return the object in a decrypted legacy block of 256 bytes; ``parse`` as above.

    :raises RsaOpenError: the length, the leading byte or the SHA1 is wrong, or ``parse`` refused
        the data.
    """
    if len(block) != BLOCK_BYTES:
        raise _unknown_block()
    data = block[_LEGACY_DATA_START:]
    try:
        parsed, size = parse(data)
    except TLError:
        raise _unknown_block() from None
    # The leading zero is judged together with the hash, so that no time tells it alone.
    if not compare_digest(b"\0" + sha1(data[:size]).digest(), block[:_LEGACY_DATA_START]):
        raise _unknown_block()
    return parsed


def seal_rsa_pad(
    modulus: int, exponent: int, data: bytes, random_bytes: Callable[[int], bytes]
) -> bytes:
    """Encrypt at most 144 bytes for a public key as a client does; returns 256 bytes.

    :raises ValueError: ``data`` is too long.
    """
    if len(data) > MAX_DATA_BYTES:
        raise ValueError(f"RSA_PAD takes {MAX_DATA_BYTES} bytes, not {len(data)}")
    padded = data + random_bytes(PADDED_DATA_BYTES - len(data))
    value = modulus
    # Half of the blocks may be above the modulus, by the modulus; another key makes another block.
    while value >= modulus:
        temp_key = random_bytes(KEY_BYTES)
        data_with_hash = padded[::-1] + sha256(temp_key + padded).digest()
        encrypted = ige_encrypt(data_with_hash, temp_key, _ZERO_IV)
        masked_key = _xor(temp_key, sha256(encrypted).digest())
        value = int.from_bytes(masked_key + encrypted, "big")
    return int(public_power(value, exponent, modulus)).to_bytes(BLOCK_BYTES, "big")


def seal_legacy(
    modulus: int, exponent: int, data: bytes, random_bytes: Callable[[int], bytes]
) -> bytes:
    """Encrypt at most 235 bytes for a public key in the old way; returns 256 bytes.

    :raises ValueError: ``data`` is too long.
    """
    if len(data) > MAX_LEGACY_DATA_BYTES:
        raise ValueError(f"the legacy padding takes {MAX_LEGACY_DATA_BYTES} bytes, not {len(data)}")
    block = sha1(data).digest() + data + random_bytes(MAX_LEGACY_DATA_BYTES - len(data))
    value = int.from_bytes(block, "big")
    return int(public_power(value, exponent, modulus)).to_bytes(BLOCK_BYTES, "big")


def _xor(left: bytes, right: bytes) -> bytes:
    mixed = int.from_bytes(left, "big") ^ int.from_bytes(right, "big")
    return mixed.to_bytes(len(left), "big")


def _unknown_block() -> RsaOpenError:
    return RsaOpenError("a decrypted block is neither RSA_PAD nor legacy inner data")
