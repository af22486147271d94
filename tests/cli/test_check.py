"""Broken set-ups, each found and named with its remedy by ``gnetway check``.

What needs etcd, session nodes or a gateway that runs is in tests/live/test_check.py.
"""

import io
import json
from contextlib import redirect_stdout
from functools import partial
from importlib.util import find_spec

from twisted.trial.unittest import SynchronousTestCase

from gnetway.cli import check_here, check_peers
from gnetway.cli import terminal as report_module
from gnetway.cli.main import main
from gnetway.cli.terminal import Report
from gnetway.config import files
from gnetway.config.model import GatewayConfig
from gnetway.crypto.rsa import RsaKey
from gnetway.discovery.etcd_supervisor import EtcdError, LoginNeeded, NotAllowed
from gnetway.rpc.status import RpcStatus, StatusCode
from gnetway.service import prepared
from tests.cli.cases import CheckCase
from tests.net.certificates import NOW, Files, Pair
from tests.service.cases import rsa_pem

#: A file without faults, beside key.pem.
GOOD = """\
RSAKey:
  - KeyFile: key.pem
Gnetway:
  Server:
    - Addresses: [127.0.0.1:10443]
Session:
  Embedded: {Store: memory}
"""

DAY = 86_400.0


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class FileTests(CheckCase):
    """Set-ups that the loader refuses."""

    def check(self, text: str) -> str:
        """Return the output for a file with faults."""
        file = self.directory / "gnetway.yaml"
        file.write_text(text)
        out = io.StringIO()
        with redirect_stdout(out):
            status = main(["check", "-c", str(file)])
        self.assertEqual(status, 1)
        self.assertIn("note    configuration: nothing else was looked at\n", out.getvalue())
        self.assertTrue(out.getvalue().startswith("FAULT   configuration: "), out.getvalue())
        return out.getvalue()

    def test_no_file(self) -> None:
        out = io.StringIO()
        with redirect_stdout(out):
            status = main(["check", "-c", str(self.directory / "missing.yaml")])
        self.assertEqual(status, 1)
        self.assertIn("found no readable file: No such file or directory; remedy: ", out.getvalue())

    def test_a_missing_key_file(self) -> None:
        said = self.check(GOOD.replace("key.pem", "other.pem"))
        self.assertIn("gnetway.yaml:2: RSAKey[0].KeyFile: found 'other.pem', not readable", said)
        self.assertIn("; remedy: an unencrypted RSA private key of 2048 bits in PEM, made", said)

    def test_the_public_half_in_place_of_the_private_one(self) -> None:
        public = RsaKey.from_pem(rsa_pem()).public_pem
        (self.directory / "key.pem").write_bytes(public)
        said = self.check(GOOD)
        self.assertIn("this is a public key, the half for clients; remedy: an unencrypted", said)

    def test_every_fault_is_told(self) -> None:
        text = GOOD.replace("10443", "104430").replace("Server:", "Servers: 1\n  Server:")
        said = self.check(f"{text}Sesion: 1\n")
        for part in (
            ":4: Gnetway.Servers: ",
            ":6: Gnetway.Server[0].Addresses[0]: found '127.0.0.1:104430'; remedy: host:port",
            "did you mean 'Session'?",
            "gnetway.yaml: 3 faults and no warnings",
        ):
            self.assertIn(part, said)

    def test_the_key_of_another_certificate(self) -> None:
        files, others = Files(self.directory / "tls"), Files(self.directory / "others")
        files.write(Pair("gateway"))
        others.write(Pair("other"))
        tls = f"      TLS: {{CertFile: {files.cert}, KeyFile: {others.key}}}\n"
        said = self.check(GOOD.replace("Session:", f"{tls}Session:"))
        self.assertIn(f"which is not that of {files.cert}; remedy: the key of the cert", said)


