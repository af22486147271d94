from pathlib import Path

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent

from gnetway.config.model import GatewayConfig
from gnetway.errors import ConfigError
from gnetway.net.tls import POLL_SECONDS
from gnetway.service.prepared import Certificates
from tests.net.certificates import NOW, Files, Pair
from tests.service.cases import ServiceCase


class CertificatesCase(ServiceCase):
    def setUp(self) -> None:
        super().setUp()
        self.first = Files(self.directory / "first")
        self.second = Files(self.directory / "second")
        self.first.write(Pair("first"))
        self.second.write(Pair("second"))
        self.clock = Clock()

    def servers(self, *files: Files | None) -> GatewayConfig:
        items = [
            {"Addresses": ["127.0.0.1:0"], **({"TLS": self.tls(one)} if one else {})}
            for one in files
        ]
        return self.config({"Embedded": {"Store": "memory"}}, Gnetway={"Server": items})

    def tls(self, files: Files) -> dict[str, Path]:
        return {"CertFile": files.cert, "KeyFile": files.key}

    def loaded(self, config: GatewayConfig) -> Certificates:
        certificates = Certificates(config, self.clock, lambda: NOW)
        certificates.load()
        self.addCleanup(certificates.stop)
        return certificates


class CertificatesTests(CertificatesCase):
    def test_of_each_listener(self) -> None:
        config = self.servers(None, self.first, self.second, self.first)
        certificates = self.loaded(config)
        none, first, second, again = map(certificates.of, config.gnetway.servers)
        self.assertIsNone(none)
        self.assertIsNot(first, second)
        # So that a fault of its files is told once.
        self.assertIs(first, again)

    def test_what_tls_cannot_use(self) -> None:
        """What the configuration lets pass, OpenSSL may not."""
        config = self.servers(self.first, self.second)
        for files in (self.first, self.second):
            files.replace(files.key, Pair("other").key_pem)
        error = self.assertRaises(ConfigError, Certificates(config, self.clock, lambda: NOW).load)
        for index, (files, fault) in enumerate(
            zip((self.first, self.second), error.faults, strict=True)
        ):
            self.assertEqual(
                fault,
                f"app: Gnetway.Server[{index}].TLS.CertFile: found {files.key}: not the key of the"
                f" first certificate in {files.cert}; allowed: a certificate that TLS can use",
            )

    def test_files_are_looked_at_while_it_runs(self) -> None:
        certificates = self.loaded(self.servers(self.first))
        certificates.start()
        self.first.write(Pair("new"))
        with capturedLogs() as logs:
            self.clock.pump([POLL_SECONDS] * 3)
        self.assertEqual(len(logs), 1)
        certificates.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_reload(self) -> None:
        certificates = self.loaded(self.servers(self.first, self.second, self.first))
        self.second.replace(self.second.cert, b"no certificate")
        with capturedLogs() as logs:
            certificates.reload()
        taken, refused = (str(formatEvent(log)) for log in logs)
        self.assertIn(f"{self.first.cert} taken", taken)
        self.assertIn(f"not taken, the one before stays: {self.second.cert}", refused)

    def test_without_tls_there_is_nothing_to_do(self) -> None:
        certificates = self.loaded(self.servers(None))
        certificates.start()
        certificates.reload()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class PrepareTests(CertificatesCase):
    """Another configuration."""

    def test_nothing_is_taken_before_it_is_said(self) -> None:
        config = self.servers(self.first)
        certificates = self.loaded(config)
        tls = certificates.of(config.gnetway.servers[0])
        assert tls is not None
        before = tls.read().certificate.chain
        self.first.write(Pair("first"))
        take = certificates.prepare(config)
        self.assertEqual(tls._certificate.chain, before)
        take()
        self.assertNotEqual(tls._certificate.chain, before)
        self.assertIs(certificates.of(config.gnetway.servers[0]), tls)

    def test_other_files(self) -> None:
        certificates = self.loaded(self.servers(self.first))
        certificates.start()
        config = self.servers(self.second, None)
        certificates.prepare(config)()
        self.assertIsNotNone(certificates.of(config.gnetway.servers[0]))
        self.assertIsNone(certificates.of(config.gnetway.servers[1]))
        # The first is looked at no more, the second is.
        self.first.replace(self.first.cert, b"nothing")
        self.second.replace(self.second.cert, b"nothing")
        with capturedLogs() as logs:
            for _ in range(3):
                self.clock.advance(POLL_SECONDS)
        self.assertEqual(len(logs), 1)

    def test_faults_change_nothing(self) -> None:
        running = self.servers(self.first)
        certificates = self.loaded(running)
        config = self.servers(self.first, self.second)
        for files in (self.first, self.second):
            files.replace(files.key, Pair("other").key_pem)
        error = self.assertRaises(ConfigError, certificates.prepare, config)
        self.assertEqual(len(error.faults), 2)
        self.assertIn("Gnetway.Server[1].TLS.CertFile: found", error.faults[1])
        self.assertIsNotNone(certificates.of(running.gnetway.servers[0]))

    def test_one_that_has_expired_is_a_fault_unless_it_is_in_use(self) -> None:
        self.first.write(Pair("first", year=2025))
        config = self.servers(self.first)
        certificates = self.loaded(config)
        certificates.prepare(config)()
        self.first.write(Pair("first", year=2025))
        error = self.assertRaises(ConfigError, certificates.prepare, config)
        self.assertIn("it has expired", error.faults[0])
