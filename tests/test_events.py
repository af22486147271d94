"""Events reach those who subscribed to their kind, and nobody else is harmed by it."""

from collections.abc import Callable
from typing import cast

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from gnetway.events import (
    AuthKeyBound,
    AuthKeyDestroyed,
    Events,
    GatewayEvent,
    SessionClosed,
)

DESTROYED = AuthKeyDestroyed(7)
BOUND = AuthKeyBound(8, 9)


class Fault(Exception):
    """What a listener raises."""


class EventsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.turn: list[Callable[[], object]] = []
        self.events = Events(self.turn.append)
        self.got: list[GatewayEvent] = []

    def end_turn(self) -> None:
        turn, self.turn[:] = list(self.turn), []
        for work in turn:
            work()

    def test_nobody_listens_until_somebody_does(self) -> None:
        self.assertFalse(self.events.heard)
        subscription = self.events.subscribe(GatewayEvent, self.got.append)
        self.assertTrue(self.events.heard)
        subscription.cancel()
        subscription.cancel()
        self.assertFalse(self.events.heard)

    def test_they_come_at_the_end_of_the_turn_in_order(self) -> None:
        self.events.subscribe(GatewayEvent, self.got.append)
        self.events.tell(BOUND)
        self.events.tell(DESTROYED)
        self.assertEqual((self.got, len(self.turn)), ([], 1))
        self.end_turn()
        self.assertEqual(self.got, [BOUND, DESTROYED])

    def test_only_those_of_the_kind(self) -> None:
        self.events.subscribe(AuthKeyDestroyed, self.got.append)
        self.events.tell(BOUND)
        self.events.tell(DESTROYED)
        self.end_turn()
        self.assertEqual(self.got, [DESTROYED])

    def test_a_listener_that_has_cancelled_hears_nothing_more(self) -> None:
        subscription = self.events.subscribe(GatewayEvent, self.got.append)
        self.events.tell(BOUND)
        subscription.cancel()
        self.end_turn()
        self.assertEqual(self.got, [])

    def test_one_may_cancel_and_subscribe_while_it_is_told(self) -> None:
        def hear(event: GatewayEvent) -> None:
            subscription.cancel()
            self.events.subscribe(GatewayEvent, self.got.append)

        subscription = self.events.subscribe(GatewayEvent, hear)
        self.events.tell(BOUND)
        self.end_turn()
        self.events.tell(DESTROYED)
        self.end_turn()
        self.assertEqual(self.got, [DESTROYED])

    def test_what_happens_while_it_is_told_comes_in_the_next_turn(self) -> None:
        def hear(event: AuthKeyBound) -> None:
            self.events.tell(DESTROYED)

        self.events.subscribe(AuthKeyBound, hear)
        self.events.subscribe(AuthKeyDestroyed, self.got.append)
        self.events.tell(BOUND)
        self.end_turn()
        self.assertEqual((self.got, len(self.turn)), ([], 1))
        self.end_turn()
        self.assertEqual(self.got, [DESTROYED])

    def test_a_listener_that_fails_is_logged_and_hurts_nobody(self) -> None:
        def fail(event: GatewayEvent) -> None:
            raise SystemExit

        async def fail_later(event: GatewayEvent) -> None:
            raise Fault

        self.events.subscribe(GatewayEvent, fail)
        self.events.subscribe(GatewayEvent, fail_later)
        self.events.subscribe(GatewayEvent, self.got.append)
        with capturedLogs() as logs:
            self.events.tell(BOUND)
            self.end_turn()
        self.assertEqual(self.got, [BOUND])
        raised = [log["log_failure"].type for log in logs]
        self.assertEqual(raised, [SystemExit, Fault])
        self.assertEqual(len(self.flushLoggedErrors(SystemExit, Fault)), 2)

    def test_of_many_failures_few_are_logged(self) -> None:
        gone: Deferred[None] = Deferred()
        gone.errback(Fault())
        gone.addErrback(lambda _: None)

        def fail(event: GatewayEvent) -> Deferred[None]:
            failed: Deferred[None] = Deferred()
            failed.errback(Fault())
            return failed

        self.events.subscribe(GatewayEvent, fail)
        for _ in range(100):
            self.events.tell(BOUND)
        self.end_turn()
        self.assertEqual(len(self.flushLoggedErrors(Fault)), 7)

    def test_what_cannot_be_subscribed_is_refused_at_once(self) -> None:
        for kind, listener in ((int, print), (BOUND, print), (SessionClosed, None)):
            with self.assertRaises(TypeError):
                self.events.subscribe(
                    cast(type[GatewayEvent], kind), cast(Callable[[GatewayEvent], object], listener)
                )
