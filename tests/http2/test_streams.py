from hypothesis import given
from hypothesis.strategies import binary, integers, lists
from twisted.trial.unittest import SynchronousTestCase

from gnetway.http2.stream import Stream
from tests.http2.wire import message


class StreamTests(SynchronousTestCase):
    @given(
        sent=lists(binary(max_size=40) | binary(min_size=4090, max_size=4110)),
        cut=integers(1, 5000),
    )
    def test_what_waits_leaves_in_order_in_any_portions(self, sent: list[bytes], cut: int) -> None:
        stream = Stream(None, "", unary=False)
        for one in sent:
            stream.enqueue(one)
        self.assertEqual(
            (stream.unsent_messages, stream.unsent_bytes), (len(sent), len(b"".join(sent)))
        )
        out: list[bytes | memoryview] = []
        while stream.pending:
            before = sum(map(len, out))
            taken = stream.take(cut, out)
            self.assertEqual(sum(map(len, out)) - before, taken)
            self.assertTrue(taken == cut or not stream.pending)
        self.assertEqual(b"".join(out), b"".join(map(message, sent)))
        self.assertEqual((stream.unsent_messages, stream.unsent_bytes), (0, 0))

    def test_a_message_counts_until_its_last_byte(self) -> None:
        stream = Stream(None, "", unary=False)
        stream.enqueue(b"12345")
        stream.take(9, [])
        self.assertEqual((stream.unsent_messages, stream.unsent_bytes), (1, 5))
        stream.take(1, [])
        self.assertEqual((stream.unsent_messages, stream.unsent_bytes), (0, 0))

    def test_counters_outlive_a_drop(self) -> None:
        stream = Stream(None, "", unary=False)
        stream.enqueue(b"12345")
        stream.drop()
        self.assertFalse(stream.pending)
        self.assertEqual((stream.unsent_messages, stream.unsent_bytes), (1, 5))

    def test_room(self) -> None:
        stream = Stream(None, "", unary=False)
        stream.room_bytes, stream.room_messages = 5, 1
        stream.enqueue(b"12345")
        self.assertTrue(stream.has_room())
        stream.enqueue(b"")
        self.assertFalse(stream.has_room())
