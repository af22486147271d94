"""The schema of the API: it has what is answered, and refuses what is not."""

import json
from typing import Any

from gnetway.admin.status import Status
from gnetway.ends import Phase, Stage, Who
from gnetway.metrics import NOTHING_COUNTED
from gnetway.service.reload import Outcome, ReloadResult
from tests.admin.json_schema import SCHEMA, faults
from tests.admin.test_metrics import everything
from tests.service.test_connections import PIXEL, WALL, ConnectionsCase

DEFINITIONS: dict[str, Any] = SCHEMA["$defs"]


class AnswersTests(ConnectionsCase):
    """Answers to questions about connections, open ones and ended ones."""

    def check(self, definition: str, answer: dict[str, Any]) -> None:
        self.assertEqual(faults(definition, answer), [])

    def setUp(self) -> None:
        super().setUp()
        self.place, _ = self.connect(client=PIXEL)
        self.connect(stage=Stage.ACCEPTED, transport="")
        self.ends(client=PIXEL, phase=Phase.EXCHANGE_2)
        self.ends("client_closed", pending_bytes=7)

    def test_lists(self) -> None:
        for state in ("open", "ended"):
            answer = self.ask("connections", state=state)
            self.assertEqual(len(answer["connections"]), 2)
            self.check("connections", answer)
        self.check("summary", self.ask("summary"))
        failures = self.ask("failures")
        self.assertEqual(len(failures["failures"]), 1)
        self.check("failures", failures)

    def test_one(self) -> None:
        (number, *_) = self.ids()
        self.check("connection", self.ask("connection", id=number))
        for deed in ("drain", "end"):
            self.check("done", self.ask(deed, id=number))

    def test_what_is_none(self) -> None:
        answer = self.ask("connections")
        (one, *_) = answer["connections"]
        for wrong in (
            {**one, "secret": 1},
            {**one, "stage": "nowhere"},
            {**one, "keys": -1},
            {**one, "rtt_ms": "5"},
            {**one, "id": "x"},
            {**one, "client": {}},
            {name: value for name, value in one.items() if name != "phase"},
        ):
            self.assertEqual(len(faults("connection", wrong)), 1, wrong)
            self.assertEqual(len(faults("connections", {**answer, "connections": [wrong]})), 1)


class StatusTests(ConnectionsCase):
    """That of a gateway that has everything, and of one that has next to nothing."""

    def test_all_sections(self) -> None:
        configuration = {"digest": "a", "loaded_at": 1.5, "reloads": 1, "last_outcome": "taken"}
        shown = everything()._replace(unready=("why",), configuration=configuration)
        answer = json.loads(json.dumps(shown.as_json()))
        for section in ("nodes", "etcd", "budgets", "listened", "certificates", "ends_by_phase"):
            self.assertTrue(answer[section], section)
        for end in answer["ends_by_phase"]:
            end |= {"who": "limit", "phase": "in use"}
        self.assertEqual(faults("status", answer), [])

    def test_hardly_any(self) -> None:
        shown = Status(1e9, (), (), "embedded", NOTHING_COUNTED, {})
        self.assertEqual(faults("status", shown.as_json()), [])


class ReloadTests(ConnectionsCase):
    def test_what_has_come_of_it(self) -> None:
        result = ReloadResult(1, WALL, Outcome.TAKEN, "abc", ("Log.Level",), (), ("why",))
        # As it comes over HTTP.
        answer = json.loads(json.dumps({"reloads": [result.as_json()]}))
        self.assertEqual(faults("reloads", answer), [])


class NamesTests(ConnectionsCase):
    def test_choices_are_those_of_the_code(self) -> None:
        properties = DEFINITIONS["connection"]["properties"]
        self.assertEqual(properties["stage"]["enum"], [stage.text for stage in Stage])
        self.assertEqual(properties["phase"]["enum"], [phase.value for phase in Phase])
        outcomes = DEFINITIONS["reload"]["properties"]["outcome"]["enum"]
        self.assertEqual(outcomes, [outcome.value for outcome in Outcome])
        self.assertEqual(DEFINITIONS["who"]["enum"], [who.value for who in Who])

    def test_each_answer_has_its_definition(self) -> None:
        self.assertLessEqual(set(SCHEMA["x-answers"].values()), set(DEFINITIONS))
