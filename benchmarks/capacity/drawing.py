"""The card's plot: six panels of how capacity grows."""

from collections.abc import Callable, Sequence

from benchmarks.capacity.points import Figures, Series
from benchmarks.capacity.reckon import FAR, REACH, reckoned
from benchmarks.capacity.svg import (
    HEIGHT,
    INK,
    WIDTH,
    XY,
    Axis,
    Curve,
    Panel,
    by_decade,
    from_zero,
    panel,
    short,
    text,
)

#: Between panels and around them, and what the heading takes, in pixels.
_GAP = 14
_HEADING = 58
_COLUMNS = 3

_CONNECTIONS = Axis(
    "connections",
    FAR,
    REACH,
    [(count, short(count)) for count in (FAR, 10_000, REACH)],
    by_decade=True,
)


def draw(figures: Figures) -> str:
    """Return the plot as SVG; panels that nothing was measured for are left out."""
    panels = [one for one in (make(figures) for make in _PANELS) if one is not None]
    rows = -(-len(panels) // _COLUMNS)
    width = _COLUMNS * (WIDTH + _GAP) + _GAP
    height = _HEADING + rows * (HEIGHT + _GAP)
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="system-ui, sans-serif">',
        f'<rect width="{width}" height="{height}" fill="#f6f8fa"/>',
        text(_GAP + 2, 26, "What one gateway can hold and do", 18, weight="600"),
        text(_GAP + 2, 46, "Dashed: reckoned on from what was measured.", 12, INK),
    ]
    for place, one in enumerate(panels):
        row, column = divmod(place, _COLUMNS)
        left, top = _GAP + column * (WIDTH + _GAP), _HEADING + row * (HEIGHT + _GAP)
        parts += panel(one, left, top)
    return "\n".join([*parts, "</svg>", ""])


def _grown(
    name: str, costs: Sequence[XY], straight: bool = False, of: float | None = None
) -> Curve:
    """Return a curve of costs over connections, reckoned on: straight, or by decade.

    ``of`` has it tell how often a cost goes into that instead.
    """
    seen = [point for point in costs if point[0] >= FAR]
    on = reckoned(costs, by_decade=not straight)
    return Curve(name, seen, on) if of is None else Curve(name, _into(of, seen), _into(of, on))


def _into(of: float, costs: Sequence[XY]) -> list[XY]:
    return [(x, of / cost) for x, cost in costs]


def _over(
    title: str,
    x: Axis,
    make_y: Callable[[str, Sequence[float]], Axis],
    y_label: str,
    *all_of: Curve,
) -> Panel | None:
    """Return a panel of those curves that have points, over an axis that holds them."""
    curves = [curve for curve in all_of if curve.points]
    heights = [y for curve in curves for _, y in (*curve.points, *curve.on)]
    return Panel(title, x, make_y(y_label, heights), curves) if curves else None


def _memory(figures: Figures) -> Panel | None:
    tcp, websocket = (
        _grown(name, [(x, kib / 1024) for x, kib in figures.of(series, "memory_kib")], True)
        for name, series in (("TCP", Series.OPEN_TCP), ("WebSocket", Series.OPEN_WEBSOCKET))
    )
    made = _over("Memory", _CONNECTIONS, by_decade, "MiB", tcp, websocket)
    return made and made._replace(mark=(1024, "1 GiB"))


def _latency(figures: Figures) -> Panel | None:
    curves = [_grown(name, figures.of(Series.OPEN_TCP, f"{name}_ms")) for name in ("p50", "p99")]
    return _over("Latency added, others idle", _CONNECTIONS, from_zero, "ms", *curves)


def _messages(figures: Figures) -> Panel | None:
    curves = (
        _grown(name, figures.of(series, "message_us"), of=1e6)
        for name, series in (
            ("64 send, others idle", Series.OPEN_TCP),
            ("all send", Series.ACTIVE),
        )
    )
    return _over("Messages for a core", _CONNECTIONS, from_zero, "a second", *curves)


def _exchanges(figures: Figures) -> Panel | None:
    curve = _grown("", figures.of(Series.OPEN_TCP, "exchange_ms"), of=1e3)
    return _over("Key exchanges for a core", _CONNECTIONS, from_zero, "a second", curve)


def _sizes(figures: Figures) -> Panel | None:
    curves = [
        Curve(name, _into(1e6, figures.of(series, "message_us")))
        for name, series in (("stream", Series.SIZE_STREAM), ("unary", Series.SIZE_UNARY))
    ]
    sizes = sorted({x for curve in curves for x, _ in curve.points})
    if not sizes:
        return None
    ticks = [(size, _bytes(size)) for size in sizes]
    x = Axis("bytes each way", sizes[0], sizes[-1], ticks, by_decade=True)
    return _over("Messages for a core, by size", x, by_decade, "a second", *curves)


def _workers(figures: Figures) -> Panel | None:
    each = _into(1e6, figures.of(Series.WORKERS, "message_us"))
    if len(each) < 2:
        return None
    x = Axis("workers", 1, each[-1][0], [(number, f"{number:g}") for number, _ in each])
    total = Curve("in all, clients beside them", figures.of(Series.WORKERS, "messages_per_s"))
    title = "Messages by workers"
    return _over(title, x, from_zero, "a second", Curve("for a core", each), total)


def _bytes(size: float) -> str:
    return f"{size / 1024:g}K" if size >= 1024 else f"{size:g}"


_PANELS = (_memory, _latency, _messages, _exchanges, _sizes, _workers)
