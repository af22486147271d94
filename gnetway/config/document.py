"""The configuration as a tree that knows its lines, and the faults that are found in it.

The tree is made from YAML text, or from a Python mapping. PyYAML's safe loader would lose the
lines, take a key twice without a word, and follow aliases that multiply. So its event stream is
measured first, then its node tree is turned into ours.

Faults are collected while the tree is read, and shown together, one line each. A line names the
file, the line, the key path, what was found and what is allowed. It never shows what may be secret:
a value is shown only where the reader of a key decided so.
"""

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import PurePath
from typing import Final, Protocol

import yaml

#: Characters of a found text that a fault shows: enough to know it again, short enough to read.
_SHOWN_CHARACTERS: Final = 60

#: How like a word must be for a hint: difflib's own measure.
LIKE: Final = 0.6

#: The same where any other word is taken: one wrong letter in five.
ALMOST: Final = 0.8

#: Bits above which a number is only measured: nobody reads it, and Python may refuse to print it.
_SHOWN_BITS: Final = 128


class Rejected(Exception):
    """A value was refused and its fault is recorded; never leaves this package."""


class Faults:
    """The faults of one file, in the order of its lines.

    ``source`` names the file, or whatever stands for one.
    """

    __slots__ = ("_faults", "source")

    def __init__(self, source: str) -> None:
        self.source = source
        self._faults: list[tuple[int, str]] = []

    def add(self, line: int, path: str, found: str, allowed: str, hint: str = "") -> None:
        """Record one fault; ``line`` counts from 1, 0 where there are no lines.

        ``path`` is empty for the file as a whole; ``hint`` is what was probably meant.
        """
        self._faults.append((line, fault_line(self.source, line, path, found, allowed, hint)))

    def lines(self) -> list[str]:
        """Return the recorded faults, sorted by their lines."""
        return [text for _, text in sorted(self._faults, key=lambda fault: fault[0])]


def fault_line(
    source: str, number: int, path: str, found: str, allowed: str, hint: str = ""
) -> str:
    """Return the one line that shows a fault; unprintable characters come out escaped."""
    place = f"{source}:{number}" if number else source
    subject = f"{path}: " if path else ""
    meant = f"; did you mean {hint}?" if hint else ""
    line = f"{place}: {subject}found {found}; allowed: {allowed}{meant}"
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
        for letter in line
    )


def shown(value: object) -> str:
    """Return a found value as a fault shows it: short, and by its kind where it has parts."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case str():
            cut = "…" if len(value) > _SHOWN_CHARACTERS else ""
            return repr(value[:_SHOWN_CHARACTERS]) + cut
        case int():
            bits = value.bit_length()
            return str(value) if bits <= _SHOWN_BITS else f"a number of {bits} bits"
        case float():
            return repr(value)
        case list() | tuple():
            return "a list"
        case dict():
            return "a mapping"
    return f"a value of type {type(value).__name__}"


def closest(word: str, known: Iterable[str], likeness: float = LIKE) -> str:
    """Return the known word that ``word`` was probably meant to be, quoted, or an empty text.

    ``likeness`` is from 0 to 1, which is the same word.
    """
    spelt = {name.casefold(): name for name in known}
    # The comparison is quadratic, and no known word is that long.
    near = difflib.get_close_matches(word[:_SHOWN_CHARACTERS].casefold(), spelt, 1, likeness)
    return f"'{spelt[near[0]]}'" if near else ""


#: Levels of nesting; the Teamgram vocabulary needs 5.
MAX_DEPTH: Final = 16

#: Values in the whole document, those behind an alias counted each time: a real file has about
#: 60, and a few lines of aliases can stand for millions.
MAX_NODES: Final = 5_000

_TAG: Final = "tag:yaml.org,2002:"


class Node:
    """One value and where it stands.

    ``value`` is a scalar, a list of nodes, or a dict of nodes by their keys as spelt in the file.
    ``line`` counts from 1 and is that of the key (of the item in a list); 0 without a file.
    ``path`` names the value in faults, e.g. ``Gnetway.Server[1].Proto``; ``pattern`` is the same
    with all indexes taken out, under which tables know the key.
    """

    __slots__ = ("line", "path", "pattern", "value")

    def __init__(self, value: object, line: int, path: str) -> None:
        self.value = value
        self.line = line
        self.path = path
        self.pattern = ""

    def plain(self) -> object:
        """Return the value without lines; keys in lower case, since their case means nothing."""
        if isinstance(self.value, dict):
            return {name.lower(): node.plain() for name, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value


class _Tree:
    """The tree that either kind of input becomes: its bounds, the key rules and the faults."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._nodes = 0

    def reject(self, line: int, path: str, found: str, allowed: str) -> Rejected:
        self._faults.add(line, path, found, allowed)
        return Rejected()

    def count(self, line: int, path: str, depth: int) -> None:
        self._nodes += 1
        if depth > MAX_DEPTH:
            raise self.reject(line, path, "too many levels", f"{MAX_DEPTH} levels")
        if self._nodes > MAX_NODES:
            raise self.reject(line, path, "too many values", f"{MAX_NODES} values")

    def mapping(
        self,
        path: str,
        items: Iterator[tuple[object, int, Callable[[str], Node]]],
    ) -> dict[str, Node]:
        """Build a mapping from (key, line, function that builds the value for its path)."""
        built: dict[str, Node] = {}
        spelt: set[str] = set()
        for name, line, build in items:
            if not isinstance(name, str):
                self._faults.add(line, path, "a key that is no text", "names as keys, no <<")
                continue
            child = join(path, name)
            if name.casefold() in spelt:
                self._faults.add(line, child, "the key a second time", "each key once")
                continue
            spelt.add(name.casefold())
            built[name] = build(child)
        return built


