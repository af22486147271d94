"""Lists of connections: what is asked for, in order and by pages, from one process or several."""

import json
from collections.abc import Callable
from typing import Any, cast

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gnetway.admin.status import NotFound, QueryFault
from gnetway.admission.accounts import AccountLimits, Accounts
from gnetway.admission.admission import Admission, Bounds
from gnetway.admission.place import Facts, Place
from gnetway.ends import Phase, Stage
from gnetway.metrics import Causes
from gnetway.net.open_links import id_of
from gnetway.net.records import ConnectionRecords
from gnetway.service import connections
from gnetway.service.connections import DRAIN_SECONDS, SUMMARY_SECONDS, Connections, Query
from gnetway.service.operations import Operations, joined, part_of, split_id
from gnetway.service.reload import Outcome, ReloadResult, Reloads
from gnetway.tl.client_info import ClientInfo

WALL = 1_700_000_000.0
PIXEL = ClientInfo("Android", "11.2", "Pixel 7", "SDK 34", 198, "en")


class Served:
    def __init__(self, facts: Facts) -> None:
        self.known = facts
        self.causes: list[str] = []

    def end(self, cause: str) -> None:
        self.causes.append(cause)

    def facts(self) -> Facts:
        return self.known


class Transport:
    client = ("192.0.2.1", 40000)

    def abortConnection(self) -> None:  # noqa: N802
        """See Cut."""


class FakeReloads:
    """Each reload finds nothing new."""

    def __init__(self) -> None:
        self.results: tuple[ReloadResult, ...] = (ReloadResult(0, WALL, Outcome.STARTED, "ab"),)

    def reload(self) -> Deferred[ReloadResult]:
        result = ReloadResult(len(self.results), WALL, Outcome.UNCHANGED, "ab")
        self.results = (*self.results, result)
        return succeed(result)


class ConnectionsCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(10)
        self.accounts = Accounts(lambda network: AccountLimits())
        self.records = ConnectionRecords(self.clock, self.wall, Causes(), self.accounts, "123 (7b)")
        self.admission = Admission(Bounds(), lambda cause: None)
        self.admission.gone = self.records.gone
        self.connections = Connections(self.clock, self.records)
        self.operations = self.over(lambda: self.connections)

    def over(
        self,
        connections: Callable[[], Connections | None],
        stop: Callable[[], object] | None = None,
    ) -> Operations:
        reloads = cast(Reloads, FakeReloads())
        return Operations(Deferred, connections, lambda: "123 (7b)", self.wall, reloads, stop)

    def wall(self) -> float:
        return WALL + self.clock.seconds()

    def connect(self, address: str = "192.0.2.1", **facts: Any) -> tuple[Place, Served]:
        self.clock.advance(1)
        now = self.clock.seconds()
        place = self.admission.admit(self.accounts.of(address, now), now)
        known = Facts(Stage.ANSWERED, Phase.IN_USE, address, "abridged")._replace(**facts)
        served = Served(known)
        place.serves(served)
        place.carried(Transport())
        return place, served

    def ends(self, cause: str = "handshake_fingerprint", **facts: Any) -> None:
        place, served = self.connect(**facts)
        self.records.note_end(place, cause, served.known, "for RSA key 5 (05)")
        place.left()
        place.gone(Transport(), b"")

    def ask(self, what: str, **given: str) -> dict[str, Any]:
        answer = self.operations.ask(what, given)
        for _ in range(1000):
            if answer.called:
                break
            self.clock.advance(0)
        found: dict[str, Any] = self.successResultOf(answer)
        return found

    def ids(self, **given: str) -> list[str]:
        return [shown["id"] for shown in self.ask("connections", **given)["connections"]]

    def noted(self, turns: list[float]) -> Callable[[Clock, float], Deferred[None]]:
        def later(clock: Clock, seconds: float) -> Deferred[None]:
            turns.append(seconds)
            return succeed(None)

        return later


