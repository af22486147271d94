"""GramJS and mtcute under Node, over WebSocket."""

from tests.live import handler
from tests.live.web.gateway import WebCase, notification
from tests.live.web.tools import require_node, run_client

NEWS = "Lunch is ready"


class NodeClientTests(WebCase):
    @classmethod
    def setUpClass(cls) -> None:
        require_node()
        super().setUpClass()

    def talk(self, script: str, url: str, **wish: object) -> dict[str, object]:
        """Let a client connect and check what it got, whatever client it is."""
        payload = "Łódź ".encode() * 1000
        got = run_client(
            script,
            {
                "url": url,
                "publicKey": self.gateway.rsa.public_pem.decode(),
                "fingerprint": str(self.gateway.rsa.fingerprint),
                "echo": handler.echo(payload).hex(),
                "tell": handler.tell(notification(NEWS)).hex(),
                **wish,
            },
            # For wss: the certificate is made for this test.
            {"NODE_EXTRA_CA_CERTS": str(self.gateway.ca_file)},
        )
        assert isinstance(got, dict)
        self.assertEqual(got["echoed"], payload.hex())
        self.assertEqual(got["pushed"], NEWS)
        self.assertIn(self.gateway.native, got["options"])
        return got

    def test_gramjs(self) -> None:
        got = self.talk("gramjs.mjs", self.gateway.url())
        self.assertEqual(got["pongs"], list(range(1, 21)))

    def test_mtcute(self) -> None:
        got = self.talk("mtcute.mjs", self.gateway.url(), pfs=False)
        self.assertEqual((got["pongs"], got["bound"], got["complaints"]), (1, False, []))

    def test_mtcute_with_a_temporary_key(self) -> None:
        """Over TLS at that: a second key exchange, a bind, and everything under the new key."""
        got = self.talk("mtcute.mjs", self.gateway.tls_url, pfs=True)
        self.assertEqual((got["pongs"], got["bound"], got["complaints"]), (1, True, []))
