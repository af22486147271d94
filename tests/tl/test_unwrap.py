"""Wrappers in any order, and the bounds that hold before anything is unpacked."""

import gzip
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Final

from hypothesis import given
from hypothesis.strategies import binary, booleans, integers, lists, sampled_from
from twisted.trial.unittest import SynchronousTestCase

from gnetway.errors import TLError
from gnetway.tl.primitives import (
    Constructor,
    NestedTooDeep,
    TooManyItems,
    pack_int32,
    pack_int64,
    pack_string,
    pack_uint32,
    pack_vector_int64,
)
from gnetway.tl.unwrap import (
    TooManyValues,
    UnpackedTooLarge,
    UnwrapBudget,
    UnwrapLimits,
    Unwrapped,
    gunzip,
    unwrap,
)
from tests.tl.samples import MSG_ID, accepted_cuts, known, refuses

CALL: Final = known("help.getConfig")


def budget(
    max_depth: int = 16, max_unpacked_bytes: int = 10_000, max_values: int = 2048
) -> UnwrapBudget:
    limits = UnwrapLimits(
        max_depth=max_depth, max_unpacked_bytes=max_unpacked_bytes, max_values=max_values
    )
    return UnwrapBudget(limits)


def gzipped(body: bytes) -> bytes:
    return pack_uint32(Constructor.GZIP_PACKED) + pack_string(gzip.compress(body, mtime=0))


def zlibbed(body: bytes) -> bytes:
    return pack_uint32(Constructor.GZIP_PACKED) + pack_string(zlib.compress(body))


def with_layer(body: bytes) -> bytes:
    return pack_uint32(Constructor.INVOKE_WITH_LAYER) + pack_int32(214) + body


def without_updates(body: bytes) -> bytes:
    return pack_uint32(Constructor.INVOKE_WITHOUT_UPDATES) + body


def after_message(body: bytes) -> bytes:
    return pack_uint32(Constructor.INVOKE_AFTER_MSG) + pack_int64(5) + body


def after_messages(body: bytes) -> bytes:
    return pack_uint32(Constructor.INVOKE_AFTER_MSGS) + pack_vector_int64([6, -7]) + body


def init_connection(body: bytes) -> bytes:
    return known("initConnection with both")[: -len(CALL)] + body


#: What it says.
TEXTS = [b"Pixel", b"14", b"1.0", b"en", b"", b"en"]

Wrapper = Callable[[bytes], bytes]
WRAPPERS: list[Wrapper] = [
    gzipped,
    zlibbed,
    with_layer,
    without_updates,
    after_message,
    after_messages,
    init_connection,
]
WAITS: dict[Wrapper, list[int]] = {after_message: [5], after_messages: [6, -7]}


