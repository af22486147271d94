"""Admin and Prometheus: where an operator asks."""

from gnetway.config.load import load_file
from gnetway.config.model import GatewayConfig
from gnetway.config.operators import AdminConfig, PrometheusConfig
from gnetway.errors import ConfigError
from tests.config.cases import GOOD, ConfigCase


class AdminTests(ConfigCase):
    def load(self, text: str) -> GatewayConfig:
        return load_file(self.write("gnetway.yaml", GOOD + text))

    def admin(self, *keys: str) -> AdminConfig:
        admin = self.load(f"Admin: {{{', '.join(keys)}}}\n").admin
        assert admin is not None
        return admin

    def test_nobody_listens_by_default(self) -> None:
        config = self.load("")
        self.assertEqual((config.admin, config.prometheus), (None, None))
        self.assertIsNone(self.load("Admin:\n").admin)

    def test_everything(self) -> None:
        admin = self.admin(
            "Addresses: [127.0.0.1:11080, 'unix:admin.sock']",
            "Token: 0123456789abcdef",
            "UnixMode: 0600",
        )
        self.assertEqual(
            list(map(str, admin.addresses)),
            ["127.0.0.1:11080", f"unix:{self.directory}/admin.sock"],
        )
        self.assertEqual((admin.token, admin.unix_mode), ("0123456789abcdef", 0o600))
        self.assertNotIn("0123456789abcdef", repr(admin))

    def test_a_token_is_hard_to_guess_and_never_shown(self) -> None:
        for token in ("0123456789abcde", '"0123456789abcdef\\n"', "pässwörter-sind-lang"):
            self.assert_faults(
                GOOD + f"Admin: {{Addresses: [127.0.0.1:1], Token: {token}}}\n",
                "10: Admin.Token: found one that is shorter, or has others;"
                " allowed: a text of 16 or more printable characters of ASCII",
            )

    def test_an_address_of_the_clients(self) -> None:
        self.assert_faults(
            GOOD + "Admin: {Addresses: [127.0.0.1:10443]}\n",
            "10: Admin.Addresses[0]: found 127.0.0.1:10443 a second time,"
            " after Gnetway.Server[0].Addresses[0]; allowed: each address once",
        )

    def test_who_could_read_it(self) -> None:
        for address, is_open in (
            ("127.0.0.1:1", False),
            ("localhost:1", False),
            ("'[::1]:1'", False),
            ("unix:x", False),
            ("0.0.0.0:1", True),
            ("gateway.example:1", True),
        ):
            admin = self.admin(f"Addresses: [{address}]")
            self.assertEqual(bool(admin.open_to_others), is_open, address)
            guarded = self.admin(f"Addresses: [{address}]", "Token: 0123456789abcdef")
            self.assertEqual(guarded.open_to_others, [])


class PrometheusTests(ConfigCase):
    def load(self, text: str) -> GatewayConfig:
        return load_file(self.write("gnetway.yaml", GOOD + text))

    def prometheus(self, keys: str) -> PrometheusConfig | None:
        return self.load(f"Prometheus: {{{keys}}}\n").prometheus

    def test_as_go_zero_has_it(self) -> None:
        self.assertEqual(
            self.prometheus("Host: 0.0.0.0"),
            PrometheusConfig(host="0.0.0.0", port=9101, path="/metrics"),
        )
        self.assertEqual(
            self.prometheus("Host: 127.0.0.1, Port: 20121, Path: /x/y"),
            PrometheusConfig(host="127.0.0.1", port=20121, path="/x/y"),
        )

    def test_without_a_host_nobody_listens(self) -> None:
        config = self.load("Prometheus: {Host: '', Port: 9101, Path: /metrics}\n")
        self.assertIsNone(config.prometheus)
        self.assertEqual(config.unused, ("Prometheus.Port", "Prometheus.Path"))

    def test_a_path_that_is_none(self) -> None:
        self.assert_faults(
            GOOD + "Prometheus: {Host: 127.0.0.1, Path: metrics}\n",
            "10: Prometheus.Path: found 'metrics'; allowed: a path that begins with /;"
            " did you mean /metrics?",
        )


class TakeOverTests(ConfigCase):
    """Gnetway.TakeOver: where the next gateway asks."""

    def text(self, value: str) -> str:
        return GOOD.replace("Gnetway:\n", f"Gnetway:\n  TakeOver: {value}\n")

    def test_a_socket_in_the_file_system(self) -> None:
        config = load_file(self.write("gnetway.yaml", self.text("unix:next.sock")))
        self.assertEqual(str(config.gnetway.take_over), f"unix:{self.directory}/next.sock")
        for nothing in (GOOD, self.text("")):
            config = load_file(self.write("gnetway.yaml", nothing))
            self.assertIsNone(config.gnetway.take_over)

    def test_what_is_none(self) -> None:
        for value in ("127.0.0.1:11080", "next.sock", "5"):
            with self.subTest(value=value):
                text = self.text(value)
                error = self.assertRaises(ConfigError, load_file, self.write("g.yaml", text))
                self.assertIn("Gnetway.TakeOver: found", error.faults[0])
