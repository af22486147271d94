"""Web clients that cost more than they bring, beside one that pings from another address."""

import contextlib
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Thread
from unittest import TestCase

from gnetway.testing import ClientSession
from gnetway.tl.primitives import pack_uint32
from gnetway.tl.service_messages import MsgsAck
from tests.live.client import LiveClient, now
from tests.live.gateway import PATIENCE_SECONDS, until
from tests.live.hostile.addresses import ATTACKER, Victim
from tests.live.http_players import make_session
from tests.live.proc import cpu_seconds, memory_bytes
from tests.live.web.listeners import ListenerGateway, WebSocketStream, dial
from tests.live.web.who import WHO, who_am_i

MIB = 1 << 20

#: The mask of a frame.
MASK = b"\x01\x02\x03\x04"


class HostileCase(TestCase):
    gateway: ListenerGateway

    @classmethod
    def setUpClass(cls) -> None:
        trusted: dict[str, object] = {"TrustedProxies": ["127.0.0.5"]}
        cls.gateway = ListenerGateway(
            {
                "websocket": {"Proto": "websocket", **trusted},
                "http": {"Proto": "http", **trusted},
                "auto": {"Proto": "auto"},
            }
        )
        cls.addClassCleanup(cls.gateway.remove)
        cls.gateway.start()

    def tearDown(self) -> None:
        self.assertTrue(self.gateway.running)
        self.assertNotIn("Traceback", self.gateway.log)

    def dial(self, name: str, source: str = ATTACKER) -> socket.socket:
        return dial(self.gateway.ports[name], source)

    def assert_at_rest(self) -> None:
        """Nothing runs on: one second without more than a few timers."""
        pid = self.gateway.pid

        def rests() -> bool:
            before = cpu_seconds(pid)
            time.sleep(1)
            return cpu_seconds(pid) - before < 0.2

        until(rests, "at rest", 5)


def pour(connected: socket.socket, data: bytes, times: int) -> int:
    """Send ``data`` so many times, or until the other end has had enough; returns how often."""
    for sent in range(times):
        try:
            connected.sendall(data)
        except OSError:
            return sent
    return times


def rest(connected: socket.socket) -> bytes:
    """Return all that comes until the connection ends."""
    data = b""
    with contextlib.suppress(ConnectionError):
        while part := connected.recv(1 << 16):
            data += part
    return data


