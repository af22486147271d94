"""The reactor, for subcommands that ask others as a gateway asks them."""

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure

    from gnetway.interfaces import IGatewayReactor


def run_in_reactor(
    work: "Callable[[IGatewayReactor], Coroutine[Deferred[Any], Any, None]]",
) -> bool:
    """Run ``work`` in the reactor; return whether it has come to its end, and was not interrupted.

    The reactor runs once in a process, which is this command's own.
    """
    from twisted.internet import reactor as installed  # noqa: PLC0415, TID251
    from twisted.internet.defer import Deferred  # noqa: PLC0415

    reactor = cast("IGatewayReactor", installed)
    ends: list[Failure | None] = []

    def begin() -> None:
        done = Deferred.fromCoroutine(work(reactor))
        done.addBoth(ends.append)
        done.addBoth(lambda _: reactor.stop())

    reactor.callWhenRunning(begin)
    reactor.run()
    if ends and ends[0] is not None:
        ends[0].raiseException()
    return bool(ends)