class GunzipTests(SynchronousTestCase):
    @given(data=binary(max_size=500), as_zlib=booleans())
    def test_both_kinds(self, data: bytes, as_zlib: bool) -> None:
        """Clients send gzip streams and zlib streams."""
        packed = zlib.compress(data) if as_zlib else gzip.compress(data)
        account = budget()
        self.assertEqual(gunzip(packed, account), data)
        self.assertEqual(account.unpacked_bytes, len(data))
        self.assertEqual(accepted_cuts(lambda cut: gunzip(cut, budget()), packed), [])

    def test_just_fits(self) -> None:
        """The bound is met exactly, and one byte more is too large."""
        for size in (0, 1, 100):
            account = budget(max_unpacked_bytes=size)
            self.assertEqual(gunzip(gzip.compress(bytes(size)), account), bytes(size))
            self.assertEqual(account.left_bytes, 0)
            packed = gzip.compress(bytes(size + 1))
            error = self.assertRaises(
                UnpackedTooLarge, gunzip, packed, budget(max_unpacked_bytes=size)
            )
            self.assertEqual(error.max_bytes, size)

    def test_sum_over_a_packet(self) -> None:
        """Many small streams count like one large; after the bound every one is refused."""
        account = budget(max_unpacked_bytes=250)
        packed = gzip.compress(bytes(100))
        gunzip(packed, account)
        gunzip(packed, account)
        self.assertEqual(account.left_bytes, 50)
        for _ in range(2):
            self.assertRaises(UnpackedTooLarge, gunzip, packed, account)
        self.assertEqual(account.left_bytes, 0)

    def test_bomb_takes_no_memory(self) -> None:
        """256 MiB in 256 KiB: no more than the bound is ever unpacked."""
        engine = zlib.compressobj(9)
        zeros = bytes(1 << 20)
        bomb = b"".join(engine.compress(zeros) for _ in range(256)) + engine.flush()
        self.assertLess(len(bomb), 300_000)
        tracemalloc.start()
        try:
            self.assertRaises(UnpackedTooLarge, gunzip, bomb, budget(max_unpacked_bytes=100_000))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        self.assertLess(peak, 1_000_000)

    def test_something_follows(self) -> None:
        """A second stream or stray bytes are neither read nor overlooked."""
        packed = gzip.compress(CALL)
        self.assertRaises(TLError, gunzip, packed + packed, budget())
        self.assertRaises(TLError, gunzip, packed + b"\x00", budget())

    def test_damaged(self) -> None:
        """The stream's own checksum is checked."""
        packed = bytearray(gzip.compress(bytes(range(100))))
        packed[-8] ^= 1
        self.assertRaises(TLError, gunzip, bytes(packed), budget())

    @given(data=binary(max_size=100), head=sampled_from([b"", b"\x78\x9c", b"\x1f\x8b\x08\x00"]))
    def test_only_tl_error(self, data: bytes, head: bytes) -> None:
        """Anything may come behind the header of a stream."""
        if not refuses(lambda packed: gunzip(packed, budget()), head + data):
            self.assertGreaterEqual(len(head + data), 8)


