from ipaddress import ip_address
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from gnetway.runtime import machine as addresses
from gnetway.runtime.machine import (
    NoAddress,
    best_of,
    is_public,
    machine_addresses,
    published_host,
)


class BestTests(SynchronousTestCase):
    def test_first_private_one(self) -> None:
        for private in ("10.0.0.7", "172.16.0.1", "172.31.255.255", "192.168.1.1"):
            self.assertEqual(best_of(["203.0.113.9", private, "10.9.9.9"]), private)

    def test_none_of_them_private(self) -> None:
        """Neighbours of the private networks, carrier-grade NAT and link-local are others."""
        others = ["11.0.0.1", "172.32.0.1", "192.169.0.1", "100.64.0.1", "169.254.1.1"]
        self.assertEqual(best_of(others), "11.0.0.1")

    def test_none(self) -> None:
        error = self.assertRaises(NoAddress, best_of, [])
        self.assertIn("no address but loopback", str(error))


class PublicTests(SynchronousTestCase):
    def test_addresses(self) -> None:
        for host in ("127.0.0.1", "::1", "10.1.2.3", "192.168.0.1", "100.64.0.1", "fd00::1"):
            self.assertFalse(is_public(host), host)
        for host in ("8.8.8.8", "2a00:1450:4001::1", "::"):
            self.assertTrue(is_public(host), host)

    def test_all_addresses_of_the_machine(self) -> None:
        for own, public in (["10.0.0.7"], False), (["10.0.0.7", "8.8.8.8"], True):
            with patch.object(addresses, "machine_addresses", lambda own=own: own):
                self.assertEqual(is_public("0.0.0.0"), public)

    def test_names(self) -> None:
        self.assertFalse(is_public("localhost"))
        self.assertFalse(is_public("nowhere.invalid"))


class PublishedTests(SynchronousTestCase):
    def with_addresses(self, *found: str) -> None:
        patcher = patch.object(addresses, "machine_addresses", lambda: list(found))
        patcher.start()
        self.addCleanup(patcher.stop)

    def test_of_the_pod(self) -> None:
        self.with_addresses("192.168.1.1")
        self.assertEqual(published_host({"POD_IP": "10.244.1.17"}), "10.244.1.17")
        self.assertEqual(published_host({"POD_IP": " fd00:0::17\n"}), "fd00::17")

    def test_of_the_machine(self) -> None:
        self.with_addresses("203.0.113.9", "192.168.1.1")
        for environment in ({}, {"POD_IP": ""}):
            self.assertEqual(published_host(environment), "192.168.1.1")

    def test_pod_ip_that_is_none(self) -> None:
        error = self.assertRaises(NoAddress, published_host, {"POD_IP": "pod-17"})
        self.assertEqual(str(error), "the environment's POD_IP is no IP address")


class MachineTests(SynchronousTestCase):
    def test_no_loopback(self) -> None:
        for address in machine_addresses():
            parsed = ip_address(address)
            self.assertFalse(parsed.is_loopback or parsed.is_unspecified, address)

    def test_as_the_kernel_lists_them(self) -> None:
        """/proc names every local address; each of ours has to be among them."""
        with open("/proc/net/fib_trie", encoding="ascii") as file:
            text = file.read()
        for address in machine_addresses():
            self.assertIn(f"|-- {address}\n", text)

    def test_interface_that_has_just_gone(self) -> None:
        table = b"gone0".ljust(addresses._REQUEST_BYTES, b"\0")
        with patch.object(addresses, "_interface_table", lambda _: table):
            self.assertEqual(machine_addresses(), [])

    def test_loopback_is_left_out(self) -> None:
        entry = b"lo".ljust(16, b"\0") + b"\x02\0\0\0\x7f\0\0\x01"
        table = entry.ljust(addresses._REQUEST_BYTES, b"\0")
        with patch.object(addresses, "_interface_table", lambda _: table):
            self.assertEqual(machine_addresses(), [])
