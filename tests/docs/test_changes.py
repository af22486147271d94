"""CHANGES.md begins with the version that the package has."""

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from gnetway import __version__

ROOT = Path(__file__).parents[2]


class ChangesTests(SynchronousTestCase):
    def test_the_newest_section_is_that_of_the_version(self) -> None:
        sections = re.findall(r"^## (\S+) \(", (ROOT / "CHANGES.md").read_text(), re.MULTILINE)
        self.assertEqual(sections[0], __version__)
