"""The table of attacks as Markdown, each beside what it must not exceed."""

import math
from collections.abc import Sequence
from statistics import median
from typing import Final

from benchmarks.hostile.measure import Latency, Outcome
from benchmarks.hostile.rows import Row

#: What an attack may add to the victim's p99, in milliseconds.
MOST_ADDED_MS: Final = 100.0

#: What memory may be above that of the start, 5 s after the attack, in MiB.
MOST_LEFT_MIB: Final = 32.0

#: A key exchange takes so long on a quiet machine: what is below it is no delay.
_QUICK_MS: Final = 60.0

HEAD: Final = (
    "| attack | p50, ms | p99, ms | refused | key, ms | memory, MiB | log, KiB | rounds | holds |",
    "|---|---|---|---|---|---|---|---|---|",
)

#: What the columns are, for below the table.
LEGEND: Final = (
    "Figures are before / beside / after the attack: pings of a client at another address, median"
    " and p99; the median time of a key exchange by a third address. Refused is what failed of all"
    " honest clients beside and after it. Memory is at the start / the peak / 5 s after. Rounds of"
    " the attack were played / cut short by the gateway. It holds if p99 grows by no more than"
    f" {MOST_ADDED_MS:g} ms, nothing is refused, and memory comes back within"
    f" {MOST_LEFT_MIB:g} MiB."
)


def line(name: str, rows: Sequence[Row], outcomes: Sequence[Outcome]) -> str:
    """Return one line: medians of the runs, but the worst of what is counted."""
    p50 = [_middle([one.pings[phase].p50 for one in outcomes]) for phase in range(3)]
    p99 = [_middle([one.pings[phase].p99 for one in outcomes]) for phase in range(3)]
    keys = [_middle([one.exchanges[phase].p50 for one in outcomes]) for phase in range(3)]
    memory = [median(one.memory[at] for one in outcomes) for at in range(3)]
    rounds = (sum(one.played for one in outcomes), sum(one.turned_away for one in outcomes))
    cells = [
        name,
        _three(p50, 1),
        _three(p99, 0),
        str(max(one.refused for one in outcomes)),
        _three(keys, 0),
        _three(memory, 0),
        f"{median(one.log_kib for one in outcomes):.0f}",
        f"{rounds[0]} / {rounds[1]}",
        _verdict(rows, outcomes),
    ]
    return f"| {' | '.join(cells)} |"


def faults(rows: Sequence[Row], outcome: Outcome) -> list[str]:
    """Return what one run exceeded, in a word each; nothing where the row holds."""
    found = []
    alone, *later = (phase.p99 for phase in outcome.pings)
    # Who gets no answer at all has no p99.
    slow = any(not value - alone <= MOST_ADDED_MS for value in later)
    if slow and not any(row.outage for row in rows):
        found.append("p99")
    if outcome.refused:
        found.append("refused")
    if outcome.memory.after - outcome.memory.start > MOST_LEFT_MIB:
        found.append("memory")
    if any(row.to_refuse for row in rows) and not outcome.turned_away:
        found.append("allowed")
    times = max(row.most_times for row in rows)
    if times and _slower(outcome.exchanges, times):
        found.append("new key")
    return found


def put_between(text: str, name: str, lines: Sequence[str]) -> str:
    """Return a document with these lines between its two comments of that name.

    :raises ValueError: it has no such comments.
    """
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"no {begin.strip()} and {end} in it")
    return "".join((before, begin, *(f"{one}\n" for one in lines), end, after))


def _slower(exchanges: tuple[Latency, Latency, Latency], times: float) -> bool:
    alone, beside, _ = (phase.p50 for phase in exchanges)
    return not beside <= max(times * alone, _QUICK_MS)


def _verdict(rows: Sequence[Row], outcomes: Sequence[Outcome]) -> str:
    """A row holds that holds in most of the runs."""
    wrong = [found for one in outcomes if (found := faults(rows, one))]
    if 2 * len(wrong) <= len(outcomes):
        return "yes"
    words = dict.fromkeys(word for found in wrong for word in found)
    return f"**no**: {', '.join(words)}"


def _middle(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return median(known) if known else math.nan


def _three(values: Sequence[float], digits: int) -> str:
    return " / ".join("-" if math.isnan(value) else f"{value:.{digits}f}" for value in values)
