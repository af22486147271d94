"""Filling sections from a tree: each key to its parser, every fault recorded before the end."""

import json
from collections.abc import Callable
from dataclasses import Field, dataclass
from typing import Any, Final, Generic, TypeVar

from gnetway.config.document import ALMOST, Node, Rejected, closest, join, shown
from gnetway.config.values import (
    Key,
    Parser,
    Reading,
    Schema,
    described,
    explained,
    is_needed,
    keys_of,
    schema_of,
)

# The part of Teamgram's vocabulary that gnetway does not use: refused by name, or without effect.
#
# Both tables shrink: a key that gains a meaning becomes a field of the model and leaves here. The
# names are those of teamgram-server's gnetway and of the go-zero framework below it. A pattern is
# a key path without indexes.


@dataclass(frozen=True, slots=True)
class NotYet:
    """A key that asks for something this version cannot do.

    ``asks`` gets the plain value (keys in lower case) and tells whether it asks at all: `false`
    and an empty section do not. A ``secret`` value is not shown.
    """

    asks: Callable[[object], bool]
    allowed: str = "leave it out"
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Ignored:
    """A key whose value is checked for its kind and then has no effect."""

    kinds: tuple[type, ...]
    allowed: str

    def fits(self, value: object) -> bool:
        """Return whether a plain value is of the kind that Teamgram takes."""
        # bool is an int to Python, but not to go-zero.
        return isinstance(value, self.kinds) and (bool in self.kinds or not isinstance(value, bool))


def _given(value: object) -> bool:
    return value not in (None, "", [], {})


def _on(value: object) -> bool:
    return value is not None and value is not False


def _more_than(*harmless: str) -> Callable[[object], bool]:
    """Return a test for sections that do nothing while only ``harmless`` keys are set."""

    def asks(value: object) -> bool:
        if not isinstance(value, dict):
            return value is not None
        return any(
            _given(item) and _on(item) for name, item in value.items() if name not in harmless
        )

    return asks


def _dev_server(value: object) -> bool:
    # go-zero starts it unless told otherwise.
    return value is not None and not (isinstance(value, dict) and value.get("enabled") is False)


#: What is refused by its name.
NOT_YET: Final[dict[str, NotYet]] = {
    "Auth": NotYet(_on, "false, or leave it out"),
    "Redis": NotYet(_given),
    "MetricsUrl": NotYet(_given),
    "DevServer": NotYet(_dev_server, "'Enabled: false', or leave it out"),
    "Profiling": NotYet(_more_than("cpuprofilinginterval", "profileinterval", "loginterval")),
    "Etcd.ID": NotYet(_given),
    "Etcd.InsecureSkipVerify": NotYet(_on, "false, or leave it out"),
    "Session.Etcd.ID": NotYet(_given),
    "Session.Etcd.InsecureSkipVerify": NotYet(_on, "false, or leave it out"),
    "Session.Target": NotYet(_given, "Session.Endpoints in its place"),
    "Session.App": NotYet(_given),
    "Session.Token": NotYet(_given, secret=True),
}

_TEXT: Final = Ignored((str,), "a text")
_WHOLE: Final = Ignored((int,), "a whole number")
_FLAG: Final = Ignored((bool,), "true or false")
_DURATION: Final = Ignored((int, str), "a whole number or a text such as 20s")
_SECTION: Final = Ignored((dict,), "a mapping of keys")
_LIST: Final = Ignored((list,), "a list")

#: What only tunes or watches the Go gateway: read, named once at start, without effect.
IGNORED: Final[dict[str, Ignored]] = {
    "Mode": _TEXT,
    "Timeout": _WHOLE,
    "CpuThreshold": _WHOLE,
    "MaxProc": _WHOLE,
    "Health": _FLAG,
    "StrictControl": _FLAG,
    "Middlewares": _SECTION,
    "MethodTimeouts": _LIST,
    "Shutdown": _SECTION,
    "Log.TimeFormat": _TEXT,
    "Log.CompressType": _TEXT,
    "Log.Stat": _FLAG,
    "Log.StackCooldownMillis": _WHOLE,
    "Log.FileTimeFormat": _TEXT,
    "Log.FieldKeys": _SECTION,
    "Server.SendBuf": _WHOLE,
    "Server.ReceiveBuf": _WHOLE,
    "Server.SendChanSize": _WHOLE,
    "Server.ServerName": _TEXT,
    "Server.ProtoName": _TEXT,
    "Server.Keepalive": _FLAG,
    "Gnetway.SendBuf": _WHOLE,
    "Gnetway.ReceiveBuf": _WHOLE,
    "Session.NonBlock": _FLAG,
    "Session.KeepaliveTime": _DURATION,
    "Session.Middlewares": _SECTION,
    "Session.BalancerName": _TEXT,
}


#: Sections of go-zero's own, which passes over keys that it does not know; so do they, and are
#: listed as without effect. A key that looks like one with an effect is a fault all the same.
GO_ZERO: Final = frozenset({"Log", "Prometheus", "Telemetry", "Etcd", "Session", "Session.Etcd"})


def names_in(pattern: str) -> list[str]:
    """Return the keys that the two tables have in the section ``pattern`` ("" is the file)."""
    prefix = f"{pattern}." if pattern else ""
    inner = (name[len(prefix) :] for name in (*NOT_YET, *IGNORED) if name.startswith(prefix))
    return list(dict.fromkeys(name.partition(".")[0] for name in inner))


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _NoKeys:
    """A section of Teamgram's that gnetway uses nothing of."""


