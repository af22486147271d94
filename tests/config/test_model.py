from dataclasses import MISSING, FrozenInstanceError, fields

from twisted.trial.unittest import SynchronousTestCase

from gnetway.config.addresses import ProxyProtocolConfig
from gnetway.config.load import load_file
from gnetway.config.model import GatewayConfig, GnetwayConfig
from gnetway.config.servers import ServerConfig, TlsConfig
from gnetway.config.session import (
    EmbeddedConfig,
    EtcdConfig,
    HoldConfig,
    RpcConfig,
    RpcTlsConfig,
    SessionConfig,
    SessionEtcdConfig,
)
from gnetway.config.values import keys_of
from tests.config.cases import GOOD, ConfigCase, parse_value

SECTIONS = (
    EmbeddedConfig,
    EtcdConfig,
    GnetwayConfig,
    HoldConfig,
    ProxyProtocolConfig,
    RpcConfig,
    RpcTlsConfig,
    ServerConfig,
    SessionConfig,
    SessionEtcdConfig,
    TlsConfig,
)


class SectionTests(SynchronousTestCase):
    def test_every_field_is_a_key(self) -> None:
        for cls in SECTIONS:
            self.assertEqual(len(keys_of(cls)), len(fields(cls)))

    def test_plain_defaults_are_allowed(self) -> None:
        for cls in SECTIONS:
            for item, key in keys_of(cls):
                if item.default is not MISSING and item.default is not None:
                    self.assertEqual(parse_value(key.parse, item.default), item.default)


class GatewayConfigTests(ConfigCase):
    def config(self) -> GatewayConfig:
        return load_file(self.write("gnetway.yaml", GOOD))

    def test_frozen(self) -> None:
        self.assertRaises(FrozenInstanceError, setattr, self.config(), "name", "x")

    def test_text_form_shows_no_secret(self) -> None:
        config = self.config()
        key = config.rsa_keys[0].key
        self.assertIn(key.fingerprint_hex, repr(config))
        for line in (self.directory / "key.pem").read_text().splitlines():
            self.assertNotIn(line, repr(config))

    def test_fault_of_a_key_that_is_not_there(self) -> None:
        """A default may turn out wrong, too; then there is no line to name."""
        config = self.config()
        self.assertEqual(
            config.fault("Gnetway.Limits.HandshakeThreads", "2", "1"),
            f"{config.source}: Gnetway.Limits.HandshakeThreads: found 2; allowed: 1",
        )
