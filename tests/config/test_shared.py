from gnetway.config.load import load_file
from gnetway.config.model import GatewayConfig
from gnetway.config.servers import Proto, ServerConfig, SharedServerConfig
from tests.config.cases import GOOD, ConfigCase
from tests.config.test_pem_files import pair

TLS = "TLS: {CertFile: cert.pem, KeyFile: tls.pem}"

TCP, WEBSOCKET, HTTP = Proto.TCP, Proto.WEBSOCKET, Proto.HTTP


def text(*items: str) -> str:
    """Return the good file with these items, in the form of {Proto: …}."""
    listed = "".join(f"    - {{{item}}}\n" for item in items)
    return GOOD.replace("    - Addresses:\n        - 127.0.0.1:10443\n", listed)


class SharedTests(ConfigCase):
    def config(self, *items: str) -> GatewayConfig:
        return load_file(self.write("gnetway.yaml", text(*items)))

    def listeners(self, *items: str) -> list[tuple[tuple[Proto, ...], list[str]]]:
        return [
            (server.protos, [str(address) for address in server.addresses])
            for server in self.config(*items).gnetway.servers
        ]

    def test_websocket_and_http_at_one_address(self) -> None:
        """As a fork of Teamgram's gateway has it."""
        self.assertEqual(
            self.listeners(
                "Proto: tcp, Addresses: [':10443', ':5222']",
                "Proto: websocket, Addresses: [':11443']",
                "Proto: http, Addresses: [':11443']",
            ),
            [
                ((TCP,), ["0.0.0.0:10443", "0.0.0.0:5222"]),
                ((WEBSOCKET, HTTP), ["0.0.0.0:11443"]),
            ],
        )

    def test_some_addresses_in_common(self) -> None:
        self.assertEqual(
            self.listeners(
                "Proto: websocket, Addresses: ['a:1', 'b:1', 'c:1', 'd:0']",
                "Proto: http, Addresses: ['b:1', 'e:1', 'd:0']",
                "Addresses: ['c:1', 'b:1']",
            ),
            [
                ((WEBSOCKET,), ["a:1", "d:0"]),
                ((WEBSOCKET, HTTP, TCP), ["b:1"]),
                ((WEBSOCKET, TCP), ["c:1"]),
                ((HTTP,), ["e:1", "d:0"]),
            ],
        )

    def test_sockets_in_the_file_system(self) -> None:
        self.assertEqual(
            self.listeners(
                "Proto: websocket, Addresses: ['unix:/run/a']",
                "Proto: http, Addresses: ['unix:/run/./a']",
            ),
            [((WEBSOCKET, HTTP), ["unix:/run/a"])],
        )

    def test_what_is_served(self) -> None:
        [shared] = self.config(
            "Proto: websocket, Addresses: ['a:1']", "Proto: http, Addresses: ['a:1']"
        ).gnetway.servers
        self.assertIsInstance(shared, SharedServerConfig)
        served = [proto for proto in Proto if shared.serves(proto)]
        self.assertEqual(served, [WEBSOCKET, HTTP])
        self.assertEqual(shared.path, "Gnetway.Server[0]")
        [plain] = self.config("Addresses: ['a:1']").gnetway.servers
        self.assertIs(type(plain), ServerConfig)
        self.assertEqual([proto for proto in Proto if plain.serves(proto)], [TCP])
        [auto] = self.config("Proto: auto, Addresses: ['a:1']").gnetway.servers
        self.assertTrue(all(auto.serves(proto) for proto in Proto))

    def test_what_they_have_in_common_is_kept(self) -> None:
        self.write("cert.pem", pair()[0])
        self.write("tls.pem", pair()[1])
        same = f"{TLS}, PPV1: true, AllowedOrigins: ['https://a.org'], Addresses: ['a:1']"
        [shared] = self.config(f"Proto: websocket, {same}", f"Proto: http, {same}").gnetway.servers
        self.assertIsNotNone(shared.tls)
        self.assertIsNotNone(shared.proxy)
        self.assertEqual(shared.allowed_origins, ("https://a.org",))

    def test_origins_mean_nothing_to_tcp(self) -> None:
        origins = "AllowedOrigins: ['https://a.org'], Addresses: ['a:1']"
        for items in (
            ("Addresses: ['a:1']", f"Proto: http, {origins}"),
            (f"Proto: http, {origins}", "Addresses: ['a:1']"),
        ):
            [shared] = self.config(*items).gnetway.servers
            self.assertEqual(shared.allowed_origins, ("https://a.org",))

    def test_what_differs_in_more(self) -> None:
        self.write("cert.pem", pair()[0])
        self.write("tls.pem", pair()[1])
        for line, names in (
            (TLS, "TLS"),
            ("PPV1: true", "PPV1 or ProxyProtocol"),
            ("ProxyProtocol: {Versions: [1]}", "PPV1 or ProxyProtocol"),
            ("AllowedOrigins: ['https://a.org']", "AllowedOrigins"),
            ("TrustedProxies: [10.0.0.5]", "TrustedProxies"),
        ):
            self.assert_faults(
                text(
                    "Proto: websocket, Addresses: ['a:1']",
                    f"Proto: http, {line}, Addresses: ['a:1']",
                ),
                f"6: Gnetway.Server[1].Addresses[0]: found a:1 a second time, with {names} other"
                " than at Gnetway.Server[0].Addresses[0]; allowed: listeners of one address that"
                " differ in Proto alone",
            )

    def test_what_is_served_already(self) -> None:
        for one, other in (("tcp", "tcp"), ("auto", "http"), ("http", "auto"), ("auto", "auto")):
            self.assert_faults(
                text(
                    f"Proto: {one}, Addresses: ['a:1']",
                    f"Proto: {other}, Addresses: ['b:1', 'a:1']",
                ),
                "6: Gnetway.Server[1].Addresses[1]: found a:1 a second time, after"
                " Gnetway.Server[0].Addresses[0]; allowed: each address once",
            )

    def test_twice_in_one(self) -> None:
        self.assert_faults(
            text("Proto: http, Addresses: ['a:1', 'a:1']"),
            "5: Gnetway.Server[0].Addresses[1]: found a:1 a second time, after"
            " Gnetway.Server[0].Addresses[0]; allowed: each address once",
        )
