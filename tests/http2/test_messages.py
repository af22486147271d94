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
            got += joiner.feed(b"junk" + wire, start + 4, min(start + cut, len(wire)) + 4)[0]
        self.assertEqual(got, sent)
        self.assertTrue(joiner.idle)

    def test_large_parts(self) -> None:
        sent, joiner, got = bytes(range(256)) * 400, MessageJoiner(1 << 20), []
        wire = message(sent)
        for start in range(0, len(wire), 16_384):
            got += joiner.feed(wire, start, min(start + 16_384, len(wire)))[0]
            self.assertEqual(joiner.idle, bool(got))
        self.assertEqual(got, [sent])

    def test_too_large(self) -> None:
        self.assertEqual(MessageJoiner(4).feed(message(b"1234"), 0, 9), ([b"1234"], 0))
        fault = self.assertRaises(MessageFault, MessageJoiner(4).feed, message(b"12345"), 0, 5)
        self.assertEqual(fault.status, 8)

    def test_compressed(self) -> None:
        fault = self.assertRaises(MessageFault, MessageJoiner(4).feed, b"\x01\0\0\0\x01a", 0, 6)
        self.assertEqual(fault.status, 13)

    def test_very_many_messages(self) -> None:
        """They are given in parts, so that one frame does not take a whole turn."""
        wire, joiner, got = message(b"x") * 2000, MessageJoiner(4), 0
        start, calls = 0, 0
        while start < len(wire):
            messages, left = joiner.feed(wire, start, len(wire))
            self.assertLessEqual(len(messages), 512)
            start, got, calls = len(wire) - left, got + len(messages), calls + 1
        self.assertEqual((got, calls, joiner.idle), (2000, 4, True))


class HeldTests(SynchronousTestCase):
    """What a joiner keeps in memory is what it counts."""

    def setUp(self) -> None:
        self.joiner = MessageJoiner(1 << 20)
        self.joiner.feed(message(bytes(900_000))[:5], 0, 5)

    def kept(self) -> int:
        """Return the bytes of all objects behind the parts."""
        sizes: dict[int, int] = {}
        for part in self.joiner._parts:
            whole = part.obj if isinstance(part, memoryview) else part
            assert isinstance(whole, bytes)
            sizes[id(whole)] = len(whole)
        return sum(sizes.values())

    def test_all_of_a_read(self) -> None:
        for _ in range(3):
            read = bytes(65_536)
            for start in range(0, len(read), 16_384):
                self.joiner.feed(read, start, start + 16_384)
            self.assertEqual(self.joiner.held_bytes, self.kept())
        self.assertEqual(self.kept(), 3 * 65_536)
        self.assertTrue(all(isinstance(part, memoryview) for part in self.joiner._parts if part))

    def test_little_of_each_read(self) -> None:
        """Only the last read is kept whole."""
        for count in range(1, 11):
            self.joiner.feed(bytes(65_536), 100, 5_100)
            self.assertEqual(self.joiner.held_bytes, (count - 1) * 5_000 + 65_536)
            self.assertEqual(self.joiner.held_bytes, self.kept())

    def test_small_parts(self) -> None:
        self.joiner.feed(bytes(65_536), 100, 1_100)
        self.assertEqual((self.joiner.held_bytes, self.kept()), (1_000, 1_000))

    def test_nothing_is_held_of_a_whole_message(self) -> None:
        joiner = MessageJoiner(1 << 20)
        wire = message(bytes(50_000))
        joiner.feed(wire, 0, 20_000)
        self.assertEqual(joiner.feed(wire, 20_000, len(wire)), ([bytes(50_000)], 0))
        self.assertEqual(joiner.held_bytes, 0)
