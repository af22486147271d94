"""Every check of the key exchange, one function and one error each.

No text of an error holds a number of the exchange: nonces, hashes and exponents are secrets, and
these texts are read by people. Two checks more stand in ``crypto``, at the operations that they
guard: :class:`~gnetway.crypto.rsa.RsaOpenError` (length, modulus, hash of the RSA block) and
:class:`~gnetway.crypto.auth_key.DHRangeError` (the range of g_b).

Source: core.telegram.org/mtproto/auth_key, core.telegram.org/mtproto/security_guidelines
"""

from collections.abc import Mapping
from hashlib import sha1
from hmac import compare_digest
from typing import Final

from gnetway.crypto.auth_key import PQ
from gnetway.crypto.rsa import RsaKey
from gnetway.errors import HandshakeError, TransportErrorCode

#: Length of encrypted_data in req_DH_params: one RSA block.
RSA_BLOCK_BYTES: Final = 256

#: The longest encrypted_data in set_client_DH_params: SHA1 (20), client_DH_inner_data with 256
#: bytes of g_b (304), padding to a multiple of 16.
MAX_CLIENT_DH_BYTES: Final = 336

#: client_DH_inner_data stands after its SHA1 and before less than one block of padding.
SHA1_BYTES: Final = 20
_BLOCK_BYTES: Final = 16

#: Test servers carry their dc number plus this.
_TEST_DC: Final = 10_000

#: The highest number of a data centre that clients take.
_MAX_DC: Final = 1000


class BadQuery(HandshakeError):
    """An unencrypted body that is no query of the key exchange."""

    cause = "handshake_bad_query"


class WrongStep(HandshakeError):
    """A query that does not follow the last one."""

    cause = "handshake_wrong_step"


class ExchangeExpired(HandshakeError):
    """The run began too long ago."""

    cause = "handshake_expired"


class WorkFailed(HandshakeError):
    """A piece of work ended by a fault on our side; the client may start anew."""

    cause = "handshake_work_failed"


class NonceMismatch(HandshakeError):
    """A query with the nonce or server_nonce of another run."""

    cause = "handshake_nonce"


class WrongFactors(HandshakeError):
    """p and q are not the factors of pq, in rising order."""

    cause = "handshake_factors"


class UnknownFingerprint(HandshakeError):
    """The client encrypts for an RSA key that is not ours."""

    cause = "handshake_fingerprint"


class BadRsaBlockSize(HandshakeError):
    """encrypted_data of req_DH_params is not one RSA block."""

    cause = "handshake_rsa_block_size"


class InnerFactorsMismatch(HandshakeError):
    """The inner data names another pq, p or q than this run."""

    cause = "handshake_inner_factors"


class InnerNonceMismatch(HandshakeError):
    """The inner data names another nonce or server_nonce than this run."""

    cause = "handshake_inner_nonce"


class BadExpiry(HandshakeError):
    """A temporary key that would never have been valid."""

    cause = "handshake_expiry"


class WrongDC(HandshakeError):
    """The client wants another data centre."""

    transport_error = TransportErrorCode.WRONG_DC
    cause = "handshake_wrong_dc"


class BadClientDHSize(HandshakeError):
    """encrypted_data of set_client_DH_params is no whole number of blocks, or too long."""

    cause = "handshake_client_dh_size"


class BadClientDHData(HandshakeError):
    """encrypted_data of set_client_DH_params does not hold client_DH_inner_data."""

    cause = "handshake_client_dh_data"


class ClientDHPaddingTooLong(HandshakeError):
    """A whole block or more follows client_DH_inner_data."""

    cause = "handshake_client_dh_padding"


class ClientDHHashMismatch(HandshakeError):
    """The SHA1 before client_DH_inner_data is not that of the object."""

    cause = "handshake_client_dh_hash"


class ClientDHNonceMismatch(HandshakeError):
    """client_DH_inner_data names another nonce or server_nonce than this run."""

    cause = "handshake_client_dh_nonce"


class WrongRetryId(HandshakeError):
    """retry_id does not name the last key that failed."""

    cause = "handshake_retry_id"


def check_age(begun_at: float, monotonic: float, lifetime_seconds: float) -> None:
    """Check that a run has not outlived its time; both times are of one clock that only goes on.

    :raises ExchangeExpired: it has.
    """
    if monotonic - begun_at > lifetime_seconds:
        raise ExchangeExpired("the key exchange began too long ago")


def check_nonces(got: tuple[bytes, bytes], ours: tuple[bytes, bytes]) -> None:
    """Check nonce and server_nonce of a query, 16 bytes each.

    :raises NonceMismatch: one differs.
    """
    # Both have gone over the wire in clear: no need for constant time, here and below.
    if got != ours:
        raise NonceMismatch("a query names the nonces of another run")


def check_factors(p: bytes, q: bytes, pq: PQ) -> None:
    """Check the client's proof of work; ``p`` < ``q`` are big endian.

    :raises WrongFactors: they are not the factors that ``pq`` was made of, in that order.
    """
    # Nothing is multiplied: 1 and pq, or q and p, are factors as well but no proof of work.
    if (_trim(p), _trim(q)) != (pq.p_bytes, pq.q_bytes):
        raise WrongFactors("p and q are not the factors of pq")


