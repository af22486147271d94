"""What the load generator is told, and what its answer means."""

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.loads import Load, read_figures
from benchmarks.stand import Setup


class LoadTests(SynchronousTestCase):
    def test_arguments(self) -> None:
        load = Load("bulk", conns=4, depth=2, size=65536, direction="down")
        arguments = load.arguments(2.5, "native")
        for expected in ("-mode=bulk", "-conns=4", "-depth=2", "-size=65536", "-dir=down"):
            self.assertIn(expected, arguments)
        self.assertIn("-duration=2.5s", arguments)

    def test_a_crowd_warms_up_longer_the_more_so_with_the_slower_carrier(self) -> None:
        crowd = Load("echo", conns=512, depth=8)
        self.assertLess(crowd.warm_up_seconds("native"), crowd.warm_up_seconds("grpcio"))
        self.assertLess(Load("echo").warm_up_seconds("native"), crowd.warm_up_seconds("native"))

    def test_idle_connections_only_settle(self) -> None:
        few, many = (Load("idle", conns=number) for number in (10, 10_000))
        self.assertEqual(few.warm_up_seconds("native"), many.warm_up_seconds("native"))
        self.assertGreaterEqual(
            many.longest_seconds(1, "native"), few.longest_seconds(1, "native") + 5
        )

    def test_the_gateway_is_set_up_for_it(self) -> None:
        setup = Setup(workers=2)
        self.assertEqual(Load("echo").setup(setup), Setup(workers=2, by_stream=True, proto="tcp"))
        web = Load("echo", "ws", by_stream=False).setup(setup)
        self.assertEqual((web.by_stream, web.proto, web.workers), (False, "auto", 2))


class ReadFiguresTests(SynchronousTestCase):
    def test_values(self) -> None:
        line = {
            "mode": "echo",
            "ops": 7,
            "errors": 0,
            "gw_gone": 0,
            "lat_ms": {"p50": 1, "p99": 2.5},
        }
        outcome = read_figures(line)
        self.assertEqual(outcome.faults, ())
        self.assertEqual(outcome.values["ops"], 7)
        self.assertEqual(outcome.values["lat_ms_p99"], 2.5)
        self.assertNotIn("mode", outcome.values)

    def test_errors_by_kind_whatever_connection_they_are_of(self) -> None:
        kinds = {
            "open: write tcp 127.0.1.1:32944->127.0.0.1:14074: reset": 2,
            "open: write tcp 127.0.1.1:32952->127.0.0.1:14074: reset": 1,
            "no answer in time": 4,
        }
        outcome = read_figures({"mode": "idle", "errors": 7, "error_kinds": kinds})
        self.assertEqual(
            outcome.faults, ("3 times open: write tcp: reset", "4 times no answer in time")
        )

    def test_errors_without_a_kind(self) -> None:
        self.assertEqual(read_figures({"ops": 1, "errors": 3}).faults, ("3 errors",))

    def test_a_gateway_that_has_ended(self) -> None:
        self.assertEqual(read_figures({"ops": 1, "gw_gone": 1}).faults, ("the gateway has ended",))

    def test_nothing_done_is_a_fault(self) -> None:
        self.assertEqual(read_figures({"mode": "echo", "ops": 0}).faults, ("nothing was done",))
