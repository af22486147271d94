"""A log file stays within its bounds, and can be taken away by others."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from gnetway.log_file import RotatingLog, from_environment


class RotatingLogTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.path = self.folder / "log"

    def log(self, max_bytes: int = 100, keep: int = 2) -> RotatingLog:
        log = RotatingLog(str(self.path), max_bytes, keep)
        self.addCleanup(log.close)
        return log

    def names(self) -> list[str]:
        return sorted(file.name for file in self.folder.iterdir())

    def test_bounded(self) -> None:
        log = self.log()
        for number in range(100):
            log.write(f"line {number:4}\n")
        self.assertEqual(self.names(), ["log", "log.1", "log.2"])
        text = "".join((self.folder / name).read_text() for name in ("log.2", "log.1", "log"))
        kept = text.splitlines()
        self.assertEqual(kept, [f"line {number:4}" for number in range(100 - len(kept), 100)])
        for file in self.folder.iterdir():
            self.assertLessEqual(file.stat().st_size, 110)

    def test_no_size(self) -> None:
        log = self.log(0)
        for _ in range(1000):
            log.write("as long as anybody likes\n")
        self.assertEqual(self.names(), ["log"])

    def test_goes_on_behind_what_is_there(self) -> None:
        self.path.write_text("before\n")
        self.log().write("after\n")
        self.assertEqual(self.path.read_text(), "before\nafter\n")

    def test_renamed_by_another_program(self) -> None:
        log = self.log()
        log.write("one\n")
        self.path.rename(self.folder / "taken")
        log.write("two\n")
        log.want_reopen()
        log.write("three\n")
        log.write("four\n")
        self.assertEqual((self.folder / "taken").read_text(), "one\ntwo\n")
        self.assertEqual(self.path.read_text(), "three\nfour\n")

    def test_a_failure_to_rename(self) -> None:
        """Nothing is lost; later it is tried again."""
        log = self.log(20)
        with patch("os.rename", side_effect=PermissionError(1, "no")):
            for _ in range(5):
                log.write("ten bytes\n")
        self.assertEqual(self.names(), ["log"])
        self.assertEqual(self.path.stat().st_size, 50)
        log.write("ten bytes\n")
        self.assertEqual(self.names(), ["log", "log.1"])

    def test_root_gives_it_to_the_owner_of_the_directory(self) -> None:
        with patch("os.geteuid", return_value=0), patch("os.fchown") as given:
            self.log().write("x")
        owner = self.folder.stat()
        self.assertEqual(given.call_args.args[1:], (owner.st_uid, owner.st_gid))

    def test_but_nothing_to_which_links_lead(self) -> None:
        """Who owns the directory could have anything of root's that way."""
        other = self.folder / "secret"
        other.touch()
        for link in (os.symlink, os.link):
            link(other, self.path)
            with patch("os.geteuid", return_value=0), patch("os.fchown") as given:
                self.log().write("x")
            given.assert_not_called()
            self.path.unlink()


class EnvironmentTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = f"{folder.name}/log"

    def test_defaults(self) -> None:
        log = from_environment({"GNETWAY_LOG_FILE": self.path, "GNETWAY_LOG_KEEP": ""})
        self.addCleanup(log.close)
        self.assertEqual(
            (log.path, log.rotateLength, log.maxRotatedFiles), (self.path, 10 << 20, 5)
        )

    def test_numbers(self) -> None:
        wish = {"GNETWAY_LOG_FILE": self.path, "GNETWAY_LOG_BYTES": "0", "GNETWAY_LOG_KEEP": "1"}
        log = from_environment(wish)
        self.addCleanup(log.close)
        self.assertEqual((log.rotateLength, log.maxRotatedFiles), (None, 1))

    def test_faults(self) -> None:
        for name, value, said in (
            ("GNETWAY_LOG_FILE", "", "GNETWAY_LOG_FILE is not set"),
            (
                "GNETWAY_LOG_BYTES",
                "10M",
                "GNETWAY_LOG_BYTES is '10M'; it may be a number from 0 on",
            ),
            ("GNETWAY_LOG_KEEP", "0", "GNETWAY_LOG_KEEP is '0'; it may be a number from 1 on"),
            ("GNETWAY_LOG_KEEP", "-1", "GNETWAY_LOG_KEEP is '-1'"),
        ):
            wish = {"GNETWAY_LOG_FILE": self.path, name: value}
            error = self.assertRaises(ValueError, from_environment, wish)
            self.assertIn(said, str(error))
        self.assertRaises(OSError, from_environment, {"GNETWAY_LOG_FILE": f"{self.path}/x/y"})
