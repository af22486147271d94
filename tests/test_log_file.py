"""A log file stays within its bounds, and can be taken away by others."""

import errno
import gzip
import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import IO
from unittest.mock import patch

from twisted.logger import ILogObserver, LogEvent, LogLevel
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from gnetway.log_file import Bounds, LogWriter, RotatingLog, as_text, from_environment

#: Noon of some day.
NOON = 1_700_000_000.0 // 86_400 * 86_400 + 43_200
DAY = 86_400.0

FULL = os.strerror(errno.ENOSPC)


class LogCase(SynchronousTestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.path = self.folder / "log"

    def log(
        self, bounds: Bounds | None = None, owner: tuple[int, int] | None = None
    ) -> RotatingLog:
        log = RotatingLog(str(self.path), Bounds(100, 2) if bounds is None else bounds, owner)
        self.addCleanup(log.close)
        return log

    def names(self) -> list[str]:
        return sorted(file.name for file in self.folder.iterdir())


class RotatingLogTests(LogCase):
    def test_bounded(self) -> None:
        log = self.log()
        for number in range(100):
            log.write(b"line %4d\n" % number, NOON)
        self.assertEqual(self.names(), ["log", "log.1", "log.2"])
        text = "".join((self.folder / name).read_text() for name in ("log.2", "log.1", "log"))
        kept = text.splitlines()
        self.assertEqual(kept, [f"line {number:4}" for number in range(100 - len(kept), 100)])
        for file in self.folder.iterdir():
            self.assertLessEqual(file.stat().st_size, 100)

    def test_no_bounds(self) -> None:
        log = self.log(Bounds())
        for _ in range(1000):
            log.write(b"as long as anybody likes\n", NOON)
        self.assertEqual(self.names(), ["log"])
        log = self.log(Bounds(10))
        for _ in range(20):
            log.write(b"one each\n", NOON)
        self.assertEqual(len(self.names()), 21)

    def test_goes_on_behind_what_is_there(self) -> None:
        self.path.write_text("before\n")
        self.log().write(b"after\n", NOON)
        self.assertEqual(self.path.read_text(), "before\nafter\n")

    def test_each_day_has_a_file(self) -> None:
        log = self.log(Bounds(daily=True))
        for hours in (0, 1, 24, 25, 72):
            log.write(b"%d\n" % hours, NOON + 3600 * hours)
        texts = [(self.folder / name).read_text() for name in self.names()]
        self.assertEqual(texts, ["72\n", "24\n25\n", "0\n1\n"])

    def test_the_day_of_a_file_that_is_there(self) -> None:
        self.path.write_text("yesterday\n")
        os.utime(self.path, (NOON - DAY, NOON - DAY))
        log = self.log(Bounds(daily=True))
        log.write(b"today\n", NOON)
        log.write(b"today\n", NOON + 1)
        self.assertEqual((self.folder / "log.1").read_text(), "yesterday\n")
        self.assertEqual(self.path.read_text(), "today\ntoday\n")

    def test_old_days_leave(self) -> None:
        log = self.log(Bounds(20, keep_days=7))
        for day in range(1, 12):
            self.path.write_text("full, and more\n")
            log.reopen()
            log.write(b"and one more\n", NOON + DAY * day)
            for number in range(1, 12):
                if (old := self.folder / f"log.{number}").exists():
                    when = NOON + DAY * (day - number)
                    os.utime(old, (when, when))
        self.assertEqual(self.names(), ["log", *(f"log.{day}" for day in range(1, 8))])

    def test_its_mode_stays(self) -> None:
        log = self.log()
        self.path.chmod(0o604)
        for _ in range(20):
            log.write(b"some bytes\n", NOON)
        for file in self.folder.iterdir():
            self.assertEqual(file.stat().st_mode & 0o777, 0o604)

    def test_compressed(self) -> None:
        log = self.log(Bounds(10, 3, compress=True))
        self.path.chmod(0o600)
        for number in range(1, 8):
            log.write(b"number %d\n" % number, NOON)
            log.close()
            log = self.log(Bounds(10, 3, compress=True))
        self.assertEqual(self.names(), ["log", "log.1.gz", "log.2.gz", "log.3.gz"])
        for number, name in ((6, "log.1.gz"), (5, "log.2.gz"), (4, "log.3.gz")):
            content = gzip.decompress((self.folder / name).read_bytes())
            self.assertEqual(content, b"number %d\n" % number)
            self.assertEqual((self.folder / name).stat().st_mode & 0o777, 0o600)

    def test_files_change_while_one_is_compressed(self) -> None:
        """It gets the number that its file has by then, and those behind it have their turn."""
        may_end, copy = Event(), shutil.copyfileobj

        def wait_and_copy(source: IO[bytes], target: IO[bytes]) -> None:
            may_end.wait()
            copy(source, target)

        log = self.log(Bounds(10, 9, compress=True))
        with patch("shutil.copyfileobj", wait_and_copy):
            for number in range(1, 6):
                log.write(b"number %d\n" % number, NOON)
            self.assertEqual([name for name in self.names() if name.endswith(".gz")], [])
            may_end.set()
            while log._compression is not None:
                log._compression.join()
                log._finish_compression()
        self.assertEqual(self.names(), ["log"] + [f"log.{number}.gz" for number in range(1, 5)])
        self.assertEqual(gzip.decompress((self.folder / "log.4.gz").read_bytes()), b"number 1\n")

    def test_no_room_to_compress(self) -> None:
        """The old file stays as it is, until there is room."""
        log = self.log(Bounds(10, 9, compress=True))
        with patch("shutil.copyfileobj", side_effect=OSError(errno.ENOSPC, "full")):
            for number in range(1, 4):
                log.write(b"number %d\n" % number, NOON)
                log.close()
                log = self.log(Bounds(10, 9, compress=True))
        self.assertTrue({"log.1", "log.2"} < set(self.names()), self.names())
        log.write(b"number 4\n", NOON)
        log.close()
        self.assertEqual(self.names(), ["log", "log.1.gz", "log.2.gz", "log.3.gz"])

    def test_renamed_by_another_program(self) -> None:
        log = self.log()
        log.write(b"one\n", NOON)
        self.path.rename(self.folder / "taken")
        log.write(b"two\n", NOON)
        log.want_reopen()
        log.write(b"three\n", NOON)
        log.write(b"four\n", NOON)
        self.assertEqual((self.folder / "taken").read_text(), "one\ntwo\n")
        self.assertEqual(self.path.read_text(), "three\nfour\n")

    def test_cannot_be_opened_anew(self) -> None:
        """It goes on in the file that it has, and later tries again."""
        log = self.log()
        self.path.rename(self.folder / "taken")
        self.path.mkdir()
        self.assertRaises(OSError, log.reopen)
        log.want_reopen()
        log.write(b"one\n", NOON)
        self.path.rmdir()
        log.write(b"two\n", NOON)
        self.assertEqual((self.folder / "taken").read_text(), "one\n")
        self.assertEqual(self.path.read_text(), "two\n")

    def test_two_processes(self) -> None:
        """Neither overwrites what the other has written, nor renames the other's new file."""
        first, second = self.log(Bounds(50, 5)), self.log(Bounds(50, 5))
        for number in range(12):
            (first, second)[number % 2].write(b"line %4d\n" % number, NOON)
        self.assertEqual(self.names(), ["log", "log.1", "log.2"])
        text = "".join((self.folder / name).read_text() for name in ("log.2", "log.1", "log"))
        self.assertEqual(text.splitlines(), [f"line {number:4}" for number in range(12)])

    def test_cut_off_by_another_program(self) -> None:
        log = self.log(Bounds(20, 5))
        for _ in range(5):
            log.write(b"ten bytes\n", NOON)
            os.truncate(self.path, 0)
        log.write(b"ten bytes\n", NOON)
        self.assertEqual((self.names(), self.path.stat().st_size), (["log"], 10))

    def test_a_failure_to_rename(self) -> None:
        """Nothing is lost; later it is tried again."""
        log = self.log(Bounds(20, 2))
        with patch("os.rename", side_effect=PermissionError(1, "no")):
            for _ in range(5):
                log.write(b"ten bytes\n", NOON)
        self.assertEqual(self.names(), ["log"])
        self.assertEqual(self.path.stat().st_size, 50)
        log.write(b"ten bytes\n", NOON)
        self.assertEqual(self.names(), ["log", "log.1"])

    def test_a_line_that_was_cut(self) -> None:
        """The next one begins a line of its own."""
        log = self.log(Bounds())
        write = os.write
        with patch("os.write", side_effect=[3, OSError(errno.ENOSPC, "full")]) as written:
            self.assertRaises(OSError, log.write, b"a line\n", NOON)
            write(written.call_args.args[0], b"a l")
        log.write(b"another\n", NOON)
        log.write(b"another\n", NOON)
        self.assertEqual(self.path.read_text(), "a l\nanother\nanother\n")

    def test_what_is_no_file_only_grows(self) -> None:
        self.path.symlink_to("/dev/null")
        log = self.log(Bounds(10, 1, daily=True))
        for day in range(5):
            log.write(b"ten bytes\n", NOON + DAY * day)
        self.assertEqual(self.names(), ["log"])

    def test_root_gives_it_to_the_owner_of_the_directory(self) -> None:
        with patch("os.geteuid", return_value=0), patch("os.fchown") as given:
            self.log().write(b"x", NOON)
        owner = self.folder.stat()
        self.assertEqual(given.call_args.args[1:], (owner.st_uid, owner.st_gid))

    def test_or_to_whom_the_process_will_be(self) -> None:
        with patch("os.geteuid", return_value=0), patch("os.fchown") as given:
            self.log(owner=(1234, 5678)).write(b"x", NOON)
        self.assertEqual(given.call_args.args[1:], (1234, 5678))

    def test_but_nothing_to_which_links_lead(self) -> None:
        """Who owns the directory could have anything of root's that way."""
        other = self.folder / "secret"
        other.touch()
        for link in (os.symlink, os.link):
            link(other, self.path)
            with patch("os.geteuid", return_value=0), patch("os.fchown") as given:
                self.log().write(b"x", NOON)
            given.assert_not_called()
            self.path.unlink()


class BrokenSink:
    """A LogSink that fails while ``error`` is set."""

    path = "/somewhere/log"

    def __init__(self) -> None:
        self.error: OSError | None = None
        self.lines: list[str] = []

    def write(self, data: bytes, now: float) -> None:
        if self.error is not None:
            raise self.error
        self.lines.append(data.decode())


class LogWriterTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.sink = BrokenSink()
        self.complaints: list[str] = []
        self.writer = LogWriter(self.sink, as_text, self.complaints.append)

    def say(self, text: str, now: float = NOON) -> None:
        event: LogEvent = {
            "log_format": "{text}",
            "text": text,
            "log_time": now,
            "log_level": LogLevel.info,
            "log_namespace": "gnetway.net",
        }
        self.writer(event)

    def test_an_observer(self) -> None:
        self.assertTrue(verifyObject(ILogObserver, self.writer))

    def test_lines(self) -> None:
        self.say("one\ntwo \udc80")
        [line] = self.sink.lines
        self.assertTrue(line.endswith(" [gnetway.net#info] one\n\ttwo \\udc80\n"), line)

    def test_nothing_speaks_to_a_terminal(self) -> None:
        self.say("\x1b[2J\r\x9b\tKäfer")
        [line] = self.sink.lines
        self.assertTrue(line.endswith(" \\x1b[2J\\x0d\\x9b\tKäfer\n"), line)

    def test_a_full_disk(self) -> None:
        """One complaint, a count, and a line for the gap."""
        self.say("before")
        self.sink.error = OSError(errno.ENOSPC, FULL)
        for second in range(50):
            self.say("lost", NOON + second)
        self.assertEqual(
            self.complaints,
            [f"the log /somewhere/log cannot be written: {FULL}; what is lost of it is counted"],
        )
        self.assertEqual(self.writer.dropped, 50)
        self.sink.error = None
        self.say("after")
        self.say("after")
        self.assertEqual(len(self.sink.lines), 4)
        self.assertIn(
            "lines missing here, since the log could not be written: 50 (No space left on device)",
            self.sink.lines[1],
        )

    def test_by_turns(self) -> None:
        """A complaint a minute, however often it fails anew."""
        for second in range(120):
            self.sink.error = OSError(errno.EIO, "") if second % 2 else None
            self.say("a line", NOON + second)
        self.assertEqual(len(self.complaints), 2)
        self.assertEqual(self.writer.dropped, 60)


class EnvironmentTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = f"{folder.name}/log"

    def test_defaults(self) -> None:
        log = from_environment({"GNETWAY_LOG_FILE": self.path, "GNETWAY_LOG_KEEP": ""})
        self.addCleanup(log.close)
        self.assertEqual((log.path, log.bounds), (self.path, Bounds(10 << 20, 5)))

    def test_numbers(self) -> None:
        wish = {"GNETWAY_LOG_FILE": self.path, "GNETWAY_LOG_BYTES": "0", "GNETWAY_LOG_KEEP": "1"}
        log = from_environment(wish)
        self.addCleanup(log.close)
        self.assertEqual(log.bounds, Bounds(0, 1))

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
