"""A check of JSON against a schema, of which it knows the keywords that ours has.

A keyword that it does not know is an error, so that nothing in a schema goes unchecked.
"""

import json
import re
from collections.abc import Callable, Iterator
from importlib.resources import files
from typing import Any, Final

Schema = dict[str, Any]

SCHEMA: Final[Schema] = json.loads(files("gnetway.admin").joinpath("api.schema.json").read_bytes())

_NOTES: Final = {"description"}

_TYPES: Final[dict[str, Callable[[object], bool]]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
}


def faults(name: str, value: object) -> list[str]:
    """Return what is wrong with an answer by a definition of the schema, with its place."""
    return list(_faults(SCHEMA["$defs"][name], value, name))


def _faults(schema: Schema, value: object, place: str) -> Iterator[str]:
    for keyword, wanted in schema.items():
        if keyword not in _NOTES and not _KEYWORDS[keyword](schema, value):
            yield f"{place}: {keyword} is {wanted!r}, found {value!r}"
    if "$ref" in schema:
        yield from _faults(_referred(schema["$ref"]), value, place)
    known = schema.get("properties", {})
    if isinstance(value, dict):
        for key, inner in value.items():
            below = known.get(key, schema.get("additionalProperties"))
            if isinstance(below, dict):
                yield from _faults(below, inner, f"{place}.{key}")
    if isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _faults(schema.get("items", {}), inner, f"{place}[{number}]")


def _referred(reference: str) -> Schema:
    found: Any = SCHEMA
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    referred: Schema = found
    return referred


def _of_type(schema: Schema, value: Any) -> bool:
    types = schema["type"]
    return any(_TYPES[name](value) for name in ([types] if isinstance(types, str) else types))


# Of what is no object both have nothing to say.


def _no_others(schema: Schema, value: Any) -> bool:
    if schema["additionalProperties"] is not False or not isinstance(value, dict):
        return True
    return set(value) <= set(schema["properties"])


def _here(schema: Schema, value: Any) -> bool:
    return not isinstance(value, dict) or set(schema["required"]) <= set(value)


def _elsewhere(schema: Schema, value: Any) -> bool:
    return True


_KEYWORDS: Final[dict[str, Callable[[Schema, Any], bool]]] = {
    "$ref": _elsewhere,
    "additionalProperties": _no_others,
    "enum": lambda schema, value: value in schema["enum"],
    "items": _elsewhere,
    "minimum": lambda schema, value: value >= schema["minimum"],
    "pattern": lambda schema, value: re.search(schema["pattern"], value) is not None,
    "properties": _elsewhere,
    "required": _here,
    "type": _of_type,
}
