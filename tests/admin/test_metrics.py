"""What /metrics and /api/status make of what a gateway measures."""

import re
from pathlib import Path
from typing import Any

from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import SynchronousTestCase

from gnetway.admin.metrics import GAUGES, HISTOGRAMS, LEVELS, TOTALS, render
from gnetway.admin.status import BUDGETS, REFUSALS, Status, WorkerState
from gnetway.ends import CAUSES
from gnetway.metrics import LABEL_END, NOTHING_COUNTED, GatewayCounts, Measures

ROOT = Path(__file__).parents[2]

#: One series of everything that there is.
EVERYTHING = Measures(
    totals={
        name: {LABEL_END.join(f"a {label}" for label in measure.labels): 3}
        for name, measure in TOTALS.items()
    },
    levels={
        name: {LABEL_END.join(f"a {label}" for label in measure.labels): 2}
        for name, measure in LEVELS.items()
    },
    histograms={
        name: {
            LABEL_END.join(f"a {label}" for label in measure.labels): [1.5, 1, *[0] * len(bounds)]
        }
        for name, (measure, bounds) in HISTOGRAMS.items()
    },
)


def status(counts: GatewayCounts, **more: Any) -> Status:
    return Status(1e9, (), ("127.0.0.1:1",), "a fake", counts, {}, **more)


def everything() -> Status:
    counts = NOTHING_COUNTED._replace(
        causes={"idle": 1, "address_denied": 2},
        pushes={"delivered": 1},
        gauges=dict.fromkeys(GAUGES, 1.0),
        measures=EVERYTHING,
    )
    processes = (WorkerState(0, True, 77), WorkerState(1, False, 0))
    return status(
        counts,
        workers=2,
        workers_ready=1,
        processes=processes,
        configuration={"digest": "ab12", "loaded_at": 5.5, "last_taken": False},
    )


def samples(of: Status) -> dict[tuple[str, tuple[str, ...]], float]:
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(render(of).decode())
        for sample in family.samples
    }


def labels_of(family: Metric) -> set[str]:
    return {label for sample in family.samples for label in sample.labels} - {"le"}


class RenderTests(SynchronousTestCase):
    def test_each_name_is_one_metric(self) -> None:
        names = [family.name for family in text_string_to_metric_families(self.text())]
        self.assertEqual(len(names), len(set(names)))

    def text(self) -> str:
        return render(everything()).decode()

    def test_names_are_those_of_prometheus_and_of_the_go_gateway(self) -> None:
        odd = {"gnetway_msg_process_duration_ms"}
        for family in text_string_to_metric_families(self.text()):
            self.assertRegex(family.name, r"^gnetway_[a-z_]+$")
            self.assertTrue(family.documentation, family.name)
            if family.name not in odd:
                self.assertNotRegex(family.name, r"_(ms|kb|mb|percent)$")

    def test_each_is_documented(self) -> None:
        """A line of docs/metrics.md for each, with its type and labels, and none besides."""
        served = {
            family.name + "_total" * (family.type == "counter"): (family.type, labels_of(family))
            for family in text_string_to_metric_families(self.text())
        }
        page = (ROOT / "docs" / "metrics.md").read_text()
        rows = re.findall(r"^\| `(gnetway_\w+)` \| (\w+) \| (.*?)\| \S", page, re.MULTILINE)
        self.assertEqual(len(rows), page.count("\n| `"))
        shown = {name: (kind, set(re.findall(r"\w+", labels))) for name, kind, labels in rows}
        self.assertEqual(shown, served)

    def test_a_histogram_is_cumulative(self) -> None:
        rows = {"encrypted": [12.0, 1, 0, 2, *[0] * 7, 1]}
        found = samples(
            status(
                NOTHING_COUNTED._replace(
                    measures=Measures(histograms={"msg_process_duration_ms": rows})
                )
            )
        )
        name = "gnetway_msg_process_duration_ms"
        self.assertEqual(found[f"{name}_bucket", ("1.0", "encrypted")], 1)
        self.assertEqual(found[f"{name}_bucket", ("10.0", "encrypted")], 3)
        self.assertEqual(found[f"{name}_bucket", ("+Inf", "encrypted")], 4)
        self.assertEqual(found[f"{name}_sum", ("encrypted",)], 12)
        self.assertEqual(found[f"{name}_count", ("encrypted",)], 4)

    def test_labels_stand_in_their_order(self) -> None:
        ends = {LABEL_END.join(("gateway", "exchange step 2", "handshake_fingerprint")): 4}
        text = render(
            status(NOTHING_COUNTED._replace(measures=Measures({"connection_ends": ends})))
        ).decode()
        self.assertIn(
            'gnetway_connection_ends_total{cause="handshake_fingerprint",'
            'phase="exchange step 2",who="gateway"} 4.0',
            re.sub(r"\{(.*?)\}", lambda m: "{" + ",".join(sorted(m[1].split(","))) + "}", text),
        )

    def test_workers_and_refusals(self) -> None:
        found = samples(everything())
        self.assertEqual(found["gnetway_worker_up", ("0",)], 1)
        self.assertEqual(found["gnetway_worker_up", ("1",)], 0)
        self.assertEqual(found["gnetway_worker_pid", ("0",)], 77)
        self.assertEqual(found["gnetway_config_info", ("ab12",)], 1)
        self.assertEqual(found["gnetway_config_load_timestamp_seconds", ()], 5.5)
        self.assertEqual(found["gnetway_config_last_reload_successful", ()], 0)
        self.assertNotIn(("gnetway_worker_pid", ("1",)), found)
        self.assertEqual(found["gnetway_refused_total", ("address_denied",)], 2)
        self.assertNotIn(("gnetway_refused_total", ("idle",)), found)

    def test_what_is_not_measured_is_left_out(self) -> None:
        names = {name for name, _ in samples(status(NOTHING_COUNTED))}
        for measure in (*TOTALS.values(), *LEVELS.values()):
            self.assertNotIn(f"gnetway_{measure.name}", names)
        self.assertNotIn("gnetway_msg_process_duration_ms_count", names)

    def test_each_limit_stands_beside_what_it_bounds(self) -> None:
        names = {measure.name for measure in LEVELS.values()}
        names |= {gauge.name for gauge in GAUGES.values()} | {"connections"}
        for name in names:
            if name.endswith("_limit"):
                self.assertIn(name.removesuffix("_limit"), names)


