"""What a run before unsteady nodes says in the end."""

from collections import Counter

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.unsteady import lines
from gnetway.config.session import Carrier
from tests.live.cluster.node_journal import What
from tests.live.cluster.unsteady import Report, Told, Way

CLIENTS = [Told(Way(True, Carrier.NATIVE), 12, 3, 4567, 4560, 4550)]
NODES = Counter({What.BEGUN: 7, What.TAKEN: 4551, What.REFUSED: 12, What.REDIRECTED: 5})


class LinesTests(SynchronousTestCase):
    def text(self, *faults: str) -> str:
        return "\n".join(lines(Report(CLIENTS, NODES, 1, faults)))

    def test_all_is_well(self) -> None:
        text = self.text()
        self.assertIn("| native, by stream | 12 | 3 | 4,567 | 4,560 | 4,550 |", text)
        self.assertIn("in 7 lives, took 4,551 messages (1 had come twice), refused 12", text)
        self.assertIn("Nothing was lost", text)

    def test_what_goes_wrong_is_told(self) -> None:
        text = self.text("message 4 of session 11 is lost (quick ack)", *["another"] * 30)
        self.assertNotIn("Nothing was lost", text)
        self.assertIn("Wrong: 31", text)
        self.assertIn("* message 4 of session 11 is lost (quick ack)", text)
        self.assertEqual(text.count("* another"), 19)
