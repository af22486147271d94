"""Telethon over HTTP: several requests on their way at once, and a long poll."""

import asyncio
import os
from asyncio import StreamReader
from collections.abc import Awaitable, Callable
from http.client import HTTPConnection
from io import BytesIO

from telethon import TelegramClient, functions, types
from telethon.network import ConnectionHttp
from telethon.network.connection.http import HttpPacketCodec
from telethon.network.mtprotostate import MTProtoState
from telethon.tl.core import MessageContainer

from tests.live import handler
from tests.live.gateway import PATIENCE_SECONDS
from tests.live.telethon_client import RawRequest, make_client_over, session_for
from tests.live.web.gateway import WebCase, notification

#: Below 1 MiB, Telethon's own bound.
LARGE_BYTES = 1_000_000

NEWS = "Lunch is ready"

#: http_wait: no delay, and at most 10 s for something to say.
LONG_POLL = bytes(types.HttpWait(max_delay=0, wait_after=0, max_wait=10_000))


class RepairedCodec(HttpPacketCodec):  # type: ignore[misc]
    async def read_packet(self, reader: StreamReader) -> bytes:
        """Read an answer: Telethon 1.45 itself compares a byte with bytes, and so gets none."""
        length = 0
        while line := await reader.readuntil(b"\r\n"):
            if line.lower().startswith(b"content-length: "):
                length = int(line[16:])
            elif line == b"\r\n":
                break
        return await reader.readexactly(length)


class RepairedHttp(ConnectionHttp):  # type: ignore[misc]
    packet_codec = RepairedCodec


class TelethonHttpTests(WebCase):
    def connected(self, talk: Callable[[TelegramClient], Awaitable[None]]) -> None:
        async def run() -> None:
            session = session_for(self.gateway)
            session.set_dc(2, "127.0.0.1", self.gateway.ports["http"])
            client = make_client_over(RepairedHttp, session)
            await client.connect()
            try:
                await asyncio.wait_for(talk(client), PATIENCE_SECONDS)
            finally:
                await client.disconnect()

        asyncio.run(run())

    def test_config_and_pings(self) -> None:
        async def talk(client: TelegramClient) -> None:
            config = await client(functions.help.GetConfigRequest())
            places = {(option.ip_address, option.port) for option in config.dc_options}
            self.assertEqual({f"{host}:{port}" for host, port in places}, {self.gateway.native})
            pings = [client(functions.PingRequest(ping_id)) for ping_id in range(1, 21)]
            pongs = await asyncio.gather(*pings)
            self.assertEqual([pong.ping_id for pong in pongs], list(range(1, 21)))

        self.connected(talk)

    def test_one_megabyte_each_way(self) -> None:
        async def talk(client: TelegramClient) -> None:
            payload = os.urandom(LARGE_BYTES)
            echoed = await client(RawRequest(handler.echo(payload)))
            self.assertEqual(echoed.bytes, payload)

        self.connected(talk)

    def test_push_by_a_long_poll(self) -> None:
        """The poll waits on a connection of its own, as pushes would wait behind it otherwise."""

        async def talk(client: TelegramClient) -> None:
            state = client._sender._state
            message = BytesIO()
            state.write_data_as_message(message, LONG_POLL, content_related=False)
            packet = state.encrypt_message_data(message.getvalue())
            poll = asyncio.create_task(asyncio.to_thread(self.post, packet))
            await asyncio.sleep(0.5)
            self.assertFalse(poll.done())
            # By another session: what a call brings comes in the answer to its own request.
            other = MTProtoState(state.auth_key, client._log)
            other.salt = state.salt
            message = BytesIO()
            call = RawRequest(handler.tell_session(state.id, notification(NEWS)))
            other.write_data_as_message(message, bytes(call), content_related=True)
            await asyncio.to_thread(self.post, other.encrypt_message_data(message.getvalue()))
            answer = state.decrypt_message_data(await poll)
            container = answer.obj
            said = container.messages if isinstance(container, MessageContainer) else [answer]
            pushed = [one.obj for one in said if isinstance(one.obj, types.UpdateShort)]
            self.assertEqual([push.update.message for push in pushed], [NEWS])

        self.connected(talk)

    def post(self, packet: bytes) -> bytes:
        """Return the answer to a packet."""
        connection = HTTPConnection("127.0.0.1", self.gateway.ports["http"], PATIENCE_SECONDS)
        connection.request("POST", "/api", packet)
        answer = connection.getresponse().read()
        connection.close()
        return answer
