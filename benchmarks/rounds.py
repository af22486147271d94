"""Runs go round by round, so that no row of a table has the quiet minutes to itself."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from benchmarks.command import note
from benchmarks.loads import Load, Outcome, run
from benchmarks.machine import calibrate
from benchmarks.stand import Ground, Setup

#: An idle gateway uses a tick of 10 ms now and then: it takes a while to see how many.
IDLE_SECONDS = 20.0


class Rounds(NamedTuple):
    """What each load has told in each round, and loadgen's calibrations around them."""

    outcomes: dict[Load, list[Outcome]]
    factors: list[float]


def measure(
    loads: Iterable[Load],
    setup: Setup,
    runs: int,
    seconds: float,
    tell: Callable[[Load, Outcome], None],
) -> Rounds:
    """Do so many runs of each load, each with a gateway of its own; ``tell`` hears of each."""
    found: dict[Load, list[Outcome]] = {load: [] for load in loads}
    factors: list[float] = []
    with Ground() as ground:
        for number in range(runs):
            factors.append(calibrate())
            note(f"round {number + 1} of {runs}, calibrate {factors[-1]:.2f}")
            for load, outcomes in found.items():
                held = max(seconds, IDLE_SECONDS) if load.mode == "idle" else seconds
                outcomes.append(run(ground, setup, load, held))
                tell(load, outcomes[-1])
    factors.append(calibrate())
    return Rounds(found, factors)
