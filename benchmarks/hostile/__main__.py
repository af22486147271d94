"""What one hostile address does to others, as a Markdown table.

    .venv/bin/python -m benchmarks.hostile [--runs 1] [--seconds 8] [--list] [ROW ...]
    .venv/bin/python -m benchmarks.hostile --minutes 3

Each run has a gateway of its own, a victim at 127.0.0.3 that pings, a stranger at 127.0.0.4 that
makes a new key each second, and an attacker at 127.0.0.2. With ``--minutes`` all attacks are
played in turn on one gateway, that many minutes in all, and one more with a session node behind
it: memory must come back. ``--into docs/security.md --as now`` puts the table there.
"""

import argparse
import os
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from benchmarks.command import note
from benchmarks.hostile.measure import Outcome, measure
from benchmarks.hostile.rows import ROWS, Row, Setting, chosen
from benchmarks.hostile.stand import Stand
from benchmarks.hostile.table import HEAD, LEGEND, faults, line, put_between
from benchmarks.machine import allow_descriptors, core_in_use, description, revision
from tests.live.gateway import ROOT


def one_run(
    setting: Setting, rows: Sequence[Row], seconds: float, options: argparse.Namespace
) -> Outcome:
    """Start a gateway, and attack it."""
    with Stand(setting, options.checkout) as stand:
        outcome = measure(stand, rows, seconds)
    found = faults(rows, outcome)
    note(f"  {' '.join(row.key for row in rows)}: {', '.join(found) if found else 'holds'}")
    return outcome


def by_rows(rows: Sequence[Row], options: argparse.Namespace) -> list[str]:
    """Measure each attack alone, and return the lines; runs go round by round."""
    found: dict[str, list[Outcome]] = {row.key: [] for row in rows}
    for number in range(options.runs):
        note(f"round {number + 1} of {options.runs}")
        for row in rows:
            found[row.key].append(one_run(row.setting, [row], options.seconds, options))
    return [line(row.name, [row], found[row.key]) for row in rows]


def replay(rows: Sequence[Row], options: argparse.Namespace) -> list[str]:
    """Play attacks in turn, on one gateway of each setting, and return a line for each."""
    made = []
    ordered = sorted(rows, key=lambda row: row.setting)
    for setting, group in groupby(ordered, key=lambda row: row.setting):
        played = list(group)
        outcome = one_run(setting, played, 60 * options.minutes, options)
        name = f"{len(played)} in turn, {options.minutes:g} min, {setting}"
        made.append(line(name, played, [outcome]))
    return made


def main() -> None:
    """Measure and print."""
    made = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    made.add_argument("rows", nargs="*", metavar="ROW", help="beginning of its key; all if none")
    made.add_argument("--list", action="store_true", help="print the keys of the rows, and end")
    made.add_argument("--runs", type=int, default=1, help="runs of each row")
    made.add_argument("--seconds", type=float, default=8.0, help="of each attack")
    made.add_argument("--minutes", type=float, help="of all attacks in turn, on one gateway")
    made.add_argument(
        "--checkout", type=Path, default=ROOT, help="another one, whose gateway is measured"
    )
    made.add_argument("--into", type=Path, help="a document to put the table into")
    made.add_argument("--as", dest="name", default="now", help="which table of the document it is")
    options = made.parse_args()
    if options.list:
        print("\n".join(f"{row.key:14} {row.name} ({row.setting})" for row in ROWS))
        return
    if not (options.checkout / "gnetway").is_dir():
        # Python would pass over it, and the gateway of this checkout be measured.
        made.error(f"no gateway in {options.checkout}")
    options.checkout = options.checkout.resolve()
    try:
        rows = chosen(ROWS, options.rows)
    except ValueError as error:
        made.error(str(error))
    allow_descriptors()
    load = os.getloadavg()[0]
    lines = [*HEAD, *(replay if options.minutes else by_rows)(rows, options)]
    core = core_in_use({"PYTHONPATH": str(options.checkout)})
    place = f"commit {revision(options.checkout)}, {core}, load {load:.1f} before"
    print("\n".join([*lines, "", LEGEND, "", f"{place}; {description()}."]))
    if options.into:
        told = [*lines, "", f"{place}; {description()}."]
        options.into.write_text(put_between(options.into.read_text(), options.name, told))


if __name__ == "__main__":
    main()
