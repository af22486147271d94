"""Whether memory grows: a line through samples of it."""

from collections.abc import Sequence
from typing import NamedTuple

#: What the size may move by without being called growth, as a part of it: the allocator's noise.
_NOISE = 0.03


class Sample(NamedTuple):
    """Memory at a time: seconds since the beginning, KiB."""

    seconds: float
    kib: int


class Growth(NamedTuple):
    """A line through samples: KiB at its beginning and end, and how much that is a minute."""

    first_kib: float
    last_kib: float
    kib_per_minute: float

    @property
    def is_growth(self) -> bool:
        """Whether it is more than noise."""
        return self.last_kib - self.first_kib > _NOISE * self.first_kib


def growth(samples: Sequence[Sample], settled: float) -> Growth:
    """Fit a line to the samples from ``settled`` seconds on, by least squares.

    :raises ValueError: fewer than three samples are that late.
    """
    late = [sample for sample in samples if sample.seconds >= settled]
    if len(late) < 3:
        raise ValueError(f"only {len(late)} samples after {settled:g} s")
    middle = sum(sample.seconds for sample in late) / len(late)
    mean = sum(sample.kib for sample in late) / len(late)
    across = sum((sample.seconds - middle) ** 2 for sample in late)
    slope = sum((one.seconds - middle) * (one.kib - mean) for one in late) / across
    first, last = (mean + slope * (late[end].seconds - middle) for end in (0, -1))
    return Growth(first, last, 60 * slope)
