"""Client and server joined in memory: nothing is lost, whatever the network cuts."""

from hypothesis import given
from hypothesis.strategies import binary, integers, lists
from twisted.trial.unittest import SynchronousTestCase

from gnetway.http2.stream import MessagesReceived, PeerFinished, StreamEnded
from tests.http2.wire import CALL, MIB, Pair, called, one_by_one


class BothRolesTests(SynchronousTestCase):
    @given(
        sent=lists(binary(max_size=60) | integers(10_000, 200_000).map(bytes), max_size=6),
        cut=integers(1, 40) | integers(1000, 100_000),
    )
    def test_streams_survive_any_split(self, sent: list[bytes], cut: int) -> None:
        pair = Pair(max(cut, sum(map(len, sent)) // 2000))
        stream = pair.open()
        for one in sent:
            pair.client.core.sender.send(stream, one)
        pair.client.core.sender.finish(stream)
        pair.run()
        served, *messages, finished = pair.server_events
        self.assertEqual(
            [
                one
                for event in messages
                if isinstance(event, MessagesReceived)
                for one in event.messages
            ],
            sent,
        )
        self.assertIsInstance(finished, PeerFinished)
        for one in sent:
            pair.server.core.sender.send(served[0], one)  # type: ignore[arg-type]
        pair.server.finish_ok(served[0])  # type: ignore[arg-type]
        pair.run()
        *answers, ended = pair.client_events
        self.assertEqual(
            [
                one
                for event in answers
                if isinstance(event, MessagesReceived)
                for one in event.messages
            ],
            sent,
        )
        self.assertEqual(ended, StreamEnded(stream, 0, ""))
        self.assertTrue(pair.client.empty)
        self.assertEqual(pair.server.core.streams, {})

    @given(
        requests=lists(binary(max_size=60) | integers(60_000, 70_000).map(bytes), max_size=20),
        cut=integers(1, 40) | integers(1000, 100_000),
    )
    def test_calls_survive_any_split(self, requests: list[bytes], cut: int) -> None:
        pair = Pair(max(cut, sum(map(len, requests)) // 2000))
        streams = [pair.open(CALL, 3.5) for _ in requests]
        for stream, request in zip(streams, requests, strict=True):
            pair.client.core.sender.send_last(stream, request)
        pair.run()
        for stream in called(pair.server_events):
            self.assertEqual(stream.head.timeout_seconds, 3.5)
            pair.server.reply(stream, stream.message)
        pair.run()
        self.assertEqual([stream.message for stream in streams], requests)
        ended = {StreamEnded(stream, 0, "") for stream in streams}
        self.assertEqual(
            set(one_by_one(pair.client_events)), ended
        )  # small ones overtake large ones
        self.assertEqual(pair.server.core.streams, {})

    def test_many_calls_through_a_small_window(self) -> None:
        """Many more at once than the windows take; all are answered."""
        pair = Pair()
        pair.run()
        streams = [pair.open(CALL) for _ in range(900)]
        for stream in streams:
            pair.client.core.sender.send_last(stream, bytes(5000))
        pair.run()
        for stream in called(pair.server_events):
            pair.server.reply(stream, bytes(40_000))
        pair.run()
        self.assertEqual({len(stream.message) for stream in streams}, {40_000})

    def test_a_large_message(self) -> None:
        pair = Pair(65_536, 64 * MIB)
        stream = pair.open(CALL)
        pair.client.core.sender.send_last(stream, bytes(range(256)) * (40 * MIB // 256))
        pair.run()
        (received,) = called(pair.server_events)
        self.assertEqual(received.message, bytes(range(256)) * (40 * MIB // 256))
