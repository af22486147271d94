"""What stands for one client, by its address."""

from ipaddress import IPv6Address

from hypothesis import given
from hypothesis.strategies import integers, lists
from twisted.trial.unittest import SynchronousTestCase

from gnetway.admission.shares import client_network, wider_network


class ClientNetworkTests(SynchronousTestCase):
    def test_shares(self) -> None:
        """An IPv4 address, or the /64 that one customer has."""
        same = ["2001:db8::1", "2001:db8::ffff:1", "2001:DB8:0:0:1:2:3:4", "2001:db8::1%eth0"]
        self.assertEqual({client_network(one) for one in same}, {"2001:0db8:0000:0000"})
        self.assertNotEqual(client_network("2001:db8:0:1::1"), client_network("2001:db8::1"))
        self.assertEqual(client_network("192.0.2.1"), "192.0.2.1")
        self.assertEqual(client_network(""), "")
        self.assertEqual(client_network("not:an:address"), "not:an:address")

    @given(lists(integers(0, 65_535), min_size=8, max_size=8))
    def test_any(self, groups: list[int]) -> None:
        """In whatever form it is written."""
        written = ":".join(format(group, "x") for group in groups)
        address = IPv6Address(written)
        expected = str(address.ipv4_mapped or address.exploded[:19])
        for form in (written, str(address), address.exploded, written.upper(), f"{written}%eth0"):
            self.assertEqual(client_network(form), expected)

    def test_mapped(self) -> None:
        """An IPv4 address that a socket for both shows as IPv6: not one share for all of IPv4."""
        self.assertEqual(client_network("::ffff:192.0.2.1"), "192.0.2.1")
        self.assertEqual(client_network("0:0:0:0:0:ffff:c000:201"), "192.0.2.1")
        self.assertNotEqual(client_network("::ffff:192.0.2.1"), client_network("::ffff:192.0.2.2"))


class WiderNetworkTests(SynchronousTestCase):
    def wide(self, client_ip: str) -> str:
        return wider_network(client_network(client_ip))

    def test_what_one_may_have_many_of(self) -> None:
        self.assertEqual(self.wide("192.0.2.1"), self.wide("192.0.2.255"))
        self.assertNotEqual(self.wide("192.0.2.1"), self.wide("192.0.3.1"))
        self.assertEqual(self.wide("2001:db8:1:2::1"), self.wide("2001:db8:1:ffff::1"))
        self.assertNotEqual(self.wide("2001:db8:1::1"), self.wide("2001:db8:2::1"))
        self.assertEqual(self.wide("::ffff:192.0.2.1"), self.wide("192.0.2.9"))

    def test_what_is_no_address(self) -> None:
        for name in ("", "unix"):
            self.assertEqual(self.wide(name), name)
