"""Runs the whole table, or some rows of it, and prints it as Markdown.

    .venv/bin/python -m benchmarks [--runs 3] [--seconds 4] [--workers 2] [ROW ...]

A row is told by the beginning of its key: ``echo``, ``bulk-64``, ``*unary``; ``--list`` has them.
Each run has a gateway, an etcd and a session service of its own; loadgen's calibrate runs before
each round and at the end, since other programs change the figures.
"""

from statistics import median

from benchmarks.command import idle_connections, note, parser, provenance, setup_of
from benchmarks.loads import Load, Outcome
from benchmarks.machine import allow_descriptors
from benchmarks.rounds import measure
from benchmarks.rows import chosen, rows
from benchmarks.table import spread, table

#: What the goal is set for.
IDLE_CONNECTIONS = 10_000


def main() -> None:
    """Measure and print."""
    made = parser(__doc__)
    made.add_argument("rows", nargs="*", metavar="ROW", help="beginning of its key; all if none")
    made.add_argument("--runs", type=int, default=3, help="runs of each figure")
    made.add_argument("--list", action="store_true", help="print the keys of the rows, and end")
    options = made.parse_args()
    offered = rows(idle_connections(IDLE_CONNECTIONS, allow_descriptors()))
    if options.list:
        print("\n".join(f"{row.key:22} {row.name}" for row in offered))
        return
    try:
        picked = chosen(offered, options.rows)
    except ValueError as error:
        made.error(str(error))

    def tell(load: Load, outcome: Outcome) -> None:
        for row in picked:
            if row.load == load:
                note(f"  {row.name}: {outcome.values.get(row.value)} {row.unit}")
        for fault in outcome.faults:
            note(f"    {fault}")

    setup = setup_of(options)
    told = provenance(setup)
    loads = dict.fromkeys(row.load for row in picked)
    found, factors = measure(loads, setup, options.runs, options.seconds, tell)
    print("\n".join(table(picked, found, median(factors), setup.compiled)))
    print(f"\nRuns: {options.runs}, of {options.seconds:g} s each; {told}")
    print(f"loadgen calibrate: {spread(factors, 2)}; the Go gateway's figures and the goals are")
    print("multiplied by its median, except those of memory and of the start.")


if __name__ == "__main__":
    main()
