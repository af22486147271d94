"""``gnetway show-key``: one public key, in all spellings that clients have for it."""

import re
import tempfile
from hashlib import sha1
from pathlib import Path
from unittest import TestCase

from cryptography.hazmat.primitives.serialization import load_pem_public_key

from tests.cli.fake_admin import run
from tests.crypto.chance import rsa_key, rsa_pem


class ShowKeyTests(TestCase):
    def setUp(self) -> None:
        self.file = Path(self.enterContext(tempfile.TemporaryDirectory())) / "server.key.pub"
        self.key = rsa_key()
        self.file.write_bytes(self.key.public_pem)

    def one(self, spelling: str) -> str:
        ended = run("show-key", str(self.file), "--as", spelling)
        self.assertEqual((ended.status, ended.err), (0, ""))
        return ended.out

    def test_pem(self) -> None:
        self.assertEqual(self.one("pkcs1"), self.key.public_pem.decode())
        spki = self.one("spki")
        self.assertTrue(spki.startswith("-----BEGIN PUBLIC KEY-----\n"))
        self.assertEqual(
            load_pem_public_key(spki.encode()), load_pem_public_key(self.key.public_pem)
        )

    def test_a_string_of_c(self) -> None:
        lines = self.one("c").splitlines()
        self.assertEqual({line[0] + line[-3:] for line in lines}, {'"\\n"'})
        self.assertEqual("".join(line[1:-3] + "\n" for line in lines), self.one("pkcs1"))

    def test_numbers(self) -> None:
        digits = self.one("hex").strip()
        self.assertRegex(digits, r"\A[0-9a-f]{512}\Z")
        self.assertEqual(int(digits, 16), self.key.modulus)
        self.assertEqual(int(self.one("decimal")), self.key.modulus)
        self.assertEqual(self.one("exponent"), "010001, 65537\n")

    def test_fingerprints(self) -> None:
        """As the documents have it: the end of SHA1 over both numbers as TL strings, padded."""
        modulus = b"\xfe\x00\x01\x00" + self.key.modulus.to_bytes(256, "big")
        end = sha1(modulus + b"\x03\x01\x00\x01").digest()[12:]
        self.assertEqual(self.one("fingerprint").strip(), end[::-1].hex())
        self.assertEqual(int(self.one("unsigned")), int.from_bytes(end, "little"))
        self.assertEqual(int(self.one("signed")), int.from_bytes(end, "little", signed=True))

    def test_all(self) -> None:
        said = run("show-key", str(self.file)).out
        self.assertEqual(len(re.findall(r"^\S.*:$", said, re.MULTILINE)), 9)
        self.assertIn(self.one("hex"), said)

    def test_a_private_half_stays_private(self) -> None:
        from_public = run("show-key", str(self.file)).out
        self.file.write_bytes(rsa_pem())
        self.assertEqual(run("show-key", str(self.file)).out, from_public)

    def test_no_key(self) -> None:
        self.file.write_text("nothing")
        ended = run("show-key", str(self.file))
        self.assertEqual(ended.status, 1)
        self.assertEqual(ended.err, f"gnetway: {self.file}: this is no key in PEM\n")
