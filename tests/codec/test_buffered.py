"""What all four framings owe: any split, bounds, and what they tell while waiting."""

import tracemalloc
from itertools import zip_longest

from hypothesis import given
from hypothesis.strategies import booleans, integers, lists, sampled_from
from twisted.trial.unittest import SynchronousTestCase

from gnetway.codec.framings import IntermediateCodec
from gnetway.codec.packet import BufferedCodec, Codec
from gnetway.errors import FramingError, PacketTooLarge
from gnetway.testing import Framing
from gnetway.testing.link import full, intermediate
from tests.codec.client import Requests, drain, expected, feed, make_codec, packets
from tests.strategies import cut, cuts, payloads, requests

framings = sampled_from(Framing)

#: Bytes of length and sequence number in front of a short payload.
HEAD_BYTES = {
    Framing.ABRIDGED: 1,
    Framing.INTERMEDIATE: 4,
    Framing.PADDED: 4,
    Framing.FULL: 8,
}


class AnySplitTests(SynchronousTestCase):
    """Where the network cuts the stream, and when packets are asked for, changes nothing."""

    @given(framing=framings, sent=requests(), sizes=cuts())
    def test_packets_survive_any_split(
        self, framing: Framing, sent: Requests, sizes: list[int]
    ) -> None:
        codec = make_codec(framing)
        got = feed(codec, cut(packets(framing, sent), sizes))
        self.assertEqual(got, expected(framing, sent))
        self.assertIsNone(codec.announced())

    @given(framing=framings, sent=requests(3))
    def test_packets_survive_single_bytes(self, framing: Framing, sent: Requests) -> None:
        codec = make_codec(framing)
        self.assertEqual(feed(codec, cut(packets(framing, sent), [1])), expected(framing, sent))

    @given(framing=framings, sent=requests())
    def test_packets_joined_in_one_segment(self, framing: Framing, sent: Requests) -> None:
        codec = make_codec(framing)
        self.assertEqual(feed(codec, [packets(framing, sent)]), expected(framing, sent))

    @given(framing=framings, sent=requests(), sizes=cuts())
    def test_packets_asked_for_only_at_the_end(
        self, framing: Framing, sent: Requests, sizes: list[int]
    ) -> None:
        codec = make_codec(framing)
        for segment in cut(packets(framing, sent), sizes):
            codec.receive(segment)
        self.assertEqual(drain(codec), expected(framing, sent))

    @given(framing=framings, sent=requests(), sizes=cuts(), pulls=lists(integers(0, 2)))
    def test_packets_asked_for_now_and_then(
        self, framing: Framing, sent: Requests, sizes: list[int], pulls: list[int]
    ) -> None:
        """A paused connection asks later, or stops asking between two packets."""
        codec = make_codec(framing)
        got: Requests = []
        segments = list(cut(packets(framing, sent), sizes))
        for segment, pull in zip_longest(segments, pulls[: len(segments)], fillvalue=0):
            codec.receive(bytes(segment))
            for _ in range(int(pull)):
                packet = codec.next_packet()
                got += [packet] if packet is not None else []
        got += drain(codec)
        self.assertEqual(got, expected(framing, sent))

    @given(framing=framings, sent=requests(), sizes=cuts(), early=booleans())
    def test_looking_at_what_is_announced_changes_nothing(
        self, framing: Framing, sent: Requests, sizes: list[int], early: bool
    ) -> None:
        codec = make_codec(framing)
        got: Requests = []
        for segment in cut(packets(framing, sent), sizes):
            codec.receive(segment)
            if early:
                codec.announced()
            got += drain(codec)
            codec.announced()
        self.assertEqual(got, expected(framing, sent))

    @given(framing=framings, sent=requests(), sizes=cuts())
    def test_empty_segments_change_nothing(
        self, framing: Framing, sent: Requests, sizes: list[int]
    ) -> None:
        codec = make_codec(framing)
        got: Requests = []
        for segment in cut(packets(framing, sent), sizes):
            codec.receive(segment)
            codec.receive(b"")
            got += drain(codec)
            codec.receive(b"")
            got += drain(codec)
        self.assertEqual(got, expected(framing, sent))

    @given(payload=payloads(), sizes=cuts())
    def test_own_frames_are_read_back(self, payload: bytes, sizes: list[int]) -> None:
        for framing in Framing:
            wire = make_codec(framing).frame(payload)
            self.assertEqual(feed(make_codec(framing), cut(wire, sizes)), [(payload, False)])


