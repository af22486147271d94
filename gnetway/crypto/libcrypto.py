"""OpenSSL's libcrypto through ctypes: the functions that key exchanges live by.

``cryptography`` carries an OpenSSL of its own but gives out neither a power modulo p nor the bare
RSA operation. The shared library that Python itself uses for ``ssl`` has both, in constant time,
two to four times as fast as gmpy2. :func:`libcrypto` finds it, or says that it is not there.

What is called is the documented interface of version 3 and later. The two heavy calls let go of
the interpreter lock; the small ones around them keep it (PyDLL), since a thread that gives it up
a dozen times waits for it a dozen times.
"""

from collections.abc import Callable, Sequence
from ctypes import CDLL, PyDLL, c_char_p, c_int, c_long, c_size_t, c_ulong, c_void_p
from functools import cache
from typing import Final

from gnetway.errors import GatewayError

#: Libraries whose interface is known. ctypes.util would find more, and starts compilers for it.
_NAMES: Final = ("libcrypto.so.3",)

#: The lowest version that will do. LibreSSL and BoringSSL call themselves older than that.
_MIN_VERSION: Final = (3, 0, 0)

_Type = type[c_void_p | c_char_p | c_int | c_long | c_ulong | c_size_t]

#: Pointers are plain numbers here; NULL is None.
_Call = Callable[..., int | None]


class OpensslError(GatewayError):
    """OpenSSL refused an operation: no memory, or a provider that forbids it."""


class Libcrypto:
    """A loaded library; ``version`` is its number, such as (3, 0, 19).

    The other attributes are OpenSSL's functions under shorter names.

    :raises OSError: there is no library of this name.
    :raises AttributeError: it lacks a function.
    """

    def __init__(self, name: str) -> None:
        # Two views of one library: the first lets go of the interpreter lock, the second keeps it.
        heavy, light = _Functions(CDLL(name)), _Functions(PyDLL(name))
        self.power = heavy.number("BN_mod_exp_mont_consttime", *[c_void_p] * 6)
        self.decrypt = heavy.number(
            "EVP_PKEY_decrypt", c_void_p, c_char_p, c_void_p, c_char_p, c_size_t
        )
        self.bn_from_bytes = light.pointer("BN_bin2bn", c_char_p, c_int, c_void_p)
        self.bn_to_bytes = light.number("BN_bn2binpad", c_void_p, c_char_p, c_int)
        self.bn_new = light.pointer("BN_new")
        self.bn_clear_free = light.nothing("BN_clear_free", c_void_p)
        self.scratch_new = light.pointer("BN_CTX_new")
        self.scratch_free = light.nothing("BN_CTX_free", c_void_p)
        self.mont_new = light.pointer("BN_MONT_CTX_new")
        self.mont_set = light.number("BN_MONT_CTX_set", *[c_void_p] * 3)
        self.key_from_der = light.pointer("d2i_PrivateKey", c_int, c_void_p, c_void_p, c_long)
        self.key_use_new = light.pointer("EVP_PKEY_CTX_new", *[c_void_p] * 2)
        self.key_use_free = light.nothing("EVP_PKEY_CTX_free", c_void_p)
        self.decrypt_init = light.number("EVP_PKEY_decrypt_init", c_void_p)
        self.set_padding = light.number("EVP_PKEY_CTX_set_rsa_padding", c_void_p, c_int)
        self._clear_errors = light.nothing("ERR_clear_error")
        packed = light.declare("OpenSSL_version_num", c_ulong, ())() or 0
        self.version = (packed >> 28, packed >> 20 & 0xFF, packed >> 4 & 0xFF)

    def check(self, result: int | None) -> int:
        """Return ``result``, a pointer or 1 for success.

        :raises OpensslError: it says that an operation has failed.
        """
        if result is None or result <= 0:
            # Errors that stay in the thread's queue would be taken for ones of a TLS connection.
            self._clear_errors()
            raise OpensslError("an operation of OpenSSL has failed")
        return result


class _Functions:
    """Declares functions of a library, by what they return."""

    def __init__(self, library: CDLL) -> None:
        self._library = library

    def pointer(self, name: str, *arguments: _Type) -> _Call:
        return self.declare(name, c_void_p, arguments)

    def number(self, name: str, *arguments: _Type) -> _Call:
        return self.declare(name, c_int, arguments)

    def nothing(self, name: str, *arguments: _Type) -> _Call:
        return self.declare(name, None, arguments)

    def declare(self, name: str, result: _Type | None, arguments: Sequence[_Type]) -> _Call:
        function = getattr(self._library, name)
        function.restype, function.argtypes = result, arguments
        declared: _Call = function
        return declared


def in_use() -> str:
    """Return what takes powers of secrets on this machine, for people."""
    library = libcrypto()
    if library is None:
        return "gmpy2, at twice the cost: no OpenSSL 3 is at hand"
    return f"OpenSSL {'.'.join(map(str, library.version))}"


@cache
def libcrypto() -> Libcrypto | None:
    """Return the library of this machine, or None where there is none of a known version."""
    return find(_NAMES)


def find(names: Sequence[str]) -> Libcrypto | None:
    """Return the first library of these names that will do."""
    for name in names:
        try:
            library = Libcrypto(name)
        except (OSError, AttributeError):
            continue
        if library.version >= _MIN_VERSION:
            return library
    return None
