"""Digests of private code, whatever the version is called."""

import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from gnetway.runtime.shortcuts import differing, differs


class ComparedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.patch(sys, "path", [str(self.directory), *sys.path])
        self.addCleanup(sys.modules.pop, "a_library", None)
        self.write("return 1")

    def write(self, line: str) -> None:
        text = f"def first():\n    pass\n\nclass Kept:\n    def one(self):\n        {line}\n"
        (self.directory / "a_library.py").write_text(text)

    def test_as_it_was(self) -> None:
        """By the text of the function, whatever stands around it."""
        compared = {"a_library:Kept.one": "439730a0c3351de0"}
        self.assertEqual((differing(compared), differs(compared)), ([], ""))
        self.write("return 1\n\n    def two(self):\n        pass")
        self.assertEqual(differing(compared), [])

    def test_another(self) -> None:
        self.write("return 2")
        compared = {"a_library:Kept.one": "439730a0c3351de0"}
        self.assertEqual(differing(compared), ["a_library:Kept.one"])
        self.assertEqual(differs(compared), "a_library.Kept.one is not the code that was compared")

    def test_what_is_not_there(self) -> None:
        """A module, a name, or the source."""
        compared = dict.fromkeys(("a_library:Kept.gone", "no_library:one", "math:sin"), "0")
        self.assertEqual(differing(compared), list(compared))
        self.assertIn(" and 2 more is not", differs(compared))
        (self.directory / "a_library.py").unlink()
        self.assertEqual(
            differing({"a_library:Kept.one": "439730a0c3351de0"}), ["a_library:Kept.one"]
        )
