"""Coroutines under asyncio's loop and without one: what they may await, and how they end."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from gnetway.runtime.threads import run_coroutine

Work = Coroutine[Any, Any, object]


async def awaiting(what: Awaitable[object]) -> object:
    return await what


class WithoutAsyncioTests(SynchronousTestCase):
    def test_deferreds(self) -> None:
        waited: Deferred[object] = Deferred()
        told = run_coroutine(awaiting(waited))
        self.assertNoResult(told)
        waited.callback(7)
        self.assertEqual(self.successResultOf(told), 7)

    def test_what_is_asyncios_fails(self) -> None:
        loop = asyncio.new_event_loop()
        self.addCleanup(loop.close)
        told = run_coroutine(awaiting(loop.create_future()))
        self.assertIn("future", self.failureResultOf(told, RuntimeError).getErrorMessage())


class UnderAsyncioTests(SynchronousTestCase):
    def run_under_asyncio(self, talk: Callable[[], Awaitable[None]]) -> None:
        asyncio.run(asyncio.wait_for(talk(), 20))

    async def result_of(self, work: Work) -> object:
        return await run_coroutine(work).asFuture(asyncio.get_running_loop())

    def test_it_awaits_both(self) -> None:
        async def work() -> object:
            loop = asyncio.get_running_loop()
            waited: Deferred[int] = Deferred()
            loop.call_soon(waited.callback, 20)
            first = await waited
            await asyncio.sleep(0)
            async with asyncio.timeout(10), asyncio.Lock():
                return first + await succeed(1) + await asyncio.sleep(0, 21)

        async def talk() -> None:
            self.assertEqual(await self.result_of(work()), 42)

        self.run_under_asyncio(talk)

    def test_errors_of_both(self) -> None:
        async def work() -> list[str]:
            heard = []
            future = asyncio.get_running_loop().create_future()
            future.set_exception(ValueError("future"))
            later: Deferred[object] = Deferred()
            asyncio.get_running_loop().call_soon(later.errback, ValueError("later"))
            for failing in (fail(ValueError("deferred")), future, later):
                try:
                    await failing
                except ValueError as error:
                    heard.append(str(error))
            return heard

        async def failing() -> object:
            raise LookupError("its own")

        async def talk() -> None:
            self.assertEqual(await self.result_of(work()), ["deferred", "future", "later"])
            with self.assertRaisesRegex(LookupError, "its own"):
                await self.result_of(failing())

        self.run_under_asyncio(talk)

    def test_what_would_end_the_loop(self) -> None:
        async def work(kind: type[BaseException]) -> object:
            await asyncio.sleep(0)
            raise kind("nobody leaves so")

        async def talk() -> None:
            ends: list[object] = []
            kinds = [SystemExit, KeyboardInterrupt, asyncio.CancelledError]
            for kind in kinds:
                run_coroutine(work(kind)).addErrback(lambda failure: ends.append(failure.type))
            for _ in range(5):
                await asyncio.sleep(0)
            self.assertEqual(ends, kinds)

        self.run_under_asyncio(talk)

    def test_a_cancel_reaches_the_deferred(self) -> None:
        ends: list[object] = []

        async def work(waited: Deferred[object]) -> object:
            try:
                return await waited
            except asyncio.CancelledError as error:
                ends.append(type(error))
                raise

        async def talk() -> None:
            waited: Deferred[object] = Deferred(lambda _: ends.append("canceller"))
            told = run_coroutine(work(waited))
            told.addErrback(lambda failure: ends.append(failure.type))
            await asyncio.sleep(0)
            told.cancel()
            for _ in range(5):
                await asyncio.sleep(0)
            self.assertEqual(ends, ["canceller", *2 * [asyncio.CancelledError]])
            self.assertTrue(waited.called)

        self.run_under_asyncio(talk)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_a_cancel_reaches_the_future(self) -> None:
        async def talk() -> None:
            waited: asyncio.Future[object] = asyncio.get_running_loop().create_future()
            told = run_coroutine(awaiting(waited))
            told.addErrback(lambda failure: None)
            await asyncio.sleep(0)
            told.cancel()
            await asyncio.sleep(0)
            self.assertTrue(waited.cancelled())

        self.run_under_asyncio(talk)

    def test_one_that_minds_no_cancel(self) -> None:
        async def work(waited: Deferred[object]) -> object:
            try:
                await waited
            except asyncio.CancelledError:
                return await asyncio.sleep(0, "went on")
            return "never"

        async def talk() -> None:
            told = run_coroutine(work(Deferred()))
            results: list[object] = []
            told.addBoth(results.append)
            await asyncio.sleep(0)
            told.cancel()
            for _ in range(5):
                await asyncio.sleep(0)
            self.assertEqual(results, ["went on"])

        self.run_under_asyncio(talk)

    def test_the_loop_closes_meanwhile(self) -> None:
        """Its coroutine is closed, as tasks are."""
        ended: list[str] = []

        async def work() -> object:
            try:
                return await Deferred()
            finally:
                ended.append("closed")

        async def talk() -> None:
            run_coroutine(work()).addErrback(lambda failure: None)
            await asyncio.sleep(0)

        self.run_under_asyncio(talk)
        self.assertEqual(ended, ["closed"])
