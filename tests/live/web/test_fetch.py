"""MTProto over HTTP by a browser's fetch(), from another origin than the gateway's."""

from tests.live import handler
from tests.live.web.browser_case import BrowserCase
from tests.live.web.gateway import notification
from tests.live.web.tools import run_client

NEWS = notification("Lunch is ready")

#: A type that a page may not send to another origin without asking.
BINARY = {"Content-Type": "application/octet-stream"}


class FetchTests(BrowserCase):
    def test_with_and_without_preflight(self) -> None:
        allowed, guarded = self.gateway.http_url, f"http://{self.gateway.guarded}/apiw1"
        talks = [(url, fields) for url in (allowed, guarded) for fields in ({}, BINARY)]
        got = run_client(
            "fetch.mjs",
            {
                "page": self.page,
                "chromium": self.chromium,
                "publicKey": self.gateway.rsa.public_pem.decode(),
                "tell": handler.tell(NEWS).hex(),
                "talks": [{"url": url, "fields": fields} for url, fields in talks],
            },
        )
        assert isinstance(got, list)
        for talked in got[:2]:
            self.assertNotIn("error", talked)
            self.assertIn(f"dc 2 at {self.gateway.native}", talked["options"])
            self.assertEqual(talked["pushed"], NEWS.hex())
        for refused in got[2:]:
            self.assertIn("Failed to fetch", refused["error"])
        # A page that is allowed asks once, since the browser remembers the answer.
        self.assertEqual([talked["preflights"] for talked in got], [0, 1, 0, 1])
