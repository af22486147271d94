from pathlib import Path

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent

from gnetway.config.model import GatewayConfig
from gnetway.errors import ConfigError
from gnetway.net.tls.context import POLL_SECONDS
from gnetway.service.prepared import Certificates
from tests.net.certificates import NOW, Files, Pair
from tests.service.cases import ServiceCase


class CertificatesTests(ServiceCase):
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