class UnwrapTests(SynchronousTestCase):
    def test_no_wrapper(self) -> None:
        """The very same object comes back: no copy of what is large."""
        unwrapped = unwrap(CALL, budget())
        self.assertEqual(unwrapped, Unwrapped(CALL, 0, False, []))
        self.assertIs(unwrapped.body, CALL)

    def test_known_bytes(self) -> None:
        """All wrappers in one another, plain and compressed."""
        expected = Unwrapped(CALL, 214, True, [MSG_ID, -2, MSG_ID + 4], TEXTS)
        self.assertEqual(unwrap(known("all wrappers"), budget()), expected)
        self.assertEqual(unwrap(known("gzip_packed of all wrappers"), budget()), expected)

    @given(wrappers=lists(sampled_from(WRAPPERS), max_size=16))
    def test_any_order(self, wrappers: list[Wrapper]) -> None:
        """No wrapper depends on its place; what they say is gathered from the outside in."""
        body = CALL
        for wrapper in reversed(wrappers):
            body = wrapper(body)
        waits = [msg_id for wrapper in wrappers for msg_id in WAITS.get(wrapper, [])]
        self.assertEqual(
            unwrap(body, budget(max_unpacked_bytes=1_000_000)),
            Unwrapped(
                CALL,
                214 if with_layer in wrappers else 0,
                without_updates in wrappers,
                waits,
                TEXTS if init_connection in wrappers else None,
            ),
        )

    def test_innermost_layer(self) -> None:
        """Of two layers the one next to the call holds."""
        outer = pack_uint32(Constructor.INVOKE_WITH_LAYER) + pack_int32(100)
        self.assertEqual(unwrap(outer + with_layer(CALL), budget()).layer, 214)

    def test_container_stays_closed(self) -> None:
        """It is the caller's to open, in bounds of its own."""
        container = known("msg_container")
        self.assertEqual(unwrap(gzipped(container), budget()).body, container)

    def test_depth(self) -> None:
        """As many wrappers as allowed, of whatever kind, and not one more."""
        for wrapper in WRAPPERS:
            body = CALL
            for _ in range(3):
                body = wrapper(body)
            self.assertEqual(unwrap(body, budget(max_depth=3)).body, CALL)
            error = self.assertRaises(NestedTooDeep, unwrap, wrapper(body), budget(max_depth=3))
            self.assertEqual(error.max_depth, 3)

    def test_depth_is_counted_for_each_call(self) -> None:
        """The messages of a container do not use up one another's depth."""
        account = budget(max_depth=1)
        for _ in range(5):
            self.assertEqual(unwrap(with_layer(CALL), account).body, CALL)

    def test_depth_never_reaches_the_stack(self) -> None:
        """A million wrappers are refused at the bound; even unbounded they would not recurse."""
        body = pack_uint32(Constructor.INVOKE_WITHOUT_UPDATES) * 1_000_000 + CALL
        self.assertRaises(NestedTooDeep, unwrap, body, budget())
        self.assertEqual(unwrap(body, budget(1_000_000, max_values=1_000_000)).body, CALL)

    def test_nested_bombs(self) -> None:
        """Each stream in another is charged: the inner ones cannot hide behind the outer."""
        inner = gzipped(CALL + bytes(4000))
        middle = gzipped(inner + bytes(4000))
        account = budget(max_unpacked_bytes=9000)
        self.assertEqual(unwrap(middle, account).body, CALL + bytes(4000))
        self.assertEqual(account.unpacked_bytes, len(inner) + 4000 + len(CALL) + 4000)
        outer = gzipped(middle + bytes(4000))
        self.assertRaises(UnpackedTooLarge, unwrap, outer, budget(max_unpacked_bytes=9000))

    def test_nothing_inside(self) -> None:
        """A wrapper wraps something."""
        for wrapper in WRAPPERS:
            self.assertRaises(TLError, unwrap, wrapper(b""), budget())
        self.assertRaises(TLError, unwrap, b"", budget())

    def test_cut_short(self) -> None:
        """Wherever it is cut, it is noticed."""
        for name in ("all wrappers", "gzip_packed of all wrappers"):
            cuts = accepted_cuts(lambda data: unwrap(data, budget()), known(name))
            self.assertEqual(cuts, [])

    def test_too_many_ids(self) -> None:
        """The list of messages to wait for is bounded like any other."""
        body = pack_uint32(Constructor.INVOKE_AFTER_MSGS) + pack_vector_int64([1] * 8193) + CALL
        self.assertRaises(TooManyItems, unwrap, body, budget())

    def test_ids_are_counted_over_a_packet(self) -> None:
        """Several lists count like one, in one message or in many."""
        waits = pack_uint32(Constructor.INVOKE_AFTER_MSGS) + pack_vector_int64([1] * 4096)
        account = budget()
        self.assertEqual(len(unwrap(waits + waits + CALL, account).after_msg_ids), 8192)
        self.assertEqual(account.ids_left, 0)
        self.assertRaises(TooManyItems, unwrap, after_messages(CALL), account)

    def test_wrappers_are_counted_over_a_packet(self) -> None:
        """A container of wrapped calls has so many wrappers in all."""
        account = budget(max_values=5)
        for _ in range(2):
            unwrap(with_layer(with_layer(CALL)), account)
        error = self.assertRaises(TooManyValues, unwrap, with_layer(without_updates(CALL)), account)
        self.assertEqual(error.max_values, 5)

    @given(
        wrappers=lists(sampled_from(WRAPPERS), max_size=4),
        rest=binary(max_size=80),
        flip=integers(0, 400),
    )
    def test_only_tl_error(self, wrappers: list[Wrapper], rest: bytes, flip: int) -> None:
        """Damaged wrappers around anything: an object, or TLError."""
        body = rest
        for wrapper in wrappers:
            body = wrapper(body)
        damaged = bytearray(body)
        if flip < len(damaged):
            damaged[flip] ^= 0x41
        if not refuses(lambda data: unwrap(data, budget()), bytes(damaged)):
            self.assertGreaterEqual(len(unwrap(bytes(damaged), budget()).body), 4)


class LimitTests(SynchronousTestCase):
    def test_defaults(self) -> None:
        """What the documents name, and room for what clients send."""
        self.assertEqual(UnwrapLimits(), (16, 1024, 2 * 1024 * 1024, 8192, 2048))

    def test_for_a_look(self) -> None:
        """Less is unpacked where somebody else judges, and never more than is set."""
        self.assertEqual(UnwrapLimits().for_a_look(), (16, 1024, 64 * 1024, 8192, 1024))
        self.assertEqual(UnwrapLimits(max_unpacked_bytes=9).for_a_look().max_unpacked_bytes, 9)