class HereTests(CheckCase):
    def with_tls(self, pair: Pair) -> GatewayConfig:
        files = Files(self.directory / f"tls{len(list(self.directory.iterdir()))}")
        files.write(pair)
        server = {
            "Addresses": ["127.0.0.1:0"],
            "TLS": {"CertFile": str(files.cert), "KeyFile": str(files.key)},
        }
        return self.config({"Embedded": {"Store": "memory"}}, Gnetway={"Server": [server]})

    def test_keys(self) -> None:
        config = self.embedded()
        self.well(lambda: check_here.rsa_keys(self.report, config))
        fingerprint = RsaKey.from_pem(rsa_pem()).fingerprint % (1 << 64)
        (found,) = self.report.findings
        self.assertIn(f"key.pem: RSA 2048, {fingerprint} (", found.text)
        self.patch(files, "KNOWN_TO_ALL", {fingerprint: "the one of an example"})
        line = self.line(lambda: check_here.rsa_keys(self.report, config))
        self.assertTrue(line.startswith("WARNING RSA key: "), line)
        self.assertIn("ANYBODY CAN POSE AS THIS SERVER, as it is the one of an example", line)
        self.assertIn("; remedy: gnetway make-key FILE, ", line)

    def test_teamgrams_key_is_known(self) -> None:
        self.assertIn(12240908862933197005, files.KNOWN_TO_ALL)

    def test_certificates(self) -> None:
        config = self.with_tls(Pair("gateway"))
        for now, begin, remedy in (
            (NOW + 365 * DAY, "FAULT   certificate: Gnetway.Server[0].TLS.CertFile: ", "renew it"),
            (NOW + 180 * DAY, "WARNING certificate: Gnetway.Server[0].TLS.CertFile: ", "renew it"),
            (NOW - 365 * DAY, "FAULT   certificate: Gnetway.Server[0].TLS.CertFile: ", "compare"),
        ):
            line = self.line(partial(check_here.certificates, self.report, config, now))
            self.assertTrue(line.startswith(begin), line)
            self.assertIn(f"; remedy: {remedy}", line)
        self.well(lambda: check_here.certificates(self.report, config, NOW))

    def test_files_that_others_may_open(self) -> None:
        config = self.embedded()
        key = self.directory / "key.pem"
        key.chmod(0o644)
        line = self.line(lambda: check_here.files(self.report, config))
        self.assertIn(f"WARNING files: the RSA private key {key} is open to others", line)
        self.assertIn(f"(mode 0644); remedy: chmod 600 {key}", line)
        key.chmod(0o600)
        self.well(lambda: check_here.files(self.report, config))

    def test_descriptors(self) -> None:
        server = {"Server": [{"Addresses": ["127.0.0.1:0"]}], "Admission": {"Connections": 4000}}
        config = self.config({"Embedded": {"Store": "memory"}}, Gnetway=server)
        line = self.line(lambda: check_here.descriptors(self.report, config, 1024))
        self.assertEqual(
            line,
            "FAULT   descriptors: 1024 open files leave 960 connections, fewer than the 4000 of"
            " Gnetway.Admission.Connections; remedy: LimitNOFILE=8000 in systemd's unit, or ulimit"
            " -Hn, or lower Connections",
        )
        self.well(lambda: check_here.descriptors(self.report, config, 10_000))
        any_number = self.embedded()
        line = self.line(lambda: check_here.descriptors(self.report, any_number, 256))
        self.assertIn("WARNING descriptors: 256 open files leave 192 connections; rem", line)

    def test_the_clock(self) -> None:
        def told(now: float, ntp: bool | None) -> str:
            return self.line(lambda: check_here.clock(self.report, now, NOW, ntp))

        self.assertIn("FAULT   clock: 2026-06-2", told(NOW - 3 * DAY, True))
        self.assertIn("before this program was installed; remedy: set the clock", told(0, None))
        self.assertIn("WARNING clock: 2026-07-01 ", told(NOW, False))
        for ntp in (True, None):
            self.well(partial(check_here.clock, self.report, NOW, NOW - 1, ntp))
        # Whatever it says here, it can be asked.
        self.assertIn(check_here.ntp_state(), (True, False, None))

    def test_packages_that_are_missing(self) -> None:
        missing: tuple[str, ...] = ("mmh3", "hpack", "autobahn")
        self.patch(prepared, "find_spec", lambda name: None if name in missing else find_spec(name))
        server = {"Proto": "websocket", "Addresses": ["127.0.0.1:0"]}
        session = {"Endpoints": ["10.0.0.7:20120"]}
        listen_on = "127.0.0.1:0"
        config = self.config(session, ListenOn=listen_on, Gnetway={"Server": [server]})
        web, remote = self.lines(lambda: check_here.packages(self.report, config))
        self.assertIn("FAULT   packages: app: Gnetway.Server[0].Proto: found it, but with", web)
        self.assertIn("needs: autobahn; remedy: it after `pip install autobahn`", web)
        self.assertIn("needs: mmh3, hpack; remedy: it after `pip install mmh3 hpack`", remote)
        self.assertFalse(check_here.has_web_packages(config))
        self.assertFalse(check_here.has_remote_packages(config))
        missing = ()
        self.well(lambda: check_here.packages(self.report, config))

    def test_store_and_handler(self) -> None:
        store = self.directory / "keys.sqlite"
        config = self.config({"Embedded": {"Store": str(store), "Handler": "no.such.Handler"}})
        line = self.line(lambda: check_here.embedded(self.report, config))
        self.assertIn("FAULT   handler: ", line)
        self.assertIn("; remedy: the dotted path of a class", line)
        self.assertFalse(store.exists())
        store.write_bytes(b"no database" * 100)
        config = self.config({"Embedded": {"Store": str(store)}})
        line = self.line(lambda: check_here.embedded(self.report, config))
        self.assertIn(f"FAULT   store: {store}: file is not a database; remedy: an SQLite", line)


