# ruff: noqa: INP001 - a script, not a package
"""Write ``docs/configuration.md`` and ``etc/*.yaml`` from what the configuration's readers say.

Usage: ``python etc/generate.py [folder]``; the folder is the repository's root unless given. All
is taken from the JSON schema that ``gnetway config --schema`` prints, which is made of the
dataclasses of ``gnetway/config`` and of ``keys.yaml`` there. The templates, ``etc/*.yaml.in``, say
what an example file shows, in which order, and give examples of what has no default:

    #:                what follows is explained
    #= Key            explained, and shown with its default behind a mark of comments
    #= Key: example   the same with another value
"""

import json
import re
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from gnetway.cli.config import file_schema
from gnetway.config.reader import NOT_YET
from gnetway.config.values import in_words, texts

ROOT: Final = Path(__file__).resolve().parents[1]
TEMPLATES: Final = ("gnetway.yaml.in", "gnetway-cluster.yaml.in")
PAGE: Final = "docs/configuration.md"

#: Columns of the example files and of the page.
WIDTH: Final = 100


@dataclass(frozen=True, slots=True)
class Told:
    """What is told of a key; ``live`` is whether a reload takes it."""

    schema: dict[str, Any]
    live: bool
    needed: bool

    @property
    def paragraphs(self) -> list[str]:
        """What it is for and why its default is that, without the facts behind it."""
        return str(self.schema["description"]).split("\n\n")[:-1]

    @property
    def allowed(self) -> str:
        """What may be written."""
        return str(self.schema["x-allowed"])

    @property
    def unit(self) -> str:
        """What a number counts."""
        return str(self.schema.get("x-unit", ""))

    @property
    def default(self) -> str:
        """The default as the file has it; empty where it has none."""
        return written(self.schema["default"]) if "default" in self.schema else ""

    @property
    def bounds(self) -> str:
        """Unit and bounds of a number in a few words, or the words of which one is written."""
        whole = [one for one in (self.schema, *self.schema.get("anyOf", ())) if "minimum" in one]
        if not whole:
            return self.allowed if "enum" in self.schema else ""
        low, high = (whole[0][bound] for bound in ("minimum", "maximum"))
        if self.unit.startswith("bytes"):
            low, high = in_words(low, "bytes"), in_words(high, "bytes")
        others = (f"{one['const']}, or " for one in self.schema.get("anyOf", ()) if "const" in one)
        return f"{self.unit and f'{self.unit}: '}{''.join(others)}{low} to {high}"

    @property
    def is_section(self) -> bool:
        """Whether it has keys of its own."""
        return any("properties" in place for place in places(self.schema))


def written(value: object) -> str:
    """Return a value as YAML has it."""
    if isinstance(value, str) and yaml.safe_load(value) == value:
        return value
    return json.dumps(value)


def keys(schema: dict[str, Any], path: str = "", live: bool = False) -> Iterator[tuple[str, Told]]:
    """Yield every key by its path, those of a section behind it; Teamgram's others are left out."""
    for place in places(schema):
        for name, child in place.get("properties", {}).items():
            if not child.get("deprecated"):
                below = f"{path}.{name}" if path else name
                told = Told(child, child.get("x-live", live), name in place.get("required", ()))
                yield below, told
                yield from keys(child, below, told.live)