def join(path: str, name: str) -> str:
    """Return the path of key ``name`` in the section at ``path``."""
    shown_name = name if len(name) <= 40 else name[:40] + "…"
    return f"{path}.{shown_name}" if path else shown_name


def from_mapping(data: Mapping[str, object], faults: Faults) -> Node:
    """Turn a Python mapping into a tree without lines.

    :raises Rejected: it is too deep or too large.
    """
    return _FromPython(_Tree(faults)).node(data, "", 0)


def from_yaml(text: str, faults: Faults) -> Node:
    """Turn one YAML document into a tree.

    :raises Rejected: it is no YAML, is empty, or is too deep or too large.
    """
    loader = None
    try:
        _measure(text, faults)
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        if root is None:
            faults.add(0, "", "an empty file", "a mapping of keys")
            raise Rejected
        return _FromYaml(_Tree(faults), loader).node(root, 1, "", 0)
    except yaml.YAMLError as error:
        faults.add(_error_line(error, text), "", _problem(error), "YAML")
        raise Rejected from None
    finally:
        if loader is not None:
            loader.dispose()


class _FromPython:
    def __init__(self, tree: _Tree) -> None:
        self._tree = tree

    def node(self, value: object, path: str, depth: int) -> Node:
        self._tree.count(0, path, depth)
        if isinstance(value, Mapping):
            items = (
                (name, 0, partial(self.node, item, depth=depth + 1)) for name, item in value.items()
            )
            return Node(self._tree.mapping(path, items), 0, path)
        if isinstance(value, list | tuple):
            nodes = [
                self.node(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(value)
            ]
            return Node(nodes, 0, path)
        return Node(str(value) if isinstance(value, PurePath) else value, 0, path)


class _FromYaml:
    def __init__(self, tree: _Tree, loader: yaml.SafeLoader) -> None:
        self._tree = tree
        self._loader = loader

    def node(self, source: yaml.Node, line: int, path: str, depth: int) -> Node:
        self._tree.count(line, path, depth)
        if isinstance(source, yaml.MappingNode) and source.tag == _TAG + "map":
            return Node(self._tree.mapping(path, self._items(source, depth)), line, path)
        if isinstance(source, yaml.SequenceNode) and source.tag == _TAG + "seq":
            nodes = [
                self.node(item, _line(item.start_mark), f"{path}[{index}]", depth + 1)
                for index, item in enumerate(source.value)
            ]
            return Node(nodes, line, path)
        return Node(self._scalar(source, line, path), line, path)

    def _items(
        self, source: yaml.MappingNode, depth: int
    ) -> Iterator[tuple[object, int, Callable[[str], Node]]]:
        for key, item in source.value:
            line = _line(key.start_mark)
            # Numbers, and the merge key <<, are told from text by their tags.
            name = key.value if key.tag == _TAG + "str" else None
            yield name, line, partial(self.node, item, line, depth=depth + 1)

    def _scalar(self, source: yaml.Node, line: int, path: str) -> object:
        try:
            if isinstance(source, yaml.ScalarNode):
                value: object = self._loader.construct_object(source)
                return value
        except (ValueError, LookupError, TypeError, OverflowError, yaml.YAMLError):
            # What an explicit or guessed tag does not fit: !!int x, 2026-99-99, !unknown.
            pass
        tag = source.tag.removeprefix(_TAG)
        raise self._tree.reject(line, path, f"a value that is no {tag!r}", "plain YAML values")


def _measure(text: str, faults: Faults) -> None:
    """Refuse what is nested too deeply before PyYAML's recursive composer meets it."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH + 1:
            faults.add(_line(event.start_mark), "", "too many levels", f"{MAX_DEPTH} levels")
            raise Rejected


class _Mark(Protocol):
    """A place in the text as PyYAML has it, in Python or in C; it counts lines from 0."""

    @property
    def line(self) -> int: ...


def _line(mark: _Mark | None) -> int:
    return mark.line + 1 if mark is not None else 0


def _error_line(error: yaml.YAMLError, text: str) -> int:
    if isinstance(error, yaml.reader.ReaderError):
        return text.count("\n", 0, error.position) + 1
    mark = None
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
    return _line(mark)


def _problem(error: yaml.YAMLError) -> str:
    # Never str(error): it quotes the file.
    if isinstance(error, yaml.MarkedYAMLError):
        context = f" {error.context}" if error.context else ""
        return f"a YAML error{context}: {error.problem or 'unknown'}"
    return "a character that YAML does not allow"
