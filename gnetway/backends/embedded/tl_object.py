"""Which bytes of a handler can be a TL object."""

from typing import Final

#: Most bytes of an object. The largest packet that clients take has 16 MiB, and what stands
#: around the object takes less than 256 bytes of it.
MAX_OBJECT_BYTES: Final = 16 * 1024 * 1024 - 256


def tl_object(value: object) -> bytes:
    """Return what a handler gave as the plain bytes of a TL object.

    :raises TypeError: it is no bytes; what may change later, such as a bytearray, is none.
    :raises ValueError: it is no whole words of 4 bytes, not even one, or above 16 MiB - 256 bytes.
    """
    if not isinstance(value, bytes):
        raise TypeError(f"{type(value).__name__} is no bytes")
    # A subclass may say what it likes of itself.
    plain = value if type(value) is bytes else memoryview(value).tobytes()
    if not plain or len(plain) % 4:
        raise ValueError(f"no TL object has {len(plain)} bytes")
    if len(plain) > MAX_OBJECT_BYTES:
        raise ValueError(f"a TL object of {len(plain)} bytes, above {MAX_OBJECT_BYTES}")
    return plain
