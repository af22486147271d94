from twisted.trial.unittest import SynchronousTestCase

from gnetway.rpc.peers import is_ipv4, is_ipv6, split_address


class AddressTests(SynchronousTestCase):
    def test_split(self) -> None:
        for address, parts in (
            ("node:1", ("node", 1)),
            ("10.0.0.1:20", ("10.0.0.1", 20)),
            ("[::1]:300", ("::1", 300)),
            (":4000", ("", 4000)),
        ):
            self.assertEqual(split_address(address), parts)

    def test_no_port(self) -> None:
        for address in ("node", "node:", "node:x", ""):
            self.assertRaises(ValueError, split_address, address)

    def test_kinds(self) -> None:
        hosts = ("10.0.0.1", "::1", "fe80::1%eth0", "node", "")
        self.assertEqual([is_ipv4(host) for host in hosts], [True, False, False, False, False])
        self.assertEqual([is_ipv6(host) for host in hosts], [False, True, True, False, False])
