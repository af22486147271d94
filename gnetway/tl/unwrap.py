"""Taking the wrappers off a message, within bounds that are set before anything is unpacked.

Clients wrap their calls in invokeWithLayer, initConnection, invokeWithoutUpdates,
invokeAfterMsg(s) and gzip_packed, in any order. Each layer costs the sender a few bytes, and a
compressed one may grow a thousandfold. A list, too, is cheap to send. So nothing is bounded by the
bytes of a packet alone: what is unpacked, what is stepped over and what is looked up have an
account each, counted over all that is in the packet. A packet at all of its bounds takes some 20 ms
of the reactor on pure Python; what is above is refused.
"""

import zlib
from typing import Final, NamedTuple

from gnetway.errors import TLError
from gnetway.tl.primitives import Constructor, NestedTooDeep, Reader, pack_uint32

#: What is unpacked of a packet that is only looked into, in bytes: a bind with all its wrappers
#: has some hundred, a container beside it a few thousand.
MAX_LOOK_BYTES: Final = 64 * 1024

#: How many wrappers and values such a packet may have, each message of a container counted as
#: ``MESSAGE_VALUES`` of them: 256 messages, where clients that have yet to bind send three.
MAX_LOOK_VALUES: Final = 1024
MESSAGE_VALUES: Final = 4

#: Added to the window size it makes zlib take a gzip header as well as its own: some clients send
#: a zlib stream (78 9c) in gzip_packed.
_EITHER_HEADER: Final = 32

_GZIP_PACKED: Final = pack_uint32(Constructor.GZIP_PACKED)
_RPC_RESULT: Final = pack_uint32(Constructor.RPC_RESULT)
_RPC_ERROR: Final = pack_uint32(Constructor.RPC_ERROR)

#: Compressed bytes that tell the first of an object: the tables of a block take 300 at most.
_LOOKED_AT_BYTES: Final = 1024

#: In an rpc_result, constructor and req_msg_id stand before the result.
_RESULT_OFFSET: Final = 12

#: Enough of an rpc_result to see what begins its result, which may be compressed once more.
_RESULT_LOOK_BYTES: Final = 1024

_HAS_PROXY: Final = 1
_HAS_PARAMS: Final = 2

#: device_model, system_version, app_version, system_lang_code, lang_pack, lang_code.
_STRINGS: Final = 6


class UnpackedTooLarge(TLError):
    """What a packet compresses is larger than ``max_bytes`` in all."""

    cause = "unpacked_too_large"

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"a packet unpacks to more than {max_bytes} bytes")
        self.max_bytes = max_bytes


class TooManyValues(TLError):
    """A packet has more than ``max_values`` wrappers and JSON values in all."""

    cause = "too_many_values"

    def __init__(self, max_values: int) -> None:
        super().__init__(f"more than {max_values} wrappers and JSON values in a packet")
        self.max_values = max_values


class UnwrapLimits(NamedTuple):
    """How far to follow a client.

    ``max_depth``: wrappers around one call, and levels of JSON in its initConnection; real clients
    need 5. ``max_messages``: messages in one container, by the documents. ``max_unpacked_bytes``:
    the sum over a packet of all that gzip unpacks, 4 to 7 ms; four of the largest file parts.
    ``max_ids``: msg_ids in all lists of a packet, as many as the documents allow in one.
    ``max_values``: wrappers and JSON values in a packet, 3 us each on pure Python; clients send up
    to 20 with a call that begins a connection.
    """

    max_depth: int = 16
    max_messages: int = 1024
    max_unpacked_bytes: int = 2 * 1024 * 1024
    max_ids: int = 8192
    max_values: int = 2048

    def for_a_look(self) -> "UnwrapLimits":
        """Return the limits for a packet that somebody else is to judge."""
        return self._replace(
            max_unpacked_bytes=min(self.max_unpacked_bytes, MAX_LOOK_BYTES),
            max_values=min(self.max_values, MAX_LOOK_VALUES),
        )


class UnwrapBudget:
    """The account of one packet: ``unpacked_bytes`` grows over all that is unpacked for it.

    ``ids_left`` and ``values_left`` are what its further lists and values may have.
    """

    __slots__ = ("ids_left", "limits", "unpacked_bytes", "values_left")

    def __init__(self, limits: UnwrapLimits) -> None:
        self.limits = limits
        self.unpacked_bytes = 0
        self.ids_left = limits.max_ids
        self.values_left = limits.max_values

    @property
    def left_bytes(self) -> int:
        """How many bytes may still be unpacked; never negative."""
        return max(0, self.limits.max_unpacked_bytes - self.unpacked_bytes)

    def take_values(self, count: int) -> None:
        """Count wrappers or JSON values.

        :raises TooManyValues: they are more than the packet may still have.
        """
        self.values_left -= count
        if self.values_left < 0:
            raise TooManyValues(self.limits.max_values)


class Unwrapped(NamedTuple):
    """A call without its wrappers, and what they said.

    ``body`` is the boxed object; ``layer`` the innermost one named, 0 if there was none;
    ``after_msg_ids`` the messages that have to be answered first. ``init`` has the texts of the
    innermost initConnection, as ``tl/client_info.py`` reads them; None where there was none.
    """

    body: bytes
    layer: int
    without_updates: bool
    after_msg_ids: list[int]
    init: list[bytes] | None = None


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
    init: list[bytes] | None = None
    for _ in range(budget.limits.max_depth + 1):
        start = reader.position
        kind = reader.uint32()
        if kind == Constructor.GZIP_PACKED:
            reader = Reader(gunzip(reader.string(), budget))
        elif kind == Constructor.INVOKE_WITH_LAYER:
            layer = reader.int32()
        elif kind == Constructor.INIT_CONNECTION:
            init = read_init_connection(reader, budget)
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
            return Unwrapped(inner, layer, without_updates, after_msg_ids, init)
        budget.take_values(1)
    raise NestedTooDeep(budget.limits.max_depth)


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


def is_error_result(body: bytes) -> bool:
    """Return whether a message is the rpc_error of a call; either may be compressed.

    Web A leaves a container at its first error: what stands behind one is lost to it.
    """
    kind = body[:4]
    if kind != _RPC_RESULT and kind != _GZIP_PACKED:
        return False
    head = first_bytes(body, _RESULT_LOOK_BYTES)
    result = head[_RESULT_OFFSET:]
    return head[:4] == _RPC_RESULT and first_bytes(result, 4) == _RPC_ERROR


def read_init_connection(reader: Reader, budget: UnwrapBudget) -> list[bytes]:
    """Step from behind the constructor id to the wrapped call; return the texts on the way.

    ``budget`` bounds the JSON in ``params``, by its nesting and by the number of its values.

    :raises TLError: a field is cut short or of another type.
    :raises NestedTooDeep, TooManyValues: the JSON is above its bounds.
    """
    flags = reader.uint32()
    reader.int32()  # api_id
    texts = [reader.string() for _ in range(_STRINGS)]
    if flags & _HAS_PROXY:
        reader.expect(Constructor.INPUT_CLIENT_PROXY)
        reader.string()
        reader.int32()
    if flags & _HAS_PARAMS:
        skip_json(reader, budget)
    return texts


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
