"""What the documents show: their code blocks, and the commands in them."""

import re
from typing import NamedTuple

from tests.live.gateway import ROOT

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_REMARK = re.compile(r"\s+# .*$")


class Shown(NamedTuple):
    """A command, the document that has it, and the number of its block there."""

    document: str
    block: int
    command: str


def documents() -> list[str]:
    """Return the documents by their paths in the checkout."""
    found = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "benchmarks" / "README.md"]
    found += ROOT.glob("docs/*.md")
    return sorted(str(file.relative_to(ROOT)) for file in found)


def blocks(document: str, language: str) -> list[str]:
    """Return the code blocks of a language in a document."""
    text = (ROOT / document).read_text()
    return [body for found, body in _BLOCK.findall(text) if found == language]


def commands(document: str) -> list[Shown]:
    """Return what the document types at a prompt: remarks taken off, continued lines joined."""
    found = []
    for number, block in enumerate(blocks(document, "console")):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("$ "):
                command = " ".join(_REMARK.sub("", line[2:]).split())
                found.append(Shown(document, number, command))
    return found
