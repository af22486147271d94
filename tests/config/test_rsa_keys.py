from twisted.trial.unittest import SynchronousTestCase

from gnetway.config.files import fingerprint
from gnetway.config.load import load_file
from gnetway.crypto.rsa import RsaKey
from gnetway.errors import ConfigError
from tests.config.cases import (
    GOOD,
    ConfigCase,
    curve_pem,
    encrypted_pem,
    parse_value,
    rsa_pem,
    small_pem,
)

ALLOWED = "allowed: an unencrypted RSA private key of 2048 bits in PEM"


class KeyFileTests(ConfigCase):
    def test_loaded(self) -> None:
        loaded = load_file(self.write("gnetway.yaml", GOOD)).rsa_keys[0]
        self.assertEqual(loaded.path, str(self.directory / "key.pem"))
        self.assertEqual(loaded.public_path, str(self.directory / "key.pem.pub"))
        self.assertEqual(loaded.key.fingerprint, RsaKey.from_pem(rsa_pem()).fingerprint)

    def test_missing(self) -> None:
        path = self.directory / "none.pem"
        self.assert_faults(
            GOOD.replace("key.pem", "none.pem"),
            f"2: RSAKey[0].KeyFile: found 'none.pem', not readable as {path}: No such file or"
            f" directory; {ALLOWED}, made e.g. by: openssl genrsa -out {path} 2048",
        )

    def test_directory(self) -> None:
        faults = self.faults(GOOD.replace("key.pem", "."))
        self.assertIn(f"not readable as {self.directory}: Is a directory", faults[0])

    def test_unusable(self) -> None:
        path = self.directory / "key.pem"
        for content, problem in (
            (b"", "this is no sound private key in PEM (PKCS#1 or PKCS#8)"),
            (b"\xff" * 100, "this is no sound private key in PEM (PKCS#1 or PKCS#8)"),
            (small_pem(), "the RSA key has 1024 bits; MTProto needs 2048"),
            (encrypted_pem(), "the private key is encrypted; store it without a passphrase"),
            (curve_pem(), "the private key is not an RSA key"),
        ):
            self.write("key.pem", content)
            self.assert_faults(
                GOOD,
                f"2: RSAKey[0].KeyFile: found 'key.pem', not usable ({path}): {problem}; {ALLOWED}",
            )

    def test_too_large(self) -> None:
        self.write("key.pem", b"#" * 70_000)
        self.assertIn("more than 65536 bytes", self.faults(GOOD)[0])

    def test_key_in_place_of_its_path(self) -> None:
        """A pasted key must not come out again in a log."""
        pasted = rsa_pem().decode().replace("\n", "\n      ")
        self.assert_faults(
            GOOD.replace("key.pem", "|\n      " + pasted),
            "2: RSAKey[0].KeyFile: found a private key itself; allowed: the path of its file",
        )


class KeyFingerprintTests(ConfigCase):
    def setUp(self) -> None:
        super().setUp()
        self.key = RsaKey.from_pem(rsa_pem())
        self.unsigned = self.key.fingerprint % (1 << 64)

    def with_fingerprint(self, written: str) -> str:
        return GOOD.replace("key.pem\n", f"key.pem\n    KeyFingerprint: {written}\n")

    def test_all_forms(self) -> None:
        for written in (
            str(self.unsigned),
            f'"{self.unsigned}"',
            str(self.key.fingerprint),
            f'"{self.key.fingerprint}"',
            f'"{self.key.fingerprint_hex}"',
            f"0x{self.key.fingerprint_hex}",
            f'"0x{self.key.fingerprint_hex.upper()}"',
            '""',
        ):
            path = self.write("gnetway.yaml", self.with_fingerprint(written))
            self.assertEqual(len(load_file(path).rsa_keys), 1)

    def test_mismatch_shows_both(self) -> None:
        for written in ('"12240908862933197005"', "-6205835210776354611", "0xa9e071c1771060cd"):
            self.assert_faults(
                self.with_fingerprint(written),
                "3: RSAKey[0].KeyFingerprint: found 12240908862933197005 (a9e071c1771060cd);"
                f" allowed: {self.unsigned} ({self.key.fingerprint_hex}),"
                f" that of {self.directory}/key.pem",
            )

    def test_no_fingerprint_at_all(self) -> None:
        for written, found in (
            ("wrong", "'wrong'"),
            ("true", "true"),
            ("1.5", "1.5"),
            ("99999999999999999999", "99999999999999999999"),
            ("-9223372036854775809", "-9223372036854775809"),
        ):
            self.assert_faults(
                self.with_fingerprint(written),
                f"3: RSAKey[0].KeyFingerprint: found {found};"
                " allowed: a 64-bit number, decimal or hexadecimal",
            )


class FingerprintTests(SynchronousTestCase):
    def test_both_readings_of_sixteen_digits(self) -> None:
        self.assertEqual(
            parse_value(fingerprint, "1234567890123456"),
            {1234567890123456, 0x1234567890123456},
        )

    def test_short_hexadecimal_needs_its_mark(self) -> None:
        """Some clients drop leading zeros."""
        self.assertEqual(parse_value(fingerprint, "0xabc"), {0xABC})
        self.assertRaises(ConfigError, parse_value, fingerprint, "abc")


class SingleFormTests(ConfigCase):
    """KeyFile and KeyFingerprint at the head of the file."""

    def setUp(self) -> None:
        super().setUp()
        self.rest = GOOD.partition("Gnetway:")[2]

    def file(self, head: str) -> str:
        return f"{head}\nGnetway:{self.rest}"

    def test_alone(self) -> None:
        path = self.write("gnetway.yaml", self.file("KeyFile: key.pem"))
        self.assertEqual(len(load_file(path).rsa_keys), 1)

    def test_same_key_in_both_forms(self) -> None:
        path = self.write("gnetway.yaml", "KeyFile: key.pem\n" + GOOD)
        self.assertEqual(len(load_file(path).rsa_keys), 1)

    def test_other_key_in_each_form(self) -> None:
        """Both are served, that of RSAKey first."""
        self.write("other.pem", rsa_pem(1))
        path = self.write("gnetway.yaml", "KeyFile: other.pem\n" + GOOD)
        paths = [loaded.path for loaded in load_file(path).rsa_keys]
        self.assertEqual(
            paths, [str(self.directory / "key.pem"), str(self.directory / "other.pem")]
        )

    def test_mismatch(self) -> None:
        faults = self.faults(self.file('KeyFile: key.pem\nKeyFingerprint: "1"'))
        self.assertEqual(len(faults), 1)
        self.assertTrue(faults[0].startswith("2: KeyFingerprint: found 1 (0000000000000001);"))

    def test_fingerprint_alone(self) -> None:
        self.assert_faults(
            self.file("KeyFingerprint: 5"),
            "1: KeyFile: found nothing; allowed: the path of a file with an unencrypted RSA"
            " private key of 2048 bits in PEM",
        )

    def test_no_key(self) -> None:
        self.assert_faults(
            self.file("Name: x"),
            "1: RSAKey: found nothing;"
            " allowed: RSAKey, a list with KeyFile: the path of an RSA key in PEM",
        )

    def test_empty_list(self) -> None:
        self.assert_faults(
            self.file("RSAKey: []"),
            "1: RSAKey: found an empty list; allowed: a list with at least one item",
        )
