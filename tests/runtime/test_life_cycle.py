from collections.abc import Callable
from functools import partial

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gnetway.runtime.life_cycle import NEXT, Event, LifeCycle, State

START, READY, ENDED, REFUSED, RETRY, STOP = Event


class TableTests(SynchronousTestCase):
    def test_every_phase_can_be_reached_and_left(self) -> None:
        self.assertEqual(set(NEXT), set(State))
        reached = {State.IDLE}
        for _ in State:
            reached |= {after for state in reached for after in NEXT[state].values()}
        self.assertEqual(reached, set(State))
        self.assertEqual([state for state in State if not NEXT[state]], [State.STOPPED])


class LifeCycleTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.entered: list[State] = []
        entries = {state: partial(self.entered.append, state) for state in State}
        self.life = LifeCycle(self.clock, {**entries})

    def entries_of(self, *events: Event) -> str:
        """Return the states that are entered at these events."""
        self.entered.clear()
        for event in events:
            self.life.advance(event)
        return " ".join(state.name for state in self.entered)

    def test_started_again_until_it_is_stopped(self) -> None:
        self.assertEqual(
            self.entries_of(START, READY, ENDED, RETRY, ENDED, RETRY, STOP, ENDED),
            "STARTING RUNNING WAITING STARTING WAITING STARTING ENDING STOPPED",
        )
        self.assertEqual(self.entries_of(*Event), "")

    def test_what_does_not_matter_changes_nothing(self) -> None:
        self.assertEqual(self.entries_of(READY, ENDED, RETRY, REFUSED), "")
        self.assertEqual(self.entries_of(START, RETRY, START, READY, READY), "STARTING RUNNING")

    def test_one_that_is_refused_is_not_tried_again(self) -> None:
        self.assertEqual(self.entries_of(START, REFUSED, ENDED, RETRY), "STARTING STOPPED")

    def test_all_that_ask_hear_of_the_end(self) -> None:
        self.entries_of(START)
        asked = [self.life.stop(), self.life.stop()]
        for stopped in asked:
            self.assertNoResult(stopped)
        self.entries_of(ENDED)
        for stopped in (*asked, self.life.stop()):
            self.assertIsNone(self.successResultOf(stopped))

    def test_a_timer_ends_with_its_phase(self) -> None:
        called: list[str] = []
        act: Callable[[], None] = partial(called.append, "late")
        self.entries_of(START)
        self.life.set_timer(5, act)
        self.life.set_timer(1, partial(called.append, "in time"))
        self.clock.advance(2)
        self.life.set_timer(1, act)
        self.entries_of(READY)
        self.assertEqual((called, self.clock.getDelayedCalls()), (["in time"], []))

    def test_a_phase_that_is_over_at_once(self) -> None:
        """Its end comes before the beginning has returned."""
        life = LifeCycle(self.clock, {State.ENDING: lambda: life.advance(ENDED)})
        life.advance(START)
        self.assertIsNone(self.successResultOf(life.stop()))
