"""The status page's files: what they may do, and whether all can read them."""

import re
from importlib.resources import files
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from gnetway.service.connections import _SORTS, MAX_ROWS
from tests.admin.test_site import SiteCase

FOLDER: Final = files("gnetway.admin")
HTML: Final = FOLDER.joinpath("page.html").read_text()
CSS: Final = FOLDER.joinpath("page.css").read_text()
SCRIPTS: Final = {
    name: FOLDER.joinpath(name).read_text() for name in ("page.js", "list.js", "parts.js")
}


def luminance(colour: str) -> float:
    """Return how light a colour as #rrggbb is, from 0 to 1, as WCAG reckons it."""
    linear = []
    for at in (1, 3, 5):
        part = int(colour[at : at + 2], 16) / 255
        linear.append(part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4)
    red, green, blue = linear
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted(map(luminance, (one, other)))
    return (lighter + 0.05) / (darker + 0.05)


class FilesTests(SiteCase):
    def head(self, path: str, method: str = "GET") -> tuple[int, dict[str, str], str]:
        transport = self.connect()
        self.send(transport, f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        head, _, body = transport.value().decode().partition("\r\n\r\n")
        status, *lines = head.split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        return int(status.split()[1]), headers, body

    def test_without_a_token(self) -> None:
        for path, kind in {
            "/": "text/html",
            "/page.css": "text/css",
            "/page.js": "text/javascript",
            "/list.js": "text/javascript",
            "/parts.js": "text/javascript",
            "/api/schema": "application/schema+json",
        }.items():
            status, headers, body = self.head(path)
            self.assertEqual((status, headers["content-type"].partition(";")[0]), (200, kind))
            self.assertEqual(int(headers["content-length"]), len(body.encode()))
            self.assertEqual(self.head(path, "HEAD")[::2], (200, ""))
            self.assertEqual(self.head(path, "POST")[0], 405)

    def test_what_a_browser_is_told(self) -> None:
        for path in ("/", "/page.js", "/api/status", "/readyz"):
            _, headers, _ = self.head(path)
            policy = headers["content-security-policy"]
            self.assertIn("default-src 'self'", policy)
            self.assertIn("frame-ancestors 'none'", policy)
            self.assertNotIn("unsafe", policy)
            self.assertEqual(headers["x-content-type-options"], "nosniff")
            self.assertEqual(headers["x-frame-options"], "deny")
            self.assertEqual(headers["cache-control"], "no-store")

    def test_nothing_inline_and_nothing_from_elsewhere(self) -> None:
        self.assertIsNone(
            re.search(r"<style|<script(?! type=\"module\" src)|\son\w+=|\sstyle=", HTML)
        )
        self.assertEqual(re.findall(r"(?:https?:)?//[\w.]+\.\w+", HTML + CSS), [])

    def test_no_script_makes_html_of_a_text(self) -> None:
        for name, script in SCRIPTS.items():
            for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
                self.assertNotIn(way, script, name)

    def test_they_are_small(self) -> None:
        for text, most in (
            (HTML, 150),
            (CSS, 250),
            *((script, 400) for script in SCRIPTS.values()),
        ):
            self.assertLess(text.count("\n"), most)


class HtmlTests(SynchronousTestCase):
    def test_every_control_has_a_label(self) -> None:
        labelled = set(re.findall(r'<label for="([\w-]+)"', HTML))
        controls = set(re.findall(r'<(?:input|select) id="([\w-]+)"', HTML))
        self.assertGreater(len(controls), 10)
        self.assertEqual(labelled, controls)
        self.assertEqual(len(controls), len(re.findall("<(?:input|select)", HTML)))

    def test_what_scripts_look_for_is_there(self) -> None:
        there = set(re.findall(r'\bid="([\w-]+)"', HTML))
        for name, script in SCRIPTS.items():
            self.assertLessEqual(set(re.findall(r'\$\("([\w-]+)"\)', script)), there, name)

    def test_the_list_is_sorted_by_what_the_api_knows(self) -> None:
        (choices,) = re.findall(r'<select id="sort".*?</select>', HTML, re.DOTALL)
        offered = re.findall(r'<option(?: value="(\w+)")?>([\w ]+)<', choices)
        self.assertEqual({value or text for value, text in offered}, set(_SORTS))
        self.assertIn(f"MAX_ROWS = {MAX_ROWS:_};", SCRIPTS["list.js"])


class ContrastTests(SynchronousTestCase):
    """Of both themes, by the variables that all colours are."""

    def setUp(self) -> None:
        light, dark = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
        self.themes = [dict(re.findall(r"--([\w-]+): (#\w{6});", one)) for one in (light, dark)]

    def test_all_can_be_read(self) -> None:
        for theme in self.themes:
            self.assertEqual(theme.keys(), self.themes[0].keys())
            for ground in ("ground", "raised"):
                for text in ("text", "quiet", "good", "bad", "accent", "second"):
                    found = contrast(theme[text], theme[ground])
                    self.assertGreaterEqual(found, 4.5, (text, theme[text], ground))
                # Of the edges of fields.
                self.assertGreaterEqual(contrast(theme["line"], theme[ground]), 3)

    def test_no_colour_is_anything_else(self) -> None:
        rules = re.sub(r":root \{.*?\}", "", CSS, flags=re.DOTALL)
        self.assertEqual(re.findall(r"#[0-9a-f]{3,8}\b|rgb|hsl", rules), [])
