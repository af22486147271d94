from hypothesis import given
from hypothesis.strategies import integers, ip_addresses, text
from twisted.trial.unittest import SynchronousTestCase

from gnetway.config.addresses import (
    Address,
    UnixAddress,
    address,
    endpoint,
    listener_address,
)
from gnetway.config.values import list_of
from gnetway.errors import ConfigError
from tests.config.cases import parse_value

ALLOWED = "allowed: host:port or [IPv6]:port, the port from 0 to 65535 (0: any free one)"


class AddressTests(SynchronousTestCase):
    def test_forms(self) -> None:
        for written, host, port in (
            ("0.0.0.0:10443", "0.0.0.0", 10443),
            ("[::1]:5222", "::1", 5222),
            ("[0:0::1]:5222", "::1", 5222),
            (":443", "0.0.0.0", 443),
            ("LocalHost:0", "localhost", 0),
            ("gw-1.example.org:65535", "gw-1.example.org", 65535),
        ):
            self.assertEqual(parse_value(address, written), Address(host, port))

    def test_refused(self) -> None:
        for written in (
            "",
            "10443",
            "127.0.0.1",
            "127.0.0.1:",
            "127.0.0.1:65536",
            "127.0.0.1:-1",
            "127.0.0.1:٣",
            "127.0.0.1:http",
            "127.0.0.256:1",
            "127.1:1",
            "::1:5222",
            "[::1]",
            "[]:5222",
            "[127.0.0.1]:5222",
            "[::g]:5222",
            "a b:5222",
            "-a:5222",
            "a..b:5222",
            "tcp://1.2.3.4:5222",
            "1.2.3.4:5222\n",
        ):
            error = self.assertRaises(ConfigError, parse_value, address, written)
            self.assertEqual(error.faults, [f"file:1: Key: found {written!r}; {ALLOWED}"])

    def test_no_text(self) -> None:
        error = self.assertRaises(ConfigError, parse_value, address, 10443)
        self.assertEqual(error.faults, [f"file:1: Key: found 10443; {ALLOWED}"])

    def test_twice(self) -> None:
        """However it is written; but any free port may be asked for again."""
        written = ["[::1]:5", "a:0", "[0::1]:5", "a:0"]
        error = self.assertRaises(ConfigError, parse_value, list_of(address), written)
        self.assertEqual(len(error.faults), 1)
        self.assertEqual(
            error.faults[0],
            "file:1: Key[2]: found [::1]:5 a second time, after Key[0]; allowed: each address once",
        )

    def test_knows_its_path(self) -> None:
        self.assertEqual(parse_value(address, "a:1").path, "Key")

    @given(host=ip_addresses(), port=integers(1, 65535))
    def test_text_form_reads_back(self, host: object, port: int) -> None:
        made = Address(str(host), port)
        self.assertEqual(parse_value(address, str(made)), made)

    @given(written=text(max_size=300))
    def test_any_text(self, written: str) -> None:
        """A text is an address whose host can be shown, or one fault."""
        try:
            self.assertTrue(parse_value(address, written).host.isprintable())
        except ConfigError as error:
            self.assertEqual(len(error.faults), 1)


class UnixAddressTests(SynchronousTestCase):
    def test_forms(self) -> None:
        """A relative path means the directory of the file."""
        for written, file in (
            ("unix:/run/gnetway.sock", "/run/gnetway.sock"),
            ("unix:gnetway.sock", "/nowhere/gnetway.sock"),
            ("unix:/run/../tmp//a b", "/tmp/a b"),
            (f"unix:/{'x' * 106}", f"/{'x' * 106}"),
        ):
            read = parse_value(listener_address, written)
            self.assertEqual((read, str(read)), (UnixAddress(file), f"unix:{file}"))
            self.assertEqual(read.path, "Key")

    def test_beside_the_others(self) -> None:
        self.assertEqual(parse_value(listener_address, "[::1]:5"), Address("::1", 5))

    def test_refused(self) -> None:
        for written in ("unix:", f"unix:/{'x' * 107}", f"unix:/{'ä' * 54}", "unix:/a\n"):
            error = self.assertRaises(ConfigError, parse_value, listener_address, written)
            self.assertEqual(len(error.faults), 1)
            self.assertIn("allowed: unix: and the path of a socket, at most 107", error.faults[0])

    def test_twice(self) -> None:
        written = ["unix:/run/a", "unix:/run/./a"]
        error = self.assertRaises(ConfigError, parse_value, list_of(listener_address), written)
        self.assertIn("found unix:/run/a a second time, after Key[0]", error.faults[0])

    def test_only_for_clients(self) -> None:
        self.assertRaises(ConfigError, parse_value, address, "unix:/run/a")


class EndpointTests(SynchronousTestCase):
    def test_as_written(self) -> None:
        """The ring hashes the text, so not even the case of a name may change."""
        for written in ("10.0.0.7:20120", "Session-1.Internal:1", "[2001:DB8:0::1]:65535"):
            self.assertEqual(parse_value(endpoint, written), written)

    def test_refused(self) -> None:
        allowed = "allowed: host:port or [IPv6]:port, the port from 1 to 65535"
        for written in (":20120", "10.0.0.7", "10.0.0.7:0", "10.0.0.7:65536", "[::g]:1", "h:1\n"):
            error = self.assertRaises(ConfigError, parse_value, endpoint, written)
            self.assertEqual(error.faults, [f"file:1: Key: found {written!r}; {allowed}"])
        error = self.assertRaises(ConfigError, parse_value, endpoint, 20120)
        self.assertEqual(error.faults, [f"file:1: Key: found 20120; {allowed}"])

    def test_may_stand_twice(self) -> None:
        """The same etcd serves both ways."""
        self.assertEqual(parse_value(list_of(endpoint), ["a:1", "a:1"]), ("a:1", "a:1"))
