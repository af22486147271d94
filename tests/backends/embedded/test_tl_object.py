from twisted.trial.unittest import SynchronousTestCase

from gnetway.backends.embedded.call_runner import MAX_OBJECT_BYTES, tl_object


class Subclass(bytes):
    __slots__ = ()

    def __bytes__(self) -> bytes:
        return b"something else"


class TlObjectTests(SynchronousTestCase):
    def test_bytes_are_taken_as_they_are(self) -> None:
        body = b"true" * 3
        self.assertIs(tl_object(body), body)
        largest = bytes(MAX_OBJECT_BYTES)
        self.assertIs(tl_object(largest), largest)

    def test_subclass_becomes_plain(self) -> None:
        plain = tl_object(Subclass(b"true"))
        self.assertEqual((plain, type(plain)), (b"true", bytes))

    def test_what_is_no_bytes(self) -> None:
        for value in (None, 4, "true", bytearray(b"true"), memoryview(b"true"), [b"true"]):
            error = self.assertRaises(TypeError, tl_object, value)
            self.assertEqual(str(error), f"{type(value).__name__} is no bytes")

    def test_what_is_no_object(self) -> None:
        for size in (0, 1, 3, 5, MAX_OBJECT_BYTES + 1, MAX_OBJECT_BYTES + 4):
            error = self.assertRaises(ValueError, tl_object, bytes(size))
            self.assertIn(str(size), str(error))
