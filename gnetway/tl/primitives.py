"""The building blocks of TL in both directions: constructor ids, numbers, bytes, vectors, records.

Each id is the CRC-32 of the object's line in the schema, as an unsigned number; on the wire it
stands in front of a boxed object as 4 bytes, little endian.

Everything is little endian. Numbers are signed unless their name says otherwise; int128 and
int256 are nonces and stay bytes. A :class:`Reader` never trusts an announced length: it checks
against what is there before it allocates anything.

A record is a frozen dataclass below :class:`Record`; what it is on the wire is one line, its
constructor id and the TL types of its fields::

    declare(MsgsStateInfo, Constructor.MSGS_STATE_INFO, LONG, STRING)

``pack`` and ``parse`` come from there. It is for what is rare: a lookup for each field makes them
twice as dear as code by hand, so what runs per message (acknowledgements, containers, results)
is written out in ``service_messages.py``.

Source: core.telegram.org/mtproto/serialize, /mtproto/TL, /schema/mtproto and /schema
"""

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from enum import IntEnum
from struct import Struct, pack, unpack_from
from typing import Final, NamedTuple, Self

from gnetway.errors import TLError, TransportErrorCode


class Constructor(IntEnum):
    """Constructor ids, named like the schema's objects."""

    # Key exchange.
    REQ_PQ = 0x60469778
    REQ_PQ_MULTI = 0xBE7E8EF1
    RES_PQ = 0x05162463
    P_Q_INNER_DATA = 0x83C95AEC
    P_Q_INNER_DATA_DC = 0xA9F55F95
    P_Q_INNER_DATA_TEMP = 0x3C6A84D4
    P_Q_INNER_DATA_TEMP_DC = 0x56FDDF88
    REQ_DH_PARAMS = 0xD712E4BE
    SERVER_DH_PARAMS_OK = 0xD0E8075C
    SERVER_DH_INNER_DATA = 0xB5890DBA
    CLIENT_DH_INNER_DATA = 0x6643B654
    SET_CLIENT_DH_PARAMS = 0xF5045F1F
    DH_GEN_OK = 0x3BCBF734
    DH_GEN_RETRY = 0x46DC1FB9
    DH_GEN_FAIL = 0xA69DAE02
    DESTROY_AUTH_KEY = 0xD1435160
    DESTROY_AUTH_KEY_OK = 0xF660E1D4
    DESTROY_AUTH_KEY_NONE = 0x0A9F2259
    DESTROY_AUTH_KEY_FAIL = 0xEA109B13

    # Binding of temporary keys.
    BIND_AUTH_KEY_INNER = 0x75A3F765
    AUTH_BIND_TEMP_AUTH_KEY = 0xCDD42A05

    # Containers and results.
    VECTOR = 0x1CB5C415
    BOOL_TRUE = 0x997275B5
    BOOL_FALSE = 0xBC799737
    MSG_CONTAINER = 0x73F1F8DC
    GZIP_PACKED = 0x3072CFA1
    RPC_RESULT = 0xF35C6D01
    RPC_ERROR = 0x2144CA19
    RPC_DROP_ANSWER = 0x58E4A740
    RPC_ANSWER_UNKNOWN = 0x5E2AD36E
    RPC_ANSWER_DROPPED_RUNNING = 0xCD78E586
    RPC_ANSWER_DROPPED = 0xA43AD8B7

    # Acknowledgements and the state of messages.
    MSGS_ACK = 0x62D6B459
    MSGS_STATE_REQ = 0xDA69FB52
    MSGS_STATE_INFO = 0x04DEB57D
    MSGS_ALL_INFO = 0x8CC0D131
    MSG_DETAILED_INFO = 0x276D3EC6
    MSG_NEW_DETAILED_INFO = 0x809DB6DF
    MSG_RESEND_REQ = 0x7D861A08
    BAD_MSG_NOTIFICATION = 0xA7EFF811
    BAD_SERVER_SALT = 0xEDAB447B

    # Sessions, salts, pings.
    PING = 0x7ABE77EC
    PONG = 0x347773C5
    PING_DELAY_DISCONNECT = 0xF3427B8C
    NEW_SESSION_CREATED = 0x9EC20908
    GET_FUTURE_SALTS = 0xB921BD04
    FUTURE_SALTS = 0xAE500895
    FUTURE_SALT = 0x0949D9DC
    HTTP_WAIT = 0x9299359F
    DESTROY_SESSION = 0xE7512126
    DESTROY_SESSION_OK = 0xE22045FC
    DESTROY_SESSION_NONE = 0x62D350C9

    # Wrappers around calls, and what initConnection carries.
    INVOKE_WITH_LAYER = 0xDA9B0D0D
    INIT_CONNECTION = 0xC1CD5EA9
    INVOKE_WITHOUT_UPDATES = 0xBF9459B7
    INVOKE_AFTER_MSG = 0xCB9F372D
    INVOKE_AFTER_MSGS = 0x3DC4B4F0
    INPUT_CLIENT_PROXY = 0x75588B3F
    JSON_NULL = 0x3F6D7B68
    JSON_BOOL = 0xC7345E6A
    JSON_NUMBER = 0x2BE0DFA4
    JSON_STRING = 0xB71E767A
    JSON_ARRAY = 0xF7444763
    JSON_OBJECT = 0x99C1D49D
    JSON_OBJECT_VALUE = 0xC0DE1BD9

    # Calls that are answered without a login.
    AUTH_DROP_TEMP_AUTH_KEYS = 0x8E48A188
    HELP_GET_CONFIG = 0xC4F9186B
    HELP_GET_NEAREST_DC = 0x1FB33026


