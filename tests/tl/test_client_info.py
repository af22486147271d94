"""What a client says of itself, wherever it stands in a message, and what it may cost."""

import gzip
import struct

from hypothesis import given
from hypothesis.strategies import binary, text
from twisted.trial.unittest import SynchronousTestCase

from gnetway.tl.client_info import (
    MAX_FIELD_CHARS,
    ClientInfo,
    client_info,
    may_have_client_info,
)
from gnetway.tl.primitives import pack_int64, pack_string, pack_uint32

PIXEL = ("Pixel 7", "SDK 34", "11.2", "en-us", "android", "en")
SAID = ClientInfo("Android", "11.2", "Pixel 7", "SDK 34", 198, "en")


def init_connection(fields: tuple[str | bytes, ...] = PIXEL, call: bytes = b"call") -> bytes:
    packed = [pack_string(field.encode() if isinstance(field, str) else field) for field in fields]
    return pack_uint32(0xC1CD5EA9) + pack_uint32(0) + pack_uint32(6) + b"".join(packed) + call


def with_layer(body: bytes, layer: int = 198) -> bytes:
    return pack_uint32(0xDA9B0D0D) + pack_uint32(layer) + body


def gzipped(body: bytes) -> bytes:
    return pack_uint32(0x3072CFA1) + pack_string(gzip.compress(body))


def contained(*bodies: bytes) -> bytes:
    messages = [struct.pack("<qII", 4, 1, len(body)) + body for body in bodies]
    return pack_uint32(0x73F1F8DC) + pack_uint32(len(bodies)) + b"".join(messages)


def payload(body: bytes) -> bytes:
    return struct.pack("<qII", 8, 1, len(body)) + body + bytes(12)


ACK = pack_uint32(0x62D6B459) + pack_uint32(0x1CB5C415) + pack_uint32(1) + pack_int64(4)
CALL = with_layer(init_connection())


class ReadTests(SynchronousTestCase):
    def test_wherever_it_stands(self) -> None:
        for body in (
            CALL,
            pack_uint32(0xBF9459B7) + CALL,
            pack_uint32(0xCB9F372D) + pack_int64(4) + CALL,
            gzipped(CALL),
            contained(ACK, CALL),
            contained(ACK, gzipped(CALL), ACK),
            gzipped(contained(ACK, CALL)),
        ):
            with self.subTest(body=body[:4].hex()):
                self.assertTrue(may_have_client_info(payload(body)))
                self.assertEqual(client_info(payload(body)), SAID)

    def test_without_a_layer(self) -> None:
        found = client_info(payload(init_connection()))
        self.assertEqual(found, SAID._replace(layer=0))

    def test_an_application_is_known_by_its_language_pack_only(self) -> None:
        for pack, application in (("", ""), ("weba", "Web A"), ("tdesktop", "Desktop"), ("x", "")):
            fields = ("PC", "Linux", "1.0", "de", pack, "")
            found = client_info(payload(with_layer(init_connection(fields))))
            self.assertEqual(found, ClientInfo(application, "1.0", "PC", "Linux", 198, "de"))

    def test_in_one_line(self) -> None:
        self.assertEqual(SAID.text, "Android 11.2, Pixel 7, SDK 34, layer 198, en")
        self.assertEqual(ClientInfo("", "", "", "", 0, "").text, "")

    def test_nothing_is_said(self) -> None:
        for body in (ACK, contained(ACK), with_layer(ACK), gzipped(ACK), contained()):
            self.assertIsNone(client_info(payload(body)))
        self.assertFalse(may_have_client_info(payload(ACK)))

    def test_what_cannot_be_read(self) -> None:
        whole = payload(CALL)
        for size in range(16, len(CALL) - 8):
            cut = payload(CALL[:size])
            self.assertIsNone(client_info(cut), size)
        self.assertIsNone(client_info(whole[:3]))

    def test_long_and_unprintable_fields(self) -> None:
        fields = ("x" * 500, "a\nb\x00\u202e", "11.2", "en-us", "android", b"\xff\xfe")
        found = client_info(payload(with_layer(init_connection(fields))))
        assert found is not None
        self.assertEqual(found.device, "x" * MAX_FIELD_CHARS)
        self.assertEqual(found.system, "a?b??")
        self.assertTrue(all(map(str.isprintable, (found.language, found.text))))

    @given(binary(max_size=200))
    def test_anything(self, body: bytes) -> None:
        client_info(payload(body))
        client_info(body)
        client_info(payload(contained(with_layer(body), body)))

    @given(text(max_size=80))
    def test_any_text(self, device: str) -> None:
        fields = (device.encode("utf-8", "replace"), *PIXEL[1:])
        found = client_info(payload(with_layer(init_connection(fields))))
        assert found is not None
        self.assertLessEqual(len(found.device), MAX_FIELD_CHARS)


class BoundTests(SynchronousTestCase):
    def test_what_is_long_is_not_looked_through(self) -> None:
        """A bomb, what stands far behind, too many messages, too many wrappers."""
        for body in (
            gzipped(bytes(8 << 20)),
            contained(bytes(64 << 10), CALL),
            contained(*[ACK] * 20, CALL),
            pack_uint32(0xBF9459B7) * 20 + CALL,
        ):
            self.assertIsNone(client_info(payload(body)))
