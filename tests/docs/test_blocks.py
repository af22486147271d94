"""The code blocks of the documents: a test runs each one of Python, and YAML has known keys."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from twisted.trial.unittest import SynchronousTestCase

from gnetway.cli.config import file_schema
from tests.docs.test_files import documents

ROOT = Path(__file__).parents[2]

#: Document → the test that runs its blocks of Python, or of JavaScript.
RUN_BY = {
    "README.md": "tests/live/test_documents.py",
    "docs/api.md": "tests/docs/test_api_page.py",
    "docs/embedded.md": "tests/live/test_documents.py",
    "docs/embedding.md": "tests/docs/test_embedding_page.py",
    "docs/handler.md": "tests/live/commands/test_install.py",
    "docs/point-clients.md": "tests/live/web/test_point_page.py",
    "docs/porting.md": "tests/live/test_porting_example.py",
    "docs/routes.md": "tests/test_routes.py",
    "docs/testing.md": "tests/docs/test_testing_page.py",
}


def blocks(language: str) -> Iterator[tuple[str, str]]:
    """Yield document and text of each block of a language."""
    for document in documents():
        found = re.findall(
            rf"^ *```{language}\n(.*?)^ *```$", document.read_text(), re.MULTILINE | re.DOTALL
        )
        for block in found:
            yield str(document.relative_to(ROOT)), block


def mappings(value: object) -> Iterator[dict[str, Any]]:
    """Yield all mappings in what a file has, inner ones too."""
    if isinstance(value, dict):
        yield value
    for inner in (
        value.values() if isinstance(value, dict) else value if type(value) is list else ()
    ):
        yield from mappings(inner)


class BlocksTests(SynchronousTestCase):
    def test_each_program_is_run(self) -> None:
        shown = {document for name in ("python", "js") for document, _ in blocks(name)}
        self.assertEqual(shown, set(RUN_BY))
        for document, test in RUN_BY.items():
            self.assertIn(Path(document).name, (ROOT / test).read_text(), test)

    def test_each_key_is_one(self) -> None:
        """At any depth: blocks begin inside of a section. Names with dots are of modules."""
        parts = mappings(file_schema())
        known = {name for part in parts for name in part.get("properties", ())}
        count = 0
        for document, block in blocks("yaml"):
            for mapping in mappings(yaml.safe_load(block)):
                names = {name for name in mapping if "." not in name}
                self.assertEqual(names - known, set(), f"{document}: {block}")
                count += len(names)
        self.assertGreater(count, 40)
