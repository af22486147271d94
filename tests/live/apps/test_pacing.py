"""Refused binds are paced: an official client that is refused asks again at once, for ever."""

import os
import time

from tests.live.apps.gateways import EMBEDDED, UNARY, AppCase
from tests.live.apps.proof import LIFETIME_SECONDS, PROOF_BYTES, REFUSED, Bind
from tests.live.apps.talk import Talk
from tests.live.apps.wire import TCP, WEBSOCKET, Ended, Silence
from tests.live.client import now

#: Refusals that a connection may hear within the first seconds.
MOST = 10
WATCHED_SECONDS = 5.0

#: Until it has been closed.
END_SECONDS = 60.0


class PacingTests(AppCase):
    backend = EMBEDDED

    def setUp(self) -> None:
        super().setUp()
        self.perm = self.new_perm_key()

    def forge(self, talk: Talk) -> int:
        session = talk.session
        msg_id = session.next_msg_id(now())
        expires_at = int(now()) + LIFETIME_SECONDS
        bind = Bind.honest(session.key, self.perm, session.session_id, msg_id, expires_at)
        return talk.say(bind.call(os.urandom(PROOF_BYTES)), msg_id)

    def test_one_after_another(self) -> None:
        """The first is answered at once; each of the next later; then the link is closed."""
        for way in (TCP, WEBSOCKET):
            with self.subTest(way=way), self.connect(way) as line:
                talk = Talk(line, self.new_temp_key(line), END_SECONDS)
                began = time.monotonic()
                answered: list[float] = []
                with self.assertRaises(Ended):
                    while time.monotonic() - began < END_SECONDS and len(answered) < 100:
                        error = talk.result(self.forge(talk)).error
                        self.assertEqual(error, REFUSED)
                        answered.append(time.monotonic() - began)
                early = [seconds for seconds in answered if seconds < WATCHED_SECONDS]
                self.assertGreater(len(early), 0)
                self.assertLess(early[0], 1.5)
                self.assertLess(len(early), MOST)

    def test_all_at_once(self) -> None:
        """Sent without waiting for an answer, they are no faster."""
        with self.connect() as line:
            talk = Talk(line, self.new_temp_key(line), WATCHED_SECONDS)
            for _ in range(50):
                self.forge(talk)
            began, answered = time.monotonic(), 0
            try:
                while time.monotonic() - began < WATCHED_SECONDS:
                    answered += sum(said.error == REFUSED for said in talk.hear())
            except (Ended, Silence):
                pass
            self.assertGreater(answered, 0)
            self.assertLess(answered, MOST)


class UnaryPacingTests(PacingTests):
    backend = UNARY
