"""Numbers, strings and vectors, both ways; nothing but TLError for what is wrong."""

from collections.abc import Callable

from hypothesis import given
from hypothesis.strategies import binary, integers, lists, sampled_from
from twisted.trial.unittest import SynchronousTestCase

from gnetway.errors import TLError, TransportErrorCode
from gnetway.tl.primitives import (
    MAX_IDS,
    Constructor,
    NestedTooDeep,
    Reader,
    TooManyItems,
    open_boxed,
    pack_int32,
    pack_int64,
    pack_string,
    pack_uint32,
    pack_vector_int64,
)
from tests.tl.samples import accepted_cuts, int32s, int64s, known, refuses

READS: list[Callable[[Reader], object]] = [
    Reader.int32,
    Reader.uint32,
    Reader.int64,
    Reader.int128,
    Reader.int256,
    Reader.string,
    Reader.vector_int64,
    lambda reader: reader.raw(5),
    lambda reader: reader.expect(Constructor.PING),
    lambda reader: reader.count(10, 4),
]


class NumberTests(SynchronousTestCase):
    def test_known_bytes(self) -> None:
        """Little endian, signed unless the name says otherwise."""
        self.assertEqual(pack_int32(-2), b"\xfe\xff\xff\xff")
        self.assertEqual(pack_uint32(0xFFFFFFFE), b"\xfe\xff\xff\xff")
        self.assertEqual(pack_int64(-2), b"\xfe" + b"\xff" * 7)
        self.assertEqual(pack_int64(1), b"\x01" + bytes(7))
        self.assertEqual(Reader(b"\xfe\xff\xff\xff").int32(), -2)
        self.assertEqual(Reader(b"\xfe\xff\xff\xff").uint32(), 0xFFFFFFFE)
        self.assertEqual(Reader(b"\xfe" + b"\xff" * 7).int64(), -2)

    @given(small=int32s(), unsigned=integers(0, 2**32 - 1), large=int64s())
    def test_round_trip(self, small: int, unsigned: int, large: int) -> None:
        """What was written is read, one value after another."""
        reader = Reader(pack_int32(small) + pack_uint32(unsigned) + pack_int64(large))
        self.assertEqual(
            (reader.int32(), reader.uint32(), reader.int64()), (small, unsigned, large)
        )
        self.assertEqual(reader.remaining(), 0)

    def test_position(self) -> None:
        """Reading may begin anywhere, and every read moves on by its own length."""
        reader = Reader(bytes(range(60)), position=2)
        self.assertEqual(reader.remaining(), 58)
        self.assertEqual(reader.int128(), bytes(range(2, 18)))
        self.assertEqual(reader.int256(), bytes(range(18, 50)))
        self.assertEqual(reader.raw(3), bytes([50, 51, 52]))
        self.assertEqual((reader.position, reader.remaining()), (53, 7))

    def test_position_behind_the_end(self) -> None:
        """There is nothing to be read there, and nothing from the end of the data."""
        self.assertRaises(TLError, Reader(bytes(8), position=9).int32)
        self.assertRaises(TLError, Reader(bytes(8), position=9).raw, 0)

    def test_negative_length(self) -> None:
        """A length from the wire may be negative; it must not step back."""
        self.assertRaises(TLError, Reader(bytes(8), position=4).raw, -4)

    def test_nothing_is_nothing(self) -> None:
        """Zero bytes can be read at the very end."""
        self.assertEqual(Reader(b"").raw(0), b"")


class ConstructorReadTests(SynchronousTestCase):
    def test_expect(self) -> None:
        """The right constructor is stepped over, another one named in the error."""
        reader = open_boxed(pack_uint32(Constructor.PING) + b"rest", Constructor.PING)
        self.assertEqual(reader.raw(4), b"rest")
        error = self.assertRaises(TLError, open_boxed, bytes.fromhex("c5737734"), Constructor.PING)
        self.assertEqual(str(error), "constructor 0x347773c5 where 0x7abe77ec belongs")


