import yaml

from gnetway.config.addresses import ProxyProtocolConfig
from gnetway.config.document import shown
from gnetway.config.load import load_file
from gnetway.config.model import GatewayConfig
from gnetway.config.servers import Proto, ServerConfig, TlsVersion, WebSocketConfig
from tests.config.cases import GOOD, ConfigCase
from tests.config.test_pem_files import pair

TLS = "TLS: {CertFile: cert.pem, KeyFile: tls.pem}"


class ServerCase(ConfigCase):
    def setUp(self) -> None:
        super().setUp()
        self.write("cert.pem", pair()[0])
        self.write("tls.pem", pair()[1])
        self.write("other.pem", pair(1)[1])

    def text(self, *lines: str) -> str:
        """Return the good file with more lines in its only server."""
        return GOOD.replace(
            "    - Addresses:", "    - " + "\n      ".join([*lines, "Addresses:"]), 1
        )

    def config(self, *lines: str) -> GatewayConfig:
        return load_file(self.write("gnetway.yaml", self.text(*lines)))

    def server(self, *lines: str) -> ServerConfig:
        return self.config(*lines).gnetway.servers[0]


class ProtoTests(ServerCase):
    def test_each(self) -> None:
        for proto in ("tcp", "websocket", "http", "auto"):
            self.assertEqual(self.server(f"Proto: {proto}").proto, Proto(proto))
        self.assertEqual(self.server("PPV1: false").proto, Proto.TCP)


class TlsTests(ServerCase):
    def test_set(self) -> None:
        tls = self.server(TLS).tls
        assert tls is not None
        self.assertEqual(tls.cert.path, str(self.directory / "cert.pem"))
        self.assertEqual(tls.cert_key.path, str(self.directory / "tls.pem"))
        self.assertEqual(tls.min_version, TlsVersion.TLS_1_2)

    def test_versions(self) -> None:
        """With quotes and without: YAML takes the latter for a number."""
        for written in ("1.3", "'1.3'"):
            tls = self.server(TLS.replace("}", f", MinVersion: {written}}}")).tls
            assert tls is not None
            self.assertEqual(tls.min_version, TlsVersion.TLS_1_3)

    def test_old_version(self) -> None:
        for written in ("1.1", "'1.1'"):
            self.assert_faults(
                self.text(TLS.replace("}", f", MinVersion: {written}}}")),
                "5: Gnetway.Server[0].TLS.MinVersion: found '1.1'; allowed: 1.2, 1.3",
            )

    def test_nothing_is_no_tls(self) -> None:
        self.assertIsNone(self.server("TLS:").tls)

    def test_faults(self) -> None:
        for written, fault in (
            (
                "CertFile: cert.pem",
                "KeyFile: found nothing; allowed: the path of a file with an unencrypted",
            ),
            ("CertFile: none.pem, KeyFile: tls.pem", "CertFile: found 'none.pem', not readable"),
            ("CertFile: tls.pem, KeyFile: tls.pem", "CertFile: found 'tls.pem', no certificate"),
            ("CertFile: cert.pem, KeyFile: cert.pem", "KeyFile: found 'cert.pem'"),
            ("CertFile: cert.pem, KeyFile: other.pem", "KeyFile: found the key "),
        ):
            faults = self.faults(self.text(f"TLS: {{{written}}}"))
            self.assertEqual(len(faults), 1, faults)
            self.assertTrue(faults[0].startswith(f"5: Gnetway.Server[0].TLS.{fault}"), faults[0])


class ProxyTests(ServerCase):
    def test_no_balancer(self) -> None:
        self.assertIsNone(self.server("PPV1: false").proxy)

    def test_teamgrams_key_takes_both_versions_from_anywhere(self) -> None:
        proxy = self.server("PPV1: true").proxy
        assert proxy is not None
        self.assertEqual((proxy.versions, proxy.trusted_networks), ((1, 2), None))

    def test_section(self) -> None:
        proxy = self.server("ProxyProtocol: {TrustedNetworks: [10.0.0.0/8]}").proxy
        assert proxy is not None and proxy.trusted_networks is not None
        self.assertEqual([str(network) for network in proxy.trusted_networks], ["10.0.0.0/8"])

    def test_section_without_keys_is_one(self) -> None:
        """Otherwise to comment a key out could turn the whole thing off."""
        self.assertEqual(self.server("ProxyProtocol:").proxy, ProxyProtocolConfig())

    def test_one_of_the_two(self) -> None:
        self.assert_faults(
            self.text("PPV1: true", "ProxyProtocol: {Versions: [2]}"),
            "5: Gnetway.Server[0].PPV1: found true beside ProxyProtocol; allowed: one of the two",
        )

    def test_bad_network(self) -> None:
        self.assert_faults(
            self.text("ProxyProtocol:", "  TrustedNetworks: [10.0.0.0/8, 10.0.0.0/40]"),
            "6: Gnetway.Server[0].ProxyProtocol.TrustedNetworks[1]: found '10.0.0.0/40'; allowed:"
            " a network such as 10.0.0.0/8 or fd00::/8, or one address",
        )