class ListTests(ConnectionsCase):
    def test_open_and_ended_ones(self) -> None:
        place, _ = self.connect()
        self.ends()
        self.assertEqual(self.ids(), [str(id_of(place))])
        self.assertEqual(len(self.ids(state="ended")), 1)
        self.assertEqual(len(self.ids(state="all")), 2)

    def test_filters(self) -> None:
        self.ends(address="192.0.2.1", client=PIXEL, phase=Phase.EXCHANGE_2)
        self.ends("idle", address="192.0.2.200", stage=Stage.KEY_KNOWN)
        self.ends("packet_timeout", address="2001:db8::1", transport="websocket, intermediate")
        for given, matched in (
            ({}, 3),
            ({"failed": "1"}, 2),
            ({"cause": "idle"}, 1),
            ({"who": "limit"}, 2),
            ({"phase": "exchange step 2"}, 1),
            ({"stage": "key known"}, 1),
            ({"address": "192.0.2.1"}, 1),
            ({"address": "192.0.2.0/24"}, 2),
            ({"address": "2001:db8::/32"}, 1),
            ({"transport": "WebSocket"}, 1),
            ({"client": "pixel"}, 1),
            ({"client": "pixel", "cause": "idle"}, 0),
        ):
            answer = self.ask("connections", state="ended", **given)
            self.assertEqual((answer["matched"], answer["total"]), (matched, 3), given)

    def test_order_and_pages(self) -> None:
        for number in range(300):
            self.connect(messages_in=number % 7, address=f"192.0.2.{number % 200}")
        oldest = self.ids(order="asc", limit="1000")
        self.assertEqual(self.ids(order="asc", limit="10", offset="290"), oldest[290:])
        self.assertEqual(self.ids(limit="5"), oldest[:-6:-1])
        answer = self.ask("connections", sort="messages_in", limit="50")
        counts = [shown["messages_in"] for shown in answer["connections"]]
        self.assertEqual(counts, [6] * 42 + [5] * 8)
        for sort in ("idle", "rtt", "bytes_in", "address", "cause", "stage", "uptime", "stopped"):
            self.assertEqual(len(self.ids(sort=sort, limit="7")), 7, sort)

    def test_what_is_no_query(self) -> None:
        for given, names in {
            (("state", "x"),): "open, ended, all",
            (("limit", "-1"),): "0 to 1000",
            (("limit", "9" * 5000),): "0 to 1000",
            (("offset", "10000"),): "0 to 9900",
            (("sort", "secret"),): "started",
            (("address", "nowhere"),): "a network",
            (("colour", "red"),): "address, cause",
            (("phase", "in use "),): "in use",
        }.items():
            answer = self.operations.ask("connections", dict(given))
            fault = self.failureResultOf(answer, QueryFault).value
            self.assertIn(names, str(fault))
            self.assertLess(len(str(fault)), 250)

    def test_others_have_their_turn(self) -> None:
        for _ in range(1000):
            self.connect()
        turns: list[float] = []
        self.patch(connections, "deferLater", self.noted(turns))
        self.successResultOf(self.operations.ask("connections", {}))
        self.assertEqual(len(turns), 7)

    def test_before_clients_are_served(self) -> None:
        nobody = self.over(lambda: None)
        answer = self.successResultOf(nobody.ask("connections", {}))
        self.assertEqual((answer["total"], answer["connections"]), (0, []))
        self.failureResultOf(nobody.ask("connection", {"id": "5"}), NotFound)


class OneTests(ConnectionsCase):
    def test_by_its_id(self) -> None:
        place, _ = self.connect(client=PIXEL)
        shown = self.ask("connection", id=str(id_of(place)))
        self.assertEqual(shown["client"]["text"], "Android 11.2, Pixel 7, SDK 34, layer 198, en")
        self.assertEqual((shown["uptime_seconds"], shown["state"]), (0, "open"))
        self.ends()
        (number,) = self.ids(state="ended")
        shown = self.ask("connection", id=number)
        self.assertIn("for RSA key 5 (05); ours: 123 (7b)", shown["hint"])
        for nothing, error in (("5", NotFound), ("x", QueryFault), ("", QueryFault)):
            self.failureResultOf(self.operations.ask("connection", {"id": nothing}), error)

    def test_its_end(self) -> None:
        place, served = self.connect()
        self.ask("end", id=str(id_of(place)))
        self.assertEqual(served.causes, ["ended_by_operator"])
        self.failureResultOf(self.operations.ask("end", {"id": "5"}), NotFound)

    def test_it_is_drained_once_nothing_is_under_way(self) -> None:
        place, served = self.connect(pending_bytes=10)
        self.ask("drain", id=str(id_of(place)))
        for _ in range(100):
            self.clock.advance(0.1)
        self.assertEqual(served.causes, [])
        self.clock.pump([0.25] * int(DRAIN_SECONDS * 4))
        self.assertEqual(served.causes, ["drained_by_operator"])

    def test_the_gateway_is_ended_by_whoever_runs_it(self) -> None:
        self.assertFalse(self.operations.drain())
        ended: list[bool] = []
        own = self.over(lambda: None, lambda: ended.append(True))
        self.assertTrue(own.drain())
        self.assertEqual(ended, [True])


