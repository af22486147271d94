"""Measures what one gateway can hold and do, and draws the capacity card anew.

    .venv/bin/python -m benchmarks.capacity [--seconds 3] [--series NAME ...] [--draw]

Writes docs/capacity.json, docs/capacity.svg and the figures of docs/capacity.md; with ``--draw``
the last two only, from the first. What is not in ``--series`` is left out of all three. Everything
takes less than ten minutes.
"""

import sys
from collections.abc import Collection
from pathlib import Path
from statistics import median

from benchmarks.capacity.card import fill_in
from benchmarks.capacity.drawing import draw
from benchmarks.capacity.measure import Measurement
from benchmarks.capacity.points import Figures, Series
from benchmarks.command import SPARE_DESCRIPTORS, note, parser, provenance, setup_of
from benchmarks.machine import allow_descriptors, calibrate
from benchmarks.stand import Ground, Setup
from tests.live.gateway import ROOT

JSON = ROOT / "docs" / "capacity.json"


def measured(setup: Setup, seconds: float, series: Collection[Series]) -> tuple[Figures, list[str]]:
    """Measure some series; also return what went wrong."""
    told = provenance(setup)
    most = allow_descriptors() - SPARE_DESCRIPTORS
    factors = [calibrate()]
    with Ground() as ground:
        measurement = Measurement(ground, setup, seconds, most)
        measurement.all_of(series)
    factors.append(calibrate())
    return Figures(told, median(factors), measurement.points), measurement.faults


def write(figures: Figures, json: Path) -> None:
    """Write the plot, and the figures into the card; both stand beside the JSON file."""
    json.with_suffix(".svg").write_text(draw(figures))
    card = json.with_suffix(".md")
    card.write_text(fill_in(card.read_text(), figures))


def main() -> None:
    """Measure, and draw."""
    made = parser(__doc__)
    made.add_argument("--draw", action="store_true", help="measure nothing")
    made.add_argument(
        "--series",
        nargs="+",
        choices=[one.name.lower() for one in Series],
        default=[one.name.lower() for one in Series],
        help="all if none",
    )
    made.set_defaults(seconds=3.0)
    options = made.parse_args()
    faults: list[str] = []
    if not options.draw:
        figures, faults = measured(
            setup_of(options), options.seconds, [Series[name.upper()] for name in options.series]
        )
        JSON.write_text(figures.as_json())
    write(Figures.from_json(JSON.read_text()), JSON)
    for fault in faults:
        note(f"left out: {fault}")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
