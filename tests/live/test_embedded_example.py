"""examples/embedded.py: gnetway inside another Twisted application."""

import asyncio
import os
import signal
import subprocess
import urllib.request
from unittest import TestCase

from telethon import TelegramClient, types
from telethon.errors import BadRequestError
from telethon.events import Raw

from gnetway.tl.primitives import pack_string, pack_uint32
from tests.live.gateway import PATIENCE_SECONDS, ROOT, TWISTD, Gateway, until
from tests.live.telethon_client import RawRequest, make_client, session_for
from tests.ports import free_port


def greet(name: bytes) -> RawRequest:
    return RawRequest(pack_uint32(0x6E657401) + pack_string(name))


class EmbeddedExampleTests(TestCase):
    def setUp(self) -> None:
        # Only its folder, its key and its port are used.
        self.gateway = Gateway()
        self.addCleanup(self.gateway.remove)
        self.gateway.public_key_file.write_bytes(self.gateway.rsa.public_pem)
        self.web = f"http://127.0.0.1:{free_port()}/"
        changes = {
            "KEY_FILE": str(self.gateway.key_file),
            "MTPROTO_ADDRESS": self.gateway.address,
            "WEB_PORT": self.web.rstrip("/").rpartition(":")[2],
        }
        with self.gateway.log_file.open("wb") as log:
            self.process = subprocess.Popen(
                [TWISTD, "-n", "--pidfile=", "-y", "examples/embedded.py"],
                cwd=ROOT,
                env=os.environ | changes,
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

    def browse(self, posted: bytes | None = None) -> str:
        with urllib.request.urlopen(self.web, posted, PATIENCE_SECONDS) as answer:
            text: bytes = answer.read()
        return text.decode()

    async def talk(self, client: TelegramClient) -> None:
        answer = await client(greet("Łucja".encode()))
        self.assertIsInstance(answer, types.help.SupportName)
        self.assertEqual(answer.name, "Hello, Łucja!")
        with self.assertRaisesRegex(BadRequestError, "NAME_EMPTY"):
            await client(greet(b""))

        news: asyncio.Queue[types.UpdateServiceNotification] = asyncio.Queue()
        client.add_event_handler(news.put, Raw(types.UpdateServiceNotification))
        told = await asyncio.to_thread(self.browse, b"Lunch is ready")
        self.assertEqual(told, "told 1\n")
        self.assertEqual((await news.get()).message, "Lunch is ready")

    def test_site_and_gateway_beside_each_other(self) -> None:
        self.assertEqual(self.browse(), "0 greetings so far\n")

        async def connected() -> None:
            client = make_client(session_for(self.gateway))
            await client.connect()
            try:
                await asyncio.wait_for(self.talk(client), PATIENCE_SECONDS)
            finally:
                await client.disconnect()

        asyncio.run(connected())
        self.assertEqual(self.browse(), "1 greetings so far\n")
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE_SECONDS)
        self.assertIn("Server Shut Down.", self.gateway.log)
        self.assertNotIn("Traceback", self.gateway.log)
