"""Stepping over what initConnection says about the client, to reach the call behind it.

Source: core.telegram.org/method/initConnection
"""

from typing import Final

from gnetway.errors import TLError
from gnetway.tl.budget import UnwrapBudget
from gnetway.tl.constructors import Constructor
from gnetway.tl.primitives import NestedTooDeep, Reader

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
