"""Coroutines of others, such as handlers: what they await may be Twisted's or asyncio's.

Twisted's own way of running a coroutine takes Deferreds alone, asyncio's its futures alone. Where
the reactor is the one over asyncio, a coroutine here becomes a task of its loop, as ``asyncio``'s
time-outs, locks and most of its libraries ask for, and a Deferred that it awaits is awaited by a
future. Under any other reactor nothing of asyncio runs, so there it is Twisted's way.
"""

import asyncio
from collections.abc import Coroutine, Generator
from types import coroutine
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

T = TypeVar("T")


def run_coroutine(work: Coroutine[Any, Any, T]) -> Deferred[T]:
    """Run a coroutine; fires with what it returns, or fails with what it raises.

    Under the reactor over asyncio it begins in the loop's next turn, and a cancel of the Deferred
    is one of its task: ``asyncio.CancelledError`` where it waits.
    """
    loop = asyncio._get_running_loop()  # noqa: SLF001 - get_running_loop makes an error of none
    if loop is None:
        return Deferred.fromCoroutine(work)
    return Deferred.fromFuture(loop.create_task(_with_deferreds(work, loop)))


def as_deferred(result: object) -> object:
    """Return a Deferred for a coroutine or a future of asyncio's, and anything else as it is."""
    if isinstance(result, Coroutine):
        return run_coroutine(result)
    if asyncio.isfuture(result):
        return Deferred.fromFuture(result)
    return result


@coroutine
def _with_deferreds(
    work: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop
) -> Generator[Any, Any, T]:
    """Run a coroutine in a task, which has futures for the Deferreds that it waits for."""
    error: BaseException | None = None
    value: object = None
    while True:
        try:
            awaited = work.send(value) if error is None else work.throw(error)
        except StopIteration as stop:
            result: T = stop.value
            return result
        except (SystemExit, KeyboardInterrupt):
            # Raised by a task, they would end the loop; to fire with a Failure is to fail with it.
            return Failure()  # type: ignore[return-value]
        value = error = None
        try:
            if isinstance(awaited, Deferred):
                yield from _fired(awaited, loop)
            else:
                # A future, or None to be called in the next turn.
                value = yield awaited
        except GeneratorExit:
            work.close()
            raise
        except BaseException as raised:  # noqa: BLE001 - for the coroutine, cancellations too
            error = raised


def _fired(
    awaited: Deferred[object], loop: asyncio.AbstractEventLoop
) -> Generator[Any, None, None]:
    """Wait until a Deferred has fired; its result stays with it, for who awaits it to take."""
    fired: asyncio.Future[None] = loop.create_future()

    def tell(result: object) -> object:
        if not fired.done():
            fired.set_result(None)
        return result

    awaited.addBoth(tell)
    try:
        yield from fired
    except asyncio.CancelledError:
        # Whoever awaited it hears of asyncio's.
        awaited.addErrback(_expect_cancelled)
        awaited.cancel()
        raise


def _expect_cancelled(failure: Failure) -> None:
    failure.trap(CancelledError)
