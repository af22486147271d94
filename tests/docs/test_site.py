"""The site of the documents: it builds without a warning, and loads nothing from elsewhere."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.needs import missing

ROOT = Path(__file__).parents[2]

_ELSEWHERE = re.compile(r"(https?:)?//")

_URL = re.compile(r"url\([\"']?([^)\"']+)")


def need_mkdocs() -> None:
    if find_spec("mkdocs") is None or find_spec("mkdocstrings") is None:
        missing("mkdocs is not installed (extra docs)")


def build(to: Path) -> "subprocess.CompletedProcess[str]":
    """Build the site as `make docs` does, but to another folder."""
    # Not with --quiet, which has --strict pass over warnings.
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(to)],
        check=False,
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )


class Page(HTMLParser):
    """What a page of HTML has the browser load."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "a":
            self.loaded += [value for name, value in attrs if name in ("src", "href") and value]


class SiteTests(SynchronousTestCase):
    """All of it at once, since a build takes some seconds."""

    def setUp(self) -> None:
        need_mkdocs()
        self.site = Path(self.mktemp()).absolute()

    def pages(self) -> Iterator[tuple[Path, Page]]:
        for file in self.site.rglob("*.html"):
            yield file, Page(file.read_text())

    def test_it_builds_strictly_and_stands_alone(self) -> None:
        done = build(self.site)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertNotIn("WARNING", done.stdout)
        pages = dict(self.pages())
        self.assertGreater(len(pages), 35)
        for file, page in pages.items():
            elsewhere = [address for address in page.loaded if _ELSEWHERE.match(address)]
            self.assertEqual(elsewhere, [], file)
        for sheet in self.site.rglob("*.css"):
            urls = _URL.findall(sheet.read_text())
            self.assertEqual([url for url in urls if _ELSEWHERE.match(url)], [], sheet)


class HookTests(SynchronousTestCase):
    def rewritten(self, markdown: str, uri: str) -> str:
        need_mkdocs()
        text = import_module("docs.site.hooks").rewritten(markdown, uri)
        assert isinstance(text, str)
        return text

    def test_a_page_from_outside(self) -> None:
        readme = "[web](docs/web.md#tls), [log](CHANGES.md), [keys](etc/gnetway.yaml)"
        self.assertEqual(
            self.rewritten(readme, "index.md"),
            "[web](web.md#tls), [log](changes.md), [keys](files/etc/gnetway.yaml.md)",
        )

    def test_from_a_folder_to_the_outside(self) -> None:
        self.assertEqual(
            self.rewritten(
                "[a](../../README.md#licence) [b](../compiled-core.md)", "decisions/x.md"
            ),
            "[a](../index.md#licence) [b](../compiled-core.md)",
        )

    def test_the_name_of_a_page_becomes_its_title(self) -> None:
        self.assertEqual(
            self.rewritten("([web.md](web.md#tls)), [more](web.md)", "admin.md"),
            "([Web clients](web.md#tls)), [more](web.md)",
        )

    def test_a_public_name_leads_to_its_docstring(self) -> None:
        self.assertEqual(
            self.rewritten("`gnetway.make_gateway`, `gnetway.net.tcp`", "embedding.md"),
            "[`gnetway.make_gateway`][gnetway.make_gateway], `gnetway.net.tcp`",
        )

    def test_what_is_not_there_is_left_for_mkdocs_to_see(self) -> None:
        for link in (
            "[a](../gone.yaml)",
            "[a](gone.md)",
            "[a](https://example.org/web.md)",
            "[a](#b)",
        ):
            self.assertEqual(self.rewritten(link, "web.md"), link)