class StringTests(SynchronousTestCase):
    def test_known_strings(self) -> None:
        """About every length where the form or the filling changes."""
        for size in (0, 1, 3, 252, 253, 254, 255, 256, 1000):
            value = bytes(k % 256 for k in range(size))
            self.assertEqual(pack_string(value), known(f"string of {size} bytes"))

    @given(value=binary(max_size=700), before=binary(max_size=7))
    def test_round_trip(self, value: bytes, before: bytes) -> None:
        """The filling is counted from the string's own beginning."""
        packed = pack_string(value)
        self.assertEqual(len(packed) % 4, 0)
        reader = Reader(before + packed + b"next", position=len(before))
        self.assertEqual(reader.string(), value)
        self.assertEqual(reader.raw(4), b"next")

    def test_longest(self) -> None:
        """Three bytes of length go up to 2^24 - 1."""
        value = bytes(0xFFFFFF)
        packed = pack_string(value)
        self.assertEqual(packed[:4], b"\xfe\xff\xff\xff")
        self.assertEqual(Reader(packed).string(), value)
        self.assertRaises(ValueError, pack_string, bytes(0x1000000))

    def test_long_form_of_a_short_string(self) -> None:
        """Some writers use the long form always."""
        self.assertEqual(Reader(b"\xfe\x02\x00\x00ab\x00\x00").string(), b"ab")

    def test_first_byte_255(self) -> None:
        """It is no length in TL."""
        self.assertRaises(TLError, Reader(b"\xff" + bytes(300)).string)

    def test_missing_filling(self) -> None:
        """A string is over only where its filling is."""
        self.assertRaises(TLError, Reader(b"\x02ab").string)

    @given(value=binary(max_size=300))
    def test_cut_short(self, value: bytes) -> None:
        """No part of a string is a string."""
        self.assertEqual(accepted_cuts(lambda data: Reader(data).string(), pack_string(value)), [])


class VectorTests(SynchronousTestCase):
    def test_known_bytes(self) -> None:
        """Boxed: constructor, count, numbers."""
        self.assertEqual(
            pack_vector_int64([1, -1]).hex(),
            "15c4b51c" + "02000000" + "0100000000000000" + "ffffffffffffffff",
        )

    @given(values=lists(int64s(), max_size=40))
    def test_round_trip(self, values: list[int]) -> None:
        """What was written is read; nothing shorter is."""
        packed = pack_vector_int64(values)
        reader = Reader(packed + b"next")
        self.assertEqual(reader.vector_int64(), values)
        self.assertEqual(reader.raw(4), b"next")
        self.assertEqual(accepted_cuts(lambda data: Reader(data).vector_int64(), packed), [])

    def test_count_larger_than_the_data(self) -> None:
        """It is refused before room for so many is made."""
        packed = pack_uint32(Constructor.VECTOR) + pack_int32(3) + bytes(16)
        error = self.assertRaises(TLError, Reader(packed).vector_int64)
        self.assertEqual(str(error), "a count is larger than the data")

    def test_negative_count(self) -> None:
        """A count is no reason to step back."""
        packed = pack_uint32(Constructor.VECTOR) + pack_int32(-1) + bytes(16)
        self.assertRaises(TLError, Reader(packed).vector_int64)

    def test_bound(self) -> None:
        """8192 ids are read, one more is a flood."""
        values = list(range(MAX_IDS))
        self.assertEqual(Reader(pack_vector_int64(values)).vector_int64(), values)
        error = self.assertRaises(
            TooManyItems, Reader(pack_vector_int64([0, *values])).vector_int64
        )
        self.assertEqual((error.count, error.max_count), (MAX_IDS + 1, MAX_IDS))
        self.assertEqual(error.transport_error, TransportErrorCode.FLOOD)

    def test_own_bound(self) -> None:
        """A caller may set a lower one."""
        self.assertEqual(Reader(pack_vector_int64([1, 2])).vector_int64(max_count=2), [1, 2])
        self.assertRaises(TooManyItems, Reader(pack_vector_int64([1, 2])).vector_int64, 1)

    def test_another_constructor(self) -> None:
        """Only a boxed vector is one."""
        packed = pack_uint32(Constructor.PING) + pack_int32(0)
        self.assertRaises(TLError, Reader(packed).vector_int64)


class CountTests(SynchronousTestCase):
    def test_item_size(self) -> None:
        """So many entries must have room, each of its least size."""
        self.assertEqual(Reader(pack_int32(2) + bytes(8)).count(9, 4), 2)
        self.assertRaises(TLError, Reader(pack_int32(2) + bytes(7)).count, 9, 4)


class ErrorTests(SynchronousTestCase):
    @given(data=binary(max_size=40), read=sampled_from(READS))
    def test_only_tl_error(self, data: bytes, read: Callable[[Reader], object]) -> None:
        """Whatever comes: a value from within the data, or TLError."""
        reader = Reader(data)
        if not refuses(lambda _: read(reader), data):
            self.assertTrue(0 <= reader.position <= len(data))

    def test_too_short_for_each(self) -> None:
        """Every read fails where nothing is left."""
        for read in READS:
            self.assertRaises(TLError, read, Reader(b""))

    def test_nested_too_deep(self) -> None:
        """The error tells the bound."""
        self.assertEqual(NestedTooDeep(3).max_depth, 3)
        self.assertIn("3", str(NestedTooDeep(3)))
