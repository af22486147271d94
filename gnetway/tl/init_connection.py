"""Stepping over what initConnection says about the client, to reach the call behind it.

Source: core.telegram.org/method/initConnection
"""

from typing import Final

from gnetway.errors import TLError
from gnetway.tl.constructors import Constructor
from gnetway.tl.primitives import NestedTooDeep, Reader

#: The most members one JSON array or object of the params may have; clients send under ten.
MAX_JSON_MEMBERS: Final = 8192

_HAS_PROXY: Final = 1
_HAS_PARAMS: Final = 2

#: device_model, system_version, app_version, system_lang_code, lang_pack, lang_code.
_STRINGS: Final = 6


def skip_init_connection(reader: Reader, max_depth: int) -> None:
    """Step from behind the constructor id to the wrapped call.

    ``max_depth`` bounds the nesting of the JSON in ``params``.

    :raises TLError: a field is cut short or of another type.
    :raises NestedTooDeep: the JSON is.
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
        skip_json(reader, max_depth)


def skip_json(reader: Reader, max_depth: int) -> None:
    """Step over one JSONValue with at most ``max_depth`` arrays and objects in one another.

    :raises TLError: it is cut short or of another type.
    :raises NestedTooDeep: there are more levels.
    """
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
        levels.append((reader.count(MAX_JSON_MEMBERS, 4), kind == Constructor.JSON_OBJECT))


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
