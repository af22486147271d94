from gnetway.config.load import load_file
from gnetway.config.operators import Level, LogConfig, LogEncoding, LogMode, Rotation
from tests.config.cases import GOOD, ConfigCase

ALL = """\
Log:
  ServiceName: interface.gateway
  Mode: volume
  Encoding: plain
  Path: ../logs/gateway
  Level: warn
  Levels:
    gnetway.net: debug
    gnetway.service.gateway.GatewayService: severe
    twisted: error
  MaxContentLength: 4096
  Rotation: size
  MaxSize: 10
  MaxBackups: 3
  KeepDays: 7
  Compress: true
"""


class LogTests(ConfigCase):
    def log(self, block: str, *unused: str) -> LogConfig:
        config = load_file(self.write("gnetway.yaml", GOOD + block))
        self.assertEqual(config.unused, unused)
        assert config.log is not None
        return config.log

    def test_none(self) -> None:
        for block in ("", "Log:\n", "Log: {}\n"):
            self.assertIsNone(load_file(self.write("gnetway.yaml", GOOD + block)).log)

    def test_defaults(self) -> None:
        log = self.log("Log: {Mode: file}\n")
        self.assertEqual(
            (log.mode, log.encoding, log.level, log.levels, log.path),
            (LogMode.FILE, None, Level.INFO, {}, str(self.directory / "logs")),
        )
        self.assertEqual(
            (log.rotation, log.max_size_mib, log.max_backups, log.keep_days, log.compress),
            (Rotation.DAILY, 100, None, 0, False),
        )

    def test_all(self) -> None:
        log = self.log(ALL)
        self.assertEqual(
            (log.mode, log.encoding, log.service_name),
            (LogMode.VOLUME, LogEncoding.PLAIN, "interface.gateway"),
        )
        self.assertEqual(log.path, str(self.directory.parent / "logs" / "gateway"))
        self.assertEqual(
            (log.level, log.levels),
            (
                Level.WARN,
                {
                    "gnetway.net": Level.DEBUG,
                    "gnetway.service.gateway.GatewayService": Level.SEVERE,
                    "twisted": Level.ERROR,
                },
            ),
        )
        self.assertEqual(
            (log.rotation, log.max_size_mib, log.max_backups, log.keep_days, log.compress),
            (Rotation.SIZE, 10, 3, 7, True),
        )
        self.assertEqual(log.max_content_bytes, 4096)

    def test_what_means_nothing_in_its_mode(self) -> None:
        self.log("Log: {Level: debug, ServiceName: x}\n", "Log.ServiceName")
        self.log(
            "Log: {Mode: console, Path: x, KeepDays: 1, MaxSize: 1}\n",
            "Log.Path",
            "Log.MaxSize",
            "Log.KeepDays",
        )
        self.log("Log: {Mode: file, ServiceName: x, Stat: false}\n", "Log.Stat", "Log.ServiceName")

    def test_faults(self) -> None:
        for line, fault in (
            ("Mode: File", "Log.Mode: found 'File'; allowed: console, file, volume; did"),
            ("Encoding: xml", "Log.Encoding: found 'xml'; allowed: json, plain"),
            ("Level: alert", "Log.Level: found 'alert'; allowed: debug, info, warn, error, severe"),
            ("Rotation: weekly", "Log.Rotation: found 'weekly'; allowed: daily, size"),
            ("MaxSize: 10M", "Log.MaxSize: found '10M'; allowed: a whole number of MiB from 0"),
            ("KeepDays: -1", "Log.KeepDays: found -1; allowed: a whole number of days from 0"),
            ("Path: 5", "Log.Path: found 5; allowed: a text"),
            ("Compress: 1", "Log.Compress: found 1; allowed: true or false"),
            ("Levels: debug", "Log.Levels: found 'debug'; allowed: a mapping of namespaces to"),
            ("Levels: {gnetway: all}", "Log.Levels.gnetway: found 'all'; allowed: debug, info"),
            ("Levels: {gnetway.nett: info}", "Log.Levels.gnetway.nett: found a namespace that no"),
            ("Levels: {gnetway.net.x.Y: info}", "Log.Levels.gnetway.net.x.Y: found a namespace"),
        ):
            [found] = self.faults(f"{GOOD}Log:\n  {line}\n")
            self.assertTrue(found.startswith(f"11: {fault}"), found)
