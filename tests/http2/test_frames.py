from twisted.trial.unittest import SynchronousTestCase

from gnetway.http2.frames import (
    CONTINUATION,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PING,
    RST_STREAM,
    WINDOW_UPDATE,
    pack_fields,
    pack_frame,
    pack_goaway,
    pack_reset,
    pack_window_update,
)
from tests.http2.wire import Frame, parse


class FrameTests(SynchronousTestCase):
    def test_bytes(self) -> None:
        """As RFC 9113 section 4.1 draws them."""
        self.assertEqual(
            pack_frame(PING, 1, 0, b"12345678").hex(), "000008060100000000" + b"12345678".hex()
        )
        self.assertEqual(pack_reset(5, 8).hex(), "00000403000000000500000008")
        self.assertEqual(pack_window_update(0, 1).hex(), "00000408000000000000000001")
        self.assertEqual(pack_goaway(7, 1, "no").hex(), "00000a07000000000000000007000000016e6f")

    def test_kinds(self) -> None:
        wire = pack_reset(5, 8) + pack_window_update(3, 9) + pack_goaway(7, 1)
        self.assertEqual([frame.kind for frame in parse(wire)], [RST_STREAM, WINDOW_UPDATE, GOAWAY])

    def test_fields_in_one_frame(self) -> None:
        (frame,) = parse(pack_fields(3, b"block", 5, end_stream=True))
        self.assertEqual(frame, Frame(HEADERS, END_HEADERS | END_STREAM, 3, b"block"))

    def test_fields_over_the_size_of_a_frame(self) -> None:
        first, second, third = parse(pack_fields(3, b"blockblockb", 5, end_stream=True))
        self.assertEqual(first, Frame(HEADERS, END_STREAM, 3, b"block"))
        self.assertEqual(second, Frame(CONTINUATION, 0, 3, b"block"))
        self.assertEqual(third, Frame(CONTINUATION, END_HEADERS, 3, b"b"))

    def test_fields_of_a_whole_number_of_frames(self) -> None:
        frames = parse(pack_fields(3, b"blockblock", 5, end_stream=False))
        self.assertEqual([frame.flags for frame in frames], [0, END_HEADERS])
