"""Finding OpenSSL's library, and what its calls answer."""

import ssl
from ctypes import PyDLL, byref, c_char_p

from twisted.trial.unittest import SynchronousTestCase

from gnetway.crypto import powers as module
from gnetway.crypto.powers import OpensslError, find, libcrypto
from gnetway.errors import ProtocolError
from tests.crypto.openssl_case import machine_libcrypto

#: From Python's ctypes.h: the function is called with the interpreter lock held.
KEEPS_LOCK = 0x4


class FindTests(SynchronousTestCase):
    def test_what_is_not_there_is_passed_over(self) -> None:
        machine_libcrypto()
        self.assertIsNone(find([]))
        self.assertIsNone(find(["libcrypto.so.nowhere"]))
        found = find(["libcrypto.so.nowhere", "libcrypto.so.3"])
        assert found is not None
        self.assertGreaterEqual(found.version, (3, 0, 0))

    def test_another_library_is_passed_over(self) -> None:
        """It can be loaded, but has none of the functions."""
        machine_libcrypto()
        self.assertIsNone(find(["libc.so.6"]))

    def test_older_versions_are_passed_over(self) -> None:
        machine_libcrypto()
        self.patch(module, "_MIN_VERSION", (99, 0, 0))
        self.assertIsNone(find(["libcrypto.so.3"]))

    def test_version(self) -> None:
        """Where Python itself uses a shared OpenSSL 3, it is this one."""
        version = machine_libcrypto().version
        if ssl.OPENSSL_VERSION_INFO[0] == version[0]:
            self.assertEqual(version[:2], ssl.OPENSSL_VERSION_INFO[:2])

    def test_found_once(self) -> None:
        self.assertIs(libcrypto(), libcrypto())


class CallTests(SynchronousTestCase):
    def test_the_heavy_calls_let_go_of_the_interpreter_lock(self) -> None:
        library = machine_libcrypto()
        for call in (library.power, library.decrypt):
            self.assertFalse(vars(type(call))["_flags_"] & KEEPS_LOCK)
        for call in (library.bn_new, library.bn_clear_free, library.key_use_new):
            self.assertTrue(vars(type(call))["_flags_"] & KEEPS_LOCK)

    def test_success_is_passed_on(self) -> None:
        library = machine_libcrypto()
        self.assertEqual([library.check(result) for result in (1, 2**47)], [1, 2**47])

    def test_failures_are_raised_and_leave_nothing_behind(self) -> None:
        """An error left in the thread's queue would end some TLS connection."""
        library = machine_libcrypto()
        errors = PyDLL("libcrypto.so.3").ERR_peek_error
        for result in (None, 0, -1, -2):
            library.key_from_der(6, None, byref(c_char_p(b"no key")), 6)
            self.assertNotEqual(errors(), 0)
            self.assertRaises(OpensslError, library.check, result)
            self.assertEqual(errors(), 0)

    def test_no_fault_of_the_client(self) -> None:
        self.assertFalse(issubclass(OpensslError, ProtocolError))