class StatusTests(SynchronousTestCase):
    def test_refusals_are_causes(self) -> None:
        self.assertEqual(REFUSALS - CAUSES.keys(), frozenset())

    def test_sections(self) -> None:
        measures = Measures(
            totals={
                "received_bytes": {"": 10},
                "msg_quick_ack": {"": 2},
                "conn_open": {"tcp": 5},
                "conn_close": {"tcp": 3},
                "connection_ends": {"client|in use|client_closed": 1, "limit|in use|idle": 4},
                "connection_end_stages": {"answered": 5},
            },
            levels={
                "key_cache_keys": {"": 3},
                "held_bytes": {"": 7},
                "held_bytes_limit": {"": 70},
                "etcd_registered": {"": 0},
                "certificate_expiry": {"[::]:443": 1.5e9},
            },
        )
        gauges = {"unsent_bytes": 1.0, "unsent_bytes_limit": 9.0, "held": 1.0, "held_limit": 8.0}
        counts = NOTHING_COUNTED._replace(
            open_connections=2, causes={"gave_way": 6, "idle": 4}, gauges=gauges, measures=measures
        )
        shown = status(counts).as_json()
        self.assertEqual(shown["traffic"], {"received_bytes": 10, "quick_acks": 2})
        self.assertEqual(shown["listened"], {"tcp": {"opened": 5, "open": 2}})
        self.assertEqual(shown["key_cache"], {"keys": 3})
        self.assertEqual(shown["etcd"], {"registered": False})
        self.assertEqual(
            shown["budgets"],
            {"unsent_bytes": {"used": 1, "limit": 9}, "held_bytes": {"used": 7, "limit": 70}},
        )
        self.assertEqual(
            shown["admission"],
            {"connections": 2, "held": 1, "held_limit": 8, "refused": {"gave_way": 6}},
        )
        self.assertEqual(
            shown["certificates"], [{"listener": "[::]:443", "expires_at": 1_500_000_000}]
        )
        ends: Any = shown["ends_by_phase"]
        self.assertEqual(ends[0], {"who": "limit", "phase": "in use", "cause": "idle", "count": 4})
        self.assertEqual(shown["ends_by_stage"], {"answered": 5})

    def test_what_is_not_there(self) -> None:
        shown = status(NOTHING_COUNTED).as_json()
        self.assertIsNone(shown["nodes"])
        self.assertIsNone(shown["etcd"])
        self.assertEqual((shown["budgets"], shown["certificates"]), ({}, []))

    def test_nodes_of_two_processes(self) -> None:
        def node(state: str, breaker: str, share: float) -> Measures:
            return Measures(
                totals={
                    "session_node_requests": {"a:1": 10},
                    "session_node_failures": {"a:1": 1},
                },
                levels={
                    "session_node_listed": {"a:1": 1},
                    "session_node_state": {f"a:1|{state}": 1},
                    "session_node_breaker": {f"a:1|{breaker}": 1},
                    "session_node_ring_share": {"a:1": share},
                    "session_node_in_flight": {"a:1": 2},
                    "session_node_in_flight_bytes": {"a:1": 20},
                },
                histograms={"backend_latency_seconds": {"a:1|query": [0.5, 1, 0, 0, 0, 0, 0, 0]}},
            )

        both = node("up", "closed", 0.5).plus(node("down", "half open", 0.0))
        shown = status(NOTHING_COUNTED._replace(measures=both)).as_json()
        self.assertEqual(
            shown["nodes"],
            [
                {
                    "address": "a:1",
                    "state": "down",
                    "breaker": "half open",
                    "listed": True,
                    "ring_share": 0.5,
                    "in_flight": 4,
                    "in_flight_bytes": 40,
                    "requests": 20,
                    "failures": 2,
                    "latency_ms": 500.0,
                }
            ],
        )

    def test_budgets_are_measured(self) -> None:
        for name in BUDGETS:
            self.assertIn(f"{name}_limit", GAUGES.keys() | LEVELS.keys())