class UnixModeTests(ServerCase):
    def mode(self, written: str) -> int:
        lines = ("Proto: tcp", f"UnixMode: {written}")
        text = self.text(*lines).replace("127.0.0.1:10443", "unix:gnetway.sock")
        config = load_file(self.write("gnetway.yaml", text))
        self.assertEqual(config.unused, ())
        return config.gnetway.servers[0].unix_mode

    def test_octal_as_number_and_text(self) -> None:
        for written, mode in (("0600", 0o600), ("'0660'", 0o660), ("0666", 0o666)):
            self.assertEqual(self.mode(written), mode)

    def test_a_decimal_number_is_no_mode(self) -> None:
        self.assert_faults(
            self.text("UnixMode: 660"),
            "5: Gnetway.Server[0].UnixMode: found 660; allowed: 0600, 0660, 0666 (octal, with its"
            " leading zero); did you mean 0660?",
        )

    def test_others(self) -> None:
        for written in ("400", "0777", "'rw'", "-1", "true", "[]"):
            self.assertEqual(len(self.faults(self.text(f"UnixMode: {written}"))), 1, written)


class WebSocketTests(ServerCase):
    def test_pings(self) -> None:
        for proto in ("websocket", "auto"):
            config = self.config(f"Proto: {proto}", "WebSocket: {PingSeconds: 25}")
            self.assertEqual(config.unused, ())
            pings = config.gnetway.servers[0].websocket
            self.assertEqual((pings.ping_seconds, pings.ping_timeout_seconds), (25, 30))

    def test_by_default_below_what_balancers_wait(self) -> None:
        self.assertEqual(self.server().websocket, WebSocketConfig())
        self.assertEqual(WebSocketConfig().ping_seconds, 50)

    def test_others(self) -> None:
        for name, most in (("PingSeconds", 3600), ("PingTimeoutSeconds", 600)):
            for written in ("0", str(most + 1), "off", "1.5"):
                self.assert_faults(
                    self.text("Proto: auto", f"WebSocket: {{{name}: {written}}}"),
                    f"6: Gnetway.Server[0].WebSocket.{name}: found"
                    f" {shown(yaml.safe_load(written))};"
                    f" allowed: a whole number of seconds from 1 to {most}",
                )


class UnusedTests(ServerCase):
    def test_what_means_nothing_here_is_listed(self) -> None:
        self.assertEqual(
            self.config(
                "AllowedOrigins: [https://a.org]", "UnixMode: 0600", "WebSocket: {PingSeconds: 9}"
            ).unused,
            tuple(
                f"Gnetway.Server[0].{name}" for name in ("AllowedOrigins", "UnixMode", "WebSocket")
            ),
        )

    def test_balancers_of_web_clients(self) -> None:
        for proto in ("websocket", "http", "auto"):
            config = self.config(f"Proto: {proto}", "TrustedProxies: [10.0.0.0/8, fd00::5]")
            self.assertEqual(config.unused, ())
            trusted = config.gnetway.servers[0].trusted_proxies
            self.assertEqual(
                [str(network) for network in trusted or ()], ["10.0.0.0/8", "fd00::5/128"]
            )
        self.assertEqual(self.config("Proto: auto").gnetway.servers[0].trusted_proxies, None)
        unused = self.config("TrustedProxies: [10.0.0.5]").unused
        self.assertEqual(unused, ("Gnetway.Server[0].TrustedProxies",))

    def test_a_balancer_that_is_none(self) -> None:
        self.assert_faults(
            self.text("Proto: auto", "TrustedProxies: [balancer]"),
            "6: Gnetway.Server[0].TrustedProxies[0]: found 'balancer'; allowed: a network such as"
            " 10.0.0.0/8 or fd00::/8, or one address",
        )

    def test_origins_of_web_clients(self) -> None:
        for proto in ("websocket", "http", "auto"):
            config = self.config(f"Proto: {proto}", "AllowedOrigins: [https://a.org]")
            self.assertEqual(config.unused, ())
            self.assertEqual(config.gnetway.servers[0].allowed_origins, ("https://a.org",))
