"""Lines through what was measured, and what they say of numbers that were not."""

from collections.abc import Sequence
from math import log10
from typing import NamedTuple

#: How far it is reckoned on from the last measurement.
REACH = 100_000

GIB_KIB = 1 << 20

#: The fewest connections that tell how something grows with them.
FAR = 1000


class Line(NamedTuple):
    """A straight line; ``by_decade`` if its x is the decimal logarithm."""

    at_zero: float
    slope: float
    by_decade: bool = False

    def at(self, x: float) -> float:
        """Return its height."""
        return self.at_zero + self.slope * (log10(x) if self.by_decade else x)

    def reaches(self, y: float) -> float:
        """Return where it has a height, if it is not level and not by decade."""
        return (y - self.at_zero) / self.slope


def line(points: Sequence[tuple[float, float]], by_decade: bool = False) -> Line:
    """Fit a line by least squares.

    :raises ValueError: there are fewer than two points.
    """
    if len(points) < 2:
        raise ValueError(f"no line goes through {len(points)} points alone")
    placed = [(log10(x) if by_decade else x, y) for x, y in points]
    middle = sum(x for x, _ in placed) / len(placed)
    mean = sum(y for _, y in placed) / len(placed)
    across = sum((x - middle) ** 2 for x, _ in placed)
    slope = sum((x - middle) * (y - mean) for x, y in placed) / across
    return Line(mean - slope * middle, slope, by_decade)


def growing(points: Sequence[tuple[float, float]], by_decade: bool) -> Line:
    """Fit a line to the points from 1,000 on; one that falls is level, since falling is noise.

    Below, what a gateway that has just started has left over hides what connections take.

    :raises ValueError: there are fewer than two such points.
    """
    far = [point for point in points if point[0] >= FAR]
    through = line(far, by_decade)
    if through.slope >= 0:
        return through
    return Line(sum(y for _, y in far) / len(far), 0.0, by_decade)


def reckoned(points: Sequence[tuple[float, float]], by_decade: bool) -> list[tuple[float, float]]:
    """Return the way on from the last point of a cost that grows; none where points are too few."""
    if sum(x >= FAR for x, _ in points) < 2:
        return []
    through = growing(points, by_decade)
    last, height = points[-1]
    return [(x, height + through.at(x) - through.at(last)) for x in (last, float(REACH))]
