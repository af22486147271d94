"""The log that the section Log asks for."""

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast
from unittest.mock import patch

from twisted.application.service import Application, Service
from twisted.logger import (
    ILogObserver,
    LogEvent,
    Logger,
    LogLevel,
    LogPublisher,
    globalLogPublisher,
)
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from gnetway.config.load import load_mapping
from gnetway.config.model import GatewayConfig
from gnetway.config.operators import Level, LogConfig
from gnetway.errors import ConfigError
from gnetway.log_file import Bounds
from gnetway.service.logs import LogLevels, ProcessLog, as_json
from tests.config.cases import rsa_pem


class Events(list[LogEvent]):
    """An observer that keeps what it is told."""

    def __call__(self, event: LogEvent) -> None:
        self.append(event)

    @property
    def texts(self) -> list[str]:
        return [str(event["log_format"]) for event in self]


def observer(events: Callable[[LogEvent], None]) -> ILogObserver:
    return cast(ILogObserver, events)


class LogLevelsTests(SynchronousTestCase):
    def setUp(self) -> None:
        config = LogConfig(
            level=Level.WARN, levels={"gnetway.net": Level.DEBUG, "gnetway.net.http": Level.ERROR}
        )
        self.levels = LogLevels(config)
        self.events = Events()
        filtered = self.levels.filtered(observer(self.events))
        self.assertTrue(verifyObject(ILogObserver, filtered))
        self.publisher = LogPublisher(filtered)

    def written(self, namespace: str) -> list[str]:
        """Return the levels at which a namespace is written now."""
        self.events.clear()
        log = Logger(namespace, observer=self.publisher)
        for level in LogLevel.iterconstants():
            log.emit(level, level.name)
        return self.events.texts

    def test_the_longest_name_counts(self) -> None:
        for _ in range(2):
            self.assertEqual(self.written("gnetway"), ["warn", "error", "critical"])
            self.assertEqual(len(self.written("gnetway.net")), 5)
            self.assertEqual(len(self.written("gnetway.net.tcp.TcpProtocol")), 5)
            self.assertEqual(self.written("gnetway.net.http.call"), ["error", "critical"])
            self.assertEqual(self.written("gnetway.network"), ["warn", "error", "critical"])

    def test_without_level_or_namespace(self) -> None:
        self.publisher({"log_format": "of somebody else"})
        self.assertEqual(self.events.texts, ["of somebody else"])

    def test_changed_live(self) -> None:
        heard: list[dict[str, Level]] = []
        self.levels.when_changed(lambda: heard.append(self.levels.as_dict()))
        self.written("gnetway.net.tcp")
        self.levels.set("gnetway.net", Level.SEVERE)
        self.assertEqual(self.written("gnetway.net.tcp"), ["critical"])
        self.levels.set("gnetway.net", None)
        self.assertEqual(self.written("gnetway.net.tcp"), ["warn", "error", "critical"])
        self.levels.set("", Level.DEBUG)
        self.assertEqual(len(self.written("gnetway.net.tcp")), 5)
        self.levels.use(LogConfig(level=Level.ERROR))
        self.assertEqual(self.written("gnetway.net.http"), ["error", "critical"])
        self.assertEqual(self.levels.of("gnetway.net.http"), Level.ERROR)
        self.assertEqual(len(heard), 4)
        self.assertEqual(heard[-1], {"": Level.ERROR})

    def test_names_without_end(self) -> None:
        """What is at hand of them has a bound."""
        for number in range(5000):
            self.assertEqual(self.levels.of(f"made.up.{number}"), Level.WARN)
            self.levels.lets_through({"log_namespace": f"made.up.{number}"})
        self.assertLess(len(self.levels._known), 2000)


