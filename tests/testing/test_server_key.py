"""The key that a client carries, in the forms in which servers hand it out."""

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)
from twisted.trial.unittest import SynchronousTestCase

from gnetway.crypto.rsa import RsaKey, RsaKeyError, generate_pem
from gnetway.testing import ClientExchange, ServerKey, ServerKeyUnknown
from gnetway.tl.key_exchange import ResPQ
from tests.live.gateway import rsa_pem
from tests.strategies import SeededBytes


class ServerKeyTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.key = RsaKey.from_pem(rsa_pem())

    def test_each_form(self) -> None:
        public = load_pem_public_key(self.key.public_pem)
        info = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        for pem in (self.key.public_pem, info, rsa_pem()):
            loaded = ServerKey.from_pem(pem)
            self.assertEqual((loaded.modulus, loaded.exponent), (self.key.modulus, 65537))
            self.assertEqual(loaded.fingerprint, self.key.fingerprint)

    def test_what_is_none(self) -> None:
        curve = ec.generate_private_key(ec.SECP256R1()).public_key()
        other = curve.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        for pem in (b"", b"nonsense", other, generate_pem(1024)):
            self.assertRaises(RsaKeyError, ServerKey.from_pem, pem)

    def test_a_server_with_other_keys(self) -> None:
        client = ClientExchange([self.key], SeededBytes(1))
        client.begin()
        answer = ResPQ(client.nonce, bytes(16), (17 * 19).to_bytes(8, "big"), [5, -6])
        error = self.assertRaises(ServerKeyUnknown, client.receive, answer.pack())
        self.assertEqual(error.offered, [5, -6])
