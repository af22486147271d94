"""TL records by one table: for each class its constructor id and the TL types of its fields.

A record is a frozen dataclass below :class:`Record`; what it is on the wire is one line::

    declare(MsgsStateInfo, Constructor.MSGS_STATE_INFO, LONG, STRING)

``pack`` and ``parse`` come from there. It is for what is rare: a lookup for each field makes them
twice as dear as code by hand, so what runs per message (acknowledgements, containers, results)
is written out in ``service_messages.py``.

Source: core.telegram.org/mtproto/TL
"""

# mypyc: the table stands apart from the classes, since in a compiled dataclass a ClassVar is taken
# for one more field, and a class with decorators of our own cannot derive from a compiled one.

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Final, NamedTuple, Self

from gnetway.errors import TLError
from gnetway.tl.primitives import (
    MAX_IDS,
    Constructor,
    Reader,
    open_boxed,
    pack_int32,
    pack_int64,
    pack_string,
    pack_uint32,
    pack_vector_int64,
)


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
