"""Filling sections from a tree: each key to its parser, every fault recorded before the end."""

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from gnetway.config.document import Node, join
from gnetway.config.faults import ALMOST, Rejected, closest, shown
from gnetway.config.section import Parser, Reading, is_needed, keys_of
from gnetway.config.teamgram import GO_ZERO, IGNORED, NOT_YET, names_in

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _NoKeys:
    """A section of Teamgram's that gnetway uses nothing of."""


def section(cls: type[T]) -> Parser[T]:
    """Return a parser that fills dataclass ``cls`` from a mapping.

    All of its faults are recorded before it raises Rejected.
    """

    def parse(node: Node, reading: Reading) -> T:
        return _SectionReader(node, reading, cls).read()

    return parse


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
                self._reading.faults.add(self._node.line, path, "nothing", key.reason)
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
