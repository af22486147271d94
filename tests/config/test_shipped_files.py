"""The example configurations in etc/."""

import re
import shutil
from pathlib import Path

from gnetway.config.addresses import ProxyProtocolConfig, PublicAddressConfig
from gnetway.config.limits import AdmissionConfig, DrainConfig, LimitsConfig, NetworkConfig
from gnetway.config.load import load_file
from gnetway.config.operators import DEFAULT_BACKUPS, Level, LogConfig, LogEncoding, LogMode
from gnetway.config.servers import ServerConfig, TlsConfig, TlsVersion, WebSocketConfig
from gnetway.config.session import (
    EtcdConfig,
    HoldConfig,
    RpcConfig,
    RpcTlsConfig,
    SessionConfig,
    SessionEtcdConfig,
)
from gnetway.config.values import keys_of
from tests.config.cases import ConfigCase, embedded
from tests.config.test_pem_files import pair

SHIPPED = Path(__file__).parents[2] / "etc" / "gnetway.yaml"
CLUSTER = SHIPPED.with_name("gnetway-cluster.yaml")


class ShippedFileTests(ConfigCase):
    """etc/gnetway.yaml, with a key where `make run` puts it."""

    def setUp(self) -> None:
        super().setUp()
        shutil.copy(self.directory / "key.pem", self.directory / "server_pkcs1.key")
        self.text = SHIPPED.read_text()

    def test_loads(self) -> None:
        config = load_file(self.write("gnetway.yaml", self.text))
        self.assertEqual(config.unused, ())
        self.assertEqual(
            [
                (str(server.proto), [str(address) for address in server.addresses])
                for server in config.gnetway.servers
            ],
            [
                ("auto", ["0.0.0.0:10443", "0.0.0.0:5222"]),
                ("websocket", ["0.0.0.0:11443"]),
            ],
        )
        self.assertEqual(embedded(config).store, str(self.directory / "gnetway.sqlite"))

    def test_shows_every_default_as_it_is(self) -> None:
        """Every limit stands there commented out; with the marks away nothing changes."""
        shown, count = re.subn(r"(?m)^( *)# (\w+: \d+)$", r"\1\2", self.text)
        shown_as = (*keys_of(AdmissionConfig), *keys_of(LimitsConfig), *keys_of(DrainConfig))
        numbers = [item for item, _ in shown_as if type(item.default) is int]
        # AuthKeyCacheM, StrictDC, MaxKeys, MaxUnackedBytes, ThisDC and two of UnixMode beside them.
        self.assertEqual(count, 7 + len(numbers))
        self.assertEqual(
            load_file(self.write("shown.yaml", shown)).gnetway,
            load_file(self.write("gnetway.yaml", self.text)).gnetway,
        )

    def test_shows_every_key_of_a_listener(self) -> None:
        """With the marks away they are as the defaults, or as the file explains them."""
        pattern = r"(?m)^( {6})# (( *)(?:\w+: .*|ProxyProtocol:|TLS:|PublicAddress:|WebSocket:))$"
        for name, content in zip(("fullchain.pem", "privkey.pem"), pair(), strict=False):
            self.write(name, content)
        text = re.sub(r"(?m)^ +# PPV1: false\n", "", self.text)
        shown = re.sub(pattern, r"\1\2", text)
        for cls in (
            ServerConfig,
            ProxyProtocolConfig,
            TlsConfig,
            PublicAddressConfig,
            WebSocketConfig,
        ):
            for _, key in keys_of(cls):
                self.assertRegex(shown if key.name != "PPV1" else self.text, rf"\b{key.name}:")
        server = load_file(self.write("shown.yaml", shown)).gnetway.servers[0]
        assert server.proxy_protocol is not None and server.tls is not None
        [public] = server.public_addresses
        self.assertEqual((public.media_only, public.ipv6), (False, False))
        plain = ServerConfig(addresses=server.addresses)
        proxy = ProxyProtocolConfig()
        self.assertEqual(
            (server.unix_mode, server.allowed_origins, server.websocket, server.tls.min_version),
            (plain.unix_mode, plain.allowed_origins, plain.websocket, TlsVersion.TLS_1_2),
        )
        self.assertEqual(
            (server.proxy_protocol.versions, server.proxy_protocol.timeout_seconds),
            (proxy.versions, proxy.timeout_seconds),
        )

    def test_shows_networks_of_their_own(self) -> None:
        """With the marks away they are as the file explains them."""
        before, heading, text = self.text.partition("  Admission:\n")
        pattern = r"(?m)^( {4})# ((?:Allow: |Deny: |Networks:|  ).*)$"
        shown = before + heading + re.sub(pattern, r"\1\2", text)
        for cls in (AdmissionConfig, NetworkConfig):
            for _, key in keys_of(cls):
                self.assertRegex(shown, rf"\b{key.name}:")
        admission = load_file(self.write("shown.yaml", shown)).gnetway.admission
        assert admission.networks is not None
        exempt, own = admission.networks
        self.assertTrue(exempt.exempt)
        self.assertEqual((own.exempt, own.new_connections_burst), (False, 10000))
        self.assertEqual(len(admission.deny or ()), 2)

    def test_shows_the_log(self) -> None:
        """With the marks away it is as the defaults, or as the file explains it."""
        for file in (SHIPPED, CLUSTER):
            before, heading, text = file.read_text().partition("# Log:\n")
            block, blank, after = text.partition("\n\n")
            shown = heading + block
            for _, key in keys_of(LogConfig):
                self.assertRegex(shown, rf"\b{key.name}:")
            shown = re.sub(r"(?m)^# ", "", shown)
            log = load_file(self.write("shown.yaml", before + shown + blank + after)).log
            default = LogConfig(
                mode=LogMode.FILE,
                encoding=LogEncoding.JSON,
                path=str(self.directory / "logs"),
                service_name="interface.gateway",
                levels={"gnetway.net": Level.DEBUG},
                max_backups=DEFAULT_BACKUPS,
            )
            self.assertEqual(log, default)

    def test_cluster_loads(self) -> None:
        config = load_file(self.write("gnetway.yaml", CLUSTER.read_text()))
        assert config.etcd is not None
        assert config.session.etcd is not None
        self.assertEqual(config.unused, ())
        self.assertEqual(str(config.listen_on), "0.0.0.0:20110")
        self.assertEqual(config.etcd.hosts, config.session.etcd.hosts)
        self.assertEqual(
            (config.session, config.rpc),
            (SessionConfig(etcd=SessionEtcdConfig(hosts=config.etcd.hosts)), RpcConfig()),
        )

    def test_cluster_shows_every_default_as_it_is(self) -> None:
        keys = re.compile(r"(?m)^( *)# (\w+: (?:\d+|false|native|message|interface\.gateway))$")
        shown, count = keys.subn(r"\1\2", CLUSTER.read_text())
        # Of Rpc all but TLS and AllowedNetworks, of Hold all; Announce, Timeout, MaxMessageBytes,
        # UseStreamSession, Etcd.Key, Workers.
        self.assertEqual(count, len(keys_of(RpcConfig)) - 2 + len(keys_of(HoldConfig)) + 6)
        read = load_file(self.write("shown.yaml", shown))
        config = load_file(self.write("gnetway.yaml", CLUSTER.read_text()))
        self.assertEqual(
            (read.session, read.rpc, read.etcd, read.use_stream_session, read.workers),
            (config.session, config.rpc, config.etcd, config.use_stream_session, config.workers),
        )

    def test_cluster_shows_every_key(self) -> None:
        """What no file has as a default, such as certificates, stands there as an example."""
        text = CLUSTER.read_text()
        for cls in (EtcdConfig, RpcConfig, RpcTlsConfig, SessionConfig, HoldConfig):
            for _, key in keys_of(cls):
                self.assertRegex(text, rf"\b{key.name}\b")
