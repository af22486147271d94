"""No packet takes more than 20 ms of the reactor, and none is answered without end.

What is counted holds on any machine. Time is that of the process, the best of some runs, and
allowed for by how long the machine takes for work that is known.
"""

import time
from collections.abc import Callable
from typing import Final

from gnetway.backends.embedded.services import MAX_ANSWER_BYTES
from gnetway.crypto.message_key import encrypt
from gnetway.tl.primitives import Constructor
from gnetway.tl.service_messages import ContainedMessage, MsgResendReq, pack_container
from tests.backends.embedded.backend_case import PERM, BackendCase, OneClient, SlowStore
from tests.backends.embedded.talk import UNKNOWN_CALL, constructor_of, results
from tests.backends.embedded.worst_packets import GET_CONFIG, KINDS, Make, packed
from tests.fakes import FakeTarget
from tests.strategies import SeededBytes

#: What one packet may take of one turn of the reactor, in seconds.
TURN_SECONDS: Final = 0.020

#: How long ``calibrate`` takes on the machine that the bounds were measured on, in seconds.
KNOWN_SECONDS: Final = 0.0085

#: Most bytes that one packet is answered with.
OUTPUT_BYTES: Final = 1024 * 1024 + 128 * 1024

RUNS: Final = 2


def calibrate() -> float:
    """Return the seconds that some steps of an interpreter take here."""
    begun = time.process_time()
    found: dict[int, int] = {}
    for number in range(50_000):
        found[number & 255] = found.get(number & 127, 0) + number
    return time.process_time() - begun


class SealingTarget(FakeTarget):
    """Encrypts what it takes, as a gateway does."""

    def push(self, auth_key_id: int, session_id: int, plaintext: bytes) -> bool:
        encrypt(PERM, plaintext, self.random_bytes)
        return super().push(auth_key_id, session_id, plaintext)

    random_bytes = SeededBytes(9)


class WorstPacketTests(BackendCase):
    def make_target(self) -> FakeTarget:
        return SealingTarget()

    def new_client(self) -> tuple[OneClient, list[int]]:
        """Return a client that has got an answer, and the msg_ids of what it was sent.

        It is the first of a new backend: what another has done is no matter.
        """
        self.store = SlowStore()
        self.backend = self.make_backend()
        self.add_key(PERM)
        client = self.open()
        client.say(GET_CONFIG)
        sent = [message.msg_id for message in self.heard() if message.seq_no & 1]
        return client, sent

    def dearest_turn(self, make: Make) -> float:
        """Hand a packet over and return the seconds of the turn that took longest."""
        client, sent = self.new_client()
        payload = make(client.talker, sent)
        taken: list[float] = []

        def timed(work: Callable[[], None]) -> None:
            begun = time.process_time()
            work()
            taken.append(time.process_time() - begun)

        begin_turn = self.backend._intake.turns._begin_turn
        self.patch(self.backend._intake.turns, "_begin_turn", lambda: timed(begin_turn))
        timed(lambda: client.send(payload))
        self.settle()
        return max(taken)

    def seconds_of(self, make: Make) -> float:
        """Return what the dearest turn of such a packet takes, at best."""
        return min(self.dearest_turn(make) for _ in range(RUNS))

    def test_time(self) -> None:
        allowed = TURN_SECONDS * max(1.0, min(calibrate() for _ in range(RUNS)) / KNOWN_SECONDS)
        measured = {name: self.seconds_of(make) for name, make in KINDS.items()}
        self.assertEqual({n: round(s * 1e3, 1) for n, s in measured.items() if s > allowed}, {})

    def test_output(self) -> None:
        """Each answers within bounds, and all that a packet began has ended."""
        for name, make in KINDS.items():
            with self.subTest(kind=name):
                client, sent = self.new_client()
                client.send(make(client.talker, sent))
                self.settle()
                size = sum(len(plaintext) for _, _, plaintext in self.target.pushed)
                self.assertLessEqual(size, OUTPUT_BYTES)
                self.assertFalse(self.backend._intake.turns._queue)

    def test_what_is_asked_for_again_comes_once(self) -> None:
        client, _ = self.new_client()
        self.handler.answer = lambda call: bytes(300_000)
        client.send(client.talker.contain(*[UNKNOWN_CALL] * 5))
        self.settle()
        kept = [message for message in self.heard() if len(message.body) > 300_000]
        asked = MsgResendReq([message.msg_id for message in kept] * 1000).pack()
        client.send(packed(asked, 3)(client.talker, []))
        self.settle()
        again = [message for message in self.heard() if len(message.body) > 300_000]
        # The fourth would be above the bound; the client asks for it when it has got the others.
        self.assertEqual(again, kept[:3])

    def test_a_repeated_call_is_answered_once_a_packet(self) -> None:
        client, _ = self.new_client()
        msg_id = client.say(UNKNOWN_CALL)
        self.heard()
        contained = ContainedMessage(msg_id, client.talker.seq_no, UNKNOWN_CALL)
        container = pack_container([contained] * 1024)
        client.send(client.talker.payload(container, content_related=False))
        self.settle()
        self.assertEqual(list(results(self.heard())), [msg_id])

    def test_salts_and_states_are_told_within_a_bound(self) -> None:
        for kind in ("salts", "states", "small lists of states"):
            client, sent = self.new_client()
            client.send(KINDS[kind](client.talker, sent))
            self.settle()
            told = [
                len(message.body)
                for message in self.heard()
                if constructor_of(message.body)
                in (Constructor.FUTURE_SALTS, Constructor.MSGS_STATE_INFO)
            ]
            self.assertLessEqual(sum(told), MAX_ANSWER_BYTES)
            self.assertTrue(told)
