from hypothesis import given
from hypothesis.strategies import binary, integers, lists
from twisted.trial.unittest import SynchronousTestCase

from gnetway.http2.messages import MessageFault, MessageJoiner
from tests.http2.wire import message


class MessageJoinerTests(SynchronousTestCase):
    @given(sent=lists(binary(max_size=40), max_size=8), cut=integers(1, 60))
    def test_messages_survive_any_split(self, sent: list[bytes], cut: int) -> None:
        wire, joiner, got = b"".join(map(message, sent)), MessageJoiner(40), []
        for start in range(0, len(wire), cut):
            got += joiner.feed(b"junk" + wire, start + 4, min(start + cut, len(wire)) + 4)
        self.assertEqual(got, sent)
        self.assertTrue(joiner.idle)

    def test_large_parts(self) -> None:
        sent, joiner, got = bytes(range(256)) * 400, MessageJoiner(1 << 20), []
        wire = message(sent)
        for start in range(0, len(wire), 16_384):
            got += joiner.feed(wire, start, min(start + 16_384, len(wire)))
            self.assertEqual(joiner.idle, bool(got))
        self.assertEqual(got, [sent])

    def test_too_large(self) -> None:
        self.assertEqual(MessageJoiner(4).feed(message(b"1234"), 0, 9), [b"1234"])
        fault = self.assertRaises(MessageFault, MessageJoiner(4).feed, message(b"12345"), 0, 5)
        self.assertEqual(fault.status, 8)

    def test_compressed(self) -> None:
        fault = self.assertRaises(MessageFault, MessageJoiner(4).feed, b"\x01\0\0\0\x01a", 0, 6)
        self.assertEqual(fault.status, 13)
