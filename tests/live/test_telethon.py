"""Telethon, unmodified, over each of its transports."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from unittest import TestCase

from telethon import TelegramClient, functions, types
from telethon.crypto import AuthKey
from telethon.errors import AuthKeyNotFound, AuthKeyUnregisteredError

from tests.live import handler
from tests.live.gateway import PATIENCE_SECONDS, Gateway
from tests.live.telethon_client import (
    TRANSPORTS,
    RawRequest,
    large_messages,
    make_client,
    session_for,
)

MIB = 1 << 20

Talk = Callable[[TelegramClient], Awaitable[None]]


async def ping(client: TelegramClient, ping_id: int) -> None:
    pong = await client(functions.PingRequest(ping_id))
    assert isinstance(pong, types.Pong)
    assert pong.ping_id == ping_id


class TelethonTests(TestCase):
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
        client = make_client(session_for(self.gateway), transport)
        await client.connect()
        try:
            await asyncio.wait_for(talk(client), PATIENCE_SECONDS)
        finally:
            await client.disconnect()

    def test_config_and_pings(self) -> None:
        async def talk(client: TelegramClient) -> None:
            config = await client(functions.help.GetConfigRequest())
            places = {(option.ip_address, option.port) for option in config.dc_options}
            self.assertIn(("127.0.0.1", self.gateway.port), places)
            await asyncio.gather(*(ping(client, ping_id) for ping_id in range(1, 51)))

        self.over_each(talk)

    def test_one_mebibyte_each_way(self) -> None:
        async def talk(client: TelegramClient) -> None:
            payload = os.urandom(MIB)
            echoed = await client(RawRequest(handler.echo(payload)))
            self.assertEqual(echoed.bytes, payload)
            made = await client(RawRequest(handler.produce(MIB)))
            self.assertEqual(made.bytes, handler.pattern(MIB))

        with large_messages():
            self.over_each(talk)

    def test_a_call_that_needs_a_login(self) -> None:
        """Without a handler of its own, a gateway tells clients to log in."""
        gateway = Gateway(handler=None)
        self.addCleanup(gateway.remove)
        gateway.start()

        async def talk() -> None:
            client = make_client(session_for(gateway))
            await client.connect()
            try:
                with self.assertRaises(AuthKeyUnregisteredError):
                    await client(functions.updates.GetStateRequest())
            finally:
                await client.disconnect()

        asyncio.run(talk())

    def test_an_unknown_key(self) -> None:
        """Telethon learns that its key is of no use, and stops."""

        async def talk() -> None:
            session = session_for(self.gateway)
            session.auth_key = AuthKey(os.urandom(256))
            client = make_client(session)
            with self.assertRaises((AuthKeyNotFound, ConnectionError)):
                await asyncio.wait_for(client.connect(), PATIENCE_SECONDS)
            with self.assertRaises(AuthKeyNotFound):
                await client.disconnected

        asyncio.run(talk())

    def test_a_key_outlives_the_gateway(self) -> None:
        """Telethon comes back by itself, with the key that it has."""

        async def talk() -> None:
            session = session_for(self.gateway)
            client = make_client(session, connection_retries=60)
            await client.connect()
            key = session.auth_key.key
            await asyncio.to_thread(self.gateway.stop)
            await asyncio.to_thread(self.gateway.start)
            await asyncio.wait_for(ping(client, 1), PATIENCE_SECONDS)
            self.assertEqual(session.auth_key.key, key)
            await client.disconnect()
            again = make_client(session)
            await again.connect()
            await ping(again, 2)
            self.assertEqual(session.auth_key.key, key)
            await again.disconnect()

        asyncio.run(talk())
