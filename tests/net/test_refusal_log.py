from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from gnetway.admission.accounts import Account, AccountLimits
from gnetway.admission.admission import Admission, Bounds
from gnetway.metrics import Causes
from gnetway.net.accepting import RefusalLog


class RefusalLogTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.causes = Causes()
        self.admission = Admission(Bounds(connections=100), self.causes.count)
        self.log = RefusalLog(self.clock, self.causes, self.admission)

    def lines(self, seconds: float) -> list[str | None]:
        with capturedLogs() as events:
            self.clock.advance(seconds)
        return [formatEvent(event) for event in events]

    def told(self, what: str) -> str:
        return f"connections refused, or ended for others: {what}"

    def test_a_line_a_minute_for_all(self) -> None:
        account = Account("192.0.2.1", AccountLimits(), 0.0)
        for _ in range(3):
            self.admission.admit(account, 0.0)
        for _ in range(1000):
            self.log.note("too_many_half_open")
        self.assertEqual(
            self.lines(5),
            [self.told("{'too_many_half_open': 1000}; 3 of 100 are taken, most has 192.0.2.1: 3")],
        )
        self.log.note("address_denied")
        self.admission.gave_way("gave_way")
        self.assertEqual(self.lines(59), [])
        self.assertEqual(len(self.lines(1)), 1)
        self.assertEqual(self.lines(600), [])
        # What has given way is counted by whoever served it.
        self.assertEqual(self.causes.as_dict(), {"too_many_half_open": 1000, "address_denied": 1})

    def test_what_is_left_at_the_end(self) -> None:
        self.log.note("address_denied")
        with capturedLogs() as events:
            self.log.stop()
            self.log.stop()
        self.assertEqual(len(events), 1)
        self.assertIn("no network has two", formatEvent(events[0]) or "")
        self.assertEqual(self.clock.getDelayedCalls(), [])
