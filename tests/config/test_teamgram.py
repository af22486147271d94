from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from gnetway.config.load import load_file
from gnetway.config.reader import IGNORED, NOT_YET, names_in
from gnetway.config.servers import Proto
from tests import vectors
from tests.config.cases import GOOD, REMOTE, ConfigCase

REAL = (Path(vectors.__file__).parent / "teamgram_gnetway.yaml").read_text()
REAL_GATEWAY = "interface.gateway"
NOT_HERE = "which is not implemented yet in this version"


def in_section(section: str, line: str) -> str:
    """Return the good file with one more line, given as ``Key: value``, in a section."""
    match section:
        case "":
            return f"{GOOD}{line}\n"
        case "Gnetway":
            return GOOD.replace("Gnetway:\n", f"Gnetway:\n  {line}\n")
        case "Gnetway.Server":
            return GOOD.replace("    - Addresses:", f"    - {line}\n      Addresses:")
        case _:
            return GOOD.replace(f"{section}:\n", f"{section}:\n  {line}\n")


class RealFileTests(ConfigCase):
    def setUp(self) -> None:
        super().setUp()
        self.write("server_pkcs1.key", (self.directory / "key.pem").read_bytes())
        #: Without its fingerprints, since its key is not ours.
        self.real = REAL.replace("KeyFingerprint:", "# KeyFingerprint:")

    def test_it_is_taken(self) -> None:
        config = load_file(self.write("gnetway.yaml", self.real))
        self.assertEqual(config.name, "interface.gateway")
        self.assertEqual(
            [
                (server.proto, [str(address) for address in server.addresses])
                for server in config.gnetway.servers
            ],
            [
                (Proto.TCP, ["0.0.0.0:10443", "0.0.0.0:5222"]),
                (Proto.WEBSOCKET, ["0.0.0.0:11443"]),
            ],
        )
        self.assertEqual(len(config.rsa_keys), 1)
        self.assertEqual(
            config.unused,
            (
                "Log.ServiceName",
                "MaxProc",
                "Gnetway.SendBuf",
                "Gnetway.ReceiveBuf",
            ),
        )

    def test_its_session_services_are_found(self) -> None:
        config = load_file(self.write("gnetway.yaml", self.real))
        assert config.etcd is not None
        assert config.session.etcd is not None
        self.assertEqual(str(config.listen_on), "0.0.0.0:20110")
        self.assertEqual((config.etcd.hosts, config.etcd.prefix), (("etcd:2379",), REAL_GATEWAY))
        self.assertEqual(config.session.etcd.hosts, ("etcd:2379",))
        self.assertEqual(config.session.etcd.prefix, "interface.session")
        self.assertTrue(config.session.is_remote)
        self.assertFalse(config.use_stream_session)

    def test_its_fingerprint_is_compared(self) -> None:
        faults = self.faults(REAL)
        self.assertIn(
            "30: KeyFingerprint: found 12240908862933197005 (a9e071c1771060cd)", faults[1]
        )


class RefusedTests(ConfigCase):
    def test_each_by_its_name(self) -> None:
        out = "leave it out"
        off = f"false, or {out}"
        for section, line, found, allowed in (
            ("", "Auth: true", "true, ", off),
            ("", "Redis: {Key: x}", "a mapping, ", out),
            ("", "MetricsUrl: http://x", "'http://x', ", out),
            ("", "DevServer: {}", "a mapping, ", f"'Enabled: false', or {out}"),
            ("", "Profiling: {ServerAddr: x}", "a mapping, ", out),
            ("Session", "Target: x", "'x', ", "Session.Endpoints in its place"),
            ("Session", "App: x", "'x', ", out),
            ("Session", "Token: hidden", "", out),
        ):
            faults = self.faults(in_section(section, line))
            path = f"{section}.".lstrip(".") + line.partition(":")[0]
            self.assertEqual(len(faults), 1, faults)
            _, _, told = faults[0].partition(": ")
            self.assertEqual(
                told, f"{path}: found {found or 'a value, '}{NOT_HERE}; allowed: {allowed}"
            )

    def test_inside_of_etcd(self) -> None:
        for section in ("Etcd", "Session.Etcd"):
            for inner, found, allowed in (
                ("ID: 5", "5", "leave it out"),
                ("InsecureSkipVerify: true", "true", "false, or leave it out"),
            ):
                key = f"Etcd: {{Hosts: [a:1], {inner}}}"
                text = in_section(section.rpartition(".")[0], key)
                name = inner.partition(":")[0]
                self.assertIn(
                    f"{section}.{name}: found {found}, {NOT_HERE}; allowed: {allowed}",
                    self.faults(text)[0],
                )

    def test_what_asks_for_nothing_is_taken(self) -> None:
        for section, line in (
            ("", 'ListenOn: ""'),
            ("", "Etcd: {}"),
            ("", "Auth: false"),
            ("", "DevServer: {Enabled: false, Port: 6060}"),
            ("", "UseStreamSession: false"),
            ("Gnetway", "Multicore: false"),
            ("Gnetway.Server", "Proto: tcp"),
            ("Gnetway.Server", "PPV1: false"),
            ("Session", "Etcd:"),
        ):
            config = load_file(self.write("gnetway.yaml", in_section(section, line)))
            self.assertEqual(config.unused, (), line)


