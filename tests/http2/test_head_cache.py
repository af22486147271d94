from hpack import Decoder, Encoder
from hypothesis import given
from hypothesis.strategies import booleans, integers, lists, sampled_from
from twisted.trial.unittest import SynchronousTestCase

from gnetway.http2.head_cache import RequestHeads, ResponseHeads
from gnetway.http2.heads import FieldBlocks, Malformed, encode_field, read_request
from tests.http2.wire import REQUEST, block

_MORE = (
    (b"grpc-trace-bin", b"AAA"),
    (b"x", b"\x0cgrpc-timeout\x021S"),
    (b"user-agent", b"u" * 200),
)


def constant_blocks() -> FieldBlocks:
    blocks = FieldBlocks()
    blocks.table_forbidden()
    return blocks


class CacheCase(SynchronousTestCase):
    def setUp(self) -> None:
        """Count how often a block has to be decoded."""
        self.decoded = 0
        decode = Decoder.decode

        def counting(decoder: Decoder, data: bytes, raw: bool = False) -> object:
            self.decoded += 1
            return decode(decoder, data, raw)

        self.patch(Decoder, "decode", counting)


class RequestHeadsTests(CacheCase):
    @given(
        requests=lists(
            lists(sampled_from([*_MORE, (b"grpc-timeout", b"2S"), (b"grpc-timeout", b"99999u")])),
            max_size=8,
        ),
        huffman=booleans(),
    )
    def test_as_without_a_cache(
        self, requests: list[list[tuple[bytes, bytes]]], huffman: bool
    ) -> None:
        """Whatever came before, and wherever the timeout stands."""
        heads, blocks = RequestHeads(), constant_blocks()
        for more in requests:
            fields = [*REQUEST, *more]
            encoder = Encoder()
            encoder.header_table_size = 0
            encoded = encoder.encode(fields, huffman=huffman)
            self.assertEqual(heads.read(encoded, blocks), read_request(fields))

    def test_timeouts_that_differ_are_no_reason_to_decode(self) -> None:
        heads, blocks = RequestHeads(), constant_blocks()
        for micros in range(100, 9000, 7):
            encoded = block(
                [*REQUEST, (b"grpc-timeout", b"%du" % micros), (b"traceparent", b"00-1")]
            )
            head = heads.read(encoded, blocks)
            self.assertAlmostEqual(head.timeout_seconds, micros / 1e6)
            self.assertEqual(head.traceparent, b"00-1")
            self.assertEqual(heads.read(encoded, blocks), head)
        self.assertEqual(self.decoded, 1)
        self.assertLessEqual(len(heads._heads), 256)

    def test_a_timeout_that_comes_again(self) -> None:
        heads, blocks = RequestHeads(), constant_blocks()
        encoded = block([*REQUEST, (b"grpc-timeout", b"99u")])
        first, again, third = (heads.read(encoded, blocks) for _ in range(3))
        self.assertEqual(first, again)
        self.assertIs(again, third)

    def test_requests_without_a_timeout(self) -> None:
        heads, blocks = RequestHeads(), constant_blocks()
        for _ in range(10):
            self.assertEqual(heads.read(block(REQUEST), blocks), read_request(REQUEST))
        self.assertEqual(self.decoded, 1)

    @given(value=integers(0, 255))
    def test_broken_timeouts(self, value: int) -> None:
        heads, blocks = RequestHeads(), constant_blocks()
        heads.read(block([*REQUEST, (b"grpc-timeout", b"1S")]), blocks)
        plain = block(REQUEST) + encode_field(b"grpc-timeout", b"1S")
        heads.read(plain, blocks)
        if chr(value) not in "0123456789":
            broken = block(REQUEST) + encode_field(b"grpc-timeout", bytes([value]) + b"S")
            self.assertRaises(Malformed, heads.read, broken, blocks)

    def test_a_name_of_the_table_is_no_timeout(self) -> None:
        """Bytes that look like the field inside of another one's value change nothing."""
        heads, blocks = RequestHeads(), constant_blocks()
        inner = encode_field(b"grpc-timeout", b"1S")
        for value in (inner, inner + b"x"):
            encoded = block(REQUEST) + encode_field(b"grpc-trace-bin", b"=" + value)
            self.assertRaises(Malformed, heads.read, encoded, blocks)  # it has a zero byte

    def test_bounded(self) -> None:
        heads, blocks = RequestHeads(), constant_blocks()
        for number in range(1000):
            heads.read(block([*REQUEST, (b"a", b"%d" % number)]), blocks)
        self.assertLessEqual(len(heads._heads), 256)
        heads.read(block([*REQUEST, (b"a", b"%d" % number)]), blocks)
        self.assertEqual(self.decoded, 1000)

    def test_nothing_is_kept_while_there_is_a_table(self) -> None:
        heads, blocks, encoder = RequestHeads(), FieldBlocks(), Encoder()
        for number in range(3):
            fields = [*REQUEST, (b"grpc-timeout", b"%dS" % number)]
            self.assertEqual(heads.read(encoder.encode(fields), blocks), read_request(fields))
        self.assertEqual((heads._heads, heads._timed), ({}, {}))


class ResponseHeadsTests(CacheCase):
    def test_heads_and_trailers_are_kept_apart(self) -> None:
        heads, blocks = ResponseHeads(), constant_blocks()
        fields = block([(b"grpc-status", b"5")])
        for _ in range(3):
            self.assertEqual(heads.read(fields, blocks, trailers=True).status, 5)
            self.assertRaises(Malformed, heads.read, fields, blocks, trailers=False)
        self.assertEqual(self.decoded, 4)

    def test_nothing_is_kept_while_there_is_a_table(self) -> None:
        heads, blocks, encoder = ResponseHeads(), FieldBlocks(), Encoder()
        for _ in range(3):
            encoded = encoder.encode([(b":status", b"200"), (b"grpc-status", b"7")])
            self.assertEqual(heads.read(encoded, blocks, trailers=False).status, 7)

    def test_bounded(self) -> None:
        heads, blocks = ResponseHeads(), constant_blocks()
        for number in range(1000):
            heads.read(block([(b"grpc-message", b"%d" % number)]), blocks, trailers=True)
        self.assertLessEqual(len(heads._trailers), 256)
