"""How many connections there are of each kind, from one process or several."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Self

from gnetway.admission.facts import Facts
from gnetway.ends import Stage


class Summary(NamedTuple):
    """How many open connections there are of each kind.

    What a client calls itself makes no kind: there are as many as we have names for.
    """

    by_transport: Counter[str]
    by_stage: Counter[str]
    by_application: Counter[str]

    @classmethod
    def none(cls) -> Self:
        """Return that of no connection."""
        return cls(Counter(), Counter(), Counter())

    @classmethod
    def of_all(cls, summaries: Iterable[Iterable[Mapping[str, int]]]) -> Self:
        """Return those of several processes together."""
        total = cls.none()
        for summary in summaries:
            for counter, counts in zip(total, summary, strict=True):
                counter.update(counts)
        return total

    def add(self, facts: Facts) -> None:
        """Count a connection."""
        self.by_transport[facts.transport or "not known yet"] += 1
        self.by_stage[facts.stage.text] += 1
        client = facts.client
        self.by_application["not said" if client is None else client.application or "another"] += 1

    def as_json(self, now: float) -> dict[str, Any]:
        """Return it for the API: stages in their order, of all else the most frequent first."""
        stages = [stage.text for stage in Stage]
        return {
            "now": round(now, 3),
            "open": self.by_stage.total(),
            "by_transport": dict(self.by_transport.most_common()),
            "by_stage": {name: self.by_stage[name] for name in stages if self.by_stage[name]},
            "by_application": dict(self.by_application.most_common()),
        }
