"""What can be chosen: the checkout, shapes of the cluster's, rows of the embedded one's."""

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.cluster import lines, shapes
from benchmarks.command import parser, setup_of
from benchmarks.embedded import Figure, chosen


class CheckoutTests(SynchronousTestCase):
    def test_one_that_is_not_there(self) -> None:
        options = parser("").parse_args(["--checkout", "/nowhere"])
        error = self.assertRaises(SystemExit, setup_of, options)
        self.assertEqual(str(error), "no gateway in /nowhere")


class ShapesTests(SynchronousTestCase):
    def test_as_they_are_written(self) -> None:
        self.assertEqual(shapes("1x1,64x8"), [(1, 1), (64, 8)])
        for other in ("", "1", "1x1,", "1x2x3", "axb"):
            self.assertRaises(ValueError, shapes, other)

    def test_each_by_stream_and_by_calls(self) -> None:
        (line,) = lines("ws", [(64, 8)])
        self.assertEqual(
            [(one.conns, one.depth, one.by_stream) for one in line], [(64, 8, True), (64, 8, False)]
        )

    def test_over_http_one_message_at_a_time(self) -> None:
        (line,) = lines("http", [(64, 8), (64, 1)])
        self.assertEqual([(one.depth, one.by_stream) for one in line], [(1, False)])


class RowsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.rows = [Figure(name, "", 0, float) for name in ("start", "ping 1", "ping 64")]

    def test_all_where_none_is_chosen(self) -> None:
        self.assertEqual(chosen(self.rows, []), self.rows)

    def test_by_the_beginnings_of_their_names(self) -> None:
        self.assertEqual(chosen(self.rows, ["ping"]), self.rows[1:])

    def test_one_that_is_not_there(self) -> None:
        error = self.assertRaises(ValueError, chosen, self.rows, ["ping", "stop"])
        self.assertEqual(str(error), "no row stop; there are: start; ping 1; ping 64")
