"""The table as Markdown: figures beside the Go gateway's and the goals, all for one machine."""

from collections.abc import Mapping, Sequence
from statistics import median

from benchmarks.loads import Load, Outcome
from benchmarks.rows import Row

_HEAD = (
    "| work | unit | here | Go | ratio | goal | met |",
    "|---|---|---|---|---|---|---|",
)


def spread(values: Sequence[float], digits: int = 0) -> str:
    """Return median, lowest and highest; a single value alone."""
    middle = f"{median(values):.{digits}f}"
    if len(values) == 1:
        return middle
    return f"{middle} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def table(
    rows: Sequence[Row], found: Mapping[Load, Sequence[Outcome]], factor: float, compiled: bool
) -> list[str]:
    """Return the lines of the table; ``factor`` is the machine's calibration."""
    return [*_HEAD, *(_line(row, found[row.load], factor, compiled) for row in rows)]


def _line(row: Row, outcomes: Sequence[Outcome], factor: float, compiled: bool) -> str:
    values = [one.values[row.value] for one in outcomes if row.value in one.values]
    scale = 1.0 if row.fixed else factor
    goal = scale * (row.goal_compiled if compiled and row.goal_compiled else row.goal)
    go = None if row.go is None else scale * row.go
    shown = "-" if go is None else f"{go:.{row.digits}f}"
    cells = [row.name, row.unit, spread(values, row.digits) if values else "-", shown]
    cells.append("-" if go is None or not values else f"{median(values) / go:.2f}")
    cells += [f"{goal:.{row.digits}f}", _verdict(values, goal, outcomes)]
    return f"| {' | '.join(cells)} |"


def failures(outcomes: Sequence[Outcome]) -> str:
    """Tell what went wrong in which of the runs; empty if nothing."""
    bad = sum(bool(one.faults) for one in outcomes)
    if not bad:
        return ""
    faults = dict.fromkeys(_one_line(fault) for one in outcomes for fault in one.faults)
    return f"{bad} of {len(outcomes)} runs went wrong: {'; '.join(faults)}"


def _verdict(values: Sequence[float], goal: float, outcomes: Sequence[Outcome]) -> str:
    """Whether the goal is met; a row in which anything went wrong meets none."""
    wrong = failures(outcomes)
    if wrong:
        return f"**no**: {wrong}"
    return "yes" if median(values) <= goal else "**no**"


def _one_line(text: str) -> str:
    """Return the beginning of a text as a cell can hold it."""
    line = " ".join(text.replace("|", "/").split())
    return line if len(line) <= 200 else f"{line[:200]}…"
