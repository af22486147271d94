"""The drawing in docs/architecture.md has the layers that imports are held to, in their order."""

import re
from configparser import ConfigParser
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parents[2]


def names(layer: str) -> set[str]:
    return set(re.findall(r"\w+", layer))


def drawn() -> list[set[str]]:
    """The layers of the drawing: what stands in front of a wider gap, one line each."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    (drawing,) = re.findall(r"```text\n( tap \| cli .*?)\n\n in:", text, re.DOTALL)
    lines = [re.split(r" {2,}", line.removeprefix(" "))[0] for line in drawing.splitlines()]
    return [names(line) for line in lines if line and not line.startswith("─")]


def held() -> list[set[str]]:
    """The layers of the import contract, of those packages and modules that are there."""
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    layers = config["importlinter:contract:layers"]["layers"].split("\n")
    there = {path.stem for path in (ROOT / "gnetway").iterdir()}
    return [names(layer) & there for layer in layers if layer.strip()]


class LayersTests(SynchronousTestCase):
    def test_the_drawing_is_the_contract(self) -> None:
        self.assertEqual(drawn(), held())