def section(cls: type[T]) -> Parser[T]:
    """Return a parser that fills dataclass ``cls`` from a mapping.

    All of its faults are recorded before it raises Rejected.
    """
    needs = " and ".join(entry.name for item, entry in keys_of(cls) if is_needed(item))

    @described(
        lambda pattern: _schema(cls, pattern), f"a section with {needs}" if needs else "a section"
    )
    def parse(node: Node, reading: Reading) -> T:
        return _SectionReader(node, reading, cls).read()

    return parse


#: By the kinds of a value without effect.
_JSON_TYPES: Final = {
    str: "string",
    int: "integer",
    bool: "boolean",
    dict: "object",
    list: "array",
}


def _schema(cls: type[Any], pattern: str) -> Schema:
    """Return what a section may be.

    Keys are there as they are written here: that other cases are read, too, no schema can say.
    """
    properties: dict[str, Schema] = {}
    needed = []
    for item, entry in keys_of(cls):
        below = join(pattern, entry.name)
        properties[entry.name] = schema_of(entry.parse, below) | _told(below, item, entry)
        if is_needed(item):
            needed.append(entry.name)
    for name in names_in(pattern):
        ignored = IGNORED.get(join(pattern, name))
        kinds = {"type": [_JSON_TYPES[kind] for kind in ignored.kinds]} if ignored else {}
        why = "without effect" if ignored else "not implemented in this version"
        teamgrams = kinds | {"description": f"Teamgram's; {why}.", "deprecated": True}
        properties.setdefault(name, teamgrams)
    schema = {"type": "object" if needed else ["object", "null"], "properties": properties}
    if needed:
        schema["required"] = needed
    return schema | {"additionalProperties": pattern in GO_ZERO}


def _told(pattern: str, item: Field[Any], entry: Key) -> Schema:
    """Return what a person should know of a key; the last paragraph of its description is facts.

    Beside JSON Schema's own words stand three more: ``x-allowed`` is what may be written, in
    words, ``x-unit`` what a number counts, ``x-live`` whether a reload takes it, where that is not
    as for the section around it.
    """
    told: Schema = {"x-allowed": entry.allowed}
    if entry.unit:
        told["x-unit"] = entry.unit
    if entry.live is not None:
        told["x-live"] = entry.live
    default = list(item.default) if isinstance(item.default, tuple) else item.default
    if entry.name == "UnixMode":
        # Octal, which is another number to a newer YAML.
        default = f"{default:04o}"
    # Of secrets nothing is told, and what an empty default means the text says.
    is_told = isinstance(default, bool | int | float | str | list) and default not in ("", [])
    facts = f"Allowed: {entry.allowed}."
    if is_told and item.repr:
        told["default"] = default
        unit = f" {entry.unit}" if entry.unit else ""
        shown_as = default if isinstance(default, str) else json.dumps(default)
        facts = f"Default: {shown_as}{unit}. {facts}"
    return told | {"description": f"{explained(pattern, item, entry)}\n\n{facts}"}


class _SectionReader(Generic[T]):
    def __init__(self, node: Node, reading: Reading, cls: type[T]) -> None:
        self._node = node
        self._reading = reading
        self._cls = cls
        self._keys = {key.name: (item, key) for item, key in keys_of(cls)}
        self._known = list(dict.fromkeys([*self._keys, *names_in(node.pattern)]))
        self._values: dict[str, Any] = {}
        #: Keys that are there, sound or not.
        self._met: set[str] = set()

    def read(self) -> T:
        # A section whose keys are all commented out is an empty one.
        entries = {} if self._node.value is None else self._node.value
        if not isinstance(entries, dict):
            self._reading.reject(self._node, shown(entries), "a mapping of keys")
        sound = True
        for spelt, child in entries.items():
            try:
                self._entry(spelt, child)
            except Rejected:
                sound = False
        for item, key in self._keys.values():
            if is_needed(item) and key.name not in self._met:
                sound = False
                path = join(self._node.path, key.name)
                self._reading.faults.add(self._node.line, path, "nothing", key.allowed)
        if not sound:
            raise Rejected
        return self._cls(**self._values)

    def _entry(self, spelt: str, child: Node) -> None:
        # The Go gateway reads keys in any case, so a file may rely on it.
        name = next((name for name in self._known if name.casefold() == spelt.casefold()), "")
        if not name:
            self._unknown(spelt, child)
            return
        child.path = join(self._node.path, name)
        child.pattern = join(self._node.pattern, name)
        self._reading.lines[child.path] = child.line
        self._met.add(name)
        self._refuse_not_yet(child)
        if name in self._keys:
            item, key = self._keys[name]
            self._values[item.name] = key.parse(child, self._reading)
        elif child.value is not None:
            _ignore(child, self._reading)

    def _unknown(self, spelt: str, child: Node) -> None:
        """Refuse a key that nobody knows, or pass over it where go-zero does."""
        if self._node.pattern in GO_ZERO and not closest(spelt, self._keys, ALMOST):
            child.path = join(self._node.path, spelt)
            self._reading.lines[child.path] = child.line
            self._reading.unused.append(child.path)
            return
        allowed = ", ".join(sorted(self._known)) or "no keys"
        self._reading.reject(child, "an unknown key", allowed, closest(spelt, self._known))

    def _refuse_not_yet(self, child: Node) -> None:
        refusal = NOT_YET.get(child.pattern)
        if refusal is None or not refusal.asks(child.plain()):
            return
        what = "a value" if refusal.secret else shown(child.plain())
        found = f"{what}, which is not implemented yet in this version"
        self._reading.reject(child, found, refusal.allowed)


def _ignore(node: Node, reading: Reading) -> None:
    """Check a key without effect; those inside a section are listed one by one."""
    expected = IGNORED.get(node.pattern)
    if expected is None:
        if names_in(node.pattern):
            section(_NoKeys)(node, reading)
        return
    if not expected.fits(node.plain()):
        reading.reject(node, shown(node.plain()), expected.allowed)
    reading.unused.append(node.path)
