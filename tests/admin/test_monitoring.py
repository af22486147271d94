"""The alert rules and the dashboard ask for metrics that there are, by labels that these have.

Prometheus' own promtool checks them too, where it is installed.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml
from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from gnetway.admin.metrics import render
from gnetway.ends import CAUSES
from tests.admin.test_metrics import everything

ETC: Final = Path(__file__).parents[2] / "etc"
RULES: Final = ETC / "prometheus-alerts.yaml"
DASHBOARD: Final = ETC / "grafana-dashboard.json"

#: What Prometheus itself gives to each.
GIVEN: Final = {"job", "instance"}


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return found


def queries() -> list[str]:
    """Every query of the dashboard."""
    return [target["expr"] for panel in panels() for target in panel.get("targets", ())]


def labels_of() -> dict[str, set[str]]:
    """The labels of each name that /metrics has."""
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(render(everything()).decode()):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def selectors(expression: str) -> Iterator[tuple[str, set[str]]]:
    """Yield each metric that an expression names, and the labels that it is asked by."""
    for name, matchers in re.findall(r"\b(gnetway_\w+)(?:\{([^}]*)\})?", expression):
        yield name, set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers))


def grouped(expression: str) -> set[str]:
    """Return the labels that an expression groups or joins by."""
    found: set[str] = set()
    for labels in re.findall(r"\b(?:by|on|ignoring|group_left) \(([^)]*)\)", expression):
        found |= {label.strip() for label in labels.split(",")}
    return found


class NamesTests(SynchronousTestCase):
    def test_metrics_and_their_labels_are_there(self) -> None:
        there = labels_of()
        expressions = [rule["expr"] for rule in rules()] + queries()
        self.assertGreater(len(expressions), 50)
        for expression in expressions:
            asked = list(selectors(expression))
            self.assertTrue(asked, expression)
            known: set[str] = set(GIVEN)
            for name, labels in asked:
                self.assertIn(name, there, expression)
                self.assertEqual(labels - there[name] - GIVEN, set(), expression)
                known |= there[name]
            self.assertEqual(grouped(expression) - known, set(), expression)

    def test_causes_are_those_that_there_are(self) -> None:
        for expression in [rule["expr"] for rule in rules()] + queries():
            for value in re.findall(r'cause(?:=~|!~|!=|=)"([^"]*)"', expression):
                self.assertEqual(set(value.split("|")) - CAUSES.keys(), set(), expression)

    def test_alerts_say_of_whom_they_speak(self) -> None:
        names = [rule["alert"] for rule in rules()]
        self.assertEqual(len(names), len(set(names)))
        for rule in rules():
            self.assertRegex(rule["alert"], r"^Gnetway[A-Z]")
            if not rule["expr"].startswith("absent"):
                self.assertIn("$labels.instance", rule["annotations"]["summary"])


class DashboardTests(SynchronousTestCase):
    def test_panels_stand_in_rows_and_beside_each_other(self) -> None:
        taken: set[tuple[int, int]] = set()
        ids = [panel["id"] for panel in panels()]
        self.assertEqual(len(ids), len(set(ids)))
        self.assertEqual(panels()[0]["type"], "row")
        for panel in panels():
            self.assertTrue(panel["title"])
            place = panel["gridPos"]
            cells = {
                (place["x"] + right, place["y"] + down)
                for right in range(place["w"])
                for down in range(place["h"])
            }
            self.assertLessEqual(place["x"] + place["w"], 24)
            self.assertFalse(cells & taken, panel["title"])
            taken |= cells


class PromtoolTests(SynchronousTestCase):
    """With Debian's package `prometheus`, which is too large to be installed for this alone."""

    def promtool(self, *arguments: str, said: str = "") -> str:
        path = shutil.which("promtool")
        if path is None:
            raise SkipTest("promtool is not installed (Debian: prometheus)")
        done = subprocess.run(
            [path, *arguments],
            input=said,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout

    def test_rules(self) -> None:
        self.assertIn(f"{len(rules())} rules found", self.promtool("check", "rules", str(RULES)))

    def test_queries_of_the_dashboard(self) -> None:
        recorded = [
            {"record": f"query_{number}", "expr": expression.replace("$__rate_interval", "5m")}
            for number, expression in enumerate(queries())
        ]
        path = Path(self.mktemp())
        path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": recorded}]}))
        self.promtool("check", "rules", str(path))

    def test_metrics(self) -> None:
        text = render(everything()).decode()
        # The Go gateway's name has a unit of its own.
        lines = [line for line in text.splitlines() if "process_duration_ms" not in line]
        self.promtool("check", "metrics", said="\n".join(lines) + "\n")

    def test_when_alerts_fire(self) -> None:
        series = {
            'gnetway_ready{instance="a"}': "1x10 0x10",
            'gnetway_session_node_state{instance="a",node="n",state="up"}': "0x20",
            'gnetway_session_node_listed{instance="a",node="n"}': "1x20",
            'gnetway_session_node_state{instance="a",node="left",state="up"}': "0x20",
            'gnetway_session_node_listed{instance="a",node="left"}': "0x20",
            'gnetway_handshake_total{instance="a",result="error"}': "0+120x30",
            'gnetway_handshake_total{instance="a",result="ok"}': "0+60x30",
            'gnetway_handshake_total{instance="b",result="error"}': "0+120x30",
            'gnetway_handshake_total{instance="b",result="ok"}': "0+180x30",
        }
        fire = {
            "GnetwayNotReady": ("13m", [{"instance": "a"}]),
            "GnetwaySessionNodeDown": ("5m", [{"instance": "a", "node": "n", "state": "up"}]),
            "GnetwayKeyExchangesFail": ("25m", [{"instance": "a", "result": "error"}]),
            "GnetwayBusy": ("20m", []),
        }
        summaries = {rule["alert"]: rule["annotations"]["summary"] for rule in rules()}

        def summary(name: str, labels: dict[str, str]) -> str:
            return re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda m: labels[m[1]], summaries[name])

        tests = [
            {
                "interval": "1m",
                "input_series": [{"series": s, "values": v} for s, v in series.items()],
                "alert_rule_test": [
                    {
                        "eval_time": at,
                        "alertname": name,
                        "exp_alerts": [
                            {
                                "exp_labels": labels,
                                "exp_annotations": {"summary": summary(name, labels)},
                            }
                            for labels in expected
                        ],
                    }
                    for name, (at, expected) in fire.items()
                ],
            }
        ]
        path = Path(self.mktemp())
        path.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "tests": tests}))
        self.promtool("test", "rules", str(path))