class WebSocketTests(HostileCase):
    def test_heads_without_an_end(self) -> None:
        """16 of 8 MiB: each is refused at 16 KiB, and nothing of them stays."""
        for name in ("websocket", "auto"):
            before, used = memory_bytes(self.gateway.pid), cpu_seconds(self.gateway.pid)
            links = [self.dial(name) for _ in range(16)]
            for link in links:
                link.sendall(b"GET /apiws HTTP/1.1\r\nX: ")

            def pour_head(link: socket.socket) -> int:
                with link:
                    sent = pour(link, b"a" * MIB, 8)
                    rest(link)
                    return sent

            with ThreadPoolExecutor(16) as pool:
                sent = list(pool.map(pour_head, links))
            if name == "websocket":
                # The other throws away what still comes, so that its answer is read.
                self.assertLess(max(sent), 8)
            self.assertLess(memory_bytes(self.gateway.pid) - before, 16 * MIB)
            self.assertLess(cpu_seconds(self.gateway.pid) - used, 2)

    def frames(self, frame: bytes, message: bytes = b"") -> tuple[int, bool]:
        """Send a flood on one connection; returns its close code and whether it was cut off."""
        with self.dial("websocket") as link:
            stream = WebSocketStream(link)
            sent = pour(link, message + frame * (MIB // len(frame)), 16)
            with contextlib.suppress(ConnectionError):
                while stream.recv(1):
                    pass
            return stream.close_code, sent < 16

    def test_messages_in_small_fragments(self) -> None:
        """Six connections: closed soon, others served meanwhile, and nothing runs on."""
        first = b"\x02\x80" + MASK
        for name, frame, message in (
            ("empty fragments", b"\x00\x80" + MASK, first),
            ("fragments of one byte", b"\x00\x81" + MASK + b"\x11", first),
            ("empty messages", b"\x82\x80" + MASK, b""),
            ("pings", b"\x89\x80" + MASK, b""),
            ("pongs", b"\x8a\x85" + MASK + b"hello", b""),
        ):
            with self.subTest(name), Victim(self.gateway) as victim:
                victim.await_pongs(10)
                with ThreadPoolExecutor(6) as pool:
                    floods = [pool.submit(self.frames, frame, message) for _ in range(6)]
                    ended = [flood.result(PATIENCE_SECONDS) for flood in floods]
                self.assertEqual([cut for _, cut in ended], [True] * 6)
                victim.await_pongs(10)
        self.assert_at_rest()

    def test_a_flood_costs_little(self) -> None:
        """16 MiB of empty fragments are almost three million frames: 5,500 of them are read."""
        used = cpu_seconds(self.gateway.pid)
        for _ in range(6):
            self.frames(b"\x00\x80" + MASK, b"\x02\x80" + MASK)
        self.assertLess(cpu_seconds(self.gateway.pid) - used, 3)

    def test_who_is_behind_a_balancer(self) -> None:
        for source, known in (("127.0.0.5", "192.0.2.7"), (ATTACKER, ATTACKER)):
            link = self.dial("websocket", source)
            stream = WebSocketStream(ForwardedStream(link, "1.2.3.4, 192.0.2.7"))
            with LiveClient(self.gateway, over=stream) as client:
                self.assertEqual(who_am_i(client, client.make_key()), known)


class ForwardedStream:
    """Adds a field to the head of a request."""

    def __init__(self, under: socket.socket, value: str) -> None:
        self._under = under
        self._field: str | None = f"X-Forwarded-For: {value}\r\n"

    def sendall(self, data: bytes, /) -> None:
        if self._field is not None:
            line, _, fields = data.partition(b"\r\n")
            data, self._field = line + b"\r\n" + self._field.encode() + fields, None
        self._under.sendall(data)

    def recv(self, size: int, /) -> bytes:
        return self._under.recv(size)

    def settimeout(self, seconds: float, /) -> None:
        self._under.settimeout(seconds)

    def close(self) -> None:
        self._under.close()


class HttpTests(HostileCase):
    def session(self) -> ClientSession:
        return make_session(self.gateway.ports["http"], self.gateway.rsa)

    def head(self, *fields: str) -> bytes:
        return "\r\n".join(("POST /apiw1 HTTP/1.1", "Host: x", *fields, "", "")).encode()

    def test_requests_in_a_row(self) -> None:
        """10,000 on one connection: all are answered, and others meanwhile."""
        with Victim(self.gateway) as victim, self.dial("http") as link:
            victim.await_pongs(10)
            before = victim.pongs
            sender = Thread(target=pour, args=(link, b"GET / HTTP/1.1\r\n\r\n" * 10_000, 1))
            sender.start()
            got = 0
            while got < 10_000:
                data = link.recv(1 << 20)
                self.assertTrue(data)
                got += data.count(b"HTTP/1.1 404 ")
            # With all that one read brings in a turn it would be four.
            self.assertGreater(victim.pongs - before, 100)
            sender.join()

    def test_chunks_of_two_bytes(self) -> None:
        session = self.session()
        body = session.encrypt(MsgsAck(list(range(1 << 17))).pack(), now(), False)
        chunks = b"".join(b"2\r\n%b\r\n" % body[at : at + 2] for at in range(0, len(body), 2))
        before, used = memory_bytes(self.gateway.pid), cpu_seconds(self.gateway.pid)
        for _ in range(10):
            with self.dial("http") as link:
                link.sendall(self.head("Transfer-Encoding: chunked"))
                pour(link, chunks, 1)
                with contextlib.suppress(OSError):
                    link.shutdown(socket.SHUT_WR)
                self.assertIn(rest(link)[:13], (b"HTTP/1.1 400 ", b""))
        self.assertLess(memory_bytes(self.gateway.pid) - before, 16 * MIB)
        self.assertLess(cpu_seconds(self.gateway.pid) - used, 2)

    def test_names_of_fields(self) -> None:
        """twisted.web would keep each: 2,000 of 8 KiB, twice."""
        before = memory_bytes(self.gateway.pid)
        for number in range(2000):
            with self.dial("http") as link:
                link.sendall(self.head(f"{'n' * 8000}{number}: x"))
                self.assertTrue(rest(link).startswith(b"HTTP/1.1 400 "))
        self.assertLess(memory_bytes(self.gateway.pid) - before, 8 * MIB)

    def test_an_unknown_key_closes(self) -> None:
        with self.dial("http") as link:
            link.sendall(self.head("Content-Length: 64") + os.urandom(64))
            answer = rest(link)
        self.assertTrue(answer.startswith(b"HTTP/1.1 404 "))
        self.assertTrue(answer.endswith(b"\x6c\xfe\xff\xff"))

    def test_who_is_behind_a_balancer(self) -> None:
        session = self.session()
        for source, known in (("127.0.0.5", b"192.0.2.7"), (ATTACKER, ATTACKER.encode())):
            with self.dial("http", source) as link:
                body = session.encrypt(pack_uint32(WHO), now())
                fields = f"Content-Length: {len(body)}", "X-Forwarded-For: 1.2.3.4, 192.0.2.7"
                link.sendall(self.head(*fields, "Connection: close") + body)
                answer = rest(link)
            self.assertTrue(answer.startswith(b"HTTP/1.1 200 "), answer[:50])
            said = session.decrypt(answer.partition(b"\r\n\r\n")[2]).body
            self.assertIn(known, said)
