"""PROXY protocol headers, both versions, cut anywhere."""

import json
import struct
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from hypothesis import given
from hypothesis.strategies import binary, integers, ip_addresses, one_of, sampled_from
from twisted.trial.unittest import SynchronousTestCase

from gnetway.codec.proxy_protocol import (
    BadProxyHeader,
    NoProxyHeader,
    ProxyHeader,
    ProxyInfo,
    ProxyVersionRefused,
    v1_line,
)
from gnetway.errors import FramingError
from tests.strategies import cut, cuts

SIGNATURE = bytes.fromhex("0d0a0d0a000d0a515549540a")
VECTORS = Path(__file__).parent.parent / "vectors" / "proxy_protocol.json"

ports = integers(0, 0xFFFF)
v4 = ip_addresses(v=4)
v6 = ip_addresses(v=6)


def line(text: str) -> bytes:
    return f"PROXY {text}\r\n".encode()


def v2(block: bytes, family: int = 0x11, command: int = 0x21) -> bytes:
    """A header of version 2 around a block of addresses and TLVs."""
    return SIGNATURE + bytes([command, family]) + struct.pack("!H", len(block)) + block


def v2_tcp(source: IPv4Address | IPv6Address, port: int, tlvs: bytes = b"") -> bytes:
    block = source.packed + target_of(source).packed + struct.pack("!HH", port, 443) + tlvs
    return v2(block, 0x11 if source.version == 4 else 0x21)


