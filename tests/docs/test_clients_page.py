"""docs/clients.md names tests: each of them is there."""

import ast
import re
from functools import cache
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parents[2]

PAGE = ROOT / "docs" / "clients.md"

#: The folder of the tests that are named without one.
APPS = ROOT / "tests" / "live" / "apps"

NAME = re.compile(r"`([\w/]+\.py)::(\w+)::(\w+)`")


@cache
def methods_of(file: Path) -> frozenset[tuple[str, str]]:
    """Return class and method of each test that a file defines."""
    tree = ast.parse(file.read_text())
    return frozenset(
        (case.name, method.name)
        for case in tree.body
        if isinstance(case, ast.ClassDef)
        for method in case.body
        if isinstance(method, ast.FunctionDef)
    )


def is_there(path: str, case: str, method: str) -> bool:
    file = ROOT / path if path.startswith("tests/") else APPS / path
    return file.exists() and (case, method) in methods_of(file)


class ClientsPageTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.text = PAGE.read_text()

    def test_each_test_that_it_names_is_there(self) -> None:
        named = NAME.findall(self.text)
        self.assertGreater(len(named), 30)
        self.assertEqual([name for name in named if not is_there(*name)], [])

    def test_nothing_looks_like_a_test_and_is_none(self) -> None:
        """A name that is spelt otherwise would not be looked up."""
        self.assertEqual(self.text.count("::"), 2 * len(NAME.findall(self.text)))

    def test_each_line_names_one(self) -> None:
        needs = self.text.partition("## What they make of a transport error")[0]
        _, *lines = re.split(r"\n- ", needs)
        self.assertEqual([line for line in lines if not NAME.search(line)], [])

    def test_a_test_that_is_not_there(self) -> None:
        self.assertFalse(is_there("test_android.py", "AndroidTests", "test_nothing"))
        self.assertFalse(is_there("test_nothing.py", "AndroidTests", "test_a_media_key"))
