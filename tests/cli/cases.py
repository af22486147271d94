"""What the tests of ``gnetway check`` share."""

import io
from collections.abc import Callable

from gnetway.cli.terminal import Level, Report
from tests.service.cases import ServiceCase


class CheckCase(ServiceCase):
    def setUp(self) -> None:
        super().setUp()
        self.report = Report(io.StringIO())

    def lines(self, look: Callable[[], object]) -> list[str]:
        """Return what a look finds, without what is well."""
        self.report.findings.clear()
        look()
        return [str(found) for found in self.report.findings if found.level is not Level.OK]

    def well(self, look: Callable[[], object]) -> None:
        self.assertEqual(self.lines(look), [])
        self.assertTrue(self.report.findings)

    def line(self, look: Callable[[], object]) -> str:
        """Return the only line of a look that is not ok."""
        (line,) = self.lines(look)
        return line
