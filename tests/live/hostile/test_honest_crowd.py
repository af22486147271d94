"""A thousand honest clients behind one address, as behind carrier-grade NAT."""

import asyncio
import os
import time
from unittest import TestCase

from gnetway.testing import ClientLink, ClientSession
from gnetway.tl.service_messages import Ping
from tests.live.client import OBFUSCATED_INTERMEDIATE, LiveClient, now
from tests.live.gateway import Gateway

CLIENTS = 1000

#: What may pass until the last of them is served again, and until a test gives up.
BACK_WITHIN_SECONDS = 10.0
PATIENCE_SECONDS = 120.0

ADDRESS = "127.0.0.4"


class HonestCrowdTests(TestCase):
    def test_all_are_back_after_a_restart(self) -> None:
        """With the default limits, all at once, each with one connection and a key it has."""
        gateway = Gateway()
        self.addCleanup(gateway.remove)
        gateway.start()
        with LiveClient(gateway) as client:
            keys = [client.make_key() for _ in range(10)]
        gateway.stop()
        gateway.start()
        began = time.monotonic()
        last = asyncio.run(self.come_back(gateway, keys))
        self.assertLess(last - began, BACK_WITHIN_SECONDS)
        self.assertNotIn("refused", gateway.log)

    async def come_back(self, gateway: Gateway, keys: list[ClientSession]) -> float:
        """Return when the last one has its answer."""
        each_with_its_session = [
            ClientSession(known.key, known.salt, os.urandom)
            for known in keys
            for _ in range(CLIENTS // len(keys))
        ]
        async with asyncio.timeout(PATIENCE_SECONDS):
            coming = (self.one(gateway, session) for session in each_with_its_session)
            return max(await asyncio.gather(*coming))

    async def one(self, gateway: Gateway, session: ClientSession) -> float:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", gateway.port, local_addr=(ADDRESS, 0)
        )
        end = ClientLink(OBFUSCATED_INTERMEDIATE, os.urandom)
        writer.write(end.packet(session.encrypt(Ping(1).pack(), now())))
        data = await reader.read(1 << 16)
        answered = time.monotonic()
        self.assertTrue(end.receive(data), "an answer, not an end")
        writer.close()
        return answered