#: The most identifiers one message may list.
#: Source: core.telegram.org/mtproto/service_messages_about_messages
MAX_IDS: Final = 8192

_INT32: Final = Struct("<i")
_UINT32: Final = Struct("<I")
_INT64: Final = Struct("<q")

#: Strings up to 253 bytes have a 1-byte length; this value announces a 3-byte length instead.
_LONG_STRING: Final = 254
_MAX_STRING_BYTES: Final = 0xFFFFFF


class TooManyItems(TLError):
    """A list or container with more entries than the protocol allows."""

    transport_error = TransportErrorCode.FLOOD
    cause = "too_many_items"

    def __init__(self, count: int, max_count: int) -> None:
        super().__init__(f"{count} entries, allowed are {max_count}")
        self.count = count
        self.max_count = max_count


class NestedTooDeep(TLError):
    """More than ``max_depth`` wrappers or levels stand in one another."""

    cause = "nested_too_deep"

    def __init__(self, max_depth: int) -> None:
        super().__init__(f"nested deeper than {max_depth} levels")
        self.max_depth = max_depth


class Reader:
    """Reads TL values one after another from ``data``, beginning at ``position`` (in bytes).

    After a failed read ``position`` is unspecified. All methods raise
    :class:`~gnetway.errors.TLError` where the data ends too early.
    """

    __slots__ = ("data", "position")

    def __init__(self, data: bytes, position: int = 0) -> None:
        self.data = data
        self.position = position

    def remaining(self) -> int:
        """Return how many bytes are left."""
        return len(self.data) - self.position

    def _advance(self, count: int) -> int:
        """Step over ``count`` bytes and return where they begin."""
        start = self.position
        end = start + count
        if end > len(self.data):
            raise TLError(f"{count} bytes wanted, {len(self.data) - start} are left")
        self.position = end
        return start

    def int32(self) -> int:
        """Read a signed 4-byte number."""
        value: int = _INT32.unpack_from(self.data, self._advance(4))[0]
        return value

    def uint32(self) -> int:
        """Read an unsigned 4-byte number, e.g. a constructor id."""
        value: int = _UINT32.unpack_from(self.data, self._advance(4))[0]
        return value

    def int64(self) -> int:
        """Read a signed 8-byte number."""
        value: int = _INT64.unpack_from(self.data, self._advance(8))[0]
        return value

    def raw(self, count: int) -> bytes:
        """Read ``count`` bytes as they stand.

        :raises TLError: ``count`` is negative or more than what is left.
        """
        if count < 0:
            raise TLError("a length is negative")
        start = self._advance(count)
        return self.data[start : start + count]

    def int128(self) -> bytes:
        """Read 16 bytes."""
        return self.raw(16)

    def int256(self) -> bytes:
        """Read 32 bytes."""
        return self.raw(32)

    def string(self) -> bytes:
        """Read a TL string or bytes, with the zeros that fill it up to a multiple of 4.

        :raises TLError: the data ends within it, or its first byte is 255.
        """
        size = self.data[self._advance(1)]
        head = 1
        if size >= _LONG_STRING:
            if size > _LONG_STRING:
                raise TLError("a string begins with 255")
            size = int.from_bytes(self.raw(3), "little")
            head = 4
        value = self.raw(size)
        self._advance(-(head + size) % 4)
        return value

    def expect(self, constructor: int) -> None:
        """Read a constructor id that must be ``constructor``.

        :raises TLError: it is another.
        """
        found = self.uint32()
        if found != constructor:
            raise TLError(f"constructor {found:#010x} where {int(constructor):#010x} belongs")

    def count(self, max_count: int, item_bytes: int) -> int:
        """Read the number of entries that follow, each of at least ``item_bytes`` bytes.

        Checked before a caller makes room for them.

        :raises TooManyItems: there are more than ``max_count``.
        :raises TLError: the number is negative, or so many entries cannot be here.
        """
        count = self.int32()
        if count < 0:
            raise TLError("a count is negative")
        if count > max_count:
            raise TooManyItems(count, max_count)
        if count * item_bytes > self.remaining():
            raise TLError("a count is larger than the data")
        return count

    def vector_int64(self, max_count: int = MAX_IDS) -> list[int]:
        """Read a boxed ``Vector long``.

        :raises TooManyItems: it has more than ``max_count`` entries.
        :raises TLError: it is no such vector.
        """
        self.expect(Constructor.VECTOR)
        count = self.count(max_count, 8)
        return list(unpack_from(f"<{count}q", self.data, self._advance(8 * count)))