class JsonTests(SynchronousTestCase):
    def event(self, **more: object) -> LogEvent:
        return {
            "log_format": "{text}",
            "log_time": 1_700_000_000.5,
            "log_level": LogLevel.warn,
            "log_namespace": "gnetway.net",
            **more,
        }

    def read(self, line: str) -> dict[str, object]:
        """Return what a line says; it is one line, in ASCII."""
        self.assertTrue(line.isascii())
        self.assertEqual((line.count("\n"), line[-1]), (1, "\n"))
        read = json.loads(line)
        assert isinstance(read, dict)
        return read

    def test_go_zeros_names(self) -> None:
        read = self.read(as_json(self.event(text="a line")))
        stamp = str(read.pop("@timestamp"))
        self.assertRegex(stamp, r"^2023-11-1[45]T\d\d:\d\d:20\.500(Z|[+-]\d\d:\d\d)$")
        expected = {"caller": "gnetway.net", "content": "a line", "level": "warn"}
        self.assertEqual(read, expected)

    def test_levels(self) -> None:
        words = [
            self.read(as_json(self.event(text="", log_level=level)))["level"]
            for level in LogLevel.iterconstants()
        ]
        self.assertEqual(words, ["debug", "info", "warn", "error", "fatal"])

    def test_whatever_is_in_it(self) -> None:
        for text in (
            "two\nlines\r\n",
            "Жук ☃ \U0001f600",
            "\x1b[31m\x00\x85\u2028",
            '"}\\',
            "\udc80",
        ):
            self.assertEqual(self.read(as_json(self.event(text=text)))["content"], text)

    def test_traceback(self) -> None:
        try:
            raise ValueError("spöilt\n")
        except ValueError:
            event = self.event(text="it failed", log_failure=Failure())
        content = str(self.read(as_json(event))["content"])
        self.assertTrue(content.startswith("it failed\nTraceback (most recent call last):\n"))
        self.assertIn("ValueError: spöilt", content)

    def test_an_event_that_cannot_be_shown(self) -> None:
        self.assertIn("Unable to format", str(self.read(as_json(self.event(other=1)))["content"]))

    def test_a_workers(self) -> None:
        self.assertEqual(self.read(as_json(self.event(text="", log_worker=3)))["worker"], 3)

    def test_cut(self) -> None:
        read = self.read(as_json(self.event(text="käfer"), 2))
        self.assertEqual((read["content"], read["truncated"]), ("k", True))
        self.assertNotIn("truncated", self.read(as_json(self.event(text="käfer"), 6)))


