from ipaddress import IPv4Network, IPv6Network, ip_network

from hypothesis import given
from hypothesis.strategies import integers, ip_addresses, text
from twisted.trial.unittest import SynchronousTestCase

from gnetway.config.addresses import ProxyProtocolConfig, network
from gnetway.config.reader import section
from gnetway.errors import ConfigError
from tests.config.cases import parse_value

ALLOWED = "a network such as 10.0.0.0/8 or fd00::/8, or one address"


class NetworkTests(SynchronousTestCase):
    def test_forms(self) -> None:
        for written, read in (
            ("10.0.0.0/8", IPv4Network("10.0.0.0/8")),
            ("10.0.0.7", IPv4Network("10.0.0.7/32")),
            ("0.0.0.0/0", IPv4Network("0.0.0.0/0")),
            ("fd00::/8", IPv6Network("fd00::/8")),
            ("::1", IPv6Network("::1/128")),
            ("FD00:0::/8", IPv6Network("fd00::/8")),
        ):
            self.assertEqual(parse_value(network, written), read)

    def test_refused(self) -> None:
        for written in ("", "x", "10.0.0.0/33", "10.0.0.256", "10.0.0.0-10.0.0.9", "fe80::%a/64"):
            error = self.assertRaises(ConfigError, parse_value, network, written)
            self.assertEqual(error.faults, [f"file:1: Key: found {written!r}; allowed: {ALLOWED}"])
        error = self.assertRaises(ConfigError, parse_value, network, 10)
        self.assertEqual(error.faults, [f"file:1: Key: found 10; allowed: {ALLOWED}"])

    def test_no_first_address(self) -> None:
        """Half of it is a slip, and to guess which half may be to trust too many."""
        error = self.assertRaises(ConfigError, parse_value, network, "10.1.2.3/8")
        self.assertEqual(
            error.faults,
            [
                "file:1: Key: found '10.1.2.3/8', no network's first address; allowed: 10.0.0.0/8",
            ],
        )

    @given(host=ip_addresses(), bits=integers(0, 32))
    def test_every_network_reads_back(self, host: object, bits: int) -> None:
        made = ip_network(f"{host}/{bits}", strict=False)
        self.assertEqual(parse_value(network, str(made)), made)

    @given(written=text(max_size=60))
    def test_any_text(self, written: str) -> None:
        try:
            parse_value(network, written)
        except ConfigError as error:
            self.assertEqual(len(error.faults), 1)


class SectionTests(SynchronousTestCase):
    def test_everything_set(self) -> None:
        written = {"Versions": [2], "TrustedNetworks": ["10.0.0.0/8", "::1"], "TimeoutSeconds": 9}
        self.assertEqual(
            parse_value(section(ProxyProtocolConfig), written),
            ProxyProtocolConfig(
                versions=(2,),
                trusted_networks=(IPv4Network("10.0.0.0/8"), IPv6Network("::1/128")),
                timeout_seconds=9,
            ),
        )

    def test_a_list_without_networks_is_no_list(self) -> None:
        """It would be read as nobody by some, and as everybody by others."""
        nothing: tuple[object, ...] = ([], None)
        for empty in nothing:
            error = self.assertRaises(
                ConfigError, parse_value, section(ProxyProtocolConfig), {"TrustedNetworks": empty}
            )
            self.assertIn("allowed: a list with at least one item", error.faults[0])

    def test_other_versions(self) -> None:
        error = self.assertRaises(
            ConfigError, parse_value, section(ProxyProtocolConfig), {"Versions": [1, 3]}
        )
        self.assertEqual(len(error.faults), 1)
        self.assertIn("found 3; allowed: a whole number from 1 to 2", error.faults[0])
