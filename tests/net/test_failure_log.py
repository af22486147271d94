"""One line for each kind of failing clients, once a minute."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gnetway.admission.accounts import AccountLimits, Accounts
from gnetway.admission.place import NO_PLACE, Facts
from gnetway.ends import Phase, Stage
from gnetway.metrics import Causes
from gnetway.net.failure_log import FailureLog
from gnetway.net.records import ConnectionRecords
from gnetway.tl.client_info import ClientInfo
from tests.workers.fakes import LogLines

PIXEL = ClientInfo("Android", "11.2", "Pixel 7", "SDK 34", 198, "en")


class FailureLogTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        accounts = Accounts(lambda network: AccountLimits())
        self.records = ConnectionRecords(self.clock, lambda: 1e9, Causes(), accounts, "7 (07)")
        self.log = FailureLog(self.clock, self.records)
        self.lines = LogLines(self).lines

    def ends(
        self, cause: str = "handshake_fingerprint", address: str = "192.0.2.1", detail: str = "x"
    ) -> None:
        facts = Facts(Stage.EXCHANGE_2, Phase.EXCHANGE_2, address, "abridged", PIXEL)
        self.records.note_end(NO_PLACE, cause, facts, detail)

    def wait(self, seconds: int) -> None:
        self.clock.pump([1.0] * seconds)

    def test_a_line_says_why(self) -> None:
        for number in range(3):
            self.ends(address=f"192.0.2.{number}")
        self.ends(address="203.0.113.1", detail="the client encrypts for RSA key 5 (05)")
        self.wait(6)
        (line,) = self.lines
        self.assertEqual(
            line,
            "clients fail: 4 ended by gateway, exchange step 2: handshake_fingerprint; most from"
            " 192.0.2.0/24 (3), the last one Android 11.2, Pixel 7, SDK 34, layer 198, en. the"
            " client encrypts for RSA key 5 (05); ours: 7 (07). Give the client our .pub file"
            " (docs/point-clients.md)",
        )

    def test_a_flood_makes_one_a_minute(self) -> None:
        for _ in range(180):
            for number in range(50):
                self.ends(address=f"192.0.{number}.1")
            self.wait(1)
        self.assertEqual(len(self.lines), 3)
        self.wait(200)
        self.assertEqual(len(self.lines), 4)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_each_kind_has_its_own(self) -> None:
        self.ends()
        self.ends("bad_rsa_block")
        self.wait(6)
        self.assertEqual(len(self.lines), 2)

    def test_sound_ends_and_refusals_make_none(self) -> None:
        self.ends("client_closed")
        self.ends("gave_way")
        self.records.refused(
            Accounts(lambda _: AccountLimits()).of("192.0.2.1", 0), "address_denied"
        )
        self.wait(100)
        self.assertEqual(self.lines, [])

    def test_what_is_untold_is_told_at_the_end(self) -> None:
        self.ends()
        self.log.stop()
        self.assertEqual(len(self.lines), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])