def places(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield where the keys of a section can stand in its schema."""
    yield schema
    for inner in schema.get("anyOf", ()):
        yield from places(inner)
    if "items" in schema:
        yield from places(schema["items"])


def wrapped(paragraphs: list[str], margin: str) -> Iterator[str]:
    """Yield lines that fit; items of a list keep their form."""
    for index, paragraph in enumerate(paragraphs):
        if index:
            yield margin.rstrip()
        for item in re.split(r"\n(?=- )", paragraph):
            hanging = "  " if item.startswith("- ") else ""
            yield from textwrap.wrap(
                item,
                WIDTH,
                initial_indent=margin,
                subsequent_indent=margin + hanging,
                break_long_words=False,
                break_on_hyphens=False,
            )


# The example files.

_LINE: Final = re.compile(r"( *)(?:#(=) )?( *)(- )?([A-Z]\w*)(:.*)?")


class Line(NamedTuple):
    """A line of a template; ``path`` is empty where it stays as it is.

    ``mark`` and ``explains`` are what it asks for, ``inner`` the blanks behind its mark.
    """

    text: str
    path: str = ""
    indent: str = ""
    mark: bool = False
    inner: str = ""
    item: str = ""
    value: str = ""
    explains: bool = False


def lines_of(template: str) -> Iterator[Line]:
    """Yield the lines of a template; each key is explained once."""
    explained: set[str] = set()
    above: list[tuple[int, str]] = []
    asked = False
    for text in template.splitlines():
        match = _LINE.fullmatch(text)
        if text.strip() == "#:":
            asked = True
        elif match is None:
            yield Line(text)
        else:
            indent, mark, inner, dash, name, value = match.groups("")
            depth = len(indent + inner + dash)
            above = [*(one for one in above if one[0] < depth), (depth, name)]
            path = ".".join(name for _, name in above)
            explains = (asked or bool(mark)) and path not in explained
            explained |= {path} if explains else set()
            asked = False
            yield Line(text, path, indent, bool(mark), inner, dash + name, value, explains)


def example(template: str, told: dict[str, Told], mark: str = "# ") -> str:
    """Return an example file; ``mark`` stands before what is shown only, and may be empty."""
    lines: list[str] = []
    for line in lines_of(template):
        if line.explains:
            # A section that is shown is explained outside of its mark.
            margin = line.indent + (mark if line.inner else "") + line.inner
            lines += wrapped(told[line.path].paragraphs, f"{margin}# ")
        if line.mark:
            value = shown(line.path, told[line.path], line.value)
            lines.append(f"{line.indent}{mark}{line.inner}{line.item}{value}")
        else:
            lines.append(line.text)
    return "\n".join([*lines, ""])


def shown(path: str, told: Told, value: str) -> str:
    """Return what stands behind a key's name: the ``value`` of the template, or its default."""
    if told.is_section:
        return value or ":"
    if not value and not told.default:
        raise ValueError(f"{path} has no default, so the template has to give an example")
    return (value or f": {told.default}") + (f"  # {told.bounds}" if told.bounds else "")


# The page.

_HEAD: Final = """\
# Configuration

<!-- Written by etc/generate.py; gnetway/config/keys.yaml has the texts. -->

Every key of the file, with its default, what may be written, and whether a [reload](reload.md)
takes another value or only a restart. The file is YAML; `gnetway make-config` writes one to begin
with ([etc/gnetway.yaml](../etc/gnetway.yaml), with `--cluster`
[etc/gnetway-cluster.yaml](../etc/gnetway-cluster.yaml)), `gnetway check` tries one, and
[`gnetway config`](commands.md#config) prints what one comes to, or the JSON schema for editors.

The keys are those of Teamgram's gateway, and its file is read as it is. They are found in any case,
as it finds them. An unknown key is a fault, and so is a value out of its bounds: all faults of a
file are named at once, each with its line and what is allowed, and the gateway does not start. What
has no effect is named in the log.

A relative path of a file that is read means the folder of the configuration, or the current one
where the file is only there; what the gateway makes lies beside the configuration.

`Gnetway.Server`, `RSAKey` and `Gnetway.Admission.Networks` are lists; below them stands what each
item has.
"""

_OTHERS: Final = """
## Keys of Teamgram's without effect

They are read, so that Teamgram's files need no change. Those that only tune the Go gateway are
checked for their kind and named once at start:

{ignored}

Those that ask for something that this gateway does not do are refused where they ask for it:

{refused}

In `Log`, `Prometheus`, `Telemetry`, `Etcd` and `Session`, which are go-zero's own sections, unknown
keys are passed over and named, as go-zero does; one that looks like a key with an effect is a
fault.
"""

#: Names of keys, with or without their section.
_NAME: Final = re.compile(
    r"(?<![\w`/.])((?:[A-Z]\w*\.)*[A-Z][a-z0-9]+[A-Z]\w*|(?:[A-Z]\w*\.)+[A-Z]\w*)\b"
)

#: Names of keys that are words, too.
_WORDS: Final = frozenset({"WebSocket"})


def page(told: dict[str, Told], teamgrams: list[str]) -> str:
    """Return the reference; ``teamgrams`` are the paths of keys without effect."""
    parts = [_HEAD]
    for path in texts():
        one = told[path]
        heading = "#" * min(2 + path.count("."), 5)
        paragraphs = [linked(text.replace("*", "\\*"), path, told) for text in one.paragraphs]
        text = "\n".join(wrapped([facts(one), *paragraphs], ""))
        parts.append(f"\n{heading} {path}\n\n{text}\n")
    ignored = ", ".join(f"`{path}`" for path in teamgrams if path not in NOT_YET)
    refused = (f"- `{path}`: {NOT_YET[path].allowed}" for path in teamgrams if path in NOT_YET)
    ignored = "\n".join(wrapped([f"{ignored}."], ""))
    return "".join(parts) + _OTHERS.format(ignored=ignored, refused="\n".join(refused))


def facts(one: Told) -> str:
    """Return default, what is allowed, and how it changes, in a line."""
    said = [f"*Allowed*: {one.allowed}.".replace(" * ", " \\* ").replace("/*.", "/\\*.")]
    if one.needed:
        said.insert(0, "*Needed*.")
    elif one.default:
        words = in_words(one.schema["default"], one.unit)
        meant = f" ({words})" if "iB" in words else ""
        said.insert(0, f"*Default*: `{one.default}`{one.unit and f' {one.unit}'}{meant}.")
    if one.live or not one.is_section or "items" in one.schema:
        said.append(f"*Changes by*: {'reload' if one.live else 'restart'}.")
    return " ".join(said)


def linked(text: str, path: str, told: dict[str, Told]) -> str:
    """Return a text with links to the pages and keys that it names."""
    text = re.sub(r"\bdocs/([\w-]+\.md)\b", r"[\1](\1)", text)
    section = path.rpartition(".")[0]

    def link(match: re.Match[str]) -> str:
        name = match[1]
        places = [name, f"{path}.{name}", f"{section}.{name}"]
        places += [other for other in told if other.endswith(f".{name}")]
        found = next((place for place in places if place in told), "")
        if not found or found == path or name in _WORDS:
            return name
        return f"[{name}](#{found.replace('.', '').lower()})"

    return _NAME.sub(link, text)


def deprecated(schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """Yield the keys of Teamgram's that mean nothing here."""
    for place in places(schema):
        for name, child in place.get("properties", {}).items():
            below = f"{path}.{name}" if path else name
            if child.get("deprecated"):
                yield below
            else:
                yield from deprecated(child, below)


def files() -> dict[str, str]:
    """Return what is written, by its place."""
    schema = file_schema()
    told = dict(keys(schema))
    written_files = {
        f"etc/{name.removesuffix('.in')}": example((ROOT / "etc" / name).read_text(), told)
        for name in TEMPLATES
    }
    return written_files | {PAGE: page(told, list(deprecated(schema)))}


if __name__ == "__main__":
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT
    for name, content in files().items():
        (root / name).write_text(content)
