from gnetway.config.addresses import PublicAddressConfig
from gnetway.config.load import load_file
from tests.config.cases import GOOD, REMOTE
from tests.config.test_servers import ServerCase

ALLOWED = "allowed: host, host:port or [IPv6]:port, or a mapping with Host"
ALLOWED_HOST = "allowed: an IP address of a place, or a host name"


class PublicAddressTests(ServerCase):
    def read(self, *lines: str) -> tuple[PublicAddressConfig, ...]:
        config = self.config(*lines)
        self.assertEqual(config.unused, ())
        return config.gnetway.servers[0].public_addresses

    def test_none(self) -> None:
        for written in ("PPV1: false", "PublicAddress:", "PublicAddress: []"):
            self.assertEqual(self.read(written), ())

    def test_texts(self) -> None:
        for written, host, port in (
            ("203.0.113.7:443", "203.0.113.7", 443),
            ("203.0.113.7", "203.0.113.7", None),
            ("'[2001:DB8::07]:443'", "2001:db8::7", 443),
            ("'2001:db8:0::7'", "2001:db8::7", None),
            ("'[2001:db8::7]'", "2001:db8::7", None),
            ("GW.example.org:5222", "gw.example.org", 5222),
            ("gw.example.org", "gw.example.org", None),
        ):
            [read] = self.read(f"PublicAddress: {written}")
            self.assertEqual(read, PublicAddressConfig(host=host, port=port), written)

    def test_mapping(self) -> None:
        [read] = self.read("PublicAddress: {Host: 203.0.113.7, Port: 443, MediaOnly: true}")
        self.assertEqual(read, PublicAddressConfig(host="203.0.113.7", port=443, media_only=True))
        [read] = self.read("PublicAddress: {Host: gw.example.org, IPv6: true}")
        self.assertEqual(read, PublicAddressConfig(host="gw.example.org", ipv6=True))

    def test_list(self) -> None:
        read = self.read("PublicAddress: ['203.0.113.7:443', {Host: '2001:db8::7'}]")
        self.assertEqual([entry.host for entry in read], ["203.0.113.7", "2001:db8::7"])
        paths = [f"Gnetway.Server[0].PublicAddress[{index}]" for index in range(2)]
        self.assertEqual([entry.path for entry in read], paths)

    def test_what_is_no_place(self) -> None:
        for written in (
            "0.0.0.0:443",
            "'[::]:443'",
            "224.0.0.1",
            "443",
            "1.2.3",
            "a b",
            "203.0.113.7:0",
            "203.0.113.7:99999",
            "true",
            "unix:/run/x.sock",
        ):
            [fault] = self.faults(self.text(f"PublicAddress: {written}"))
            self.assertTrue(fault.startswith("5: Gnetway.Server[0].PublicAddress: found "), fault)
            self.assertTrue(fault.endswith(ALLOWED), fault)
        for written in ("0.0.0.0", "''", "224.0.0.1", "-x", "7"):
            [fault] = self.faults(self.text(f"PublicAddress: {{Host: {written}}}"))
            self.assertTrue(fault.endswith(ALLOWED_HOST), fault)

    def test_every_bad_one_of_a_list_is_told(self) -> None:
        faults = self.faults(self.text("PublicAddress: [0.0.0.0, 203.0.113.7, x y]"))
        self.assertEqual(len(faults), 2)
        self.assertIn("PublicAddress[2]: found 'x y'", faults[1])

    def test_a_socket_in_the_file_system_has_no_port(self) -> None:
        text = self.text("PublicAddress: 203.0.113.7").replace("127.0.0.1:10443", "unix:x.sock")
        self.assert_faults(
            text,
            "5: Gnetway.Server[0].PublicAddress: found no port beside a socket in the file system,"
            " which has none; allowed: a port",
        )
        path = self.write("gnetway.yaml", text.replace("203.0.113.7", "203.0.113.7:443"))
        self.assertEqual(load_file(path).unused, ())

    def test_browsers_take_no_addresses(self) -> None:
        for proto in ("websocket", "http"):
            config = self.config(f"Proto: {proto}", "PublicAddress: 203.0.113.7:443")
            self.assertEqual(config.unused, ("Gnetway.Server[0].PublicAddress",))

    def test_session_services_say_it_themselves(self) -> None:
        for proto, text in (("tcp", REMOTE), ("websocket", REMOTE)):
            lines = f"    - Proto: {proto}\n      PublicAddress: 203.0.113.7:443\n      Addresses:"
            path = self.write("gnetway.yaml", text.replace("    - Addresses:", lines, 1))
            self.assertEqual(load_file(path).unused, ("Gnetway.Server[0].PublicAddress",))


class ThisDcTests(ServerCase):
    def text_of(self, this_dc: str, strict_dc: str = "0") -> str:
        text = GOOD.replace("Gnetway:\n", f"Gnetway:\n  StrictDC: {strict_dc}\n")
        return f"{text}    ThisDC: {this_dc}\n"

    def test_number(self) -> None:
        for text, expected in ((GOOD, None), (self.text_of("1"), 1), (self.text_of("4", "4"), 4)):
            embedded = load_file(self.write("gnetway.yaml", text)).session.embedded
            assert embedded is not None
            self.assertEqual(embedded.this_dc, expected)

    def test_out_of_range(self) -> None:
        for written in ("0", "1000", "x", "-2"):
            [fault] = self.faults(self.text_of(written))
            self.assertIn("ThisDC: found ", fault)
            self.assertIn("allowed: a whole number from 1 to 999", fault)

    def test_another_than_that_of_its_clients(self) -> None:
        self.assert_faults(
            self.text_of("2", "4"),
            "11: Session.Embedded.ThisDC: found 2 beside Gnetway.StrictDC: 4;"
            " allowed: 4, or leave it out",
        )
