"""Prints what a message costs by connections and depth, as a Markdown table.

    .venv/bin/python -m benchmarks.cluster [--runs 3] [--transport ws] [--shapes 1x1,64x8]

One message is a ping and its pong. Everything else is as in the table of ``python -m benchmarks``.
"""

from collections.abc import Sequence

from benchmarks.command import note, parser, provenance, setup_of
from benchmarks.loads import Load, Outcome
from benchmarks.rounds import measure
from benchmarks.table import failures, spread

#: Connections and messages in flight on each.
SHAPES = ((1, 1), (1, 8), (64, 1), (64, 8), (512, 1), (512, 8))

COST = "gw_cpu_us_per_op"
RATE = "ops_per_s"


def shapes(text: str) -> list[tuple[int, int]]:
    """Return connections and depth of each shape in ``1x1,64x8``.

    :raises ValueError: it is not of that form.
    """
    split = (one.split("x") for one in text.split(","))
    return [(int(connections), int(depth)) for connections, depth in split]


def lines(transport: str, wanted: Sequence[tuple[int, int]] = SHAPES) -> list[list[Load]]:
    """Return the loads of each line: by stream, then by unary calls.

    HTTP has one message in flight, and loadgen's service answers it only in the reply of the call.
    """
    web = transport == "http"
    ways = (False,) if web else (True, False)
    possible = [shape for shape in wanted if shape[1] == 1 or not web]
    return [[Load("echo", transport, *shape, by_stream=way) for way in ways] for shape in possible]


def cells(outcomes: list[Outcome]) -> list[str]:
    """Return the cost and the rate of a load, or what went wrong."""
    wrong = failures(outcomes)
    if wrong:
        return [wrong, ""]
    return [spread([one.values[name] for one in outcomes]) for name in (COST, RATE)]


def tell(load: Load, outcome: Outcome) -> None:
    """Say how a run went."""
    way = "stream" if load.by_stream else "unary"
    note(f"  {load.conns} by {load.depth}, {way}: {outcome.values.get(COST)} µs CPU")


def main() -> None:
    """Measure and print."""
    made = parser(__doc__)
    made.add_argument("--runs", type=int, default=3, help="runs of each figure")
    made.add_argument("--transport", default="obf-intermediate", help="as loadgen has it")
    made.add_argument(
        "--shapes", type=shapes, default=SHAPES, help="connections by depth: 1x1,64x8"
    )
    options = made.parse_args()
    setup = setup_of(options)
    told = provenance(setup)
    rows = lines(options.transport, options.shapes)
    loads = [load for row in rows for load in row]
    found, factors = measure(loads, setup, options.runs, options.seconds, tell)
    ways = ["stream" if load.by_stream else "unary" for load in rows[0]]
    heads = [f"{way}, µs CPU | messages/s" for way in ways]
    print(f"| connections by depth | {' | '.join(heads)} |\n|---{'|---|---' * len(ways)}|")
    for row in rows:
        shown = [cell for load in row for cell in cells(found[load])]
        print(f"| {row[0].conns} by {row[0].depth} | {' | '.join(shown)} |")
    print(f"\n{told} loadgen calibrate: {spread(factors, 2)}.")


if __name__ == "__main__":
    main()
