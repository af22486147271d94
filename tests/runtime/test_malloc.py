import ctypes
import os
from types import SimpleNamespace

from twisted.trial.unittest import SynchronousTestCase

from gnetway.runtime.machine import MMAP_BYTES, TRIM_BYTES, give_back, keep_large_blocks


class MallocTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.set: dict[int, int] = {}
        self.patch(ctypes, "CDLL", lambda name: SimpleNamespace(mallopt=self.mallopt))

    def mallopt(self, number: int, value: int) -> int:
        self.set[number] = value
        return 1

    def test_both_bounds(self) -> None:
        self.assertTrue(keep_large_blocks({}))
        self.assertEqual(self.set, {-1: TRIM_BYTES, -3: MMAP_BYTES})

    def test_what_the_user_has_decided_stays(self) -> None:
        for name in ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES"):
            self.assertFalse(keep_large_blocks({name: "1"}))
        self.assertEqual(self.set, {})

    def test_another_library(self) -> None:
        self.patch(ctypes, "CDLL", lambda name: SimpleNamespace())
        self.assertFalse(keep_large_blocks({}))

    def test_nothing_to_give_back_with(self) -> None:
        self.patch(ctypes, "CDLL", lambda name: SimpleNamespace())
        self.assertFalse(give_back())

    def test_refused(self) -> None:
        self.patch(self, "mallopt", lambda number, value: 0)
        self.assertFalse(keep_large_blocks({}))


class GlibcTests(SynchronousTestCase):
    def test_it_takes_them(self) -> None:
        if "glibc" not in (os.confstr("CS_GNU_LIBC_VERSION") or ""):
            self.skipTest("another C library")
        self.assertTrue(keep_large_blocks({}))

    def test_it_gives_back(self) -> None:
        if "glibc" not in (os.confstr("CS_GNU_LIBC_VERSION") or ""):
            self.skipTest("another C library")
        self.assertIsInstance(give_back(), bool)
