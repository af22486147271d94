"""Where a page repeats a key's default, it is that of the key."""

import re
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from etc.generate import Told, keys
from gnetway.cli.config import file_schema
from gnetway.config.values import in_words

ROOT = Path(__file__).parents[2]
TOLD = dict(keys(file_schema()))

#: A key, with its section or without.
_KEY = r"`((?:\w+\.)*[A-Z]\w+)`"

#: As in "`WaitSeconds` (5)", "`NewConnectionsBurst`: 10,000", "`HttpIdleSeconds`, 75 by default".
_BESIDE = re.compile(rf"{_KEY}(?: \(|: |, (?=[\w ]* by default))([0-9][\w, ]*)")


def found(name: str) -> Told | None:
    paths = [path for path in TOLD if path == name or path.endswith(f".{name}")]
    return TOLD[paths[0]] if paths else None


def repeated(text: str) -> Iterator[tuple[str, str]]:
    """Yield keys with what a page gives as their default: in a table, or beside them."""
    column = 0
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            column = 0
        elif "default" in cells:
            column = cells.index("default")
        elif column:
            for name in re.findall(_KEY, " ".join(cells[:column])):
                yield name, cells[column]
    yield from _BESIDE.findall(" ".join(text.split()))


class DefaultsTests(SynchronousTestCase):
    def test_each_is_that_of_the_key(self) -> None:
        count = 0
        for page in (ROOT / "docs").glob("*.md"):
            for name, said in repeated(page.read_text()):
                told = found(name)
                default = told and told.schema.get("default")
                # What 0 means stands in words.
                if told is not None and type(default) is int and default:
                    count += 1
                    words = in_words(default, told.unit).removesuffix(" a second")
                    self.assertRegex(said, rf"(?<![\d,]){words}\b", f"{page.name}: {name}")
        self.assertGreater(count, 30)

    def test_what_is_found(self) -> None:
        text = "| key | default |\n|---|---|\n| `A.Bc`, `De` | 5, 6 |\n"
        text += "\n`Fg`\n(7 s), `Hi`, 8 by default.\n"
        self.assertEqual(
            list(repeated(text)),
            [("A.Bc", "5, 6"), ("De", "5, 6"), ("Fg", "7 s"), ("Hi", "8 by default")],
        )
