"""HTTP as the official clients use it, with a session service: its answers, all and in order."""

import time

from gnetway.tl.service_messages import RpcErrorObject
from tests.live import handler
from tests.live.cluster.cluster import ClusterTestCase
from tests.live.cluster.session_service import Told
from tests.live.http_players import DesktopPlayer, PlainPlayer, WebAPlayer
from tests.ports import free_port

#: Answers of 64 KiB each, together more than waits for a session at a time.
MANY = 46
SIZES = [64 * 1024 + 4 * number for number in range(MANY)]
CALLS = [handler.produce(size) for size in SIZES]
RESULTS = [handler.cdn_file(handler.pattern(size)) for size in SIZES]


class HttpTests(ClusterTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.port = free_port()
        gnetway = self.gateway.config["Gnetway"]
        assert isinstance(gnetway, dict)
        gnetway["Server"].append({"Proto": "http", "Addresses": [f"127.0.0.1:{self.port}"]})
        self.gateway.write_config()
        self.start_cluster(1)
        self.talk = self.new_session()

    def web_a(self) -> WebAPlayer:
        player = WebAPlayer(self.port, self.talk)
        self.addCleanup(player.close)
        return player

    def test_many_large_answers_come_all_and_in_order(self) -> None:
        player = PlainPlayer(self.port, self.talk)
        self.addCleanup(player.close)
        for at in range(0, MANY, 23):
            player.ask(*CALLS[at : at + 23])
        player.collect(MANY)
        self.assertEqual(list(player.results.values()), RESULTS)
        self.assertEqual(player.told, sorted(player.told))

    def test_many_large_answers_that_come_when_their_requests_are_over(self) -> None:
        """More requests than may wait: most are answered by nothing before their answers come."""

        def take_time(told: Told) -> None:
            if told.method == "http":
                time.sleep(0.3)

        self.service.verdict = take_time
        player = DesktopPlayer(self.port, self.talk, size=MANY)
        self.addCleanup(player.close)
        asked = [player.ask(call) for call in CALLS]
        for answered in asked:
            answered.result(30)
        while len(player.results) < MANY:
            before = len(player.results)
            player.ask().result(30)
            self.assertGreater(len(player.results), before)
        # By size, which tells which call it was: they came from many threads.
        self.assertEqual(sorted(player.results.values(), key=len), RESULTS)

    def test_web_a_leaves_a_container_at_an_error_and_misses_nothing(self) -> None:
        """The service puts an error where it likes."""
        player = self.web_a()
        calls = [handler.echo(b"...."), CALLS[0], handler.echo(b"...."), CALLS[1], CALLS[2]]
        asked = player.ask(calls)
        player.wait_for(lambda: len(player.results) == len(calls))
        told = [player.results[call] for call in asked]
        self.assertEqual([told[1], told[3], told[4]], RESULTS[:3])
        self.assertEqual([told[0], told[2]], [RpcErrorObject(400, "OOPS")] * 2)

    def test_web_a_pauses_when_there_is_nothing_to_do(self) -> None:
        player = self.web_a()
        player.ask(CALLS[:1])
        player.wait_for(lambda: bool(player.results))
        time.sleep(0.5)
        before = player.requests
        time.sleep(4)
        # A long poll ends after 3 s.
        self.assertLessEqual(player.requests - before, 3)
