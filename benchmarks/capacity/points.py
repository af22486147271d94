"""What was measured for the card: points of some series, kept as JSON beside the plot."""

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple, Self


class Series(StrEnum):
    """What a point's ``x`` is, and what was going on."""

    OPEN_TCP = "idle TCP connections open"
    OPEN_WEBSOCKET = "idle WebSockets open"
    ACTIVE = "connections, all sending"
    SIZE_STREAM = "bytes each way, by stream"
    SIZE_UNARY = "bytes each way, by unary calls"
    WORKERS = "workers"


class Point(NamedTuple):
    """One measurement: its values by name."""

    series: Series
    x: int
    values: Mapping[str, float]


class Figures(NamedTuple):
    """Everything that the card is made from; ``factor`` is the machine's calibration."""

    provenance: str
    factor: float
    points: Sequence[Point]

    def of(self, series: Series, name: str) -> list[tuple[float, float]]:
        """Return a series' values of one name by x, in their order."""
        return sorted(
            (float(point.x), point.values[name])
            for point in self.points
            if point.series is series and name in point.values
        )

    def as_json(self) -> str:
        """Return it as text that ``from_json`` reads, a point a line."""
        lines = ",\n".join(
            "  " + json.dumps({"series": one.series, "x": one.x} | dict(one.values))
            for one in self.points
        )
        head = f'"provenance": {json.dumps(self.provenance)},\n"factor": {self.factor:.3f}'
        return f'{{\n{head},\n"points": [\n{lines}\n]\n}}\n'

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read it.

        :raises ValueError: it is not of that form.
        """
        read = json.loads(text)
        points = []
        for one in read["points"]:
            series, x = Series(one.pop("series")), int(one.pop("x"))
            points.append(Point(series, x, one))
        return cls(read["provenance"], read["factor"], points)
