"""What a framing tells of the packet that it waits for."""

from hypothesis import given
from hypothesis.strategies import integers, lists, sampled_from
from twisted.trial.unittest import SynchronousTestCase

from gnetway.codec.framings import HttpBodyCodec
from gnetway.testing import Framing
from tests.codec.client import feed, make_codec, packets
from tests.strategies import cut


class UnfinishedTests(SynchronousTestCase):
    @given(
        framing=sampled_from(Framing),
        sizes=lists(integers(1, 700).map(lambda words: 4 * words), max_size=3),
        last=integers(40, 700).map(lambda words: 4 * words),
        here=integers(0, 150),
        cuts=lists(integers(1, 900), min_size=1, max_size=5),
    )
    def test_as_much_as_is_here_of_as_much_as_it_has(
        self, framing: Framing, sizes: list[int], last: int, here: int, cuts: list[int]
    ) -> None:
        before = packets(framing, [(bytes(size), False) for size in sizes])
        sent = [(bytes(size), False) for size in [*sizes, last]]
        wire = packets(framing, sent)[: len(before) + here]
        codec = make_codec(framing)
        feed(codec, cut(wire, cuts))
        size = len(packets(framing, sent)) - len(before)
        self.assertEqual(codec.buffered != b"", here > 0)
        self.assertIn(codec.unfinished(), [(here, size), (here, 0)] if here < 8 else [(here, size)])

    def test_body(self) -> None:
        codec = HttpBodyCodec(1000, 100)
        self.assertEqual(codec.unfinished(), (0, 100))
        codec.receive(bytes(30))
        self.assertEqual(codec.unfinished(), (30, 100))
