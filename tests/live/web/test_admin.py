"""The status page of a running gateway, in a browser, by keyboard and on a phone too."""

from itertools import pairwise
from typing import Any
from unittest import TestCase

from gnetway.testing import plain_packet
from gnetway.tl.key_exchange import ReqPq
from gnetway.tl.primitives import Constructor, pack_uint32
from tests.live.client import LiveClient
from tests.live.gateway import Gateway, until
from tests.live.test_admin import TOKEN, AdminPage
from tests.live.web.tools import require_browser, run_client
from tests.tl.test_client_info import init_connection, with_layer

#: What a client may call itself that wants to be more than a text, and wide.
DEVICE = f"<script>{'x' * 30}</script>"


def say(client: LiveClient, device: str, version: str = "11.2", pack: str = "android") -> None:
    """Make a key, and say in the first call what the client is."""
    session = client.make_key()
    call = pack_uint32(Constructor.HELP_GET_CONFIG)
    client.call(session, with_layer(init_connection((device, "", version, "", pack, "en"), call)))


class PageTests(TestCase):
    def setUp(self) -> None:
        self.chromium = require_browser()
        self.gateway = Gateway()
        self.addCleanup(self.gateway.remove)
        self.admin = AdminPage()
        self.gateway.config["Admin"] = self.admin.config
        self.gateway.write_config()
        self.gateway.start()

    def test_a_failing_client_is_seen_and_a_connection_ended(self) -> None:
        with LiveClient(self.gateway) as gives_up:
            gives_up.send(plain_packet(ReqPq(bytes(16), multi=True).pack(), 1))
            gives_up.receive()
        clients = [self.enterContext(LiveClient(self.gateway)) for _ in range(3)]
        for client, device in zip(clients, ("Pixel 7", DEVICE, DEVICE + "2"), strict=True):
            say(client, device)
        until(lambda: len(self.admin.connections("state=ended")) == 1, "the other is gone")
        wide, narrow = self.visits(DEVICE + "2", DEVICE)
        self.assertEqual(wide["wide"], 1280)
        self.assertEqual(narrow["wide"], 360)
        for seen in (wide, narrow):
            self.look(seen)
        (left,) = self.admin.connections()
        self.assertEqual(left["client"]["device"], "Pixel 7")

    def visits(self, *devices: str) -> list[dict[str, Any]]:
        """Return what is seen at each width, after each of which a connection is ended."""
        page = f"http://127.0.0.1:{self.admin.port}/"
        wish: dict[str, object] = {"page": page, "chromium": self.chromium, "token": TOKEN}
        got = run_client("admin.mjs", {**wish, "devices": devices})
        assert isinstance(got, list)
        return got

    def look(self, seen: dict[str, Any]) -> None:
        self.assertEqual(seen["faults"], [])
        self.assertIn("ready: clients are served", seen["readiness"])
        self.assertIn("gave_up_at_res_pq", seen["failures"])
        self.assertIn("give it our .pub file", seen["failures"])
        self.assertIn("exchange step 1", seen["failures"])
        self.assertIn("answered", seen["kinds"])
        self.assertIn("Android", seen["kinds"])
        self.assertIn("started", seen["reloads"])
        self.assertIn(DEVICE, seen["list"])
        self.assertEqual(seen["scripts"], 0)
        self.assertTrue(any("Connections: open " in chart for chart in seen["charts"]), seen)
        # For who cannot see it.
        self.assertEqual(seen["nameless"], [])
        levels = seen["headings"]
        self.assertEqual(levels[0], 1)
        for before, level in pairwise(levels):
            self.assertLessEqual(level, before + 1)
        self.assertIn("1 to 1 of 1", seen["kept"])
        self.assertIn("is ended", seen["said"])
        self.assertEqual(seen["at"], "found")
        self.assertEqual(seen["stored"], [0, 1])
        self.assertNotIn(TOKEN, seen["url"])
