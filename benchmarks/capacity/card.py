"""The card's figures as Markdown, reckoned from what was measured."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from benchmarks.capacity.points import Figures, Series
from benchmarks.capacity.reckon import FAR, GIB_KIB, REACH, growing, reckoned

#: Where the figures stand in the card.
BEGIN = "<!-- figures: written by benchmarks.capacity -->"
END = "<!-- end of figures -->"


class Column(NamedTuple):
    """A column of a table: its values by x, and how one is shown.

    ``straight`` says whether the values grow with x, or with its logarithm.
    """

    name: str
    values: Mapping[float, float]
    form: str
    straight: bool = False

    def cell(self, values: Mapping[float, float], x: float) -> str:
        """Return a value, or a dash where there is none."""
        return format(values[x], self.form) if x in values else "-"


def fill_in(card: str, figures: Figures) -> str:
    """Return the text of the card with these figures between its marks.

    :raises ValueError: it has no marks.
    """
    before, begin, rest = card.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the card has no {BEGIN} and {END}")
    growth = _growth(figures)
    blocks = [_headline(figures), [*_table("connections", growth), *_reckoned(growth)]]
    blocks += [_table("bytes each way", _sizes(figures)), _table("workers", _workers(figures))]
    blocks.append([f"{figures.provenance} loadgen calibrate: {figures.factor:.2f}."])
    text = "\n\n".join("\n".join(block) for block in blocks if block)
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"


def _headline(figures: Figures) -> list[str]:
    shown = ["| | |", "|---|---|"]
    for name, series in (("TCP", Series.OPEN_TCP), ("WebSocket", Series.OPEN_WEBSOCKET)):
        memory = figures.of(series, "memory_kib")
        if sum(x >= FAR for x, _ in memory) < 2:
            continue
        through = growing(memory, by_decade=False)
        if through.slope:
            fitting = through.reaches(GIB_KIB)
            shown.append(f"| idle {name} connections for a GiB | {fitting:,.0f} |")
            shown.append(f"| one more of them | {through.slope:.1f} KiB |")
    for name, of, label in (
        ("message_us", 1e6, "messages a second for a core (64 connections by 8)"),
        ("exchange_ms", 1e3, "key exchanges a second for a core"),
    ):
        costs = figures.of(Series.OPEN_TCP, name)[:1]
        shown += [f"| {label} | {of / cost:,.0f} |" for _, cost in costs]
    for name in ("p50", "p99"):
        times = figures.of(Series.OPEN_TCP, f"{name}_ms")[:1]
        shown += [f"| latency added, {name} | {time:.2f} ms |" for _, time in times]
    return shown


def _growth(figures: Figures) -> list[Column]:
    tcp, websocket = (
        {x: kib / 1024 for x, kib in figures.of(series, "memory_kib")}
        for series in (Series.OPEN_TCP, Series.OPEN_WEBSOCKET)
    )
    beside = {
        name: dict(figures.of(Series.OPEN_TCP, name))
        for name in ("p50_ms", "p99_ms", "exchange_ms", "message_us")
    }
    return [
        Column("TCP, MiB", tcp, ",.0f", straight=True),
        Column("WebSocket, MiB", websocket, ",.0f", straight=True),
        Column("latency p50, ms", beside["p50_ms"], ".2f"),
        Column("p99, ms", beside["p99_ms"], ".2f"),
        Column("key exchange, ms CPU", beside["exchange_ms"], ".2f"),
        Column("message, µs CPU", beside["message_us"], ".1f"),
        Column("all send, µs CPU", dict(figures.of(Series.ACTIVE, "message_us")), ".1f"),
    ]


def _sizes(figures: Figures) -> list[Column]:
    columns = []
    for way, series in (("stream", Series.SIZE_STREAM), ("unary", Series.SIZE_UNARY)):
        costs = dict(figures.of(series, "message_us"))
        # A megabyte is 10^6 bytes, as loadgen counts them; both ways count.
        by_size = {size: 1e3 * cost / (2 * size) for size, cost in costs.items()}
        columns.append(Column(f"{way}, µs CPU", costs, ",.1f"))
        columns.append(Column(f"{way}, ms CPU a MB", by_size, ",.2f"))
    return columns


def _workers(figures: Figures) -> list[Column]:
    columns = [
        Column(name, dict(figures.of(Series.WORKERS, value)), form)
        for name, value, form in (
            ("message, µs CPU", "message_us", ".1f"),
            ("messages/s, clients beside them", "messages_per_s", ",.0f"),
            ("key exchange, ms CPU", "exchange_ms", ".2f"),
            ("memory at start, MiB", "start_mib", ".0f"),
        )
    ]
    costs = columns[0].values
    if 1 not in costs:
        return columns
    gain = {workers: workers * costs[1] / cost for workers, cost in costs.items()}
    return [*columns, Column("messages by CPU, times one worker", gain, ".2f")]


def _table(head: str, columns: Sequence[Column]) -> list[str]:
    """Return a line for each x; nothing where nothing was measured."""
    if not any(column.values for column in columns):
        return []
    lines = [
        f"| {head} | {' | '.join(one.name for one in columns)} |",
        "|---" * len(columns) + "|---|",
    ]
    for x in sorted({x for column in columns for x in column.values}):
        cells = [column.cell(column.values, x) for column in columns]
        lines.append(f"| {x:,.0f} | {' | '.join(cells)} |")
    return lines


def _reckoned(columns: Sequence[Column]) -> list[str]:
    """Return one more line of a table, of what nobody has measured."""
    cells = []
    for column in columns:
        on = reckoned(sorted(column.values.items()), not column.straight)
        cells.append(column.cell(dict(on), REACH))
    return [f"| *{REACH:,}, reckoned* | {' | '.join(cells)} |"]