def check_fingerprint(fingerprint: int, keys: Mapping[int, RsaKey]) -> RsaKey:
    """Return the RSA key that a client has used; fingerprints are signed.

    :raises UnknownFingerprint: it is none of ours.
    """
    key = keys.get(fingerprint)
    if key is None:
        # The fingerprint of a public key is no secret, and says which server the client is for.
        shown = fingerprint % (1 << 64)
        raise UnknownFingerprint(f"the client encrypts for RSA key {shown} ({shown:016x})")
    return key


def check_rsa_block_size(encrypted: bytes) -> None:
    """Check the length of encrypted_data before a thread is asked to open it.

    :raises BadRsaBlockSize: it is not 256 bytes.
    """
    if len(encrypted) != RSA_BLOCK_BYTES:
        raise BadRsaBlockSize(f"encrypted_data has {len(encrypted)} bytes, not {RSA_BLOCK_BYTES}")


def check_inner_factors(pq: bytes, p: bytes, q: bytes, ours: PQ) -> None:
    """Check pq, p and q inside of the inner data, big endian.

    :raises InnerFactorsMismatch: one is not this run's.
    """
    if (_trim(pq), _trim(p), _trim(q)) != (ours.pq_bytes, ours.p_bytes, ours.q_bytes):
        raise InnerFactorsMismatch("the inner data names another pq, p or q")


def check_inner_nonces(got: tuple[bytes, bytes], ours: tuple[bytes, bytes]) -> None:
    """Check nonce and server_nonce inside of the inner data, 16 bytes each.

    :raises InnerNonceMismatch: one differs: the block was made for another run.
    """
    if got != ours:
        raise InnerNonceMismatch("the inner data names the nonces of another run")


def check_expiry(expires_in: int) -> None:
    """Check how long a temporary key is to live, in seconds.

    :raises BadExpiry: not at all.
    """
    if expires_in <= 0:
        raise BadExpiry(f"a temporary key for {expires_in} seconds")


def check_dc(dc: int, ours: int) -> None:
    """Check the data centre that a client wants, where the operator is strict about it.

    :raises WrongDC: it is not ``ours``.
    """
    # By number: media and test data centres are the same server, see there.
    if dc_number(dc) != ours:
        raise WrongDC(f"the client wants dc {dc}, this is dc {ours}")


def dc_number(dc: int) -> int:
    """Return which data centre a client names, 1 to 1000; 0 for none.

    ``dc`` is negative for media and 10,000 higher for test servers; both mean the same server.
    Many clients put a random number into their obfuscated header, which names none as a rule.
    """
    number = abs(dc)
    if number > _TEST_DC:
        number -= _TEST_DC
    return number if number <= _MAX_DC else 0


def check_client_dh_size(encrypted: bytes) -> None:
    """Check the length of encrypted_data before it is decrypted.

    :raises BadClientDHSize: it is no multiple of 16 bytes, or above 336.
    """
    if len(encrypted) % _BLOCK_BYTES or len(encrypted) > MAX_CLIENT_DH_BYTES:
        raise BadClientDHSize(f"encrypted client_DH_inner_data has {len(encrypted)} bytes")


def check_client_dh_padding(plaintext: bytes, size: int) -> None:
    """Check what follows client_DH_inner_data of ``size`` bytes; SHA1 comes before it.

    :raises ClientDHPaddingTooLong: 16 bytes or more.
    """
    # The hash leaves the padding out, so a longer one could carry anything.
    if len(plaintext) - SHA1_BYTES - size >= _BLOCK_BYTES:
        raise ClientDHPaddingTooLong("more than 15 bytes follow client_DH_inner_data")


def check_client_dh_hash(plaintext: bytes, size: int) -> None:
    """Check the SHA1 in front of client_DH_inner_data of ``size`` bytes, and of it alone.

    :raises ClientDHHashMismatch: it is another.
    """
    # IGE proves nothing by itself: this hash is what shows that the client knows new_nonce.
    expected = sha1(plaintext[SHA1_BYTES : SHA1_BYTES + size]).digest()
    if not compare_digest(expected, plaintext[:SHA1_BYTES]):
        raise ClientDHHashMismatch("the SHA1 of client_DH_inner_data is wrong")


def check_client_dh_nonces(got: tuple[bytes, bytes], ours: tuple[bytes, bytes]) -> None:
    """Check nonce and server_nonce inside of client_DH_inner_data, 16 bytes each.

    :raises ClientDHNonceMismatch: one differs.
    """
    if got != ours:
        raise ClientDHNonceMismatch("client_DH_inner_data names the nonces of another run")


def check_retry_id(got: int, failed: int) -> None:
    """Check which failed key a client answers: 0 at first, then its auth_key_aux_hash, signed.

    :raises WrongRetryId: another than the last.
    """
    if got != failed:
        raise WrongRetryId("retry_id does not name the last failed key")


def _trim(number: bytes) -> bytes:
    # Some clients send fixed lengths.
    return number.lstrip(b"\0")
