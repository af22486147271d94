"""docs/sizing.md: the formula has the measured figures and leads to them; the table is its own."""

import json
import re
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.needs import need_program

DOCS = Path(__file__).parents[2] / "docs"

PAGE = (DOCS / "sizing.md").read_text()

CAPACITY = (DOCS / "capacity.md").read_text()

#: The table's rows: connections by TCP and WebSocket, messages a second.
CASES = (
    (1_000, 0, 200),
    (10_000, 0, 1_000),
    (20_000, 0, 2_000),
    (15_000, 5_000, 4_000),
    (50_000, 0, 10_000),
    (80_000, 20_000, 30_000),
    (200_000, 50_000, 60_000),
)

USUAL = {"bytes": 512, "calls": "stream", "exchanges": 10, "calibrate": 0.796}


def script(code: str, given: object) -> Any:
    """Run code with what sizing.js exports and ``given`` as names, and return what it makes."""
    node = need_program("node")
    text = (
        f"const given = {json.dumps(given)}; const {{FIELDS, FIGURES, sizing, rows}} = "
        f"require({json.dumps(str(DOCS / 'site' / 'sizing.js'))});"
        f"process.stdout.write(JSON.stringify({code}))"
    )
    done = subprocess.run([node, "-e", text], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def sizing(*wishes: Mapping[str, object]) -> list[dict[str, float]]:
    usual = {"tcp": 0, "webSocket": 0, "messages": 0, **USUAL}
    found: list[dict[str, float]] = script(
        "given.map(sizing)", [{**usual, **wish} for wish in wishes]
    )
    return found


@cache
def measured() -> list[dict[str, Any]]:
    points: list[dict[str, Any]] = json.loads((DOCS / "capacity.json").read_text())["points"]
    return points


def series(name: str, key: str) -> list[tuple[int, float]]:
    return [(one["x"], one[key]) for one in measured() if one["series"] == name]


def table() -> list[str]:
    """Return the rows that the page should have."""
    wishes = [{"tcp": tcp, "webSocket": web, "messages": n} for tcp, web, n in CASES]
    rows = []
    for (tcp, web, messages), need in zip(CASES, sizing(*wishes), strict=True):
        cells = (
            *(f"{number:,}" for number in (tcp, web, messages)),
            f"{need['cores']:.2f}",
            need["workers"],
            f"{need['quietMib']:,} MiB",
            f"{need['worstMib']:,} MiB",
            f"{need['machineGib']} GiB",
            f"{need['files']:,}",
            need["keyCacheMib"],
        )
        rows.append("| " + " | ".join(map(str, cells)) + " |")
    return rows


class FiguresTests(SynchronousTestCase):
    """What is measured anew has to be put into the formula."""

    def setUp(self) -> None:
        self.figures = script("FIGURES", None)

    def assertNear(self, found: list[list[float]], points: list[tuple[int, float]]) -> None:
        self.assertEqual([x for x, _ in found], [x for x, _ in points])
        for (x, is_here), (_, was) in zip(found, points, strict=True):
            self.assertLess(abs(is_here - was), 0.06, f"at {x}: {is_here} and {was}")

    def test_messages_by_size(self) -> None:
        for calls, name in (("stream", "by stream"), ("unary", "by unary calls")):
            points = series(f"bytes each way, {name}", "message_us")
            self.assertNear(self.figures["messageUs"][calls], points)

    def test_messages_by_connections(self) -> None:
        found = [point for point in self.figures["sendingUs"] if point[0] < 100_000]
        points = [
            one for one in series("connections, all sending", "message_us") if one[0] != 10_000
        ]
        self.assertNear(found, points)

    def test_key_exchanges(self) -> None:
        found = [point for point in self.figures["exchangeMs"] if point[0] < 100_000]
        points = series("idle TCP connections open", "exchange_ms")
        self.assertNear(found, [one for one in points if one[0] != 1_000])

    def test_the_start(self) -> None:
        points = series("workers", "start_mib")
        self.assertNear([[x + 1, mib] for x, mib in enumerate(self.figures["startMib"])], points)

    def test_what_the_page_of_capacity_reckons(self) -> None:
        rows = re.findall(r"^\| one more of them \| ([\d.]+) KiB", CAPACITY, re.MULTILINE)
        kib = [self.figures["tcpKib"], self.figures["webSocketKib"]]
        self.assertEqual([float(row) for row in rows], kib)
        (last,) = re.findall(r"^\| \*100,000, reckoned\* (.*) \|$", CAPACITY, re.MULTILINE)
        *_, exchange, _, sending = (cell.strip() for cell in last.split("|"))
        self.assertEqual(self.figures["exchangeMs"][-1], [100_000, float(exchange)])
        self.assertEqual(self.figures["sendingUs"][-1], [100_000, float(sending)])

    def test_calibrate(self) -> None:
        factor = json.loads((DOCS / "capacity.json").read_text())["factor"]
        self.assertEqual(self.figures["calibrate"], factor)


class FormulaTests(SynchronousTestCase):
    def test_idle_memory_is_what_was_measured(self) -> None:
        for name, kind in (("TCP connections", "tcp"), ("WebSockets", "webSocket")):
            points = series(f"idle {name} open", "memory_kib")
            found = sizing(*({kind: count} for count, _ in points))
            for (count, kib), need in zip(points, found, strict=True):
                far = abs(need["quietMib"] / (kib / 1024) - 1)
                self.assertLess(far, 0.15, f"{count} {name}: {need['quietMib']} for {kib / 1024}")

    def test_one_that_only_sends(self) -> None:
        """With few connections, messages alone: their CPU time, and two thirds of processors."""
        (need,) = sizing({"tcp": 64, "messages": 23_059, "bytes": 64, "exchanges": 0})
        self.assertAlmostEqual(need["messageUs"], 22.8)
        self.assertAlmostEqual(need["cores"], 23_059 * 22.8e-6)
        self.assertEqual(need["workers"], 1)
        (more,) = sizing({"tcp": 64, "messages": 40_000, "bytes": 64, "exchanges": 0})
        self.assertEqual(more["workers"], 2)

    def test_a_slower_machine(self) -> None:
        """As in docs/capacity.md: times grow with its factor, memory stays."""
        one, twice = sizing({"messages": 5_000}, {"messages": 5_000, "calibrate": 2 * 0.796})
        self.assertAlmostEqual(twice["cores"], 2 * one["cores"])
        self.assertEqual(twice["quietMib"], one["quietMib"])

    def test_the_worst_case_is_that_of_the_page_of_security(self) -> None:
        """By the defaults and 20,000 connections, without gRPC: its rows, and the start."""
        (need,) = sizing({"tcp": 20_000, "messages": 10})
        security = (DOCS / "security.md").read_text().partition("## The worst case")[2]
        rows = dict(re.findall(r"^\| (\w[^|]*?) \| .* \| ([\d,]+) MiB \|$", security, re.MULTILINE))
        terms = ("input without a key", "one packet being unpacked", "key exchanges", "accounts")
        fixed = sum(int(rows[term]) for term in terms) + need["keyCacheMib"] + 64
        budgeted = int(rows["input with a key"]) + int(rows["output"]) + 64
        self.assertEqual(int(rows["outage buffer (remote)"]), 2 * 64)
        whole = need["quietMib"] + fixed + budgeted * need["budgetMib"] / 1024
        self.assertLess(abs(need["worstMib"] - whole), 4)
        self.assertLess(need["worstMib"], need["machineGib"] * 1024 * 0.8)


class PageTests(SynchronousTestCase):
    def test_the_table(self) -> None:
        shown = PAGE.partition("<!-- rows: ")[2].partition("\n\n## ")[0]
        self.assertEqual(re.findall(r"^\| \d.*$", shown, re.MULTILINE), table())

    def test_the_form_gives_all_that_is_asked_for(self) -> None:
        names = {name for name, *_ in script("FIELDS", None)}
        self.assertEqual(names, {"tcp", "webSocket", "messages", *USUAL})
        shown = dict(script("rows(given)", {"tcp": 5, "webSocket": 0, "messages": 1} | USUAL))
        self.assertEqual(shown["Workers"], "1, the default")
        self.assertEqual(shown["Gnetway.Limits.MemoryBudget"], "256 MiB, as by default there")
