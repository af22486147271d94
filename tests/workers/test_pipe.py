import json

from hypothesis import given
from hypothesis.strategies import (
    builds,
    dictionaries,
    floats,
    integers,
    lists,
    none,
    sampled_from,
    text,
)
from twisted.trial.unittest import SynchronousTestCase

from gnetway.metrics import GatewayCounts, Measures
from gnetway.workers.pipe import (
    Counted,
    KeyGone,
    Logged,
    Ready,
    Refused,
    Report,
    Taken,
    pack,
    unpack,
)

SERIES = dictionaries(text(max_size=5), dictionaries(text(max_size=5), floats(0, 1e9)), max_size=2)
ROWS = dictionaries(
    text(max_size=5),
    dictionaries(text(max_size=5), lists(floats(0, 1e9), max_size=3), max_size=2),
    max_size=2,
)
COUNTS = builds(
    GatewayCounts,
    integers(0),
    dictionaries(text(), integers(0)),
    dictionaries(text(), integers(0)),
    integers(0),
    integers(0),
    dictionaries(text(), integers(0) | floats(0, 1e9)),
    lists(text()).map(tuple),
    builds(Measures, SERIES, SERIES, ROWS),
)
REPORTS = (
    builds(Ready, text())
    | builds(Refused, lists(text()).map(tuple))
    | builds(Counted, COUNTS)
    | builds(KeyGone, integers(-(1 << 63), (1 << 63) - 1))
    | builds(Taken, integers(1), text(), lists(text()).map(tuple))
    | builds(Logged, sampled_from(["info", "warn"]), text(), text(), none() | floats(0, 1e10))
)


class ReportTests(SynchronousTestCase):
    @given(report=REPORTS)
    def test_there_and_back(self, report: Report) -> None:
        line = pack(report)
        self.assertEqual((line.count(b"\n"), line[-1:]), (1, b"\n"))
        self.assertEqual(unpack(line), report)

    def test_what_is_none(self) -> None:
        contents: tuple[object, ...] = (
            "Ready",
            ["Ready", 1],
            ["Steady", "x"],
            ["Counted", [1, {}]],
        )
        for content in (*contents, {}, None):
            self.assertRaises(ValueError, unpack, json.dumps(content).encode())
        self.assertRaises(ValueError, unpack, b"Traceback")
