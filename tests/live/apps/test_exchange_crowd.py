"""420 key exchanges at once: they wait in line, and nobody is told -429."""

from contextlib import ExitStack

from tests.live.apps.gateways import AppCase
from tests.live.apps.ios import PERM, Phone, Run
from tests.live.apps.wire import Ended, StreamLine, connect_stream

NUMBER = 420

#: So many phones share an address, as behind one router.
SHARING = 10

#: How often a phone that was hung up on comes back; it does so by itself.
MOST_RETURNS = 5


class ExchangeCrowdTests(AppCase):
    def setUp(self) -> None:
        super().setUp()
        self.stack = self.enterContext(ExitStack())
        self.phones = [Phone(self.gateway.port, self.gateway.rsa) for _ in range(NUMBER)]
        self.lines = [self.dial(number) for number in range(NUMBER)]
        self.runs = [phone.begin(PERM) for phone in self.phones]

    def dial(self, number: int) -> StreamLine:
        source = f"127.0.1.{1 + number // SHARING}"
        return self.stack.enter_context(connect_stream(self.gateway.port, source=source))

    def step_at_once(self) -> None:
        """Send what each waits for, then take all answers."""
        for run, line in zip(self.runs, self.lines, strict=True):
            run.send(line)
        for number in range(NUMBER):
            self.runs[number] = self.hear(number)

    def hear(self, number: int) -> Run:
        """Take an answer. Who was hung up on dials again, and asks the same."""
        for _ in range(MOST_RETURNS):
            try:
                self.runs[number].hear(self.lines[number])
            except Ended:
                self.lines[number] = self.dial(number)
                self.runs[number].send(self.lines[number])
            else:
                return self.runs[number]
        raise AssertionError("hung up on over and over")

    def test_all_get_through(self) -> None:
        """Each step of all of them leaves before any of them hears: a transport error fails it."""
        for _ in range(3):
            self.step_at_once()
        keys = {run.exchange.key.auth_key_id for run in self.runs if run.exchange.key is not None}
        self.assertEqual(len(keys), NUMBER)
