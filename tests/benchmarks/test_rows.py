"""The rows of the table, and how some of them are chosen."""

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.rows import chosen, rows


class RowsTests(SynchronousTestCase):
    def test_keys_are_unique(self) -> None:
        keys = [row.key for row in rows(10_000)]
        self.assertEqual(len(keys), len(set(keys)))

    def test_rows_of_one_load_share_its_runs(self) -> None:
        by_key = {row.key: row.load for row in rows(10_000)}
        self.assertEqual(by_key["idle-tcp"], by_key["idle-cpu"])
        self.assertEqual(by_key["echo-512x8-stream"], by_key["p99-512x8-stream"])
        self.assertEqual(by_key["start"], by_key["memory"])

    def test_fewer_idle_connections_are_said(self) -> None:
        (row,) = chosen(rows(3800), ["idle-ws"])
        self.assertEqual((row.load.conns, row.name), (3800, "idle ws, of 3,800"))

    def test_a_compiled_core_has_no_easier_goal(self) -> None:
        for row in rows(10_000):
            if row.goal_compiled is not None:
                self.assertLess(row.goal_compiled, row.goal, row.key)


class ChosenTests(SynchronousTestCase):
    def keys(self, *wanted: str) -> list[str]:
        return [row.key for row in chosen(rows(10_000), wanted)]

    def test_all_unless_told(self) -> None:
        self.assertEqual(self.keys(), [row.key for row in rows(10_000)])

    def test_by_the_beginning_in_the_order_of_the_table(self) -> None:
        self.assertEqual(
            self.keys("start", "bulk-512-up", "exch"),
            ["exchange", "bulk-512-up-stream", "bulk-512-up-unary", "start"],
        )

    def test_by_a_pattern(self) -> None:
        self.assertEqual(len(self.keys("*unary")), 6)

    def test_a_name_that_fits_nothing(self) -> None:
        error = self.assertRaises(ValueError, self.keys, "echo", "bluk")
        self.assertIn("no row bluk; there are: exchange", str(error))
