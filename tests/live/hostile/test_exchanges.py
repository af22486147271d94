"""Key exchanges and look-ups of keys: room, work and calls that one address wants for itself."""

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from struct import pack, unpack_from
from time import monotonic
from typing import ClassVar
from unittest import TestCase

from gnetway.crypto.auth_key import AuthKey, KeyKind
from gnetway.testing import Bends, ClientExchange, ClientSession, open_plain_packet, plain_packet
from gnetway.tl.key_exchange import ReqPq
from tests.live.apps.gateways import UNARY, AppGateway
from tests.live.client import LinkEnded, LiveClient, now
from tests.live.gateway import Gateway
from tests.live.hostile.addresses import ATTACKER, VICTIM, client_at
from tests.live.web.listeners import dial

#: Runs that the gateway has room for, and how many an attacker begins.
ROOM = 64
BEGUN = 4 * ROOM

#: The answer to resPQ with an RSA block of zeros.
FOR_NOBODY = Bends(req_dh_params=lambda query: replace(query, encrypted_data=bytes(255) + b"\2"))


def req_pq() -> bytes:
    return plain_packet(ReqPq(os.urandom(16), True).pack(), now())


class RoomTests(TestCase):
    """The table of runs is full of an attacker's, and the victim makes a key every time."""

    def setUp(self) -> None:
        self.gateway = Gateway({"MaxExchanges": ROOM})
        self.addCleanup(self.gateway.remove)
        self.gateway.start()
        self.held = ExitStack()
        self.addCleanup(self.held.close)

    def fill(self, *addresses: str) -> None:
        """Begin so many runs in turn from these addresses, a few on each connection."""
        for number in range(BEGUN // 4):
            client = self.held.enter_context(
                client_at(self.gateway, addresses[number % len(addresses)])
            )
            for _ in range(4):
                client.send(req_pq())

    def assert_keys_are_made(self) -> None:
        for _ in range(3):
            with client_at(self.gateway, VICTIM) as client:
                client.ping(client.make_key())

    def test_one_address(self) -> None:
        self.fill(ATTACKER)
        self.assert_keys_are_made()

    def test_a_whole_network(self) -> None:
        """Each of its addresses has one run or two, no more than the victim wants."""
        self.fill(*(f"127.0.7.{number}" for number in range(1, ROOM + 1)))
        self.assert_keys_are_made()


class WorkTests(TestCase):
    """An attacker's work waits for the threads, and the victim's goes in between."""

    CROWD: ClassVar[int] = 150

    def setUp(self) -> None:
        self.gateway = Gateway({"HandshakeThreads": 1, "PreparedExchanges": 0})
        self.addCleanup(self.gateway.remove)
        self.gateway.start()

    def begin(self, client: LiveClient) -> bytes:
        """Return a query for RSA work, whose block is for nobody."""
        exchange = ClientExchange([self.gateway.rsa], os.urandom, bends=FOR_NOBODY)
        client.send(plain_packet(exchange.begin(), now()))
        answer = client.receive()
        assert isinstance(answer, bytes)
        query = exchange.receive(open_plain_packet(answer))
        assert query is not None
        return plain_packet(query, now())

    def test_a_victim_is_not_behind_a_crowd(self) -> None:
        with ExitStack() as held, ThreadPoolExecutor(1) as pool:
            crowd = [
                held.enter_context(client_at(self.gateway, ATTACKER)) for _ in range(self.CROWD)
            ]
            queries = [self.begin(client) for client in crowd]
            victim = held.enter_context(client_at(self.gateway, VICTIM))

            def make_key() -> float:
                victim.make_key()
                return monotonic()

            for client, query in zip(crowd, queries, strict=True):
                client.send(query)
            made = pool.submit(make_key)
            self.assertEqual([client.transport_error() for client in crowd], [-404] * len(crowd))
            crowd_done = monotonic()
            self.assertLess(made.result(), crowd_done)


class UnknownKeyTests(TestCase):
    """Eight random bytes are no call of the session service each."""

    gateway: AppGateway
    BURST: ClassVar[int] = 20

    @classmethod
    def setUpClass(cls) -> None:
        cls.gateway = AppGateway(UNARY)
        cls.addClassCleanup(cls.gateway.remove)
        section = cls.gateway.config["Gnetway"]
        assert isinstance(section, dict)
        section["Admission"] = {"UnknownKeysPerSecond": 1, "UnknownKeyBurst": cls.BURST}
        cls.gateway.write_config()
        cls.gateway.start()

    def queries(self) -> int:
        return sum(heard.method == "query" for heard in self.gateway.service.heard)

    def guess(self, client_ip: str, auth_key_id: bytes) -> int | None:
        """Return the code that a client with this key is told, None for a close without one."""
        with client_at(self.gateway, client_ip) as client:
            client.send(auth_key_id + os.urandom(40))
            try:
                packet = client.receive()
            except LinkEnded:
                return None
            assert isinstance(packet, bytes)
            return int(unpack_from("<i", packet)[0])

    def test_the_same_key_again_and_again(self) -> None:
        before, auth_key_id = self.queries(), os.urandom(8)
        told = [self.guess("127.0.0.4", auth_key_id) for _ in range(40)]
        self.assertEqual((told, self.queries() - before), ([-404] * 40, 1))

    def test_many_keys(self) -> None:
        """Nobody is told a thing about a key that was not asked for, and a stranger is served."""
        perm = self.gateway.service.know(AuthKey(os.urandom(256), KeyKind.PERM))
        before, begun, count = self.queries(), monotonic(), 120
        with ThreadPoolExecutor(count + 1) as pool:
            guesses = [pool.submit(self.guess, ATTACKER, os.urandom(8)) for _ in range(count)]
            with client_at(self.gateway, VICTIM) as client:
                session = ClientSession(perm, 0, os.urandom)
                client.send(session.encrypt(pack("<Iq", 0x7ABE77EC, 1), now()))
                self.assertIsInstance(client.receive(), bytes)
            told = [guess.result() for guess in guesses]
        calls = self.queries() - before - 1
        self.assertEqual(set(told), {-404, None})
        self.assertEqual(told.count(-404), calls)
        self.assertLessEqual(calls, self.BURST + monotonic() - begun + 1)

    def test_over_http(self) -> None:
        """Each guess costs a connection, and those above the rate wait for their turn."""
        before, begun, count = self.queries(), monotonic(), self.BURST + 3
        head = b"POST /api HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n"
        for _ in range(count):
            with dial(self.gateway.port, "127.0.0.5") as connected:
                connected.sendall(head + os.urandom(8))
                answer = b""
                while part := connected.recv(4096):
                    answer += part
            self.assertEqual(answer.split(b" ", 2)[1], b"404")
        calls = self.queries() - before
        self.assertLessEqual(calls, self.BURST + monotonic() - begun + 1)
        self.assertGreater(monotonic() - begun, 1.5)