class ProcessLogCase(SynchronousTestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        (self.folder / "key.pem").write_bytes(rsa_pem())
        self.terminal = (self.folder / "terminal").open("w+")
        self.addCleanup(self.terminal.close)
        for stream in ("stdout", "stderr", "__stderr__"):
            self.patch(__import__("sys"), stream, self.terminal)
        self.twistd: dict[str, object] = {
            "nodaemon": True,
            "logfile": None,
            "logger": None,
            "syslog": 0,
            "uid": None,
            "gid": None,
        }

    def config(self, **block: object) -> GatewayConfig:
        block = {"Path": str(self.folder / "logs")} | block if "Mode" in block else block
        return load_mapping(
            {
                "RSAKey": [{"KeyFile": str(self.folder / "key.pem")}],
                "Gnetway": {"Server": [{"Addresses": ["127.0.0.1:0"]}]},
                "Session": {"Embedded": {"Store": "memory"}},
                "Log": block,
            }
        )

    def log(self, **block: object) -> ProcessLog:
        log = ProcessLog(self.config(**block), self.twistd)
        if log._file is not None:
            self.addCleanup(log._file.close)
        return log

    def begin(self, log: ProcessLog) -> ILogObserver | None:
        """Begin as twistd would, and return the observer that it finds, if it finds one."""
        self.gateway = Service()
        before = list(globalLogPublisher._observers)
        service = log.begin(self.gateway)
        for added in [one for one in globalLogPublisher._observers if one not in before]:
            self.addCleanup(globalLogPublisher.removeObserver, added)
        application = Application("gnetway")
        service.setServiceParent(application)
        self.assertIsNotNone(self.gateway.parent)
        found: ILogObserver | None = application.getComponent(ILogObserver, None)
        return found

    def say(self, to: ILogObserver | None, level: LogLevel, text: str) -> None:
        Logger("gnetway.net", observer=to).emit(level, "{text}", text=text)

    def read(self, name: str = "logs/gnetway.log") -> str:
        return (self.folder / name).read_text()

    @property
    def shown(self) -> str:
        self.terminal.flush()
        return self.read("terminal")


class TakeTests(ProcessLogCase):
    """The levels of another configuration."""

    def test_where_they_are_others(self) -> None:
        log = self.log(Level="info")
        log.levels.set("gnetway.net", Level.DEBUG)
        log.take(self.config(Level="info"))
        self.assertEqual(log.levels.of("gnetway.net"), Level.DEBUG)
        log.take(self.config(Level="info", Levels={"gnetway.keys": "error"}))
        self.assertEqual(log.levels.of("gnetway.net"), Level.INFO)
        self.assertEqual(log.levels.of("gnetway.keys"), Level.ERROR)


class FileTests(ProcessLogCase):
    def test_in_the_place_of_twistds(self) -> None:
        """The terminal is told where the log is, and whatever is worst."""
        found = self.begin(self.log(Mode="file"))
        self.say(found, LogLevel.debug, "small")
        self.say(found, LogLevel.error, "large")
        self.say(found, LogLevel.critical, "fatal")
        lines = [json.loads(line)["content"] for line in self.read().splitlines()]
        self.assertEqual(lines, ["large", "fatal"])
        first, second = self.shown.splitlines()
        self.assertEqual(first, f"gnetway: the log is in {self.folder}/logs/gnetway.log")
        self.assertTrue(second.endswith("[gnetway.net#critical] fatal"))

    def test_a_daemon(self) -> None:
        self.twistd["nodaemon"] = False
        self.say(self.begin(self.log(Mode="file")), LogLevel.critical, "fatal")
        self.assertIn("fatal", self.read())
        self.assertEqual(self.shown, "")

    def test_beside_what_twistd_was_told(self) -> None:
        for option, value in (("logfile", "x"), ("logfile", "-"), ("syslog", 1), ("logger", print)):
            self.twistd[option] = value
            self.assertIsNone(self.begin(self.log(Mode="file", Path=str(self.folder / option))))
            self.say(globalLogPublisher, LogLevel.info, "a line")
            self.assertIn("a line", self.read(f"{option}/gnetway.log"))
            self.twistd[option] = None
        self.assertEqual(self.shown, "")

    def test_plain(self) -> None:
        found = self.begin(self.log(Mode="file", Encoding="plain", MaxContentLength=10))
        self.say(found, LogLevel.info, "1234567890")
        self.say(found, LogLevel.info, "12345678901")
        first, second = self.read().splitlines()
        self.assertTrue(first.endswith("[gnetway.net#info] 1234567890"), first)
        self.assertTrue(second.endswith("[gnetway.net#info] 1234567890"), second)

    def test_volume(self) -> None:
        with patch("socket.gethostname", return_value="pod-7"):
            self.begin(self.log(Mode="volume"))
            self.begin(self.log(Mode="volume", ServiceName="../x"))
        for name in ("interface.gateway", ".._x"):
            self.assertEqual(self.read(f"logs/{name}/pod-7/gnetway.log"), "")

    def test_bounds(self) -> None:
        for block, bounds in (
            ({}, Bounds(100 << 20, 10, True)),
            ({"KeepDays": 30}, Bounds(100 << 20, 30, True, 30)),
            ({"KeepDays": 30, "MaxBackups": 3}, Bounds(100 << 20, 3, True, 30)),
            ({"MaxBackups": 0, "MaxSize": 0}, Bounds(0, 0, True)),
            (
                {"Rotation": "size", "MaxSize": 1, "Compress": True},
                Bounds(1 << 20, 10, compress=True),
            ),
        ):
            log = self.log(Mode="file", **block)
            assert log._file is not None
            self.assertEqual(log._file.bounds, bounds)

    def test_no_such_folder(self) -> None:
        (self.folder / "logs").write_text("a file")
        error = self.assertRaises(ConfigError, self.log, Mode="file")
        [fault] = error.faults
        self.assertEqual(
            fault,
            f"<dict>: Log.Path: found {self.folder}/logs: File exists; allowed: a folder for log"
            " files",
        )

    def test_reopened(self) -> None:
        log = self.log(Mode="file")
        found = self.begin(log)
        (self.folder / "logs" / "gnetway.log").rename(self.folder / "taken")
        log.reopen()
        self.say(found, LogLevel.info, "a line")
        self.assertIn("a line", self.read())
        self.assertEqual(self.read("taken"), "")

    def test_cannot_be_opened_anew(self) -> None:
        log = self.log(Mode="file")
        found = self.begin(log)
        (self.folder / "logs" / "gnetway.log").rename(self.folder / "taken")
        (self.folder / "logs" / "gnetway.log").mkdir()
        heard = Events()
        globalLogPublisher.addObserver(observer(heard))
        self.addCleanup(globalLogPublisher.removeObserver, observer(heard))
        log.reopen()
        self.say(found, LogLevel.info, "a line")
        self.assertIn("a line", self.read("taken"))
        [event] = heard
        self.assertEqual((event["log_level"], event["why"]), (LogLevel.warn, "Is a directory"))

    def test_another_user(self) -> None:
        """What root makes is of the user that twistd changes to."""
        self.twistd |= {"uid": 1234, "gid": 5678}
        with (
            patch("os.geteuid", return_value=0),
            patch("os.chown") as folders,
            patch("os.fchown") as files,
        ):
            self.log(Mode="file", Path=str(self.folder / "a" / "b"))
        self.assertEqual(
            [call.args for call in folders.call_args_list],
            [(f"{self.folder}/a", 1234, 5678), (f"{self.folder}/a/b", 1234, 5678)],
        )
        self.assertEqual(files.call_args.args[1:], (1234, 5678))

    def test_a_folder_of_somebody_else(self) -> None:
        """Told once the process has the user that it keeps."""
        log = self.log(Mode="file")
        heard = Events()
        globalLogPublisher.addObserver(observer(heard))
        self.addCleanup(globalLogPublisher.removeObserver, observer(heard))
        service = log.begin(Service())
        with patch("os.access", return_value=False):
            service.startService()
        self.assertEqual(len(heard), 1)
        self.assertIn("will grow without a bound", heard.texts[0])
        service.startService()
        self.assertEqual(len(heard), 1)


class ConsoleTests(ProcessLogCase):
    def test_lines_for_machines(self) -> None:
        found = self.begin(self.log(Level="error"))
        self.say(found, LogLevel.info, "small")
        self.say(found, LogLevel.error, "large")
        self.assertEqual(json.loads(self.shown)["content"], "large")

    def test_text_for_a_terminal(self) -> None:
        with patch.object(self.terminal, "isatty", return_value=True, create=True):
            for block in ({"Level": "info"}, {"Encoding": "json"}):
                self.say(self.begin(self.log(**block)), LogLevel.info, "a line")
        text, line = self.shown.splitlines()
        self.assertTrue(text.endswith("[gnetway.net#info] a line"))
        self.assertEqual(json.loads(line)["content"], "a line")

    def test_where_twistd_logs_elsewhere(self) -> None:
        for option, value in (("logfile", "x"), ("syslog", 1), ("logger", print)):
            self.begin_without_effect(self.twistd | {option: value})
        self.begin_without_effect(self.twistd | {"nodaemon": False})
        self.begin_without_effect({})

    def begin_without_effect(self, twistd: dict[str, object]) -> None:
        self.twistd = twistd
        log = self.log(Level="info")
        self.assertIsNone(self.begin(log))
        heard = Events()
        globalLogPublisher.addObserver(observer(heard))
        log.tell_what_is_amiss()
        globalLogPublisher.removeObserver(observer(heard))
        self.assertEqual(len(heard), 1)
        self.assertEqual(self.shown, "")
