"""A gateway on Twisted's reactor over asyncio, and a client of its asyncio handler."""

import asyncio
import signal
from unittest import TestCase

from telethon import TelegramClient, functions, types

from tests.live.gateway import PATIENCE_SECONDS, Gateway
from tests.live.telethon_client import make_client, session_for


class AsyncioReactorTests(TestCase):
    def test_a_handler_of_asyncio(self) -> None:
        gateway = Gateway(handler="tests.live.asyncio_handler.AsyncioHandler")
        self.addCleanup(gateway.remove)
        gateway.twistd_options = ["--reactor=asyncio"]
        gateway.start()
        asyncio.run(self.connected(gateway))
        # Twisted ends by the signal that it was told to end by.
        self.assertEqual(gateway.stop(), -signal.SIGTERM)
        self.assertIn("never: let go", gateway.log)
        self.assertIn("Server Shut Down.", gateway.log)

    async def connected(self, gateway: Gateway) -> None:
        client = make_client(session_for(gateway))
        await client.connect()
        try:
            await asyncio.wait_for(self.talk(client), PATIENCE_SECONDS)
        finally:
            await client.disconnect()

    async def talk(self, client: TelegramClient) -> None:
        invited = asyncio.ensure_future(client(functions.help.GetInviteTextRequest()))
        never = asyncio.ensure_future(client(functions.help.GetCdnConfigRequest()))
        await client(functions.PingRequest(1))
        asked = await client(functions.help.GetAppUpdateRequest(source=""))
        self.assertIsInstance(asked, types.help.NoAppUpdate)
        self.assertEqual((await invited).message, "True, thread, True")
        never.cancel()
