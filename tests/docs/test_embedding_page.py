"""docs/embedding.md: its examples run, and each event is there."""

import os
import re
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from gnetway import events
from gnetway.events import Events, GatewayEvent, SessionOpened
from gnetway.service.endpoints import MtprotoEndpoint
from tests.service.cases import rsa_pem

PAGE = (Path(__file__).parents[2] / "docs" / "embedding.md").read_text()

EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def example(word: str) -> dict[str, Any]:
    """Run the example that has a word in it, and return its names."""
    (code,) = (one for one in EXAMPLES if word in one)
    names: dict[str, Any] = {"__name__": "example"}
    exec(code, names)
    return names


class EventsTests(SynchronousTestCase):
    def test_each_is_in_the_table(self) -> None:
        table = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
        kinds = {
            name
            for name, kind in vars(events).items()
            if isinstance(kind, type) and issubclass(kind, GatewayEvent)
        }
        self.assertEqual(kinds - table, {"GatewayEvent"})

    def test_a_listener(self) -> None:
        hub = Events()
        presence = example("class Presence")["Presence"](hub)
        hub.tell(SessionOpened(1, 1, 2, "192.0.2.1"))
        self.assertEqual(presence.sessions, {(1, 2)})
        presence.stop()
        self.assertFalse(hub.heard)


class EndpointTests(SynchronousTestCase):
    def test_a_gateway_in_a_string(self) -> None:
        folder = self.mktemp()
        os.mkdir(folder)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(folder)
        Path("server.key").write_bytes(rsa_pem())
        service = example("RpcFactory(Hello)")["service"]
        self.assertIsInstance(service.endpoint, MtprotoEndpoint)
        self.assertEqual(service.endpoint.config.session.embedded.store[-11:], "keys.sqlite")