def target_of(source: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Where a client comes to: an address of the same family."""
    return IPv4Address("203.0.113.1") if source.version == 4 else IPv6Address("2001:db8::1")


def read(segments: Iterable[bytes], versions: tuple[int, ...] = (1, 2)) -> ProxyInfo | None:
    """What a header says; whatever follows the segment that completes it is left over too."""
    header, info = ProxyHeader(versions), None
    for segment in segments:
        if info is not None:
            info = info._replace(leftover=info.leftover + segment)
            continue
        header.receive(segment)
        info = header.result()
    return info


def verdict(segments: Iterable[bytes]) -> object:
    try:
        return read(segments)
    except FramingError as error:
        return type(error), str(error)


class VectorTests(SynchronousTestCase):
    """Headers of the specification, and as haproxy sends them."""

    def test_each(self) -> None:
        headers = json.loads(VECTORS.read_text())["headers"]
        self.assertEqual(len(headers), 16)
        for vector in headers:
            header = bytes.fromhex(vector["header"])
            expected = ProxyInfo(
                vector["source_ip"],
                vector["source_port"],
                vector["version"],
                b"GET /",
                vector["local"],
                vector["target_ip"],
                vector["target_port"],
            )
            self.assertEqual(read([header + b"GET /"]), expected, vector["name"])
            self.assertEqual(read(cut(header + b"GET /", [1])), expected, vector["name"])


class AnySplitTests(SynchronousTestCase):
    @given(source=one_of(v4, v6), port=ports, rest=binary(max_size=30), sizes=cuts())
    def test_version_1(
        self, source: IPv4Address | IPv6Address, port: int, rest: bytes, sizes: list[int]
    ) -> None:
        target = target_of(source)
        header = line(f"TCP{source.version} {source} {target} {port} 443")
        info = read(cut(header + rest, sizes))
        self.assertEqual(info, ProxyInfo(normal(source), port, 1, rest, False, str(target), 443))

    @given(
        source=one_of(v4, v6),
        port=ports,
        tlvs=binary(max_size=600),
        rest=binary(max_size=30),
        sizes=cuts(),
    )
    def test_version_2(
        self,
        source: IPv4Address | IPv6Address,
        port: int,
        tlvs: bytes,
        rest: bytes,
        sizes: list[int],
    ) -> None:
        info = read(cut(v2_tcp(source, port, tlvs) + rest, sizes))
        target = str(target_of(source))
        self.assertEqual(info, ProxyInfo(normal(source), port, 2, rest, False, target, 443))

    @given(
        start=sampled_from([b"", b"PROXY ", b"PROXY TCP4 ", SIGNATURE, SIGNATURE + b"\x21\x11"]),
        noise=binary(max_size=300),
        sizes=cuts(),
    )
    def test_noise_has_one_verdict_however_it_is_cut(
        self, start: bytes, noise: bytes, sizes: list[int]
    ) -> None:
        stream = start + noise
        whole = verdict([stream])
        self.assertEqual(verdict(cut(stream, sizes)), whole)
        self.assertEqual(verdict(cut(stream, [1])), whole)

    def test_a_header_is_not_believed_before_its_last_byte(self) -> None:
        for header in (
            line("TCP4 192.0.2.7 203.0.113.1 56324 443"),
            line("UNKNOWN"),
            v2_tcp(IPv4Address("192.0.2.7"), 1, b"\x04\0\0"),
            v2(b"", 0, 0x20),
        ):
            for size in range(len(header)):
                self.assertIsNone(read([header[:size]]))
            self.assertIsNotNone(read([header]))


class WriteTests(SynchronousTestCase):
    def test_what_is_written_is_read(self) -> None:
        for source, target, told in (
            ("192.0.2.7", "203.0.113.1", "203.0.113.1"),
            ("2001:db8::7", "2001:db8::1", "2001:db8::1"),
            ("fe80::7%eth0", "fe80::1%eth0", "fe80::1"),
            ("192.0.2.7", "2001:db8::1", "0.0.0.0"),
            ("2001:db8::7", "203.0.113.1", "::"),
            ("192.0.2.7", "", "0.0.0.0"),
        ):
            info = read([v1_line(source, 5, target, 443)])
            plain = source.partition("%")[0]
            self.assertEqual(info, ProxyInfo(plain, 5, 1, b"", False, told, 443))

    def test_without_an_address(self) -> None:
        self.assertEqual(v1_line(None, 0, "", 0), b"PROXY UNKNOWN\r\n")


def normal(source: IPv4Address | IPv6Address) -> str:
    mapped = source.ipv4_mapped if isinstance(source, IPv6Address) else None
    return str(mapped or source)


class Version1Tests(SynchronousTestCase):
    def source(self, header: bytes) -> tuple[str | None, int]:
        info = read([header])
        assert info is not None
        return info.source_ip, info.source_port

    def test_one_spelling_of_an_address(self) -> None:
        for text, expected in (
            ("2001:DB8:0:0:0:0:0:7", "2001:db8::7"),
            ("2001:0db8:0000:0000:0000:0000:0000:0007", "2001:db8::7"),
            ("::", "::"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("::FFFF:c000:207", "192.0.2.7"),
        ):
            self.assertEqual(self.source(line(f"TCP6 {text} ::1 9 443")), (expected, 9))

    def test_unknown_ignores_the_rest_of_its_line(self) -> None:
        for rest in ("", " ", " TCP4", " \r \n x", " ffff::1 ffff::1 70000 -1"):
            self.assertEqual(self.source(line(f"UNKNOWN{rest}")), (None, 0))

    def test_ports_from_end_to_end(self) -> None:
        for port in (0, 1, 9, 10, 65535):
            self.assertEqual(self.source(line(f"TCP4 1.2.3.4 5.6.7.8 {port} 0")), ("1.2.3.4", port))

    def assert_bad(self, header: bytes, text: str) -> None:
        error = self.assertRaises(BadProxyHeader, read, [header])
        self.assertIn(text, str(error))

    def test_bad_ports(self) -> None:
        for port in ("65536", "99999", "100000", "-1", "+1", "01", "00", "", "x", "1_0", "\u0661"):
            self.assert_bad(line(f"TCP4 1.2.3.4 5.6.7.8 {port} 443"), "bad port")
            self.assert_bad(line(f"TCP4 1.2.3.4 5.6.7.8 443 {port}"), "bad port")

    def test_bad_ipv4_addresses(self) -> None:
        bad = (
            "1.2.3",
            "1.2.3.4.5",
            "1.2.3.256",
            "01.2.3.4",
            "::1",
            "",
            "1.2.3.4/8",
            "a",
            "1.2.3.٤",
        )
        for address in bad:
            self.assert_bad(line(f"TCP4 {address} 5.6.7.8 1 2"), "bad IPv4 address")
            self.assert_bad(line(f"TCP4 5.6.7.8 {address} 1 2"), "bad IPv4 address")

    def test_bad_ipv6_addresses(self) -> None:
        for address in ("1.2.3.4", ":::1", "1::2::3", "12345::", "::g", "", "[::1]", "::/0"):
            self.assert_bad(line(f"TCP6 {address} ::1 1 2"), "bad IPv6 address")
            self.assert_bad(line(f"TCP6 ::1 {address} 1 2"), "bad IPv6 address")

    def test_a_zone_means_nothing_elsewhere(self) -> None:
        self.assert_bad(line("TCP6 fe80::1%eth0 ::1 1 2"), "zone")

    def test_bad_lines(self) -> None:
        for text in ("TCP4", "TCP4 1.2.3.4 5.6.7.8 1", "TCP4 1.2.3.4 5.6.7.8 1 2 3"):
            self.assert_bad(line(text), "fields after PROXY, not 5")
        for text in ("", " TCP4 1.2.3.4 5.6.7.8 1 2", "UDP4 1.2.3.4 5.6.7.8 1 2", "tcp4 a b c d"):
            self.assert_bad(line(text), "something else than TCP4, TCP6 or UNKNOWN")
        self.assert_bad(line("UNKNOWNX"), "something else")
        self.assert_bad(line("TCP4  1.2.3.4 5.6.7.8 1 2"), "6 fields")
        self.assert_bad(line("TCP4 1.2.3.4 5.6.7.8 1 2 "), "6 fields")

    def test_a_lone_cr_or_lf_ends_no_line(self) -> None:
        start = b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2"
        for end in (b"\n", b"\r", b"\n\r"):
            self.assertIsNone(read([start + end]))
            self.assert_bad(start + end + b"GET / HTTP/1.1\r\n", "fields")
            self.assert_bad(start + end + b"\r\n", "bad port")

    def test_the_line_ends_within_107_bytes(self) -> None:
        longest = b"PROXY UNKNOWN".ljust(105) + b"\r\n"
        self.assertIsNotNone(read([longest]))
        self.assertIsNone(read([longest[:106]]))
        self.assert_bad(longest[:105] + b" \r\n", "107")
        self.assert_bad(longest[:106] + b" ", "107")
        self.assert_bad(b"PROXY " + bytes(5000), "107")


class Version2Tests(SynchronousTestCase):
    def assert_bad(self, header: bytes, text: str) -> None:
        error = self.assertRaises(BadProxyHeader, read, [header])
        self.assertIn(text, str(error))

    def test_addresses_that_are_to_be_ignored(self) -> None:
        """UNSPEC, unix sockets; not local, as some client is behind them."""
        for family, block in (
            (0x00, b""),
            (0x00, bytes(40)),
            (0x10, b""),
            (0x20, bytes(36)),
            (0x01, bytes(3)),
            (0x31, b"/run/a".ljust(216, b"\0")),
            (0x32, bytes(216) + b"\x04\0\0"),
        ):
            info = read([v2(block, family) + b"x"])
            self.assertEqual(info, ProxyInfo(None, 0, 2, b"x", local=False))

    def test_local_skips_whatever_the_header_holds(self) -> None:
        for family, block in ((0, b""), (0x11, bytes(12)), (0x11, b""), (0xFF, bytes(99))):
            info = read([v2(block, family, 0x20) + b"x"])
            self.assertEqual(info, ProxyInfo(None, 0, 2, b"x", local=True))

    def test_datagrams_have_the_same_addresses(self) -> None:
        block = IPv4Address("192.0.2.7").packed + bytes(4) + struct.pack("!HH", 5, 6)
        expected = ProxyInfo("192.0.2.7", 5, 2, b"", False, "0.0.0.0", 6)
        self.assertEqual(read([v2(block, 0x12)]), expected)

    def test_an_ipv4_client_that_came_over_ipv6(self) -> None:
        info = read([v2_tcp(IPv6Address("::ffff:192.0.2.7"), 5)])
        self.assertEqual(info, ProxyInfo("192.0.2.7", 5, 2, b"", False, "2001:db8::1", 443))

    def test_another_version(self) -> None:
        for first in (0x01, 0x11, 0x31, 0xF0):
            self.assert_bad(SIGNATURE + bytes([first]), f"version {first >> 4}")

    def test_an_unknown_command(self) -> None:
        for first in (0x22, 0x2F):
            self.assert_bad(SIGNATURE + bytes([first]), f"command {first & 15}")

    def test_an_unknown_family_or_protocol(self) -> None:
        for family in (0x41, 0xF0, 0x13, 0x2F):
            self.assert_bad(SIGNATURE + bytes([0x21, family]), f"0x{family:02x}")

    def test_too_short_for_its_addresses(self) -> None:
        for family, need in ((0x11, 12), (0x12, 12), (0x21, 36), (0x22, 36), (0x31, 216)):
            self.assertIsNotNone(read([v2(bytes(need), family)]))
            self.assert_bad(v2(bytes(need - 1), family)[:16], f"{need - 1} bytes for its addresses")

    def test_too_long(self) -> None:
        """Said when the length is here, before any byte of it is waited for."""
        self.assertIsNotNone(read([v2(bytes(4080))]))
        self.assert_bad(v2(bytes(4081))[:16], "4097 bytes, allowed are 4096")
        self.assert_bad(v2(bytes(65535), 0, 0x20)[:16], "allowed are 4096")


class NoHeaderTests(SynchronousTestCase):
    def test_something_else(self) -> None:
        for data in (b"GET / HTTP/1.1\r\n", b"\xef", bytes(64), b"proxy TCP4 ", b"PROXYTCP4"):
            error = self.assertRaises(NoProxyHeader, read, [data])
            self.assertIn("does not begin with a PROXY protocol header", str(error))
            self.assertEqual(error.cause, "no_proxy_header")

    def test_said_with_the_first_byte_that_is_wrong(self) -> None:
        for start in (b"PROXY ", SIGNATURE):
            for size in range(len(start)):
                self.assertIsNone(read([start[:size]]))
                wrong = start[:size] + bytes([start[size] ^ 0x80])
                self.assertRaises(NoProxyHeader, read, [wrong])

    def test_a_version_that_is_not_allowed(self) -> None:
        """Its own cause: the fault is in a balancer's configuration, or in ours."""
        one, two = line("UNKNOWN"), v2(bytes(12))
        self.assertIsNotNone(read([one], (1,)))
        self.assertIsNotNone(read([two], (2,)))
        for header, allowed, text in ((one, 2, "version 1, allowed is 2"), (two, 1, "version 2")):
            error = self.assertRaises(ProxyVersionRefused, read, [header], (allowed,))
            self.assertIn(text, str(error))
            self.assertEqual(error.cause, "proxy_version")
