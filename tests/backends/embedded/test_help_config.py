"""What clients read in the answers: by the schema of their layer, and real clients themselves."""

import json
from io import BytesIO
from pathlib import Path

import pyrogram.raw.all
from pyrogram.raw.core import TLObject as KurigramObject
from telethon.extensions import BinaryReader
from twisted.trial.unittest import SynchronousTestCase

from gnetway.backends.embedded.help_config import (
    CONFIG_SECONDS,
    DEFAULT_DC,
    DcAddress,
    HelpConfig,
)
from gnetway.tl.primitives import Reader
from tests.backends.embedded.config_schema import SCHEMAS, constructor_id, read_object
from tests.backends.embedded.talk import NOW

#: What a gateway said once, by layer; by these tests real clients and the schemas read it.
FIXTURES = json.loads((Path(__file__).parents[2] / "vectors" / "config.json").read_text())

FAR, HERE = "198.51.100.4", "203.0.113.9"
ADDRESSES = [("192.0.2.7", 443), ("2001:db8::1", 8443), ("0.0.0.0", 10443)]

#: host, port, ipv6, static
EXPECTED = [
    ("192.0.2.7", 443, False, False),
    ("192.0.2.7", 443, False, True),
    (HERE, 10443, False, False),
    (HERE, 10443, False, True),
    ("2001:db8::1", 8443, True, False),
    ("2001:db8::1", 8443, True, True),
]

Option = tuple[str, int, bool, bool]


def packed(layer: int = 229, now: float = NOW) -> bytes:
    return HelpConfig(ADDRESSES).config(now, layer, FAR, HERE)


class SchemaTests(SynchronousTestCase):
    """Each layer gets the constructor that it has, to the last byte."""

    def test_ids(self) -> None:
        ids = {layer: f"{constructor_id(schema):08x}" for layer, schema in SCHEMAS.items()}
        self.assertEqual(ids, {144: "330b4067", 152: "232566ac", 155: "cc1a241e"})

    def test_layers(self) -> None:
        for layer, of in ((1, 144), (144, 144), (145, 152), (152, 152), (154, 152), (155, 155)):
            reader = Reader(packed(layer))
            read = read_object(reader, SCHEMAS[of])
            self.assertEqual(reader.remaining(), 0, layer)
            self.assertEqual((read["date"], read["expires"]), (NOW, NOW + CONFIG_SECONDS))
        for layer in (156, 214, 229, 0xFFFF):
            self.assertEqual(packed(layer), packed(155), layer)

    def test_values(self) -> None:
        """Those that a client's fate hangs on, under the names that the schemas give them."""
        for layer, schema in SCHEMAS.items():
            read = read_object(Reader(packed(layer)), schema)
            expected = {
                "flags": 0,
                "test_mode": False,
                "this_dc": DEFAULT_DC,
                "webfile_dc_id": DEFAULT_DC,
                "dc_txt_domain_name": "",
                "me_url_prefix": "",
                "message_length_max": 4096,
                "caption_length_max": 1024,
                "edit_time_limit": 172_800,
                "channels_read_media_period": 604_800,
                "call_packet_timeout_ms": 10_000,
            }
            if layer < 155:
                expected |= {"pinned_infolder_count_max": 100, "stickers_faved_limit": 5}
            self.assertEqual({name: read[name] for name in expected}, expected)
            options = [
                (it["ip_address"], it["port"], it.get("ipv6", False), it.get("static", False))
                for it in read["dc_options"]  # type: ignore[attr-defined]
            ]
            self.assertEqual(options, EXPECTED)

    def test_fixtures(self) -> None:
        for layer in (152, 155):
            self.assertEqual(packed(layer).hex(), FIXTURES[str(layer)], layer)


class ClientsReadTheAnswersTests(SynchronousTestCase):
    """What real clients make of the bytes."""

    def test_telethon_reads_config(self) -> None:
        with BinaryReader(packed(now=NOW + 0.5)) as reader:
            config = reader.tgread_object()
            self.assertEqual(reader.tell_position(), len(packed()))
        self.assertEqual(type(config).__name__, "Config")
        self.assertEqual(int(config.date.timestamp()), NOW)
        self.assertEqual(int(config.expires.timestamp()), NOW + CONFIG_SECONDS)
        self.assertFalse(config.test_mode)
        self.assertEqual((config.this_dc, config.webfile_dc_id), (DEFAULT_DC, DEFAULT_DC))
        self.assertEqual((config.message_length_max, config.caption_length_max), (4096, 1024))
        self.assertEqual(bytes(config), packed())
        options = [
            (option.ip_address, option.port, bool(option.ipv6), bool(option.static))
            for option in config.dc_options
        ]
        self.assertEqual(options, EXPECTED)

    def test_kurigram_reads_config(self) -> None:
        self.assertGreaterEqual(pyrogram.raw.all.layer, 155)
        data = BytesIO(packed())
        config = KurigramObject.read(data)
        self.assertEqual(data.read(), b"")
        self.assertEqual(type(config).__name__, "Config")
        self.assertEqual((config.date, config.expires), (NOW, NOW + CONFIG_SECONDS))
        self.assertEqual((config.this_dc, config.test_mode), (DEFAULT_DC, False))
        self.assertEqual((config.message_length_max, config.webfile_dc_id), (4096, DEFAULT_DC))
        options = [
            (option.ip_address, option.port, bool(option.ipv6), bool(option.static))
            for option in config.dc_options
        ]
        self.assertEqual(options, EXPECTED)

    def test_both_read_nearest_dc(self) -> None:
        answer = HelpConfig([], 4).nearest_dc
        with BinaryReader(answer) as reader:
            telethon = reader.tgread_object()
        kurigram = KurigramObject.read(BytesIO(answer))
        for read in (telethon, kurigram):
            self.assertEqual(type(read).__name__, "NearestDc")
            self.assertEqual((read.this_dc, read.nearest_dc), (4, 4))
            self.assertEqual(read.country, "XX")