class ReloadTests(ConnectionsCase):
    def test_one_and_what_has_come_of_the_last_ones(self) -> None:
        answer = self.ask("reload")
        self.assertEqual((answer["number"], answer["outcome"]), (1, "unchanged"))
        numbers = [result["number"] for result in self.ask("reloads")["reloads"]]
        self.assertEqual(numbers, [1, 0])


class FailuresTests(ConnectionsCase):
    def test_kinds(self) -> None:
        for number in range(3):
            self.ends(address=f"192.0.{number % 2}.7", client=PIXEL, phase=Phase.EXCHANGE_2)
        self.ends("client_closed")
        self.ends("idle")
        (kind,) = self.ask("failures")["failures"]
        self.assertEqual(
            (kind["who"], kind["phase"], kind["cause"], kind["application"], kind["count"]),
            ("gateway", "exchange step 2", "handshake_fingerprint", "Android", 3),
        )
        self.assertEqual(kind["networks"], {"192.0.0.0/24": 2, "192.0.1.0/24": 1})
        self.assertIn("docs/point-clients.md", kind["hint"])


class SummaryTests(ConnectionsCase):
    def test_open_ones_by_kind(self) -> None:
        self.connect(client=PIXEL, transport="websocket, intermediate")
        self.connect(client=PIXEL._replace(application="", device="<script>"))
        self.connect(stage=Stage.ACCEPTED, transport="")
        self.ends()
        summary = self.ask("summary")
        self.assertEqual(summary["open"], 3)
        transports = {"websocket, intermediate": 1, "abridged": 1, "not known yet": 1}
        self.assertEqual(summary["by_transport"], transports)
        self.assertEqual(list(summary["by_stage"].items()), [("accepted", 1), ("answered", 2)])
        self.assertEqual(summary["by_application"], {"Android": 1, "another": 1, "not said": 1})

    def test_it_is_counted_every_few_seconds_only(self) -> None:
        for _ in range(1000):
            self.connect()
        turns: list[float] = []
        self.patch(connections, "deferLater", self.noted(turns))
        for _ in range(3):
            self.assertEqual(self.ask("summary")["open"], 1000)
        self.assertEqual(len(turns), 7)
        self.connect()
        self.clock.advance(SUMMARY_SECONDS)
        self.assertEqual(self.ask("summary")["open"], 1001)

    def test_before_clients_are_served(self) -> None:
        nobody = self.over(lambda: None)
        answer = self.successResultOf(nobody.ask("summary", {}))
        self.assertEqual((answer["open"], answer["by_stage"]), (0, {}))


class JoinedTests(ConnectionsCase):
    """Several processes: their parts make one answer."""

    def part(self, what: str, **given: str) -> dict[str, Any]:
        found = Deferred.fromCoroutine(part_of(self.connections, what, given, self.wall()))
        return self.successResultOf(found)

    def test_pages(self) -> None:
        for number in range(6):
            self.connect(messages_in=number)
        part = self.part("connections", sort="messages_in", limit="4")
        query = {"sort": "messages_in", "limit": "4"}
        answer = joined("connections", query, [part, part], "", self.wall())
        counts = [shown["messages_in"] for shown in answer["connections"]]
        self.assertEqual((counts, answer["matched"], answer["total"]), ([5, 5, 4, 4], 12, 12))

    def test_kinds(self) -> None:
        self.ends()
        part = self.part("failures")
        (kind,) = joined("failures", {}, [part, part], "", self.wall())["failures"]
        self.assertEqual((kind["count"], kind["networks"]), (2, {"192.0.2.0/24": 2}))

    def test_summaries(self) -> None:
        self.connect()
        part = self.part("summary")
        answer = joined("summary", {}, [part, json.loads(json.dumps(part))], "", self.wall())
        self.assertEqual((answer["open"], answer["by_transport"]), (2, {"abridged": 2}))

    def test_ids(self) -> None:
        self.assertEqual(split_id({"id": "3-17"}), (3, 17))
        self.assertEqual(split_id({"id": "17"}), (None, 17))
        for text in ("", "-17", "3-", "a-1", "1-a", "1-2-3", "9" * 30):
            self.assertRaises(QueryFault, split_id, {"id": text})
        prefixed = Connections(self.clock, self.records, "3-")
        place, _ = self.connect()
        shown = prefixed.find(id_of(place), self.wall())
        assert shown is not None
        self.assertEqual(split_id(shown), (3, id_of(place)))

    def test_a_question_that_is_none(self) -> None:
        self.failureResultOf(self.operations.ask("secrets", {}), QueryFault)


class QueryTests(SynchronousTestCase):
    def test_the_usual_one(self) -> None:
        self.assertEqual(Query.parse({}), Query())
