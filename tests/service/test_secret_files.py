"""Files with secrets that others may open are told, and no others."""

from pathlib import Path

from twisted.logger import LogLevel, capturedLogs, formatEvent

from gnetway.config.load import load_mapping
from gnetway.config.model import GatewayConfig
from gnetway.service.prepared import warn_of_open_files
from tests.net.certificates import Files, Pair
from tests.service.cases import ServiceCase, rsa_pem


class SecretFilesTests(ServiceCase):
    def setUp(self) -> None:
        super().setUp()
        self.key = self.directory / "key.pem"
        self.key.chmod(0o600)

    def files(self, name: str) -> Files:
        files = Files(self.directory / name)
        files.write(Pair(name))
        return files

    def warnings(self, config: GatewayConfig) -> list[str]:
        with capturedLogs() as events:
            warn_of_open_files(config)
        self.assertEqual({event["log_level"] for event in events} - {LogLevel.warn}, set())
        return [formatEvent(event) for event in events]

    def open_key(self, what: str, path: Path, mode: str) -> str:
        words = f"the {what} private key {path} is open to others than its owner (mode {mode})"
        return f"{words}: chmod 600 {path}"

    def test_rsa_key(self) -> None:
        for mode in (0o600, 0o400):
            self.key.chmod(mode)
            self.assertEqual(self.warnings(self.embedded()), [])
        for mode in (0o604, 0o640, 0o602, 0o644):
            self.key.chmod(mode)
            said = self.open_key("RSA", self.key, f"{mode:04o}")
            self.assertEqual(self.warnings(self.embedded()), [said])

    def test_tls_keys_of_each_kind(self) -> None:
        """Each file once, however often it is named."""
        web, inner, etcd = (self.files(name) for name in ("web", "inner", "etcd"))
        for files, mode in ((web, 0o640), (inner, 0o644), (etcd, 0o604)):
            files.key.chmod(mode)
        pairs = [{"CertFile": files.cert, "KeyFile": files.key} for files in (web, inner)]
        hosts = {"Hosts": ["127.0.0.1:2379"], "CACertFile": etcd.cert, "CertFile": etcd.cert}
        hosts["CertKeyFile"] = etcd.key
        servers = [{"Addresses": ["127.0.0.1:0"], "TLS": pairs[0]}] * 2
        config = load_mapping(
            {
                "RSAKey": [{"KeyFile": self.key}],
                "ListenOn": "127.0.0.1:0",
                "Gnetway": {"Server": servers},
                "Rpc": {"TLS": pairs[1]},
                "Etcd": hosts,
                "Session": {"Etcd": hosts},
            }
        )
        expected = [
            self.open_key("TLS", files.key, mode)
            for files, mode in ((web, "0640"), (inner, "0644"), (etcd, "0604"))
        ]
        self.assertEqual(self.warnings(config), expected)
        for files in (web, inner, etcd):
            files.key.chmod(0o600)
        self.assertEqual(self.warnings(config), [])

    def test_store(self) -> None:
        store = self.directory / "keys.sqlite"
        config = self.embedded(Store=str(store))
        self.assertEqual(self.warnings(config), [])
        for file in (store, Path(f"{store}-wal")):
            file.touch()
            file.chmod(0o644)
        said = self.warnings(config)
        self.assertEqual(len(said), 2)
        self.assertIn(f"the store {store} was open to others", said[0])
        self.assertIn(f"(mode 0644), and gets the mode 0600, as by chmod 600 {store}: ", said[0])
        self.assertIn(f"the store {store}-wal was open to others", said[1])

    def test_what_has_gone_meanwhile(self) -> None:
        config = self.embedded()
        self.key.unlink()
        self.assertEqual(self.warnings(config), [])

    def test_nothing_of_the_key_itself(self) -> None:
        self.key.chmod(0o644)
        (said,) = self.warnings(self.embedded())
        self.assertFalse(any(line in said for line in rsa_pem().decode().splitlines()))