class RemedyTests(SynchronousTestCase):
    def test_what_etcd_and_nodes_refuse(self) -> None:
        for error, remedy in (
            (LoginNeeded("user name is empty"), "User and Pass in Etcd: this etcd asks who it is"),
            (NotAllowed("permission denied"), "a role that may read below Etcd.Key"),
            (EtcdError("refused"), "start etcd, or compare Hosts in Etcd"),
        ):
            self.assertIn(remedy, check_peers.etcd_remedy("Etcd", error))
        for code, remedy in (
            (StatusCode.UNIMPLEMENTED, "another service listens there"),
            (StatusCode.UNAUTHENTICATED, "compare Rpc.TLS"),
            (StatusCode.UNAVAILABLE, "start it, or see whether a firewall"),
        ):
            self.assertIn(remedy, check_peers.node_remedy(RpcStatus(code)))


class ReportTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.out = io.StringIO()

    def test_what_comes_from_others_is_escaped(self) -> None:
        report = Report(self.out)
        report.fault("etcd", "a name \x1b[2J\n", "none")
        self.assertEqual(self.out.getvalue(), "FAULT   etcd: a name \\x1b[2J\\n; remedy: none\n")

    def test_status(self) -> None:
        report = Report(self.out)
        report.note("step", "a note")
        self.assertEqual((report.finish("f", False), report.finish("f", True)), (0, 0))
        report.warn("step", "a warning", "a remedy")
        self.assertEqual((report.finish("f", False), report.finish("f", True)), (0, 1))
        report.fault("step", "a fault", "a remedy")
        self.assertEqual((report.finish("f", False), report.finish("f", True)), (1, 1))
        self.assertTrue(self.out.getvalue().endswith("f: 1 fault and 1 warning\n"))

    def test_json(self) -> None:
        report = Report(self.out, as_json=True)
        report.ok("clock", "well")
        report.warn("files", "open", "chmod")
        self.assertEqual(self.out.getvalue(), "")
        self.assertEqual(report.finish("f.yaml", False), 0)
        self.assertEqual(
            json.loads(self.out.getvalue()),
            {
                "file": "f.yaml",
                "ok": True,
                "faults": 0,
                "warnings": 1,
                "findings": [
                    {"level": "ok", "step": "clock", "text": "well", "remedy": ""},
                    {"level": "warning", "step": "files", "text": "open", "remedy": "chmod"},
                ],
            },
        )

    def test_progress(self) -> None:
        terminal = Terminal()
        self.patch(report_module, "_SILENT_SECONDS", 0.01)
        report = Report(self.out, terminal)
        with report.busy("asking etcd"):
            while "asking etcd … 2 s" not in terminal.getvalue():
                pass
        self.assertTrue(terminal.getvalue().endswith("\r\x1b[K"))
        self.patch(report_module, "_SILENT_SECONDS", 60)
        terminal.seek(terminal.truncate(0))
        with report.busy("asking etcd"):
            pass
        self.assertEqual(terminal.getvalue(), "")
