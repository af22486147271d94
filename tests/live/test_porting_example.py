"""examples/porting: a server of asyncio's with gnetway for its gateway, and its clients."""

import os
import re
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from unittest import TestCase

from gnetway.errors import RpcError
from gnetway.testing import ServerKey
from gnetway.testing.dial import Client
from gnetway.tl.primitives import Reader, pack_string, pack_uint32
from tests.live.gateway import PATIENCE_SECONDS, ROOT, TWISTD, Gateway, until

LOG_IN, SAY, SAID, SAID_201 = range(0x10910001, 0x10910005)


TAC = "examples/porting/gateway.tac"


def texts(body: bytes) -> list[str]:
    reader = Reader(body, 4)
    found = []
    while reader.remaining():
        found.append(reader.string().decode())
    return found


def method(number: int, *strings: str) -> bytes:
    return pack_uint32(number) + b"".join(pack_string(text.encode()) for text in strings)


class PortingTests(TestCase):
    def setUp(self) -> None:
        # Only its folder, its key and its port are used.
        self.gateway = Gateway()
        self.addCleanup(self.gateway.remove)
        self.key = ServerKey.from_pem(self.gateway.rsa.public_pem)
        names = {"KEY_FILE": str(self.gateway.key_file), "MTPROTO_ADDRESS": self.gateway.address}
        with self.gateway.log_file.open("wb") as log:
            self.process = subprocess.Popen(
                [TWISTD, "-n", "--pidfile=", "--reactor=asyncio", "-y", TAC],
                cwd=ROOT,
                env=os.environ | names,
                stdout=log,
                stderr=log,
            )
        self.addCleanup(self.process.wait)
        self.addCleanup(self.process.kill)
        until(
            lambda: "is ready" in self.gateway.log or self.process.poll() is not None,
            f"ready\n{self.gateway.log}",
        )
        self.assertIsNone(self.process.poll(), self.gateway.log)

    def client(self, layer: int) -> Client:
        return Client("127.0.0.1", self.gateway.port, self.key, layer, PATIENCE_SECONDS)

    def test_calls_users_and_updates(self) -> None:
        with self.client(201) as ada, self.client(150) as bob, self.client(201) as bobs_other:
            with self.assertRaisesRegex(RpcError, "401 AUTH_KEY_UNREGISTERED"):
                ada.call(method(SAY, "bob", "Hello"))
            self.assertEqual(texts(ada.call(method(LOG_IN, "ada"))), ["Hello, ada, of layer 201"])
            for client in (bob, bobs_other):
                client.call(method(LOG_IN, "bob"))
            self.assertEqual(texts(bob.call(method(SAY, "nobody", "Hm"))), ["0 have it"])

            # Each hears it in its own layer, and the answer waits until they have it.
            with ThreadPoolExecutor(2) as threads:
                heard = [threads.submit(client.next_push) for client in (bob, bobs_other)]
                self.assertEqual(texts(ada.call(method(SAY, "bob", "Hello"))), ["2 have it"])
                old, new = (each.result() for each in heard)
            self.assertEqual(old, method(SAID, "ada", "Hello"))
            self.assertEqual(new, method(SAID_201, "Hello", "ada"))
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE_SECONDS)
        self.assertNotIn("Traceback", self.gateway.log)


class PageTests(TestCase):
    def test_it_shows_the_adapter(self) -> None:
        page = (ROOT / "docs" / "porting.md").read_text()
        (shown,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
        self.assertIn(shown, (ROOT / "examples" / "porting" / "adapter.py").read_text())
