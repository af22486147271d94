"""The example configurations in etc/ and the reference, which are made of what the readers say."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from etc.generate import PAGE, TEMPLATES, deprecated, example, files, keys, lines_of, page
from gnetway.cli.config import file_schema
from gnetway.config.addresses import ProxyProtocolConfig
from gnetway.config.limits import AdmissionConfig, DrainConfig, LimitsConfig
from gnetway.config.load import load_file
from gnetway.config.model import GatewayConfig
from gnetway.config.operators import DEFAULT_BACKUPS, Level, LogConfig, LogEncoding, LogMode
from gnetway.config.servers import ServerConfig, TlsVersion
from gnetway.config.session import RpcConfig, SessionConfig, SessionEtcdConfig
from gnetway.config.values import texts
from tests.config.cases import ConfigCase, embedded
from tests.config.test_pem_files import pair

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "etc" / "gnetway.yaml"
CLUSTER = SHIPPED.with_name("gnetway-cluster.yaml")

TOLD = dict(keys(file_schema()))


def template(name: str) -> str:
    return (ROOT / "etc" / name).read_text()


class WrittenTests(SynchronousTestCase):
    def test_up_to_date(self) -> None:
        """Neither the source nor what is made of it was edited alone."""
        for name, text in files().items():
            stale = f"{name} is stale: run make config"
            self.assertEqual((ROOT / name).read_text(), text, stale)

    def test_each_key_has_its_text(self) -> None:
        self.assertEqual(set(texts()), set(TOLD))
        for path, text in texts().items():
            self.assertTrue(text.endswith(".\n"), path)

    def test_each_key_stands_in_an_example(self) -> None:
        shown = {line.path for name in TEMPLATES for line in lines_of(template(name))}
        # The older forms; Session.Etcd has the keys of Etcd.
        older = {"KeyFile", "KeyFingerprint", "Server", "Server.Addrs", "Server.Multicore"}
        twins = {path for path in TOLD if path.startswith("Session.Etcd.")}
        self.assertEqual(set(TOLD) - shown - twins, older)

    def test_the_page(self) -> None:
        text = page(TOLD, list(deprecated(file_schema())))
        self.assertIn(
            "### Gnetway.Limits.MaxPacketBytes\n\n"
            "*Default*: `16777216` bytes (16 MiB). *Allowed*: a whole number of bytes from 1048576"
            " to 268435456.\n*Changes by*: reload.\n\nA packet: 16 MiB, ",
            text,
        )
        self.assertIn("\n### Gnetway.Server\n\n*Needed*. ", text)
        self.assertIn("`Log.TimeFormat`", text)
        self.assertIn("- `Redis`: leave it out", text)
        headings = {line.lstrip("# ") for line in text.splitlines() if line.startswith("#")}
        self.assertLessEqual(set(TOLD), headings)

    def test_links_of_the_page(self) -> None:
        text = (ROOT / PAGE).read_text()
        anchors = {path.replace(".", "").lower() for path in TOLD}
        named = set(re.findall(r"\]\(#(\w+)\)", text))
        self.assertGreater(len(named), 20)
        self.assertLessEqual(named, anchors)

    def test_a_key_without_a_default(self) -> None:
        self.assertRaises(ValueError, example, "#= ListenOn", TOLD)

    def test_an_example(self) -> None:
        text = example("#:\nName: x\nRpc:\n  #= Carrier\n  #= TLS\n  #=   CAFile: a\n", TOLD)
        self.assertEqual(text.splitlines()[1], "Name: x")
        self.assertIn("\n  # Carrier: native  # native, grpcio\n", text)
        self.assertIn("\n  # TLS:\n  #   # The authority", text)
        self.assertTrue(text.endswith("\n  #   CAFile: a\n"))


class ShippedFileTests(ConfigCase):
    """etc/gnetway.yaml, with a key where `make run` puts it."""

    def setUp(self) -> None:
        super().setUp()
        shutil.copy(self.directory / "key.pem", self.directory / "server_pkcs1.key")

    def test_loads(self) -> None:
        config = load_file(self.write("gnetway.yaml", SHIPPED.read_text()))
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

    def shown(self, name: str, *without: str) -> GatewayConfig:
        """Return what is read of an example file with all of its marks away, but some lines."""
        for file, content in zip(("fullchain.pem", "privkey.pem"), pair(), strict=False):
            self.write(file, content)
        lines = example(template(name), TOLD, mark="").splitlines(keepends=True)
        kept = [line for line in lines if not line.strip().startswith(without)]
        self.assertEqual(len(lines) - len(kept), len(without))
        return load_file(self.write("shown.yaml", "".join(kept)))

    def test_shows_what_it_says(self) -> None:
        """With the marks away they are as the defaults, or as the file explains them."""
        config = self.shown("gnetway.yaml.in", "KeyFingerprint: ")
        self.assertEqual(set(config.unused), {"Gnetway.Server[0].UnixMode", "Log.ServiceName"})
        gnetway = config.gnetway
        self.assertEqual((gnetway.limits, gnetway.drain), (LimitsConfig(), DrainConfig()))
        admission = gnetway.admission
        assert admission.networks is not None
        exempt, own = admission.networks
        self.assertTrue(exempt.exempt)
        self.assertEqual((own.exempt, own.new_connections_burst), (False, 10000))
        self.assertEqual(len(admission.deny or ()), 2)
        plain = replace(admission, networks=None, allow=None, deny=None)
        self.assertEqual(plain, AdmissionConfig())

    def test_shows_a_listener(self) -> None:
        server = self.shown("gnetway.yaml.in", "KeyFingerprint: ").gnetway.servers[0]
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

    def test_shows_the_log(self) -> None:
        default = LogConfig(
            mode=LogMode.FILE,
            encoding=LogEncoding.JSON,
            path=str(self.directory / "logs"),
            service_name="interface.gateway",
            levels={"gnetway.net": Level.DEBUG},
            max_backups=DEFAULT_BACKUPS,
        )
        self.assertEqual(self.shown("gnetway.yaml.in", "KeyFingerprint: ").log, default)

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

    def test_cluster_shows_what_it_says(self) -> None:
        of_files = ("User: ", "Pass: ", "CACertFile: ", "CertFile: ./etcd", "CertKeyFile: ")
        tls = ("TLS:", "CertFile: ./gateway", "KeyFile: ./gateway", "CAFile: ")
        read = self.shown("gnetway-cluster.yaml.in", "Endpoints: ", *of_files, *tls)
        config = load_file(self.write("gnetway.yaml", CLUSTER.read_text()))
        self.assertEqual(
            (read.session, read.etcd, read.use_stream_session, read.workers),
            (config.session, config.etcd, config.use_stream_session, config.workers),
        )
        self.assertEqual(replace(read.rpc, allowed_networks=None), config.rpc)
