from hpack import Decoder, Encoder
from hypothesis import given
from hypothesis.strategies import binary, integers
from twisted.trial.unittest import SynchronousTestCase

from gnetway.http2.frames import ErrorCode, Http2Error
from gnetway.http2.heads import (
    FieldBlocks,
    encode_field,
    encode_integer,
    encode_static,
    encode_string,
)


class EncodeTests(SynchronousTestCase):
    def test_integers(self) -> None:
        """Source: RFC 7541 appendix C.1."""
        self.assertEqual(encode_integer(10, 5), b"\x0a")
        self.assertEqual(encode_integer(1337, 5), bytes.fromhex("1f9a0a"))
        self.assertEqual(encode_integer(42, 8), b"\x2a")

    def test_string(self) -> None:
        self.assertEqual(encode_string(b"x" * 127), b"\x7f\x00" + b"x" * 127)

    @given(name=binary(min_size=1, max_size=300), value=binary(max_size=300), index=integers(1, 61))
    def test_what_another_decoder_reads(self, name: bytes, value: bytes, index: int) -> None:
        static = Decoder().decode(encode_integer(index, 7, 0x80), raw=True)
        encoded = encode_field(name, value) + encode_static(index, value)
        fields = [tuple(field) for field in Decoder().decode(encoded, raw=True)]
        self.assertEqual(fields, [(name, value), (next(iter(static))[0], value)])


class DecodeTests(SynchronousTestCase):
    def test_with_a_table(self) -> None:
        blocks, encoder = FieldBlocks(), Encoder()
        for _ in range(3):
            self.assertEqual(blocks.decode(encoder.encode([(b"a", b"b")])), [(b"a", b"b")])
        self.assertFalse(blocks.constant)

    def test_a_table_that_was_never_used_needs_no_update(self) -> None:
        blocks = FieldBlocks()
        blocks.table_forbidden()
        self.assertTrue(blocks.constant)

    def test_a_table_that_was_used_needs_one(self) -> None:
        blocks, encoder = FieldBlocks(), Encoder()
        blocks.decode(encoder.encode([(b"a", b"b")]))
        blocks.table_forbidden()
        self.assertFalse(blocks.constant)
        encoder.header_table_size = 0
        self.assertEqual(blocks.decode(encoder.encode([(b"a", b"b")])), [(b"a", b"b")])
        self.assertTrue(blocks.constant)

    def assert_refused(self, blocks: FieldBlocks, block: bytes) -> None:
        error = self.assertRaises(Http2Error, blocks.decode, block)
        self.assertEqual(error.code, ErrorCode.COMPRESSION_ERROR)

    def test_a_table_that_goes_on_being_used(self) -> None:
        """RFC 9113 section 4.3.1."""
        blocks, encoder = FieldBlocks(), Encoder()
        blocks.decode(encoder.encode([(b"a", b"b")]))
        blocks.table_forbidden()
        self.assert_refused(blocks, encoder.encode([(b"a", b"b")]))

    def test_broken_blocks(self) -> None:
        for block in (
            b"\x80",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x00\x05a",
            b"\x40",
        ):
            self.assert_refused(FieldBlocks(), block)

    def test_fields_over_the_bound(self) -> None:
        encoder = Encoder()
        block = encoder.encode([(b"a", b"b" * 3000)] * 40)
        self.assertLess(len(block), 4000)
        self.assert_refused(FieldBlocks(), block)
