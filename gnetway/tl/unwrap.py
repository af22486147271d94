"""Taking the wrappers off a message, within bounds that are set before anything is unpacked.

Clients wrap their calls in invokeWithLayer, initConnection, invokeWithoutUpdates,
invokeAfterMsg(s) and gzip_packed, in any order. Each layer costs the sender a few bytes, and a
compressed one may grow a thousandfold, hence an account for the whole packet.
"""

import zlib
from typing import Final, NamedTuple

from gnetway.errors import TLError
from gnetway.tl.budget import UnpackedTooLarge, UnwrapBudget, UnwrapLimits
from gnetway.tl.constructors import Constructor
from gnetway.tl.primitives import NestedTooDeep, Reader, pack_uint32

# Stepping over what initConnection says about the client, to reach the call behind it.
#
# See core.telegram.org/method/initConnection

_HAS_PROXY: Final = 1
_HAS_PARAMS: Final = 2

#: device_model, system_version, app_version, system_lang_code, lang_pack, lang_code.
_STRINGS: Final = 6


def skip_init_connection(reader: Reader, budget: UnwrapBudget) -> None:
    """Step from behind the constructor id to the wrapped call.

    ``budget`` bounds the JSON in ``params``, by its nesting and by the number of its values.

    :raises TLError: a field is cut short or of another type.
    :raises NestedTooDeep, TooManyValues: the JSON is above its bounds.
    """
    flags = reader.uint32()
    reader.int32()  # api_id
    for _ in range(_STRINGS):
        reader.string()
    if flags & _HAS_PROXY:
        reader.expect(Constructor.INPUT_CLIENT_PROXY)
        reader.string()
        reader.int32()
    if flags & _HAS_PARAMS:
        skip_json(reader, budget)


def skip_json(reader: Reader, budget: UnwrapBudget) -> None:
    """Step over one JSONValue; ``budget`` says how many levels and values it may have.

    :raises TLError: it is cut short or of another type.
    :raises NestedTooDeep: there are more arrays and objects in one another.
    :raises TooManyValues: it has more values.
    """
    max_depth = budget.limits.max_depth
    budget.take_values(1)
    # For each open level: how many values are still to come, and whether each has a name. The
    # first level is the value itself. A stack of our own, so no input can deepen Python's.
    levels = [(1, False)]
    while levels:
        left, named = levels.pop()
        if not left:
            continue
        levels.append((left - 1, named))
        if named:
            reader.expect(Constructor.JSON_OBJECT_VALUE)
            reader.string()
        kind = reader.uint32()
        if kind not in (Constructor.JSON_ARRAY, Constructor.JSON_OBJECT):
            _skip_scalar(reader, kind)
            continue
        if len(levels) > max_depth:
            raise NestedTooDeep(max_depth)
        reader.expect(Constructor.VECTOR)
        members = reader.count(reader.remaining(), 4)
        budget.take_values(members)
        levels.append((members, kind == Constructor.JSON_OBJECT))


def _skip_scalar(reader: Reader, kind: int) -> None:
    if kind == Constructor.JSON_STRING:
        reader.string()
    elif kind == Constructor.JSON_NUMBER:
        reader.raw(8)
    elif kind == Constructor.JSON_BOOL:
        if reader.uint32() not in (Constructor.BOOL_TRUE, Constructor.BOOL_FALSE):
            raise TLError("a Bool is neither true nor false")
    elif kind != Constructor.JSON_NULL:
        raise TLError(f"constructor {kind:#010x} is no JSONValue")


__all__ = [
    "UnpackedTooLarge",
    "UnwrapBudget",
    "UnwrapLimits",
    "Unwrapped",
    "first_bytes",
    "gunzip",
    "unwrap",
]

#: Added to the window size it makes zlib take a gzip header as well as its own: some clients send
#: a zlib stream (78 9c) in gzip_packed.
_EITHER_HEADER: Final = 32

_GZIP_PACKED: Final = pack_uint32(Constructor.GZIP_PACKED)

#: Compressed bytes that tell the first of an object: the tables of a block take 300 at most.
_LOOKED_AT_BYTES: Final = 1024


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
    :raises TooManyValues: the packet has more wrappers and JSON values than it may.
    :raises TooManyItems: it has more msg_ids than it may.
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
            skip_init_connection(reader, budget)
        elif kind == Constructor.INVOKE_WITHOUT_UPDATES:
            without_updates = True
        elif kind == Constructor.INVOKE_AFTER_MSG:
            after_msg_ids.append(reader.int64())
        elif kind == Constructor.INVOKE_AFTER_MSGS:
            listed = reader.vector_int64(budget.ids_left)
            budget.ids_left -= len(listed)
            after_msg_ids += listed
        else:
            # Said outright, as compiled code copies even where the slice is the whole.
            inner = reader.data[start:] if start else reader.data
            return Unwrapped(inner, layer, without_updates, after_msg_ids)
        budget.take_values(1)
    raise NestedTooDeep(budget.limits.max_depth)
