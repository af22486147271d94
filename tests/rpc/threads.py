"""A reactor for one thread: what is called from threads waits until it is told to run."""

from collections.abc import Callable
from typing import cast

from twisted.internet.interfaces import IReactorFromThreads


class HeldReactor:
    """Holds every callFromThread until ``run``."""

    def __init__(self) -> None:
        self.held: list[tuple[Callable[..., object], tuple[object, ...]]] = []

    def callFromThread(self, call: Callable[..., object], *args: object) -> None:  # noqa: N802
        self.held.append((call, args))

    def run(self) -> int:
        """Run what is held, and return how many calls that were."""
        held, self.held = self.held, []
        for call, args in held:
            call(*args)
        return len(held)

    def typed(self) -> IReactorFromThreads:
        """Return itself as what the code under test asks for."""
        return cast("IReactorFromThreads", self)
