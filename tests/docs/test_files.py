"""The files of Python that the documents name are there, in the folders that they name."""

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parents[2]

#: What a reader is told to write: the files of examples.
_TO_WRITE = frozenset({"app.py", "ask.py", "hello.py", "test_app.py"})

_FILE = re.compile(r"[\w./]*\w\.py\b")

#: The files of the project, each with a slash in front.
_THERE = [
    f"/{file.relative_to(ROOT)}"
    for folder in (
        "gnetway",
        "tests",
        "benchmarks",
        "docs",
        "examples",
        "loadgen",
        "twisted",
        "etc",
    )
    for file in (ROOT / folder).rglob("*.py")
] + ["/setup.py", "/noxfile.py"]


def documents() -> list[Path]:
    folders = (".", "docs", "docs/decisions", "benchmarks", "loadgen")
    return sorted(file for folder in folders for file in (ROOT / folder).glob("*.md"))


def named(document: Path) -> set[str]:
    return set(_FILE.findall(document.read_text())) - _TO_WRITE


def is_there(name: str) -> bool:
    """Return whether a path, or the end of one, is that of a file."""
    return any(file.endswith(f"/{name.lstrip('./')}") for file in _THERE)


class FilesTests(SynchronousTestCase):
    def test_each_is_there(self) -> None:
        found = {document: named(document) for document in documents()}
        self.assertGreater(sum(map(len, found.values())), 50)
        for document, names in found.items():
            for name in names:
                self.assertTrue(is_there(name), f"{document.name}: {name}")

    def test_one_that_is_gone_is_seen(self) -> None:
        self.assertFalse(is_there("net/lanes.py"))
        self.assertFalse(is_there("lanes.py"))
