"""A message's way from the socket to the session node is as short as docs/architecture.md says."""

import re
import sys
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from gnetway.net.registry import SessionRegistry
from gnetway.net.tcp import GatewayFactory
from gnetway.testing import ClientSession
from gnetway.tl.client_info import ClientInfo
from gnetway.tl.service_messages import Ping
from tests.backends.remote.cases import A, Cluster
from tests.connection.styles import STYLES
from tests.fakes import some_key
from tests.net.gateway import Gateway
from tests.strategies import SeededBytes

ROOT: Final = Path(__file__).parents[1]

#: Where the way ends: what the carrier of a real gateway has there is one function too.
ENDS: Final = {
    "FakeStream.send": "rpc/native/stream.py NativeStream.send",
    "FakeClient.call": "rpc/native/client.py NativeClient.call",
}

MAX_CALLS: Final = 30
MAX_FILES: Final = 18


class Way:
    """The calls of Python functions of ours while one message passes."""

    def __init__(self, stream: bool) -> None:
        self.calls: list[str] = []
        cluster = Cluster(A, stream=stream)
        gateway = Gateway()
        key = some_key(1)
        # It was said by an earlier message, as of nearly all that come.
        key.client = ClientInfo("Android", "11.2", "", "", 198, "en")
        gateway.knows(key)
        registry = SessionRegistry(cluster.backend, gateway.keys)
        services = replace(gateway.services, backend=cluster.backend, registry=registry)
        gateway.factory = GatewayFactory(services)
        link = gateway.connect(STYLES[-1])
        session = ClientSession(key, 5, SeededBytes(5))
        for number in range(4):
            link.say(session, Ping(number).pack())
            gateway.settle()
            cluster.settle()
        sys.setprofile(self._note)
        try:
            link.say(session, Ping(9).pack())
        finally:
            sys.setprofile(None)

    def _note(self, frame: FrameType, event: str, argument: object) -> None:
        code = frame.f_code
        name = code.co_qualname
        if event != "call" or (self.calls and self.calls[-1] in ENDS.values()):
            return
        file = Path(code.co_filename)
        if name in ENDS:
            self.calls.append(ENDS[name])
        elif file.is_relative_to(ROOT / "gnetway"):
            called = f"{file.relative_to(ROOT / 'gnetway')} {name}"
            if self.calls or name == "GatewayProtocol.dataReceived":
                self.calls.append(called)


def documented(way: str) -> list[str]:
    """Return the lines of the drawing under a title."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    found = re.search(rf"\n{way}:\n\n```text\n(.*?)```", text, re.DOTALL)
    assert found is not None, way
    return [re.sub(r"^ *\d+ +", "", line) for line in found[1].splitlines()]


class MessagePathTests(SynchronousTestCase):
    def test_by_stream(self) -> None:
        self.check(Way(stream=True).calls, "By stream")

    def test_by_calls(self) -> None:
        calls = Way(stream=False).calls
        self.assertLessEqual(len(calls), MAX_CALLS)
        self.assertEqual(calls[-1], ENDS["FakeClient.call"])

    def check(self, calls: list[str], title: str) -> None:
        self.assertEqual(calls, documented(title))
        self.assertLessEqual(len(calls), MAX_CALLS)
        self.assertLessEqual(len({call.split()[0] for call in calls}), MAX_FILES)