class IgnoredTests(ConfigCase):
    def test_listed_once(self) -> None:
        for section, line, unused in (
            ("", "Mode: pro", ("Mode",)),
            ("", "Timeout: 1", ("Timeout",)),
            ("", "CPUThreshold: 900", ("CpuThreshold",)),
            ("", "MaxProc: 4", ("MaxProc",)),
            ("", "Prometheus: {Port: 9101}", ("Prometheus.Port",)),
            ("", "Telemetry: {Name: x}", ("Telemetry.Name",)),
            ("", "Log: {Stat: true, FieldKeys: {}}", ("Log.Stat", "Log.FieldKeys")),
            ("", "Log:", ()),
            ("", "MaxProc:", ()),
            ("Session", "KeepaliveTime: 20s", ("Session.KeepaliveTime",)),
        ):
            config = load_file(self.write("gnetway.yaml", in_section(section, line)))
            self.assertEqual(config.unused, unused)

    def test_still_checked(self) -> None:
        for section, line, fault in (
            ("", "MaxProc: four", "10: MaxProc: found 'four'; allowed: a whole number"),
            ("", "MaxProc: true", "10: MaxProc: found true; allowed: a whole number"),
            ("", "Log: debug", "10: Log: found 'debug'; allowed: a mapping of keys"),
            ("", "Log: {Stat: 1}", "10: Log.Stat: found 1; allowed: true or false"),
            ("Gnetway", "SendBuf: 64K", "4: Gnetway.SendBuf: found '64K'; allowed: a whole number"),
        ):
            self.assert_faults(in_section(section, line), fault)

    def test_older_form_beside_the_newer(self) -> None:
        faults = self.faults(in_section("", "Server: {Addrs: [0.0.0.0:1]}"))
        self.assertEqual(len(faults), 1)
        self.assertTrue(faults[0].endswith("; did you mean 'Gnetway.Server'?"))

    def test_listeners_at_the_head_of_the_file(self) -> None:
        text = GOOD.replace("Gnetway:\n  Server:\n", "Server:\n")
        faults = self.faults(text)
        self.assertEqual(len(faults), 1)
        self.assertTrue(faults[0].endswith("; did you mean 'Gnetway.Server'?"))


class GoZeroTests(ConfigCase):
    """Sections of go-zero's own: what it does not know it passes over."""

    def unused(self, section: str, line: str) -> tuple[str, ...]:
        return load_file(self.write("gnetway.yaml", in_section(section, line))).unused

    def test_unknown_keys_are_without_effect(self) -> None:
        for section, line, unused in (
            ("", "Log: {DisableStat: true}", ("Log.DisableStat",)),
            ("", "Log: {Sinks: [{Kind: x}]}", ("Log.Sinks",)),
            ("", "Log: {DisableStat:}", ("Log.DisableStat",)),
            ("", "Telemetry: {Exporter: x}", ("Telemetry.Exporter",)),
            ("", "Prometheus: {Buckets: [1]}", ("Prometheus.Buckets",)),
            ("Session", "DestService: x", ("Session.DestService",)),
            ("Session", "DialTimeout: 5", ("Session.DialTimeout",)),
        ):
            self.assertEqual(self.unused(section, line), unused)

    def test_in_both_etcd_sections(self) -> None:
        etcd = "Etcd: {Hosts: [a:1], Timeout: 60}"
        text = REMOTE.replace("Endpoints: [10.0.0.7:20120]", etcd) + etcd + "\n"
        unused = load_file(self.write("gnetway.yaml", text)).unused
        self.assertEqual(unused, ("Session.Etcd.Timeout", "Etcd.Timeout"))

    def test_misspelt_key_with_an_effect(self) -> None:
        for section, line, name in (
            ("", "Etcd: {Hosts: [a:1], Users: x}", "User"),
            ("", "Etcd: {Host: [a:1]}", "Hosts"),
            ("Session", "Endpoint: [a:1]", "Endpoints"),
            ("", "Log: {Levle: debug}", "Level"),
            ("Session", "Anounce: call", "Announce"),
        ):
            faults = self.faults(in_section(section, line))
            self.assertTrue(any(f"; did you mean '{name}'?" in fault for fault in faults), faults)

    def test_elsewhere_they_are_faults(self) -> None:
        for section, line in (
            ("", "DisableStat: true"),
            ("", "Rpc: {DisableStat: true}"),
            ("Gnetway", "DisableStat: true"),
            ("Gnetway", "Limits: {DisableStat: 1}"),
            ("Gnetway.Server", "DisableStat: true"),
        ):
            self.assertIn(
                "DisableStat: found an unknown key", self.faults(in_section(section, line))[0]
            )


class TableTests(SynchronousTestCase):
    def test_a_key_is_in_one_table(self) -> None:
        self.assertEqual(NOT_YET.keys() & IGNORED.keys(), set())

    def test_names_in(self) -> None:
        self.assertEqual(names_in("Gnetway"), ["SendBuf", "ReceiveBuf"])
        self.assertEqual(names_in("Nowhere"), [])
        self.assertIn("Log", names_in(""))
        self.assertEqual(len(names_in("")), len(set(names_in(""))))