def open_boxed(body: bytes, constructor: int) -> Reader:
    """Return a reader that stands behind the constructor id of ``body``.

    :raises TLError: ``body`` is no such object.
    """
    reader = Reader(body)
    reader.expect(constructor)
    return reader


def pack_int32(value: int) -> bytes:
    """Return a signed number as 4 bytes."""
    return _INT32.pack(value)


def pack_uint32(value: int) -> bytes:
    """Return an unsigned number, e.g. a constructor id, as 4 bytes."""
    return _UINT32.pack(value)


def pack_int64(value: int) -> bytes:
    """Return a signed number as 8 bytes."""
    return _INT64.pack(value)


def pack_string(value: bytes) -> bytes:
    """Return a TL string or bytes: its length, ``value``, zeros up to a multiple of 4.

    :raises ValueError: ``value`` has 2^24 bytes or more.
    """
    size = len(value)
    if size > _MAX_STRING_BYTES:
        raise ValueError(f"a TL string has at most {_MAX_STRING_BYTES} bytes, not {size}")
    if size < _LONG_STRING:
        return b"%c%b%b" % (size, value, bytes(-(1 + size) % 4))
    return b"%b%b%b" % (_UINT32.pack(size << 8 | _LONG_STRING), value, bytes(-size % 4))


def pack_vector_int64(values: list[int]) -> bytes:
    """Return a boxed ``Vector long``."""
    return pack(f"<Ii{len(values)}q", Constructor.VECTOR, len(values), *values)


# mypyc: the table stands apart from the classes, since in a compiled dataclass a ClassVar is taken
# for one more field, and a class with decorators of our own cannot derive from a compiled one.


class TLType(NamedTuple):
    """How a field is written and read."""

    pack: Callable[..., bytes]
    read: Callable[[Reader], object]


def _read_text(reader: Reader) -> str:
    try:
        return reader.string().decode()
    except UnicodeDecodeError:
        pass  # it has the whole text: what is raised below must not carry it
    raise TLError("a text is no UTF-8")


INT: Final = TLType(pack_int32, Reader.int32)
LONG: Final = TLType(pack_int64, Reader.int64)
#: Nonces, which stay bytes; their length is not checked on the way out.
INT128: Final = TLType(bytes, Reader.int128)
#: TL's string and bytes are the same on the wire: bytes here, and text where people read it.
STRING: Final = TLType(pack_string, Reader.string)
TEXT: Final = TLType(lambda text: pack_string(text.encode()), _read_text)
#: A boxed Vector long.
IDS: Final = TLType(pack_vector_int64, Reader.vector_int64)


class _Layout(NamedTuple):
    """A line of the table."""

    constructor: int
    names: tuple[str, ...]
    types: tuple[TLType, ...]


_LAYOUTS: Final[dict[type, _Layout]] = {}


def declare(record: type, constructor: Constructor, *types: TLType) -> None:
    """Enter a record into the table; ``types`` has one for each field, in the order of both.

    :raises TypeError: ``record`` is no dataclass with so many fields.
    """
    names = tuple([field.name for field in fields(record)]) if is_dataclass(record) else ()
    if not names or len(names) != len(types):
        raise TypeError(f"{record.__name__} has the fields {names}, and {len(types)} types")
    _LAYOUTS[record] = _Layout(constructor, names, types)


class Record:
    """What all records of the table can do."""

    __slots__ = ()

    def pack(self) -> bytes:
        """Return the boxed object.

        :raises ValueError: a string has 2^24 bytes or more.
        """
        constructor, names, types = _LAYOUTS[type(self)]
        parts = [pack_uint32(constructor)]
        for name, kind in zip(names, types, strict=True):
            parts.append(kind.pack(getattr(self, name)))
        return b"".join(parts)

    @classmethod
    def parse(cls, body: bytes, max_ids: int = MAX_IDS) -> Self:
        """Read the boxed object; bytes after it are ignored.

        :raises TooManyItems: a list in it has more than ``max_ids`` ids.
        :raises TLError: it is another object, or is cut short.
        """
        return cls.read(open_boxed(body, _LAYOUTS[cls].constructor), max_ids)

    @classmethod
    def read(cls, reader: Reader, max_ids: int = MAX_IDS) -> Self:
        """Read the fields, behind a constructor id that the caller has read; raises as ``parse``.

        ``reader`` then stands behind the object.
        """
        # Lists alone have a bound of the caller's: those of a whole packet share one account.
        return cls(
            *[
                reader.vector_int64(max_ids) if kind is IDS else kind.read(reader)
                for kind in _LAYOUTS[cls].types
            ]
        )