class LargePacketTests(SynchronousTestCase):
    def test_a_large_packet_between_small_ones(self) -> None:
        """512 KiB arrive in segments of 64 KiB."""
        large = bytes(range(256)) * 2048
        sent = [(b"head", True), (large, False), (large, True), (b"tail", False)]
        for framing in Framing:
            codec = make_codec(framing)
            got = feed(codec, cut(packets(framing, sent), [65536]))
            self.assertEqual(got, expected(framing, sent))

    def test_tiny_segments_cost_no_object_each(self) -> None:
        """A client that sends two bytes at a time may not occupy many times as much."""
        size = 200_000
        codec = IntermediateCodec(size)
        codec.receive(intermediate(bytes(size))[:4])
        self.assertIsNone(codec.next_packet())
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        for count in range(size // 2 - 1):
            codec.receive(count.to_bytes(4, "little")[:2])
        self.assertIsNone(codec.next_packet())
        self.assertLess(tracemalloc.get_traced_memory()[0], 1.2 * size)

    def test_nothing_is_held_once_all_is_taken(self) -> None:
        for framing in Framing:
            sent = [(bytes(4000), False)] * 3
            codec = make_codec(framing)
            feed(codec, cut(packets(framing, sent), [700]))
            assert isinstance(codec, BufferedCodec)
            self.assertEqual((codec.buffered, codec._later), (b"", None))

    def test_what_was_taken_is_not_held_by_an_incomplete_packet(self) -> None:
        for framing in Framing:
            sent = [(bytes(4000), False), (bytes(8), False)]
            codec = make_codec(framing)
            feed(codec, [packets(framing, sent)[:-1]])
            assert isinstance(codec, BufferedCodec)
            self.assertLess(len(codec.buffered), 32)

    def test_a_codec_has_no_dict(self) -> None:
        """Tens of thousands of idle connections have one each."""
        for framing in Framing:
            self.assertFalse(hasattr(make_codec(framing), "__dict__"))


class BoundsTests(SynchronousTestCase):
    def test_the_largest_packet_allowed(self) -> None:
        for framing in Framing:
            payload = bytes(2048)
            codec = make_codec(framing, len(payload))
            self.assertEqual(
                feed(codec, [packets(framing, [(payload, False)])]), [(payload, False)]
            )

    def test_a_larger_one_is_refused_by_its_head(self) -> None:
        """The payload is never waited for."""
        for framing in Framing:
            codec = make_codec(framing, 2048)
            codec.receive(packets(framing, [(bytes(2052), True)])[:8])
            error = self.assertRaises(PacketTooLarge, codec.next_packet)
            self.assertEqual((error.size, error.max_size), (2052, 2048))

    def test_packets_before_a_bad_one_are_given(self) -> None:
        for framing in Framing:
            codec = make_codec(framing, 2048)
            codec.receive(packets(framing, [(b"good", False), (bytes(2052), False)]))
            self.assertEqual(codec.next_packet(), (b"good", False))
            self.assertRaises(PacketTooLarge, codec.next_packet)

    def test_a_bad_head_stays_bad(self) -> None:
        for framing in Framing:
            codec = make_codec(framing, 2048)
            codec.receive(packets(framing, [(bytes(2052), False)])[:8])
            self.assertRaises(PacketTooLarge, codec.next_packet)
            codec.receive(bytes(64))
            self.assertRaises(PacketTooLarge, codec.next_packet)

    def test_a_packet_of_no_bytes(self) -> None:
        for framing in Framing:
            codec = make_codec(framing)
            codec.receive(packets(framing, [(b"", False)]))
            self.assertRaises(FramingError, codec.next_packet)

    def test_all_zero_bytes(self) -> None:
        for framing in Framing:
            codec = make_codec(framing)
            codec.receive(bytes(64))
            self.assertRaises(FramingError, codec.next_packet)

    def test_the_shortest_packet(self) -> None:
        """4 bytes are for the layers above to judge: clients may send such, too."""
        for framing in Framing:
            codec = make_codec(framing)
            codec.receive(packets(framing, [(b"\1\2\3\4", False)]))
            self.assertEqual(codec.next_packet(), (b"\1\2\3\4", False))


class AnnouncedTests(SynchronousTestCase):
    def announced_after(self, framing: Framing, stream: bytes, size: int) -> object:
        codec = make_codec(framing)
        self.assertEqual(feed(codec, [stream[:size]]), [])
        return codec.announced()

    def test_nothing_buffered(self) -> None:
        for framing in Framing:
            self.assertIsNone(make_codec(framing).announced())

    def test_the_length_is_not_known_yet(self) -> None:
        payload = bytes(1024)
        for framing, known_at in zip(Framing, (4, 4, 4, 8), strict=True):
            stream = packets(framing, [(payload, True)])
            for size in range(1, known_at):
                self.assertIsNone(self.announced_after(framing, stream, size))
            self.assertEqual(self.announced_after(framing, stream, known_at), (1024, b""))

    def test_the_beginning_grows_up_to_eight_bytes(self) -> None:
        payload = bytes(range(100))
        for framing in Framing:
            stream = packets(framing, [(payload, False)])
            for here in range(99):
                self.assertEqual(
                    self.announced_after(framing, stream, HEAD_BYTES[framing] + here),
                    (100, payload[: min(here, 8)]),
                )

    def test_the_beginning_of_a_packet_that_comes_in_pieces(self) -> None:
        """The bytes asked about may lie in segments after the head's."""
        payload = bytes(range(100))
        for framing in Framing:
            codec = make_codec(framing)
            stream = packets(framing, [(b"good", False), (payload, False)])
            for end in range(1, len(stream) - 4):
                codec.receive(stream[end - 1 : end])
                drain(codec)
                here = end - (len(stream) - len(packets(framing, [(payload, False)])))
                here -= HEAD_BYTES[framing]
                if 0 <= here < 100:
                    self.assertEqual(codec.announced(), (100, payload[: min(here, 8)]))

    def test_a_short_payload_does_not_show_what_follows(self) -> None:
        stream = full(b"\1\2\3\4", 0)
        self.assertEqual(
            self.announced_after(Framing.FULL, stream, len(stream) - 1), (4, b"\1\2\3\4")
        )

    def test_the_beginning_behind_a_packet_just_taken(self) -> None:
        """Asked although next_packet has not returned None yet."""
        payload = bytes(range(100))
        for framing in Framing:
            codec = make_codec(framing)
            stream = packets(framing, [(b"good", False), (payload, False)])
            head = len(packets(framing, [(b"good", False)])) + HEAD_BYTES[framing]
            codec.receive(stream[: head + 3])
            self.assertEqual(codec.next_packet(), (b"good", False))
            codec.receive(stream[head + 3 : head + 20])
            self.assertEqual(codec.announced(), (100, payload[:8]))

    def test_nothing_is_announced_between_packets(self) -> None:
        for framing in Framing:
            codec: Codec = make_codec(framing)
            feed(codec, cut(packets(framing, [(bytes(100), False)]), [7]))
            self.assertIsNone(codec.announced())
