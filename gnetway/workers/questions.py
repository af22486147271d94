"""What a parent asks all its workers: what they have counted, and the questions of operators.

Answers to questions come in pieces:

parent → worker    Command.ASK, with the question as JSON
worker → parent    Answered, piece by piece: a pipe takes little at once, and a worker has
clients to serve between
"""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from gnetway.metrics import NOTHING_COUNTED, GatewayCounts
from gnetway.service.connections import Connections, Query
from gnetway.service.operations import OF_ONE, Part, joined, of_configuration, part_of, split_id
from gnetway.service.reload import Reloads
from gnetway.workers.pipe import Answered, Report

#: Seconds that workers have for their parts; those that have not answered by then are left out.
ANSWER_SECONDS: Final = 5.0

#: Characters of one piece: what a pipe takes at once, as a rule.
_PIECE_CHARS: Final = 32 * 1024

_log = Logger()


class _Question:
    """One question that was put to some workers."""

    def __init__(self, workers: set[int]) -> None:
        self.workers = workers
        self.pieces: dict[int, list[str]] = {number: [] for number in workers}
        self.parts: list[Part] = []
        self.answered: Deferred[list[Part]] = Deferred()
        self.patience: IDelayedCall | None = None


class Questions:
    """The parent's side: asks workers, and gathers what they answer."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._last = 0
        self._open: dict[int, _Question] = {}

    def ask(
        self, tell: Mapping[int, Callable[[str], bool]], what: str, given: Mapping[str, str]
    ) -> Deferred[list[Part]]:
        """Ask workers, by number; fires with the parts of those that answer in time.

        What is in ``tell`` gives a worker the question, and returns whether it could.
        """
        self._last += 1
        number = self._last
        text = json.dumps([number, what, dict(given)])
        question = _Question({worker for worker, give in tell.items() if give(text)})
        self._open[number] = question
        question.patience = self._clock.callLater(ANSWER_SECONDS, self._complete, number)
        if not question.workers:
            self._complete(number)
        return question.answered

    def heard(self, worker: int, answered: Answered) -> None:
        """Take a piece of an answer."""
        question = self._open.get(answered.question)
        if question is None or worker not in question.workers:
            # Nobody waits for it any more.
            return
        pieces = question.pieces[worker]
        pieces.append(answered.piece)
        if answered.is_last:
            question.parts.append(json.loads("".join(pieces)))
            self._settled(answered.question, worker)

    def gone(self, worker: int) -> None:
        """Wait for nothing more of a worker that has ended."""
        for number in list(self._open):
            self._settled(number, worker)

    def _settled(self, number: int, worker: int) -> None:
        workers = self._open[number].workers
        workers.discard(worker)
        if not workers:
            self._complete(number)

    def _complete(self, number: int) -> None:
        question = self._open.pop(number)
        if question.patience is not None and question.patience.active():
            question.patience.cancel()
        question.answered.callback(question.parts)


async def ask_workers(
    questions: Questions,
    reloads: Reloads,
    tell: Mapping[int, Callable[[str], bool]],
    what: str,
    given: Mapping[str, str],
    keys: str,
    now: float,
) -> dict[str, Any]:
    """Return the answer of all workers together, see StatusSource.

    ``keys`` are the fingerprints of our RSA keys as text, ``now`` is in Unix seconds.

    :raises QueryFault: what is asked for is not to be had.
    :raises NotFound: no worker has such a connection.
    """
    answer = await of_configuration(reloads, what)
    if answer is not None:
        return answer
    asked = dict(given)
    if what in OF_ONE:
        worker, number = split_id(given)
        tell = {name: give for name, give in tell.items() if name == worker}
        asked["id"] = str(number)
    elif what == "connections":
        # Before workers are asked: they would only log it.
        Query.parse(given)
    parts = await questions.ask(tell, what, asked)
    return joined(what, given, [part for part in parts if part], keys, now)


async def answer(
    text: str,
    connections: Connections | None,
    now: float,
    report: Callable[[Report], None],
    clock: IReactorTime,
) -> None:
    """Answer a question of the parent, as a worker; ``now`` is in Unix seconds."""
    number, what, given = json.loads(text)
    part: dict[str, Any] = {}
    if connections is not None:
        try:
            part = await part_of(connections, what, given, now)
        except Exception:  # noqa: BLE001 - the others answer all the same
            _log.failure("a question of the parent could not be answered")
    answered = json.dumps(part)
    for start in range(0, len(answered), _PIECE_CHARS):
        piece = answered[start : start + _PIECE_CHARS]
        is_last = start + _PIECE_CHARS >= len(answered)
        report(Answered(number, piece, is_last))
        if not is_last:
            await deferLater(clock, 0)


#: Seconds for workers to say what they have counted.
COUNT_SECONDS: Final = 2.0


class WorkerCounters:
    """Adds up what workers have counted, those that have ended included.

    A worker's next process counts from 0 again, so what the one before it has counted is kept.
    Those who want to know what all count now share one question to the workers.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._gone = NOTHING_COUNTED
        self._running: dict[int, GatewayCounts] = {}
        #: Workers that were asked and have not answered, who waits for that, and for how long.
        self._asked: set[int] = set()
        self._waiters: list[Deferred[None]] = []
        self._patience: IDelayedCall | None = None

    def counted(self, number: int, counts: GatewayCounts) -> None:
        """Take what the process of worker ``number`` has counted since its start."""
        self._running[number] = counts
        self._heard(number)

    def ended(self, number: int) -> None:
        """Note that the process of a worker is gone, and its connections with it."""
        last = self._running.pop(number, NOTHING_COUNTED)
        self._gone = self._gone.plus(last.of_the_past())
        self._heard(number)

    def collect(self, ask: Callable[[], Iterable[int]]) -> Deferred[None]:
        """Fire when every worker has said what it has counted, or has had COUNT_SECONDS for it.

        ``ask`` asks them, and returns the numbers of those that will answer.
        """
        collected: Deferred[None] = Deferred()
        self._waiters.append(collected)
        if self._patience is None:
            self._asked.update(ask())
            self._patience = self._clock.callLater(COUNT_SECONDS, self._complete)
        if not self._asked:
            self._complete()
        return collected

    def _heard(self, number: int) -> None:
        self._asked.discard(number)
        if self._patience is not None and not self._asked:
            self._complete()

    def _complete(self) -> None:
        """Let those who wait go on with what is known."""
        patience, self._patience = self._patience, None
        if patience is not None and patience.active():
            patience.cancel()
        self._asked.clear()
        waiters, self._waiters = self._waiters, []
        for collected in waiters:
            collected.callback(None)

    def of(self, number: int) -> GatewayCounts:
        """Return what the running process of a worker has counted."""
        return self._running.get(number, NOTHING_COUNTED)

    def total(self) -> GatewayCounts:
        """Return the sum of all."""
        total = self._gone
        for counts in self._running.values():
            total = total.plus(counts)
        return total
