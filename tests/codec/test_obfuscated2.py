import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from hypothesis import given
from hypothesis.strategies import integers, sampled_from
from twisted.trial.unittest import SynchronousTestCase

from gnetway.codec.obfuscated2 import HEADER_BYTES, make_header, open_header
from gnetway.testing import Framing
from gnetway.testing.link import OBFUSCATED
from tests.strategies import SeededBytes, cut, cuts, payloads, random_sources

VECTORS = Path(__file__).parent.parent / "vectors" / "mtproto.json"
TAGS = {
    "abridged": b"\xef\xef\xef\xef",
    "intermediate": b"\xee\xee\xee\xee",
    "padded intermediate": b"\xdd\xdd\xdd\xdd",
}

framings = sampled_from(OBFUSCATED)
dc_ids = integers(-(2**15), 2**15 - 1)


class KnownConnection(NamedTuple):
    tag: bytes
    header: bytes
    client_plain: list[bytes]
    client_wire: list[bytes]
    server_plain: list[bytes]
    server_wire: list[bytes]


def known_connections() -> Iterator[KnownConnection]:
    for entry in json.loads(VECTORS.read_text())["obfuscated2"]:
        yield KnownConnection(
            TAGS[entry["codec"]],
            bytes.fromhex(entry["header"]),
            *(
                [bytes.fromhex(piece) for piece in entry[name]]
                for name in ("client_plain", "client_wire", "server_plain", "server_wire")
            ),
        )


class Replay:
    """A ``random_bytes`` that gives what it was told to, in this order."""

    def __init__(self, *draws: bytes) -> None:
        self.draws = list(draws)

    def __call__(self, size: int) -> bytes:
        draw = self.draws.pop(0)
        assert len(draw) == size
        return draw


class KnownAnswerTests(SynchronousTestCase):
    """Connections that two client libraries made."""

    def test_all_codecs_are_among_them(self) -> None:
        self.assertEqual({known.tag for known in known_connections()}, set(TAGS.values()))

    def test_the_tag_of_a_header(self) -> None:
        for known in known_connections():
            self.assertEqual(open_header(known.header).tag, known.tag)

    def test_what_the_client_sends(self) -> None:
        for known in known_connections():
            incoming = open_header(known.header).incoming
            self.assertEqual(
                [incoming.update(wire) for wire in known.client_wire], known.client_plain
            )

    def test_what_the_server_sends(self) -> None:
        for known in known_connections():
            outgoing = open_header(known.header).outgoing
            self.assertEqual(
                [outgoing.update(plain) for plain in known.server_plain], known.server_wire
            )

    def test_the_streams_run_on_however_they_are_cut(self) -> None:
        for known in known_connections():
            streams = open_header(known.header)
            wire, plain = b"".join(known.client_wire), b"".join(known.server_plain)
            opened = b"".join(streams.incoming.update(piece) for piece in cut(wire, [1, 7, 16]))
            sealed = b"".join(streams.outgoing.update(piece) for piece in cut(plain, [3, 17]))
            self.assertEqual(opened, b"".join(known.client_plain))
            self.assertEqual(sealed, b"".join(known.server_wire))


class RoundTripTests(SynchronousTestCase):
    @given(framing=framings, dc_id=dc_ids, source=random_sources())
    def test_tag_and_dc_id_arrive(self, framing: Framing, dc_id: int, source: SeededBytes) -> None:
        header, client = make_header(framing.value, dc_id, source)
        server = open_header(header)
        self.assertEqual((server.tag, server.dc_id), (framing.value, dc_id))
        self.assertEqual((client.tag, client.dc_id), (framing.value, dc_id))

    @given(source=random_sources(), sent=payloads(), answer=payloads(), sizes=cuts())
    def test_both_directions(
        self, source: SeededBytes, sent: bytes, answer: bytes, sizes: list[int]
    ) -> None:
        header, client = make_header(TAGS["abridged"], 2, source)
        server = open_header(header)
        wire = client.outgoing.update(sent)
        self.assertEqual(b"".join(map(server.incoming.update, cut(wire, sizes))), sent)
        wire = server.outgoing.update(answer)
        self.assertEqual(b"".join(map(client.incoming.update, cut(wire, sizes))), answer)

    def test_the_two_directions_have_different_keys(self) -> None:
        _, client = make_header(TAGS["abridged"], 2, SeededBytes(0))
        self.assertNotEqual(client.incoming.update(bytes(64)), client.outgoing.update(bytes(64)))

    def test_repr_shows_no_key(self) -> None:
        header, client = make_header(TAGS["abridged"], 2, SeededBytes(0))
        self.assertNotIn(repr(header[8:12])[2:-1], repr(client))
        self.assertNotIn(header[8:12].hex(), repr(client))


class HeaderTests(SynchronousTestCase):
    def test_a_header_has_64_bytes(self) -> None:
        for size in (0, HEADER_BYTES - 1):
            self.assertRaises(ValueError, open_header, bytes(size))
        self.assertEqual(len(make_header(TAGS["abridged"], 1, SeededBytes(0))[0]), HEADER_BYTES)

    def test_what_came_behind_the_header_is_opened_with_it(self) -> None:
        for known in known_connections():
            wires = known.client_wire
            streams = open_header(known.header + wires[0])
            plain = [streams.first, *map(streams.incoming.update, wires[1:])]
            self.assertEqual(plain, known.client_plain)

    def test_any_64_bytes_open(self) -> None:
        self.assertEqual(len(open_header(bytes(HEADER_BYTES)).tag), 4)

    def test_it_never_begins_like_another_transport(self) -> None:
        good = SeededBytes(0)(HEADER_BYTES)
        for start in (
            b"\xef",
            b"HEAD",
            b"POST",
            b"GET ",
            b"OPTI",
            b"\xee\xee\xee\xee",
            b"\xdd\xdd\xdd\xdd",
            b"\x16\x03\x01\x02",
            b"\1\2\3\4\0\0\0\0",
        ):
            bad = start + good[len(start) :]
            header, _ = make_header(TAGS["abridged"], 1, Replay(bad, bad, good))
            self.assertEqual(header[:56], good[:56])

    def test_the_random_bytes_stand_in_the_header_as_they_came(self) -> None:
        draft = SeededBytes(1)(HEADER_BYTES)
        header, _ = make_header(TAGS["abridged"], 1, Replay(draft))
        self.assertEqual(header[:56], draft[:56])
        self.assertNotEqual(header[56:60], TAGS["abridged"])
