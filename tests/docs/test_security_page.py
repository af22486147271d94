"""docs/security.md names keys: each of them is in a configuration file that explains it."""

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parents[2]

#: A key at the beginning of its line, in a remark or not.
_KEY = re.compile(r"^[\s#-]*(\w+):", re.MULTILINE)


def named() -> set[str]:
    """Return the keys of the two tables of bounds, the last part of each."""
    text = (ROOT / "docs" / "security.md").read_text()
    tables = text.partition("\n## Bounds\n")[2].partition("\n## Measured\n")[0]
    return {path.rpartition(".")[2] for path in re.findall(r"`((?:\w*\.)*[A-Z]\w+)`", tables)}


class SecurityPageTests(SynchronousTestCase):
    def test_each_key_is_there(self) -> None:
        texts = (path.read_text() for path in (ROOT / "etc").glob("*.yaml"))
        explained = {name for text in texts for name in _KEY.findall(text)}
        found = named()
        self.assertGreater(len(found), 12)
        self.assertEqual(found - explained, set())
