"""A panel of lines over two axes, as SVG."""

from collections.abc import Sequence
from math import ceil, floor, log10
from typing import Final, NamedTuple
from xml.sax.saxutils import escape

#: Size of a panel and of its margins, in pixels.
WIDTH: Final = 400
HEIGHT: Final = 300
_LEFT: Final = 62
_RIGHT: Final = 22
_TOP: Final = 74
_BOTTOM: Final = 48

#: Told apart by those who see few colours, too.
COLOURS: Final = ("#1f6feb", "#d1660a", "#1a7f52", "#8250df")
INK: Final = "#24292f"
_FAINT: Final = "#57606a"
_GRID: Final = "#e3e7ec"

XY = tuple[float, float]


class Curve(NamedTuple):
    """Measured points with a line through them; ``on`` goes on from there, dashed."""

    name: str
    points: Sequence[XY]
    on: Sequence[XY] = ()


class Axis(NamedTuple):
    """Which values a direction shows; ``ticks`` are values with their labels."""

    label: str
    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    by_decade: bool = False

    def place(self, value: float) -> float:
        """Return where a value stands, from 0 to 1."""
        if self.by_decade:
            return log10(value / self.low) / log10(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


class Panel(NamedTuple):
    """Curves over two axes; ``mark`` is a height with its name."""

    title: str
    x: Axis
    y: Axis
    curves: Sequence[Curve]
    mark: tuple[float, str] | None = None


def short(value: float) -> str:
    """Return a number as a tick has it: 10k, 2M, 0.5."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def from_zero(label: str, values: Sequence[float]) -> Axis:
    """Return an axis from 0 that holds the values, with ticks at round numbers."""
    most = max(values)
    rough = most / 4
    decade = 10.0 ** floor(log10(rough))
    step = next(times * decade for times in (1, 2, 2.5, 5, 10) if times * decade >= rough)
    number = ceil(most / step)
    ticks = [(place * step, short(round(place * step, 9))) for place in range(number + 1)]
    return Axis(label, 0.0, number * step, ticks)


def by_decade(label: str, values: Sequence[float]) -> Axis:
    """Return an axis of decades that holds the values."""
    first, last = floor(log10(min(values))), ceil(log10(max(values)))
    last = max(last, first + 1)
    ticks = [(10.0**power, short(10.0**power)) for power in range(first, last + 1)]
    return Axis(label, 10.0**first, 10.0**last, ticks, by_decade=True)


def panel(shown: Panel, left: float, top: float) -> list[str]:
    """Return the elements of a panel that stands there."""
    parts = [f'<g transform="translate({left:g} {top:g})">']
    parts.append(
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="8" fill="#ffffff" stroke="{_GRID}"/>'
    )
    parts.append(text(16, 26, shown.title, 14, weight="600"))
    parts += [*_axes(shown), *_mark(shown), *_legend(shown.curves)]
    for curve, colour in zip(shown.curves, COLOURS, strict=False):
        parts += _curve(shown, curve, colour)
    return [*parts, "</g>"]


def text(
    x: float,
    y: float,
    words: str,
    size: int,
    fill: str = INK,
    anchor: str = "start",
    weight: str = "",
) -> str:
    """Return a line of text."""
    bold = f' font-weight="{weight}"' if weight else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{fill}" '
        f'text-anchor="{anchor}"{bold}>{escape(words)}</text>'
    )


def _at(shown: Panel, point: XY) -> XY:
    across, up = shown.x.place(point[0]), shown.y.place(point[1])
    return (
        _LEFT + across * (WIDTH - _LEFT - _RIGHT),
        HEIGHT - _BOTTOM - up * (HEIGHT - _TOP - _BOTTOM),
    )


def _stroke(start: XY, end: XY, colour: str, more: str = "") -> str:
    ends = f'x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}"'
    return f'<line {ends} stroke="{colour}"{more}/>'


def _axes(shown: Panel) -> list[str]:
    parts = []
    for value, label in shown.y.ticks:
        start, end = _at(shown, (shown.x.low, value)), _at(shown, (shown.x.high, value))
        parts.append(_stroke(start, end, _GRID))
        parts.append(text(start[0] - 8, start[1] + 4, label, 11, _FAINT, "end"))
    for value, label in shown.x.ticks:
        x, y = _at(shown, (value, shown.y.low))
        parts.append(_stroke((x, y), (x, y + 4), _FAINT))
        parts.append(text(x, y + 17, label, 11, _FAINT, "middle"))
    corner, end = _at(shown, (shown.x.low, shown.y.low)), _at(shown, (shown.x.high, shown.y.low))
    parts.append(_stroke(corner, end, _FAINT))
    parts.append(text((corner[0] + end[0]) / 2, HEIGHT - 10, shown.x.label, 11, _FAINT, "middle"))
    return [*parts, text(16, _TOP - 12, shown.y.label, 11, _FAINT)]


def _mark(shown: Panel) -> list[str]:
    if shown.mark is None:
        return []
    height, name = shown.mark
    start, end = _at(shown, (shown.x.low, height)), _at(shown, (shown.x.high, height))
    stroke = _stroke(start, end, _FAINT, ' stroke-dasharray="2 3"')
    return [stroke, text(start[0] + 6, start[1] - 5, name, 11, _FAINT)]


def _legend(curves: Sequence[Curve]) -> list[str]:
    if len(curves) < 2:
        return []
    parts, x = [], 16.0
    for curve, colour in zip(curves, COLOURS, strict=False):
        parts.append(_stroke((x, 42), (x + 16, 42), colour, ' stroke-width="2.5"'))
        parts.append(text(x + 21, 46, curve.name, 12))
        x += 36 + 6.4 * len(curve.name)
    return parts


def _curve(shown: Panel, curve: Curve, colour: str) -> list[str]:
    parts = []
    for points, dashes in ((curve.points, ""), (curve.on, ' stroke-dasharray="5 4"')):
        if len(points) > 1:
            places = " ".join(f"{x:.1f},{y:.1f}" for x, y in (_at(shown, one) for one in points))
            look = f'fill="none" stroke="{colour}" stroke-width="2"{dashes}'
            parts.append(f'<polyline points="{places}" {look}/>')
    for x, y in (_at(shown, point) for point in curve.points):
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.2" fill="{colour}"/>')
    return parts
