"""Clients that mean harm, or are merely slow."""

import asyncio
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from unittest import TestCase

from gnetway.testing import ClientLink, Framing, Style, plain_packet
from gnetway.tl.key_exchange import ReqPq
from tests.connection.styles import STYLES
from tests.live.client import LiveClient, now
from tests.live.gateway import Gateway

#: One second until the first message; the deadline may be met two later, and a told client gets
#: three to read its code. The rest is room for a busy machine.
PATIENCE_SECONDS = 15.0

#: Packets too short for anything, or of zeros, or of nonsense.
PACKETS = {
    f"{size} bytes of {name}": byte * size
    for size in (4, 8, 16, 24, 40, 1000)
    for name, byte in (("zeros", b"\0"), ("ones", b"\xff"), ("a letter", b"M"))
}


def length_of_2_31(framing: Framing) -> bytes:
    """Return a head that announces as much as the framing can, 2^31 bytes if possible."""
    if framing is Framing.ABRIDGED:
        return b"\x7f\xff\xff\xff"
    if framing is Framing.FULL:
        return (1 << 31).to_bytes(4, "little") + bytes(4)
    # Bit 31 is the wish for a quick ack.
    return b"\xff\xff\xff\x7f"


def first_bytes(style: Style) -> Iterator[tuple[str, bytes]]:
    """Yield what hostile clients send, and nothing after it."""
    for name, packet in PACKETS.items():
        yield name, ClientLink(style, os.urandom).packet(packet)
    yield "an empty packet", ClientLink(style, os.urandom).packet(b"")
    yield "2^31", ClientLink(style, os.urandom).raw(length_of_2_31(style.framing))
    yield (
        "2^31 and some bytes",
        ClientLink(style, os.urandom).raw(length_of_2_31(style.framing) + b"abcd" * 500),
    )
    query = plain_packet(ReqPq(bytes(16), True).pack(), now())
    for kept in (1, 2, 5, 9, 30):
        whole = ClientLink(style, os.urandom).packet(query)
        yield f"truncated by {kept}", whole[:-kept]
    begin = len(ClientLink(style, os.urandom).raw(b""))
    for kept in {1, 3, begin - 1, begin, begin + 1}:
        yield f"{kept} bytes alone", ClientLink(style, os.urandom).packet(query)[: max(kept, 0)]


def hostile_links() -> Iterator[tuple[str, bytes]]:
    for style in STYLES:
        for name, sent in first_bytes(style):
            yield f"{style}: {name}", sent
    yield "nothing", b""
    for size in (1, 3, 4, 7, 8, 11, 12, 63, 64, 65, 128, 5000):
        yield f"{size} zeros", bytes(size)
        yield f"{size} random bytes", os.urandom(size)
    yield "HTTP", b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n"
    yield "TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(500)


class HostileTests(TestCase):
    gateway: Gateway

    @classmethod
    def setUpClass(cls) -> None:
        cls.gateway = Gateway({"HandshakeSeconds": 1})
        cls.addClassCleanup(cls.gateway.remove)
        cls.gateway.start()

    def tearDown(self) -> None:
        """The process lives, serves others, and has nothing to complain about."""
        self.assertTrue(self.gateway.running)
        with LiveClient(self.gateway) as client:
            client.ping(client.make_key())
        self.assertNotIn("Traceback", self.gateway.log)
        self.assertNotIn("Unhandled", self.gateway.log)

    async def send(self, sent: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.gateway.port)
        writer.write(sent)
        return reader, writer

    def test_no_link_is_left_hanging(self) -> None:
        async def ends(name: str, sent: bytes) -> str | None:
            reader, writer = await self.send(sent)
            try:
                await asyncio.wait_for(reader.read(), PATIENCE_SECONDS)
            except ConnectionResetError:
                return None
            except TimeoutError:
                return name
            finally:
                writer.transport.abort()
            return None

        async def all_end() -> list[str | None]:
            return await asyncio.gather(*(ends(*link) for link in hostile_links()))

        self.assertEqual([name for name in asyncio.run(all_end()) if name], [])

    def test_clients_that_leave_at_once(self) -> None:
        async def leave(sent: bytes, reset: bool) -> None:
            _, writer = await self.send(sent)
            if reset:
                writer.transport.abort()
            else:
                writer.close()
                await writer.wait_closed()

        async def all_leave() -> None:
            links = list(hostile_links())
            await asyncio.gather(*(leave(sent, reset=False) for _, sent in links))
            await asyncio.gather(*(leave(sent, reset=True) for _, sent in links))

        asyncio.run(all_leave())


class SlowClientTests(TestCase):
    def test_one_byte_at_a_time(self) -> None:
        gateway = Gateway()
        self.addCleanup(gateway.remove)
        gateway.start()

        def talk(style: Style) -> None:
            with LiveClient(gateway, style, byte_seconds=0.001) as client:
                client.ping(client.make_key())

        with ThreadPoolExecutor(len(STYLES)) as pool:
            list(pool.map(talk, STYLES))
