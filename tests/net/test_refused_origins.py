"""Pages that were refused: told, and bounded whatever a client sends."""

from hypothesis import given
from hypothesis.strategies import binary, lists
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from gnetway.net.peer import (
    LINE_SECONDS,
    MAX_ORIGIN_CHARS,
    MAX_ORIGINS,
    RefusedOrigins,
)


class RefusedOriginsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.refused = RefusedOrigins()

    def lines(self, *noted: tuple[bytes, float]) -> list[str]:
        """Note some, and return what the log says."""
        with capturedLogs() as logs:
            for origin, now in noted:
                self.refused.note(origin, now)
        return [formatEvent(log) for log in logs]

    def test_how_often_the_last_first(self) -> None:
        for origin in (b"a://a", b"b://b", b"a://a", b"", b"b://b", b"b://b"):
            self.refused.note(origin, 0)
        self.assertEqual(
            list(self.refused.as_dict().items()), [("b://b", 3), ("", 1), ("a://a", 2)]
        )

    def test_a_line_for_a_new_one(self) -> None:
        said = "refused origins, not among AllowedOrigins: {'https://a.org': 1}"
        self.assertEqual(self.lines((b"https://a.org", 5.0), (b"https://a.org", 1000.0)), [said])

    def test_a_line_a_minute(self) -> None:
        begun = self.lines((b"a", 0.0), (b"b", 1.0), (b"c", LINE_SECONDS - 1))
        self.assertEqual(len(begun), 1)
        # Those that came meanwhile are told by the next one, new or not.
        (line,) = self.lines((b"a", LINE_SECONDS), (b"a", 10 * LINE_SECONDS))
        self.assertTrue(line.endswith("{'a': 2, 'c': 1, 'b': 1}"), line)

    def test_the_last_ones_only(self) -> None:
        for number in range(1000):
            self.refused.note(b"%d" % number, 0)
        shown = [str(number) for number in range(999, 999 - MAX_ORIGINS, -1)]
        self.assertEqual(list(self.refused.as_dict()), shown)
        self.assertLessEqual(len(self.refused._untold), MAX_ORIGINS)

    def test_what_does_not_belong_into_a_log(self) -> None:
        (line,) = self.lines((b"a\x1b[2J\n\r\xe9{b}'%s\"", 0))
        self.assertTrue(line.isascii() and line.isprintable(), line)
        self.assertIn("x1b[2J", line)

    @given(lists(binary(max_size=400), max_size=30))
    def test_any(self, origins: list[bytes]) -> None:
        self.setUp()
        for line in self.lines(*((origin, 100.0 * index) for index, origin in enumerate(origins))):
            self.assertTrue(line.isascii() and line.isprintable(), line)
        for shown in self.refused.as_dict():
            self.assertLessEqual(len(shown), MAX_ORIGIN_CHARS + 3)

    def test_on_demand(self) -> None:
        with capturedLogs() as logs:
            self.refused.tell()
            self.refused.note(b"a", 0)
            self.refused.tell()
            self.refused.note(b"a", LINE_SECONDS)
        self.assertEqual(len(logs), 2)
