from collections.abc import Iterable

from hypothesis import given
from hypothesis.strategies import binary, booleans, sampled_from
from twisted.trial.unittest import SynchronousTestCase

from gnetway.codec.detect import Detected, Detector
from gnetway.codec.obfuscated2 import ObfuscatedStreams, make_header, open_header
from gnetway.crypto.aes import CtrStream
from gnetway.errors import FramingError, PacketTooLarge, UnknownTransport
from gnetway.testing import Framing
from gnetway.testing.link import OBFUSCATED
from tests.codec.client import (
    Requests,
    drain,
    expected,
    feed,
    make_codec,
    obfuscated_stream,
    packets,
    plain_stream,
)
from tests.strategies import SeededBytes, cut, cuts, payloads, random_sources, requests

framings = sampled_from(Framing)
obfuscated_framings = sampled_from(OBFUSCATED)

MAX_PACKET_BYTES = 4096

#: The first packets there are: of a key exchange, and the shortest with a message.
UNENCRYPTED = bytes(8) + SeededBytes(10)(32)
ENCRYPTED = SeededBytes(11)(72)


def header_with(
    start: bytes, framing: Framing | None, source: SeededBytes
) -> tuple[bytes, ObfuscatedStreams]:
    """A header that begins with ``start``, which ours would draw again."""
    draft = start + source(64 - len(start))
    tag = b"none" if framing is None else framing.value
    draft = draft[:56] + tag + b"\2\0" + draft[62:]
    secret = draft[8:56]
    outgoing, incoming = (
        CtrStream(secret[:32], secret[32:]),
        CtrStream(secret[::-1][:32], secret[::-1][32:]),
    )
    header = draft[:56] + outgoing.update(draft)[56:]
    return header, ObfuscatedStreams(tag, 2, incoming, outgoing)


def make_detector() -> Detector:
    return Detector(MAX_PACKET_BYTES, SeededBytes(0))


def detect(stream: bytes) -> Detected | None:
    """What a detector makes of a first segment."""
    detector = make_detector()
    detector.receive(stream)
    return detector.result()


def serve(segments: Iterable[bytes]) -> tuple[Detected | None, Requests]:
    """Detect, then read on, the way a connection does it."""
    detector, detected, got = make_detector(), None, Requests()
    for segment in segments:
        if detected is None:
            detector.receive(segment)
            detected = detector.result()
            got += drain(detected.codec) if detected is not None else []
            continue
        if detected.streams is not None:
            segment = detected.streams.incoming.update(segment)
        got += feed(detected.codec, [segment])
    return detected, got


class AnySplitTests(SynchronousTestCase):
    """Seven variants, each told apart and read on with however the network cuts them."""

    def assert_served(self, framing: Framing, segments: Iterable[bytes], sent: Requests) -> None:
        detected, got = serve(segments)
        assert detected is not None
        self.assertIs(type(detected.codec), type(make_codec(framing)))
        self.assertEqual(got, expected(framing, sent))

    @given(framing=framings, sent=requests(), sizes=cuts(), encrypted=booleans())
    def test_plain(
        self, framing: Framing, sent: Requests, sizes: list[int], encrypted: bool
    ) -> None:
        sent = [(ENCRYPTED if encrypted else UNENCRYPTED, False), *sent]
        self.assert_served(framing, cut(plain_stream(framing, sent), sizes), sent)

    @given(framing=obfuscated_framings, sent=requests(), sizes=cuts(), source=random_sources())
    def test_obfuscated(
        self, framing: Framing, sent: Requests, sizes: list[int], source: SeededBytes
    ) -> None:
        self.assert_served(framing, cut(obfuscated_stream(framing, sent, source), sizes), sent)

    def test_every_variant_in_single_bytes_and_in_one_piece(self) -> None:
        sent = [(UNENCRYPTED, True), (b"some", True), (bytes(600), False), (bytes(508), True)]
        for framing in Framing:
            stream = plain_stream(framing, sent)
            self.assert_served(framing, [stream], sent)
            self.assert_served(framing, cut(stream, [1]), sent)
        for framing in OBFUSCATED:
            stream = obfuscated_stream(framing, sent, SeededBytes(1))
            self.assert_served(framing, [stream], sent)
            self.assert_served(framing, cut(stream, [1]), sent)

    @given(stream=binary(max_size=200), sizes=cuts(), known=booleans())
    def test_noise_has_one_verdict_however_it_is_cut(
        self, stream: bytes, sizes: list[int], known: bool
    ) -> None:
        if known:  # else almost nothing would get past the header
            stream = make_header(Framing.INTERMEDIATE.value, 1, SeededBytes(3))[0] + stream
        self.assertEqual(self.verdict([stream]), self.verdict(cut(stream, sizes)))

    def verdict(self, segments: Iterable[bytes]) -> object:
        try:
            detected, got = serve(segments)
        except FramingError as error:
            return str(error)
        return (None if detected is None else detected.codec.name), got


