from ipaddress import ip_network

from twisted.trial.unittest import SynchronousTestCase

from gnetway.admission.shares import NetworkTable, client_network


def table(*networks: str) -> NetworkTable[str]:
    return NetworkTable((ip_network(network), network) for network in networks)


class NetworkTableTests(SynchronousTestCase):
    def test_the_smallest_network_counts(self) -> None:
        networks = table("0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.3/32")
        for client, expected in (
            ("192.0.2.1", "0.0.0.0/0"),
            ("10.2.0.1", "10.0.0.0/8"),
            ("10.1.2.2", "10.1.0.0/16"),
            ("10.1.2.3", "10.1.2.3/32"),
        ):
            self.assertEqual(networks.of(client_network(client), "none"), expected)

    def test_ipv6(self) -> None:
        networks = table("2001:db8::/32", "2001:db8:0:7::/64", "fd00::1/128")
        for client, expected in (
            ("2001:db8:0:6::1", "2001:db8::/32"),
            ("2001:db8:0:7:8::1", "2001:db8:0:7::/64"),
            ("2001:db9::1", "none"),
            # A client has all of its /64, whatever part of it is named.
            ("fd00::2", "fd00::1/128"),
            ("fd00:0:0:1::1", "none"),
        ):
            self.assertEqual(networks.of(client_network(client), "none"), expected)

    def test_families_are_apart(self) -> None:
        networks = table("0.0.0.0/0")
        self.assertEqual(networks.of(client_network("::1"), "none"), "none")
        self.assertEqual(networks.of(client_network("::ffff:192.0.2.7"), "none"), "0.0.0.0/0")

    def test_what_is_no_address(self) -> None:
        self.assertEqual(table("0.0.0.0/0", "::/0").of("unix", "none"), "none")
        self.assertEqual(table().of("192.0.2.1", "none"), "none")

    def test_size(self) -> None:
        self.assertEqual(len(table("10.0.0.0/8", "10.0.0.0/9", "fd00::/8")), 3)