class AddressTests(SynchronousTestCase):
    def told(
        self, *addresses: tuple[str, int] | DcAddress, client: str = FAR, local: str = HERE
    ) -> list[tuple[str, int]]:
        """Return where a client may go; each place is told twice."""
        answer = HelpConfig(addresses).config(NOW, 229, client, local)
        with BinaryReader(answer) as reader:
            options = reader.tgread_object().dc_options
        places = [(option.ip_address, option.port) for option in options]
        self.assertEqual(places[::2], places[1::2])
        self.assertEqual([option.static for option in options[::2]], [False] * len(places[::2]))
        self.assertEqual([option.static for option in options[1::2]], [True] * len(places[::2]))
        return places[::2]

    def test_same_place_is_named_once(self) -> None:
        self.assertEqual(self.told(("0.0.0.0", 443), (HERE, 443)), [(HERE, 443)])

    def test_every_address_of_a_family_is_the_one_the_client_came_to(self) -> None:
        both = ("0.0.0.0", 443), ("::", 8443)
        self.assertEqual(self.told(*both), [(HERE, 443)])
        self.assertEqual(
            self.told(*both, client="2001:db8::5", local="2001:db8::1"), [("2001:db8::1", 8443)]
        )

    def test_loopback_is_for_clients_on_this_machine(self) -> None:
        loopback = ("127.0.0.1", 443), ("::1", 443), ("127.0.0.2", 443)
        near = ["127.0.0.1", "::1"]
        for client in near:
            self.assertEqual(
                self.told(*loopback, client=client, local=client),
                [("127.0.0.1", 443), ("127.0.0.2", 443), ("::1", 443)],
            )
        for client in (FAR, "10.0.0.4", "2001:db8::5", "unix", ""):
            self.assertEqual(self.told(*loopback, client=client, local="127.0.0.1"), [])
            self.assertEqual(self.told(("0.0.0.0", 443), client=client, local="127.0.0.1"), [])
        self.assertEqual(
            self.told(("0.0.0.0", 443), client="127.0.0.1", local="127.0.0.1"), [("127.0.0.1", 443)]
        )

    def test_an_address_that_says_nothing(self) -> None:
        """A socket in the file system, a header for no place, a link without its interface."""
        for local in ("", "unix", "0.0.0.0", "::", "fe80::1%eth0"):
            self.assertEqual(self.told(("0.0.0.0", 443), ("::", 443), local=local), [])

    def test_ipv6_and_media_come_last(self) -> None:
        addresses = [
            DcAddress("2001:db8::1", 443),
            DcAddress("192.0.2.1", 443, media_only=True),
            DcAddress("2001:db8::2", 443, media_only=True),
            DcAddress("192.0.2.9", 443),
            DcAddress("192.0.2.2", 443),
        ]
        told = [host for host, _ in self.told(*addresses)]
        ends = [told.index(host) for host in ("2001:db8::1", "2001:db8::2")]
        self.assertEqual(told[:3], ["192.0.2.9", "192.0.2.2", "192.0.2.1"])
        self.assertEqual(ends, [3, 4])
        with BinaryReader(HelpConfig(addresses).config(NOW, 229, FAR, HERE)) as reader:
            options = reader.tgread_object().dc_options
        media = {option.ip_address for option in options if option.media_only}
        self.assertEqual(media, {"192.0.2.1", "2001:db8::2"})

    def test_no_address_is_a_config_too(self) -> None:
        self.assertEqual(self.told(), [])

    def test_a_name_is_no_address(self) -> None:
        self.assertRaises(ValueError, HelpConfig, [("gateway.example", 443)])

    def test_number_of_the_data_centre(self) -> None:
        with BinaryReader(HelpConfig(ADDRESSES, 7).config(NOW, 229, FAR, HERE)) as reader:
            config = reader.tgread_object()
        self.assertEqual((config.this_dc, config.webfile_dc_id), (7, 7))
        self.assertEqual({option.id for option in config.dc_options}, {7})