class EarlyTests(SynchronousTestCase):
    """Each transport is decided on by its own bytes, and not before them."""

    def decided_at(self, stream: bytes) -> int:
        detector = make_detector()
        for count, byte in enumerate(stream, 1):
            detector.receive(bytes([byte]))
            if detector.result() is not None:
                return count
        raise AssertionError("never decided")

    def test_nothing_yet(self) -> None:
        self.assertIsNone(make_detector().result())

    def test_plain(self) -> None:
        needs = {
            # An obfuscated header may begin so: the auth_key_id behind it tells.
            Framing.ABRIDGED: 10,
            Framing.INTERMEDIATE: 4,
            Framing.PADDED: 4,
            Framing.FULL: 8,
        }
        for framing, count in needs.items():
            self.assertEqual(self.decided_at(plain_stream(framing, [(bytes(80), True)])), count)

    def test_obfuscated(self) -> None:
        for framing in OBFUSCATED:
            stream = obfuscated_stream(framing, [(bytes(80), True)], SeededBytes(2))
            self.assertEqual(self.decided_at(stream), 64)

    def test_only_the_first_byte_of_abridged_counts(self) -> None:
        """The second is a length already, even where it looks like the tag."""
        detected = detect(b"\xef\xef" + bytes(8))
        assert detected is not None
        self.assertEqual(detected.codec.announced(), (0x6F * 4, bytes(8)))

    def test_encrypted_plain_abridged_takes_a_whole_header(self) -> None:
        """The shortest encrypted packet is longer than that, so nobody waits in vain."""
        for payload in (ENCRYPTED, SeededBytes(9)(508)):
            for quick_ack in (False, True):
                stream = plain_stream(Framing.ABRIDGED, [(payload, quick_ack)])
                self.assertEqual(self.decided_at(stream), 64)

    def test_long_unencrypted_abridged(self) -> None:
        for quick_ack in (False, True):
            stream = plain_stream(Framing.ABRIDGED, [(bytes(508), quick_ack)])
            self.assertEqual(self.decided_at(stream), 13)


class BeginsLikeAbridgedTests(SynchronousTestCase):
    """iOS does not keep its obfuscated headers clear of ef: one in 256 begins so."""

    @given(
        framing=obfuscated_framings,
        sent=requests(),
        sizes=cuts(),
        source=random_sources(),
        second=sampled_from([0, 1, 0x0A, 0x7F, 0xEF, 0xFF]),
    )
    def test_any_framing_however_it_is_cut(
        self,
        framing: Framing,
        sent: Requests,
        sizes: list[int],
        source: SeededBytes,
        second: int,
    ) -> None:
        header, streams = header_with(b"\xef" + bytes([second]), framing, source)
        wire = header + streams.outgoing.update(packets(framing, sent))
        detected, got = serve(cut(wire, sizes))
        assert detected is not None
        assert detected.streams is not None
        self.assertEqual(detected.streams.tag, framing.value)
        self.assertEqual(got, expected(framing, sent))

    def test_an_unknown_tag_is_plain_abridged(self) -> None:
        header, _ = header_with(b"\xef\x20", None, SeededBytes(3))
        detected = detect(header)
        assert detected is not None
        self.assertIsNone(detected.streams)
        self.assertEqual(detected.codec.name, "abridged")


class DetectedTests(SynchronousTestCase):
    def test_plain_has_no_streams(self) -> None:
        for framing in Framing:
            detected = detect(plain_stream(framing, [(bytes(20), False)]))
            assert detected is not None
            self.assertIsNone(detected.streams)

    def test_the_streams_are_the_servers(self) -> None:
        """What is sent on them is what the client reads, from the first byte on."""
        header, client = make_header(Framing.PADDED.value, -10002, SeededBytes(4))
        detected = detect(header + client.outgoing.update(b"\4\0\0\0abcd\4\0"))
        assert detected is not None
        assert detected.streams is not None
        self.assertEqual((detected.streams.tag, detected.streams.dc_id), (b"\xdd" * 4, -10002))
        wire = detected.streams.outgoing.update(b"answer")
        self.assertEqual(client.incoming.update(wire), b"answer")
        rest = detected.streams.incoming.update(client.outgoing.update(b"\0\0efgh"))
        self.assertEqual(drain(detected.codec), [(b"abcd", False)])
        self.assertEqual(feed(detected.codec, [rest]), [(b"efgh", False)])

    def test_the_bound_reaches_the_codec(self) -> None:
        sent = [(bytes(MAX_PACKET_BYTES + 4), False)]
        streams = [plain_stream(framing, sent) for framing in Framing]
        streams += [obfuscated_stream(framing, sent, SeededBytes(5)) for framing in OBFUSCATED]
        for stream in streams:
            detected = detect(stream[:100])
            assert detected is not None
            self.assertRaises(PacketTooLarge, detected.codec.next_packet)

    @given(source=random_sources(), payload=payloads())
    def test_padding_comes_from_the_source_given(self, source: SeededBytes, payload: bytes) -> None:
        detector = Detector(MAX_PACKET_BYTES, lambda size: b"\x03" * size)
        detector.receive(obfuscated_stream(Framing.PADDED, [], source))
        detected = detector.result()
        assert detected is not None
        self.assertEqual(detected.codec.frame(payload)[4:], payload + b"\x03\x03\x03")


