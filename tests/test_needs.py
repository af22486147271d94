"""What is missing on a machine is told."""

from unittest.mock import patch

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.needs import last_line, missing, need_program


class NeedsTests(SynchronousTestCase):
    def test_a_program_that_is_there(self) -> None:
        self.assertRegex(need_program("no-such-shell", "sh"), "^/.*/sh$")

    def test_a_program_that_is_not(self) -> None:
        with patch.dict("os.environ", {"CI": "false", "PATH": "/nowhere"}):
            error = self.assertRaises(SkipTest, need_program, "go")
        self.assertEqual(str(error), "go is not installed (Debian: golang-go)")

    def test_ci_must_have_everything(self) -> None:
        with patch.dict("os.environ", {"CI": "true"}):
            error = self.assertRaises(AssertionError, missing, "no such thing")
        self.assertEqual(str(error), "CI must have it: no such thing")

    def test_last_line(self) -> None:
        self.assertEqual(last_line("first\nlast\n"), "last")
