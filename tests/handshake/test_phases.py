"""The table of phases is whole, and nothing else leads on."""

from twisted.trial.unittest import SynchronousTestCase

from gnetway.handshake.checks import WrongStep
from gnetway.handshake.steps import NEXT, OVER, Phase, Step, next_phase


class TableTests(SynchronousTestCase):
    def test_every_phase_has_a_row(self) -> None:
        self.assertEqual(set(NEXT), set(Phase))

    def test_listed_steps_lead_on(self) -> None:
        for phase, row in NEXT.items():
            for step, follower in row.items():
                self.assertIs(next_phase(phase, step), follower)

    def test_all_other_steps_are_wrong(self) -> None:
        wrong = [(phase, step) for phase in Phase for step in Step if step not in NEXT[phase]]
        self.assertEqual(len(wrong), len(Phase) * len(Step) - 10)
        for phase, step in wrong:
            error = self.assertRaises(WrongStep, next_phase, phase, step)
            self.assertIn(phase.name, str(error))

    def test_what_is_over_stays_over(self) -> None:
        self.assertEqual({phase for phase in Phase if not NEXT[phase]}, set(OVER))

    def test_every_living_phase_can_be_reached(self) -> None:
        reached = {Phase.WANT_REQ_PQ}
        for _ in Phase:
            reached |= {follower for phase in reached for follower in NEXT[phase].values()}
        self.assertEqual(reached, set(Phase) - {Phase.DEAD})

    def test_a_key_is_never_done_before_it_was_stored(self) -> None:
        """The only way to dh_gen_ok."""
        ways = [
            (phase, step)
            for phase, row in NEXT.items()
            for step, follower in row.items()
            if follower is Phase.DONE
        ]
        self.assertEqual(ways, [(Phase.STORING, Step.KEY_STORED)])
