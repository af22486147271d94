"""Taking the wrappers off a message, within bounds that are set before anything is unpacked.

Clients wrap their calls in invokeWithLayer, initConnection, invokeWithoutUpdates,
invokeAfterMsg(s) and gzip_packed, in any order. Each layer costs the sender a few bytes, and a
compressed one may grow a thousandfold, hence an account for the whole packet.
"""

import zlib
from typing import Final, NamedTuple

from gnetway.errors import TLError
from gnetway.tl.constructors import Constructor
from gnetway.tl.init_connection import skip_init_connection
from gnetway.tl.primitives import NestedTooDeep, Reader, pack_uint32

#: Added to the window size it makes zlib take a gzip header as well as its own: some clients send
#: a zlib stream (78 9c) in gzip_packed.
_EITHER_HEADER: Final = 32

_GZIP_PACKED: Final = pack_uint32(Constructor.GZIP_PACKED)

#: Compressed bytes that tell the first of an object: the tables of a block take 300 at most.
_LOOKED_AT_BYTES: Final = 1024


class UnpackedTooLarge(TLError):
    """What a packet compresses is larger than ``max_bytes`` in all."""

    cause = "unpacked_too_large"

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"a packet unpacks to more than {max_bytes} bytes")
        self.max_bytes = max_bytes


class UnwrapLimits(NamedTuple):
    """How far to follow a client.

    ``max_depth``: wrappers around one call, and levels of JSON in its initConnection; real clients
    need 5. ``max_messages``: messages in one container, by the documents. ``max_unpacked_bytes``:
    the sum over a packet of all that gzip unpacks, as large as a packet itself may be.
    """

    max_depth: int = 16
    max_messages: int = 1024
    max_unpacked_bytes: int = 16 * 1024 * 1024


class UnwrapBudget:
    """The account of one packet: ``unpacked_bytes`` grows over all that is unpacked for it."""

    __slots__ = ("limits", "unpacked_bytes")

    def __init__(self, limits: UnwrapLimits) -> None:
        self.limits = limits
        self.unpacked_bytes = 0

    @property
    def left_bytes(self) -> int:
        """How many bytes may still be unpacked; never negative."""
        return max(0, self.limits.max_unpacked_bytes - self.unpacked_bytes)


class Unwrapped(NamedTuple):
    """A call without its wrappers, and what they said.

    ``body`` is the boxed object; ``layer`` the innermost one named, 0 if there was none;
    ``after_msg_ids`` the messages that have to be answered first.
    """

    body: bytes
    layer: int
    without_updates: bool
    after_msg_ids: list[int]


def gunzip(packed: bytes, budget: UnwrapBudget) -> bytes:
    """Unpack one gzip or zlib stream, never to more bytes than the budget has left.

    :raises UnpackedTooLarge: it holds more.
    :raises TLError: it is no such stream, is cut short, or something follows it.
    """
    stream = zlib.decompressobj(zlib.MAX_WBITS | _EITHER_HEADER)
    try:
        # One byte more than allowed tells "too large" from "just fits"; 0 would mean no bound.
        data = stream.decompress(packed, budget.left_bytes + 1)
    except zlib.error as error:
        raise TLError("gzip_packed holds no gzip or zlib stream") from error
    budget.unpacked_bytes += len(data)
    if budget.unpacked_bytes > budget.limits.max_unpacked_bytes:
        raise UnpackedTooLarge(budget.limits.max_unpacked_bytes)
    if not stream.eof or stream.unused_data:
        raise TLError("gzip_packed holds more or less than one whole stream")
    return data


def first_bytes(body: bytes, size: int) -> bytes:
    """Return the first ``size`` bytes of a boxed object, unpacked if it is gzip_packed.

    Fewer where there are no more, or where nothing can be read. For a look at what is sent, so
    it costs little whatever the object is: of a compressed one no more than 1 KiB is touched.
    """
    if body[:4] != _GZIP_PACKED:
        return body[:size]
    # A string of 254 bytes and more has its length in three bytes after a mark.
    start = 8 if body[4:5] == b"\xfe" else 5
    stream = zlib.decompressobj(zlib.MAX_WBITS | _EITHER_HEADER)
    try:
        return stream.decompress(body[start : start + _LOOKED_AT_BYTES], size)
    except zlib.error:
        return b""


def unwrap(body: bytes, budget: UnwrapBudget) -> Unwrapped:
    """Take all wrappers off a boxed object; bytes behind a compressed one are ignored.

    Containers are not opened. Without any wrapper ``body`` comes back as it is.

    :raises NestedTooDeep: there are more wrappers, or deeper JSON, than ``max_depth``.
    :raises UnpackedTooLarge: see :func:`gunzip`.
    :raises TLError: a wrapper is cut short, or nothing is in it.
    """
    reader = Reader(body)
    layer = 0
    without_updates = False
    after_msg_ids: list[int] = []
    for _ in range(budget.limits.max_depth + 1):
        start = reader.position
        kind = reader.uint32()
        if kind == Constructor.GZIP_PACKED:
            reader = Reader(gunzip(reader.string(), budget))
        elif kind == Constructor.INVOKE_WITH_LAYER:
            layer = reader.int32()
        elif kind == Constructor.INIT_CONNECTION:
            skip_init_connection(reader, budget.limits.max_depth)
        elif kind == Constructor.INVOKE_WITHOUT_UPDATES:
            without_updates = True
        elif kind == Constructor.INVOKE_AFTER_MSG:
            after_msg_ids.append(reader.int64())
        elif kind == Constructor.INVOKE_AFTER_MSGS:
            after_msg_ids += reader.vector_int64()
        else:
            # Said outright, as compiled code copies even where the slice is the whole.
            inner = reader.data[start:] if start else reader.data
            return Unwrapped(inner, layer, without_updates, after_msg_ids)
    raise NestedTooDeep(budget.limits.max_depth)
