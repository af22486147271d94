"""Questions of operators to workers, and their answers in pieces."""

import json
from functools import partial
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gnetway.admin.status import NotFound, QueryFault
from gnetway.service.connections import Page
from gnetway.service.reload import Reloads
from gnetway.workers.pipe import Answered, pack, unpack
from gnetway.workers.questions import ANSWER_SECONDS, Questions, answer, ask_workers

NOW = 1_700_000_000.0
#: No test here reloads.
RELOADS = cast(Reloads, None)
PAGE = {"rows": [[1.0, {"id": "0-1"}]], "matched": 1, "total": 1}


class QuestionsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.questions = Questions(self.clock)
        self.told: list[tuple[int, Any]] = []
        self.away: set[int] = set()

    def give(self, worker: int, text: str) -> bool:
        self.told.append((worker, json.loads(text)))
        return worker not in self.away

    def ask(self, what: str, **given: str) -> Deferred[dict[str, Any]]:
        tell = {worker: partial(self.give, worker) for worker in range(2)}
        return Deferred.fromCoroutine(
            ask_workers(self.questions, RELOADS, tell, what, given, "", NOW)
        )

    def say(self, worker: int, part: object, question: int = 1) -> None:
        text = json.dumps(part)
        for start in range(0, len(text), 10):
            is_last = start + 10 >= len(text)
            piece = Answered(question, text[start : start + 10], is_last)
            self.assertEqual(unpack(pack(piece)), piece)
            self.questions.heard(worker, piece)

    def test_all_are_asked_and_their_parts_are_joined(self) -> None:
        asked = self.ask("connections", limit="5")
        self.assertEqual([worker for worker, _ in self.told], [0, 1])
        self.assertEqual(self.told[0][1], [1, "connections", {"limit": "5"}])
        self.say(1, PAGE)
        self.assertNoResult(asked)
        self.say(0, PAGE)
        self.assertEqual(self.successResultOf(asked)["total"], 2)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_one_that_does_not_serve_is_not_waited_for(self) -> None:
        self.away = {0}
        asked = self.ask("connections")
        self.say(1, PAGE)
        self.assertEqual(self.successResultOf(asked)["total"], 1)
        self.away = {0, 1}
        self.assertEqual(self.successResultOf(self.ask("connections"))["total"], 0)

    def test_one_that_ends_is_not_waited_for(self) -> None:
        asked = self.ask("connections")
        self.questions.gone(0)
        self.say(1, PAGE)
        self.assertEqual(self.successResultOf(asked)["total"], 1)

    def test_one_that_is_silent_is_left_out(self) -> None:
        asked = self.ask("connections")
        self.say(1, PAGE)
        self.clock.advance(ANSWER_SECONDS)
        self.assertEqual(self.successResultOf(asked)["total"], 1)
        self.say(0, PAGE)

    def test_one_that_is_not_ready_has_no_part(self) -> None:
        asked = self.ask("failures")
        self.say(0, {})
        self.say(1, {"kinds": []})
        self.assertEqual(self.successResultOf(asked)["failures"], [])

    def test_one_connection_is_asked_of_its_worker(self) -> None:
        asked = self.ask("end", id="1-77")
        self.assertEqual(self.told, [(1, [1, "end", {"id": "77"}])])
        self.say(1, {"done": True})
        self.assertEqual(self.successResultOf(asked), {"id": "1-77", "done": "end"})
        for number in ("77", "5-77"):
            self.failureResultOf(self.ask("end", id=number), NotFound)

    def test_no_worker_is_asked_what_is_no_query(self) -> None:
        self.failureResultOf(self.ask("connections", sort="x"), QueryFault)
        self.failureResultOf(self.ask("end", id="x"), QueryFault)
        self.assertEqual(self.told, [])


class FakeConnections:
    """As many rows as a pipe does not take at once."""

    def __init__(self, rows: int) -> None:
        self.rows = rows

    async def page(self, query: object, now: float) -> Page:
        row = {"id": "0-1", "hint": "x" * 100}
        return Page([(1.0, row)] * self.rows, self.rows, self.rows)


class AnswerTests(SynchronousTestCase):
    def answered(self, connections: Any, text: str) -> tuple[Any, int]:
        clock = Clock()
        told: list[Any] = []
        done = Deferred.fromCoroutine(answer(text, connections, NOW, told.append, clock))
        while not done.called:
            clock.advance(0)
        self.successResultOf(done)
        self.assertEqual([piece.is_last for piece in told], [False] * (len(told) - 1) + [True])
        return json.loads("".join(piece.piece for piece in told)), len(told)

    def test_a_long_one_comes_in_pieces(self) -> None:
        part, pieces = self.answered(FakeConnections(2000), '[1, "connections", {}]')
        self.assertEqual((part["matched"], len(part["rows"])), (2000, 2000))
        self.assertGreater(pieces, 5)

    def test_one_that_fails_says_nothing(self) -> None:
        self.assertEqual(self.answered(None, '[1, "connections", {}]'), ({}, 1))
        self.assertEqual(self.answered(FakeConnections(1), '[1, "secrets", {}]'), ({}, 1))
        self.assertEqual(len(self.flushLoggedErrors(QueryFault)), 1)
