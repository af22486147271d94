"""Memory that clients have had held goes back to the system when they have gone.

The C library keeps what lies below something that is still in use. So after a crowd has held much,
it is told once to give back whatever pages are free: 1 ms for some 10 MiB of them.
"""

from collections.abc import Callable, Sequence
from typing import Final

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

from gnetway.admission.byte_budget import ByteBudget

#: How often is looked, in seconds.
LOOK_SECONDS: Final = 10.0

#: So much less than at the most since the last look is worth it, in bytes.
WORTH_BYTES: Final = 16 * 1024 * 1024


class MemoryReturn:
    """Calls ``give_back`` when what the budgets count has fallen by much."""

    def __init__(
        self, clock: IReactorTime, budgets: Sequence[ByteBudget], give_back: Callable[[], object]
    ) -> None:
        self._budgets = budgets
        self._give_back = give_back
        self._looking = LoopingCall(self._look)
        self._looking.clock = clock

    def start(self) -> None:
        """Look from now on."""
        self._looking.start(LOOK_SECONDS, now=False)

    def stop(self) -> None:
        """Look no more."""
        if self._looking.running:
            self._looking.stop()

    def _look(self) -> None:
        fallen = sum(budget.take_peak() - budget.total_bytes for budget in self._budgets)
        if fallen >= WORTH_BYTES:
            self._give_back()
