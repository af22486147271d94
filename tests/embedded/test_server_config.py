from io import BytesIO

import pyrogram.raw.all
from pyrogram.raw.core import TLObject as KurigramObject
from telethon.extensions import BinaryReader
from twisted.trial.unittest import SynchronousTestCase

from gnetway.embedded.server_config import CONFIG_SECONDS, THIS_DC, ServerConfig
from tests.embedded.talk import NOW

ADDRESSES = [("192.0.2.7", 443), ("2001:db8::1", 8443), ("0.0.0.0", 10443), ("::", 10443)]
EXPECTED = [
    ("192.0.2.7", 443, False),
    ("2001:db8::1", 8443, True),
    ("127.0.0.1", 10443, False),
    ("::1", 10443, True),
]


class ClientsReadTheAnswersTests(SynchronousTestCase):
    """What real clients make of the bytes."""

    def test_telethon_reads_config(self) -> None:
        with BinaryReader(ServerConfig(ADDRESSES).config(NOW + 0.5)) as reader:
            config = reader.tgread_object()
            self.assertEqual(reader.tell_position(), len(ServerConfig(ADDRESSES).config(NOW)))
        self.assertEqual(type(config).__name__, "Config")
        self.assertEqual(int(config.date.timestamp()), NOW)
        self.assertEqual(int(config.expires.timestamp()), NOW + CONFIG_SECONDS)
        self.assertFalse(config.test_mode)
        self.assertEqual((config.this_dc, config.webfile_dc_id), (THIS_DC, THIS_DC))
        self.assertEqual((config.message_length_max, config.caption_length_max), (4096, 1024))
        options = [
            (option.ip_address, option.port, bool(option.ipv6)) for option in config.dc_options
        ]
        self.assertEqual(options, EXPECTED)

    def test_kurigram_reads_config(self) -> None:
        self.assertGreaterEqual(pyrogram.raw.all.layer, 164)
        data = BytesIO(ServerConfig(ADDRESSES).config(NOW))
        config = KurigramObject.read(data)
        self.assertEqual(data.read(), b"")
        self.assertEqual(type(config).__name__, "Config")
        self.assertEqual((config.date, config.expires), (NOW, NOW + CONFIG_SECONDS))
        self.assertEqual((config.this_dc, config.test_mode), (THIS_DC, False))
        self.assertEqual((config.message_length_max, config.webfile_dc_id), (4096, THIS_DC))
        options = [
            (option.ip_address, option.port, bool(option.ipv6)) for option in config.dc_options
        ]
        self.assertEqual(options, EXPECTED)

    def test_both_read_nearest_dc(self) -> None:
        packed = ServerConfig([]).nearest_dc
        with BinaryReader(packed) as reader:
            telethon = reader.tgread_object()
        kurigram = KurigramObject.read(BytesIO(packed))
        for answer in (telethon, kurigram):
            self.assertEqual(type(answer).__name__, "NearestDc")
            self.assertEqual((answer.this_dc, answer.nearest_dc), (THIS_DC, THIS_DC))
            self.assertEqual(answer.country, "XX")


class AddressTests(SynchronousTestCase):
    def test_same_place_is_named_once(self) -> None:
        once = ServerConfig([("127.0.0.1", 443)]).config(NOW)
        self.assertEqual(ServerConfig([("0.0.0.0", 443), ("127.0.0.1", 443)]).config(NOW), once)

    def test_no_address_is_a_config_too(self) -> None:
        with BinaryReader(ServerConfig([]).config(NOW)) as reader:
            self.assertEqual(reader.tgread_object().dc_options, [])

    def test_a_name_is_no_address(self) -> None:
        self.assertRaises(ValueError, ServerConfig, [("gateway.example", 443)])
