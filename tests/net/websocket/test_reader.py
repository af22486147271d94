"""Frames taken apart as they come, wherever the network cuts them."""

from hypothesis import given
from hypothesis.strategies import binary, booleans, lists, sampled_from, tuples
from twisted.trial.unittest import SynchronousTestCase

from gnetway.net.websocket.reader import (
    CLOSE,
    PING,
    ControlFrame,
    FrameFault,
    FrameReader,
    TextFault,
)
from tests.net.websocket.test_protocol import BINARY, FINAL, MORE, frame, message
from tests.strategies import cut, cuts

BOUND = 1 << 20


def read_all(
    reader: FrameReader, *segments: bytes, max_frames: int = 1000
) -> list[bytes | ControlFrame]:
    """Return payloads, joined where nothing is between them, and control frames."""
    got: list[bytes | ControlFrame] = []
    for segment in segments:
        reader.receive(segment)
        while (read := reader.read(max_frames)).frames:
            assert read.frames <= max_frames
            if read.payload and got and isinstance(got[-1], bytes):
                got[-1] += read.payload
            elif read.payload:
                got.append(read.payload)
            if read.control is not None:
                got.append(read.control)
    return got


class ReadTests(SynchronousTestCase):
    @given(
        lists(tuples(binary(max_size=300), lists(sampled_from([0, 1, 5, 200]), max_size=4))),
        cuts(),
        sampled_from([1, 2, 1000]),
    )
    def test_any_split(
        self, messages: list[tuple[bytes, list[int]]], segments: list[int], max_frames: int
    ) -> None:
        reader = FrameReader(BOUND, BOUND)
        data = b"".join(message(payload, [*sizes, 100]) for payload, sizes in messages)
        got = read_all(reader, *cut(data, segments), max_frames=max_frames)
        self.assertEqual(b"".join(got), b"".join(payload for payload, _ in messages))  # type: ignore[arg-type]
        self.assertTrue(reader.is_done)

    @given(cuts(), booleans())
    def test_control_frames_keep_their_place(self, segments: list[int], inside: bool) -> None:
        reader = FrameReader(BOUND, BOUND)
        data = (
            frame(BINARY, b"one", final=not inside)
            + frame(PING, b"?")
            + frame(MORE if inside else BINARY, b"two")
            + frame(CLOSE)
        )
        got = read_all(reader, *cut(data, segments))
        expected = [b"one", ControlFrame(PING, b"?"), b"two", ControlFrame(CLOSE, b"")]
        self.assertEqual(got, expected)

    def test_long_payloads(self) -> None:
        payload = bytes(range(256)) * 300
        head = bytes((BINARY | FINAL, 0xFF)) + len(payload).to_bytes(8) + b"\x01\x02\x03\x04"
        masked = bytes(byte ^ (index % 4 + 1) for index, byte in enumerate(payload))
        for sizes in ([1 << 17], [1001], [3, 5000]):
            self.assertEqual(
                read_all(FrameReader(BOUND, BOUND), *cut(head + masked, sizes)), [payload]
            )

    def test_it_is_done_between_messages_alone(self) -> None:
        reader = FrameReader(BOUND, BOUND)
        for segment, done in (
            (frame(BINARY, b"x", final=False), False),
            (frame(MORE, b"", final=False), False),
            (frame(MORE, b""), True),
            (frame(BINARY, b"x")[:3], False),
            (frame(BINARY, b"x")[3:], True),
            (frame(BINARY, b""), True),
        ):
            read_all(reader, segment)
            self.assertEqual(reader.is_done, done, segment)

    def test_what_heads_cost(self) -> None:
        for data, debt in (
            (frame(BINARY, b"x") * 10, 10 * 5),
            (frame(BINARY) * 10, 10 * 6),
            (frame(BINARY, bytes(100)), 6 - 100),
            (frame(BINARY, b"x") + frame(PING, bytes(100)), 5),
        ):
            reader = FrameReader(BOUND, BOUND)
            reader.receive(data)
            self.assertEqual(reader.read(100).debt_bytes, debt)


class FaultTests(SynchronousTestCase):
    def test_what_no_client_may_send(self) -> None:
        first = frame(BINARY, b"x", final=False)
        for data, code in (
            (frame(BINARY | 0x40), 1002),
            (b"\x82\x01x", 1002),
            (frame(3), 1002),
            (frame(MORE), 1002),
            (first + frame(BINARY), 1002),
            (frame(11), 1002),
            (frame(PING, final=False), 1002),
            (frame(PING, bytes(126)), 1002),
            (frame(CLOSE, b"x"), 1002),
            (b"\x82\xfe\x00\x7d" + bytes(8), 1002),
            (b"\x82\xff" + (65535).to_bytes(8) + bytes(8), 1002),
            (frame(BINARY, bytes(201)), 1009),
            (b"\x82\xff" + (1 << 63).to_bytes(8) + bytes(8), 1009),
            ((first + frame(MORE, bytes(200), final=False) + frame(MORE, bytes(100))), 1009),
        ):
            reader = FrameReader(200, 300)
            with self.assertRaises(FrameFault, msg=data) as raised:
                read_all(reader, data)
            self.assertEqual(raised.exception.code, code, data)

    def test_text(self) -> None:
        self.assertRaises(TextFault, read_all, FrameReader(200, 300), frame(1, b"hi"))

    def test_sound_frames_in_front_come_first(self) -> None:
        reader = FrameReader(BOUND, BOUND)
        reader.receive(frame(BINARY, b"sound") + frame(3))
        self.assertEqual(reader.read(100).payload, b"sound")
        self.assertRaises(FrameFault, reader.read, 100)


class SkipTests(SynchronousTestCase):
    def test_a_close_behind_anything(self) -> None:
        for faulty in (
            frame(3, b"faulty"),
            b"\x82\x05hello",
            frame(1, bytes(5000)),
            frame(PING, bytes(200)),
            frame(MORE),
            b"",
        ):
            reader = FrameReader(200, 300)
            found = []
            for segment in cut(faulty + frame(PING) + frame(CLOSE, b"\x03\xe8"), [7, 3]):
                reader.receive(segment)
                while (read := reader.skip(2)).frames:
                    found.append(read.control)
            self.assertEqual(found[-1], ControlFrame(CLOSE, b"\x03\xe8"), faulty)
            self.assertEqual(found[:-1], [None] * (len(found) - 1))

    def test_what_is_passed_over_costs_as_well(self) -> None:
        reader = FrameReader(200, 300)
        reader.receive(frame(BINARY, b"x") * 10)
        self.assertEqual(reader.skip(100).debt_bytes, 50)
