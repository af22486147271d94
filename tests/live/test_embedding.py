"""A real client and an application's events, names, acknowledged pushes and ends."""

import asyncio
import os
import subprocess
from unittest import TestCase

from telethon import types
from telethon.events import Raw

from gnetway.tl.primitives import pack_uint32
from tests.live.gateway import PATIENCE_SECONDS, ROOT, TWISTD, Gateway, until
from tests.live.telethon_client import RawRequest, make_client, session_for


class EmbeddingTests(TestCase):
    def setUp(self) -> None:
        # Only its folder, its key and its port are used.
        self.gateway = Gateway()
        self.addCleanup(self.gateway.remove)
        self.gateway.public_key_file.write_bytes(self.gateway.rsa.public_pem)
        changes = {"KEY_FILE": str(self.gateway.key_file), "ADDRESS": self.gateway.address}
        with self.gateway.log_file.open("wb") as log:
            self.process = subprocess.Popen(
                [TWISTD, "-n", "--pidfile=", "-y", "tests/live/embedding_app.py"],
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

    async def talk(self) -> None:
        client = make_client(session_for(self.gateway))
        await client.connect()
        try:
            news: asyncio.Queue[types.UpdateServiceNotification] = asyncio.Queue()
            client.add_event_handler(news.put, Raw(types.UpdateServiceNotification))
            for call in (0x6E657411, 0x6E657412):
                self.assertTrue(await client(RawRequest(pack_uint32(call))))
            self.assertEqual((await news.get()).message, "to ada")
            await asyncio.to_thread(
                until,
                lambda: "acked: context {'calls': 1}" in self.gateway.log,
                "an acknowledgement",
            )
            # -404: the call has no answer, and the client no key any more.
            leaving = asyncio.ensure_future(client(RawRequest(pack_uint32(0x6E657413))))
            await asyncio.to_thread(
                until,
                lambda: "heard ConnectionClosed closed_by_handler" in self.gateway.log,
                "the end",
            )
            leaving.cancel()
        finally:
            await client.disconnect()

    def test_what_an_application_has_of_a_client(self) -> None:
        asyncio.run(asyncio.wait_for(self.talk(), PATIENCE_SECONDS))
        log = self.gateway.log
        for kind in ("ConnectionOpened", "AuthKeyMade", "SessionOpened", "ClientInited"):
            self.assertIn(f"heard {kind}", log)
        self.assertIn("heard SessionClosed", log)
        self.assertNotIn("Traceback", log)