class HostileTests(SynchronousTestCase):
    def assert_unknown(self, stream: bytes, text: str) -> None:
        error = self.assertRaises(UnknownTransport, detect, stream)
        self.assertIn(text, str(error))

    def test_http(self) -> None:
        for verb in (b"GET ", b"POST", b"HEAD", b"OPTI"):
            self.assert_unknown(verb, "an HTTP request")
            self.assert_unknown(verb + b" /apiw1 HTTP/1.1\r\nHost: a\r\n\r\n", "an HTTP request")

    def test_tls(self) -> None:
        """The record's length is free: today's browsers send 0x0200 and far more."""
        for length in (b"\x00\xf4", b"\x02\x00", b"\x06\xe4"):
            hello = b"\x16\x03\x01" + length + b"\x01\x00\x01\xfc\x03\x03" + bytes(80)
            self.assert_unknown(hello, "TLS")
            self.assert_unknown(hello[:6], "TLS")
            self.assertIsNone(detect(hello[:5]))

    def test_a_header_that_only_begins_like_tls(self) -> None:
        """One client in 16 million draws these three bytes."""
        draft = b"\x16\x03\x01\x07\x07\x07" + SeededBytes(6)(58)
        header, _ = make_header(Framing.ABRIDGED.value, 2, lambda _: draft)
        detected = detect(header)
        assert detected is not None
        self.assertEqual(detected.codec.name, "abridged")

    def test_proxy_protocol_where_it_is_not_expected(self) -> None:
        self.assert_unknown(b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", "PROXY protocol")
        self.assert_unknown(b"\r\n\r\n\0\r\nQUIT\n\x21\x11", "PROXY protocol")

    def test_all_zero_bytes(self) -> None:
        """They look like full framing, whose first length then cannot be."""
        detected = detect(bytes(64))
        assert detected is not None
        self.assertEqual(detected.codec.name, "full")
        self.assertRaises(FramingError, detected.codec.next_packet)

    def test_a_first_length_of_two_gibibytes(self) -> None:
        detected = detect(b"\0\0\0\x80" + bytes(4))
        assert detected is not None
        self.assertRaises(PacketTooLarge, detected.codec.next_packet)

    def test_a_plain_length_of_two_gibibytes(self) -> None:
        for tag in (Framing.INTERMEDIATE.value, Framing.PADDED.value):
            detected = detect(tag + b"\xfc\xff\xff\x7f")
            assert detected is not None
            self.assertRaises(PacketTooLarge, detected.codec.next_packet)

    def test_an_unknown_tag(self) -> None:
        for tag in (bytes(4), b"\xff" * 4, b"\xef\xef\xef\xee", b"\xcc" * 4):
            header, _ = make_header(tag, 2, SeededBytes(7))
            self.assert_unknown(header, "no known protocol tag")
            self.assertIsNone(detect(header[:63]))

    def test_the_text_shows_nothing_of_the_header(self) -> None:
        """Keys stand in it."""
        header, _ = make_header(bytes(4), 2, SeededBytes(8))
        error = self.assertRaises(UnknownTransport, detect, header)
        for start in range(60):
            self.assertNotIn(header[start : start + 4].hex(), str(error))
            self.assertNotIn(repr(header[start : start + 4])[2:-1], str(error))

    @given(source=random_sources())
    def test_no_header_of_our_own_is_mistaken(self, source: SeededBytes) -> None:
        header, client = make_header(Framing.INTERMEDIATE.value, 2, source)
        wire = packets(Framing.INTERMEDIATE, [(b"abcd", False)])
        detected = detect(header + client.outgoing.update(wire))
        assert detected is not None
        assert detected.streams is not None
        self.assertEqual(detected.streams.tag, open_header(header).tag)
        self.assertEqual(detected.codec.next_packet(), (b"abcd", False))
