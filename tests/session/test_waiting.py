"""The row of a lane."""

from hypothesis import given
from hypothesis.strategies import integers, lists, sampled_from, tuples
from twisted.trial.unittest import SynchronousTestCase

from gnetway.session.method import Method
from gnetway.session.operation import Operation
from gnetway.session.waiting import Waiting


class WaitingTests(SynchronousTestCase):
    @given(
        steps=lists(
            tuples(
                sampled_from(["append", "put_first", "take_first", "remove", "take_all"]),
                integers(0, 9),
            )
        )
    )
    def test_as_a_list(self, steps: list[tuple[str, int]]) -> None:
        row, model = Waiting(), list[Operation]()
        for step, number in steps:
            one = Operation(Method.QUERY_AUTH_KEY, 1, bytes(number))
            if step == "append":
                row.append(one)
                model.append(one)
            elif step == "put_first":
                row.put_first(one)
                model.insert(0, one)
            elif step == "take_first" and model:
                self.assertIs(row.first, model.pop(0))
                row.take_first()
            elif step == "remove":
                self.assertFalse(row.remove(one))
                if number < len(model):
                    self.assertTrue(row.remove(model.pop(number)))
            elif step == "take_all":
                self.assertEqual(row.take_all(), model)
                model.clear()
            self.assertEqual((len(row), list(row)), (len(model), model))
            self.assertEqual(row.row is None, not model)
            self.assertEqual(row.size, sum(operation.size for operation in model))

    def test_empty_is_small(self) -> None:
        row = Waiting()
        one = Operation(Method.QUERY_AUTH_KEY, 1, b"")
        row.append(one)
        self.assertTrue(row.remove(one))
        self.assertIsNone(row.row)
