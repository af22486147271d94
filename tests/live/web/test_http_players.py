"""HTTP as the official clients use it, at the embedded backend."""

import time
from socket import SHUT_WR
from unittest import TestCase

from gnetway.errors import TransportErrorCode
from gnetway.tl.service_messages import RpcErrorObject
from tests.live import handler
from tests.live.gateway import HANDLER
from tests.live.http_players import (
    POOL_SIZE,
    DesktopPlayer,
    PlainPlayer,
    RefusedStatus,
    WebAPlayer,
    make_session,
    post,
)
from tests.live.web.listeners import ListenerGateway, dial

#: Answers of 64 KiB each, together more than waits for a session at a time.
MANY = 46
SIZES = [64 * 1024 + 4 * number for number in range(MANY)]
CALLS = [handler.produce(size) for size in SIZES]

#: A call that nobody serves.
UNKNOWN = handler.produce(1).replace(handler.produce(1)[:4], b"\x01\x02\x03\x04")


class PlayerTests(TestCase):
    gateway: ListenerGateway
    port: int

    @classmethod
    def setUpClass(cls) -> None:
        cls.gateway = ListenerGateway({"http": {"Proto": "http"}}, handler=HANDLER)
        cls.addClassCleanup(cls.gateway.remove)
        cls.gateway.start()
        cls.port = cls.gateway.ports["http"]

    def setUp(self) -> None:
        self.session = make_session(self.port, self.gateway.rsa)

    def web_a(self) -> WebAPlayer:
        player = WebAPlayer(self.port, self.session)
        self.addCleanup(player.close)
        return player

    def desktop(self) -> DesktopPlayer:
        player = DesktopPlayer(self.port, self.session)
        self.addCleanup(player.close)
        return player

    def assert_all_results(self, results: list[object]) -> None:
        self.assertEqual(results, [handler.cdn_file(handler.pattern(size)) for size in SIZES])

    def test_many_large_answers_come_all_and_in_order(self) -> None:
        player = PlainPlayer(self.port, self.session)
        self.addCleanup(player.close)
        asked = player.ask(*CALLS)
        player.collect(MANY)
        self.assertEqual(list(player.results), asked)
        self.assert_all_results(list(player.results.values()))
        self.assertEqual(player.told, sorted(player.told))

    def test_many_large_answers_for_web_a(self) -> None:
        player = self.web_a()
        asked = player.ask(CALLS)
        player.wait_for(lambda: len(player.results) == MANY)
        self.assert_all_results([player.results[call] for call in asked])

    def test_many_large_answers_for_desktop(self) -> None:
        player = self.desktop()
        for call in CALLS:
            player.ask(call)
        player.wait_for(lambda: len(player.results) == MANY)
        results = {player.sent[msg_id]: result for msg_id, result in player.results.items()}
        self.assert_all_results([results[call] for call in CALLS])

    def test_web_a_leaves_a_container_at_an_error_and_misses_nothing(self) -> None:
        player = self.web_a()
        calls = [UNKNOWN, handler.echo(b"one!"), UNKNOWN, UNKNOWN, handler.echo(b"two!")]
        asked = player.ask(calls)
        player.wait_for(lambda: len(player.results) == len(calls))
        error = RpcErrorObject(401, "AUTH_KEY_UNREGISTERED")
        one, two = handler.cdn_file(b"one!"), handler.cdn_file(b"two!")
        self.assertEqual([player.results[call] for call in asked], [error, one, error, error, two])

    def test_web_a_pauses_when_there_is_nothing_to_do(self) -> None:
        player = self.web_a()
        player.ask([handler.echo(b"....")])
        player.wait_for(lambda: bool(player.results))
        time.sleep(0.5)
        before = player.requests
        time.sleep(4)
        # A long poll ends after 3 s.
        self.assertLessEqual(player.requests - before, 3)

    def test_a_push_comes_while_web_a_waits(self) -> None:
        player = self.web_a()
        player.ask([handler.push(b"news")])
        player.wait_for(lambda: len(player.told) >= 3)

    def test_desktop_always_finds_a_free_connection(self) -> None:
        player = self.desktop()
        player.ask(handler.echo(b"....")).result()
        polls = [player.ask() for _ in range(POOL_SIZE)]
        begun = time.monotonic()
        player.ask(handler.echo(b"call")).result(10)
        self.assertLess(time.monotonic() - begun, 5)
        self.assertEqual(len(player.results), 2)
        self.assertGreaterEqual(sum(not poll.done() for poll in polls), 3)

    def test_a_transport_error_has_a_body(self) -> None:
        player = PlainPlayer(self.port, self.session)
        self.addCleanup(player.close)
        packet, _ = player.packet((handler.echo(b"...."), True))
        link = player.link()
        self.addCleanup(link.close)
        with self.assertRaises(RefusedStatus) as refused:
            post(link, bytes(7) + b"\x01" + packet[8:])
        code = TransportErrorCode.KEY_UNKNOWN
        self.assertEqual(refused.exception.args, (404, code.to_bytes(4, "little", signed=True)))

    def test_a_client_that_closes_its_own_side_reads_its_answers(self) -> None:
        player = PlainPlayer(self.port, self.session)
        self.addCleanup(player.close)
        bodies = [player.packet((handler.echo(text), True))[0] for text in (b"one!", b"two!")]
        with dial(self.port) as connected:
            for body in bodies:
                head = f"POST /apiw1 HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
                connected.sendall(head.encode() + body)
            connected.shutdown(SHUT_WR)
            with connected.makefile("rb") as answers:
                got = answers.read()
        self.assertEqual(got.count(b"HTTP/1.1 200 OK\r\n"), 2)
