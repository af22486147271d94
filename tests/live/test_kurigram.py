"""Kurigram, unmodified, over each of its transports."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from unittest import TestCase

from pyrogram import Client
from pyrogram.raw.functions.help.get_config import GetConfig
from pyrogram.raw.functions.ping import Ping
from pyrogram.raw.types.pong import Pong

from tests.live import handler
from tests.live.gateway import PATIENCE_SECONDS, Gateway
from tests.live.kurigram_client import TRANSPORTS, RawRequest, fast_ciphers, make_client

MIB = 1 << 20

Talk = Callable[[Client], Awaitable[None]]


async def ping(client: Client, ping_id: int) -> None:
    pong = await client.invoke(Ping(ping_id=ping_id))
    assert isinstance(pong, Pong)
    assert pong.ping_id == ping_id


class KurigramTests(TestCase):
    gateway: Gateway

    @classmethod
    def setUpClass(cls) -> None:
        cls.gateway = Gateway()
        cls.addClassCleanup(cls.gateway.remove)
        cls.gateway.start()

    def over_each(self, talk: Talk) -> None:
        for transport in TRANSPORTS:
            with self.subTest(transport):
                asyncio.run(self.connected(transport, talk))

    async def connected(self, transport: str, talk: Talk) -> None:
        client = make_client(self.gateway, transport)
        await client.connect()
        try:
            await asyncio.wait_for(talk(client), PATIENCE_SECONDS)
        finally:
            await client.disconnect()

    def test_config_and_pings(self) -> None:
        async def talk(client: Client) -> None:
            config = await client.invoke(GetConfig())
            places = {(option.ip_address, option.port) for option in config.dc_options}
            self.assertIn(("127.0.0.1", self.gateway.port), places)
            await asyncio.gather(*(ping(client, ping_id) for ping_id in range(1, 51)))

        self.over_each(talk)

    def test_one_mebibyte_each_way(self) -> None:
        async def talk(client: Client) -> None:
            payload = os.urandom(MIB)
            echoed = await client.invoke(RawRequest(handler.echo(payload)))
            self.assertEqual(echoed.bytes, payload)
            made = await client.invoke(RawRequest(handler.produce(MIB)))
            self.assertEqual(made.bytes, handler.pattern(MIB))

        with fast_ciphers():
            self.over_each(talk)
