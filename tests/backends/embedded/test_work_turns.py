"""Packets that take more than a turn, and those of others meanwhile."""

from collections.abc import Callable
from functools import partial

from twisted.internet.defer import Deferred

from gnetway.backends.embedded.call_runner import MAX_NETWORK_CALLS
from gnetway.backends.embedded.calls import MAX_RUNNING_CALLS
from gnetway.interfaces import RpcCall, SessionClient
from gnetway.tl.primitives import Constructor
from gnetway.tl.service_messages import Ping, Pong
from tests.backends.embedded.backend_case import PERM, BackendCase, OneClient
from tests.backends.embedded.talk import (
    SALT,
    UNKNOWN_CALL,
    constructor_of,
    errors,
    results,
    temp_key,
)
from tests.backends.embedded.worst_packets import gzipped
from tests.binds import make_bind

MANY = 200
PING = Ping(1).pack()

#: A call that takes a turn to unpack.
BOMB = gzipped(UNKNOWN_CALL + bytes(2_000_000))


class TurnCase(BackendCase):
    def setUp(self) -> None:
        super().setUp()
        self.client = self.open()
        self.client.say(PING)
        self.heard()
        self.reading: list[str] = []
        self.watch(self.client.client)

    def watch(self, client: SessionClient) -> None:
        """Note when the client is paused."""
        paused, resumed = (
            (lambda: self.reading.append("pause")),
            (lambda: self.reading.append("resume")),
        )
        self.patch(type(client), "pause_reading", lambda _: paused())
        self.patch(type(client), "resume_reading", lambda _: resumed())

    def begin_turn(self) -> None:
        """Let one turn of the reactor pass."""
        turns = self.backend._intake.turns
        assert turns._next_turn is not None
        turns._next_turn.cancel()
        turns._begin_turn()

    def pongs(self) -> list[int]:
        """Return the ids of the pings that were answered."""
        return [
            Pong.parse(message.body).ping_id
            for message in self.heard()
            if constructor_of(message.body) == Constructor.PONG
        ]

    def send_pings(self, client: OneClient, count: int) -> None:
        client.send(client.talker.contain(*[Ping(number).pack() for number in range(count)]))


class SliceTests(TurnCase):
    def test_a_large_container_is_taken_in_slices(self) -> None:
        self.send_pings(self.client, MANY)
        first = self.pongs()
        self.assertLess(len(first), MANY)
        self.assertEqual(self.reading, ["pause"])
        self.begin_turn()
        second = self.pongs()
        self.assertEqual(first + second, list(range(len(first + second))))
        self.settle()
        self.assertEqual(first + second + self.pongs(), list(range(MANY)))
        self.assertEqual(self.reading, ["pause", "resume"])

    def test_what_comes_meanwhile_is_taken_behind_it(self) -> None:
        self.send_pings(self.client, MANY)
        self.client.say(Ping(-1).pack())
        self.settle()
        self.assertEqual(self.pongs(), [*range(MANY), -1])

    def test_another_session_does_not_wait(self) -> None:
        self.send_pings(self.client, MANY)
        self.heard()
        self.open(session_id=77).say(Ping(-1).pack())
        self.assertEqual(self.pongs(), [-1])

    def test_over_http_all_of_it_is_one_answer(self) -> None:
        body = self.client.talker.contain(*[UNKNOWN_CALL] * MANY)
        asked = self.backend.send_http_data(self.client.client, SALT, body)
        self.assertNoResult(asked)
        self.settle()
        self.assertEqual(len(results(self.heard([self.successResultOf(asked)]))), MANY)

    def test_a_bind_in_a_later_slice_is_decided(self) -> None:
        temp = temp_key(2)
        self.add_key(temp)
        client = self.open(temp)
        client.talker.number()
        msg_id = client.talker.msg_id + 4 + 4 * MANY
        bind = make_bind(temp, PERM, msg_id).pack()
        client.send(client.talker.contain(*[PING] * MANY, bind))
        self.assertEqual(client.done, [])
        self.settle()
        self.assertEqual(client.done, [None])
        self.assertIn(msg_id, results(self.heard()))

    def test_a_session_that_goes_meanwhile(self) -> None:
        """Closed, destroyed, or at the end of the backend: nothing is left behind."""
        for end in (
            lambda client: self.backend.close_session(client.client),
            lambda client: self.backend._directory.drop_key(PERM.auth_key_id),
            lambda client: self.backend.stop(),
        ):
            client = self.open(session_id=len(self.reading) + 100)
            self.send_pings(client, MANY)
            end(client)
            self.clock.advance(0)
            self.assertFalse(self.backend._intake.turns._queue)


class LineTests(TurnCase):
    def test_dear_packets_of_many_wait_for_their_turns(self) -> None:
        others = [self.open(session_id=number) for number in range(100, 110)]
        for client in others:
            client.say(BOMB)
        self.assertEqual(len(self.handler.calls), 1)
        for count in range(2, 11):
            self.begin_turn()
            self.assertEqual(len(self.handler.calls), count)
        self.settle()
        self.assertEqual(self.reading, ["pause"] * 9 + ["resume"] * 9)

    def test_short_ones_do_not(self) -> None:
        self.open(session_id=100).say(BOMB)
        self.heard()
        self.open(session_id=101).say(Ping(-1).pack())
        self.assertEqual(self.pongs(), [-1])

    def test_an_order_of_a_session_is_kept(self) -> None:
        self.open(session_id=100).say(BOMB)
        self.client.say(BOMB)
        self.client.say(Ping(-1).pack())
        self.heard()
        self.assertEqual(len(self.handler.calls), 1)
        self.settle()
        self.assertEqual(self.pongs(), [-1])
        self.assertEqual(len(self.handler.calls), 2)


class RunningCallTests(BackendCase):
    def test_calls_of_a_network_are_bounded(self) -> None:
        waiting: list[Deferred[bytes]] = []

        def answer(_: object) -> Deferred[bytes]:
            waiting.append(Deferred())
            return waiting[-1]

        self.handler.answer = answer
        sessions = MAX_NETWORK_CALLS // MAX_RUNNING_CALLS
        clients = [self.open(session_id=number) for number in range(100, 100 + sessions + 1)]
        for client in clients[:-1]:
            for _ in range(MAX_RUNNING_CALLS):
                client.say(UNKNOWN_CALL)
        self.heard()
        msg_id = clients[-1].say(UNKNOWN_CALL)
        self.assertEqual(errors(self.heard()), {msg_id: (500, "WORKER_BUSY_TOO_LONG_RETRY")})
        far = self.open(session_id=7)
        far.client.client_ip = "203.0.113.200"
        far.say(UNKNOWN_CALL)
        self.assertEqual(len(waiting), MAX_NETWORK_CALLS + 1)
        waiting[0].callback(b"done")
        clients[-1].say(UNKNOWN_CALL)
        self.assertEqual(len(waiting), MAX_NETWORK_CALLS + 2)

    def later(self, answer: Deferred[bytes], call: RpcCall) -> Deferred[bytes]:
        """Answer a call later."""
        return answer

    def test_nothing_is_counted_of_calls_that_have_ended(self) -> None:
        """Answered, failed or cancelled."""
        calls = self.backend._runner.calls
        ends: list[Callable[[Deferred[bytes]], object]] = [
            lambda call: call.callback(b"done"),
            lambda call: call.cancel(),
        ]
        for end in ends:
            call: Deferred[bytes] = Deferred()
            self.handler.answer = partial(self.later, call)
            self.open(session_id=100 + len(self.handler.calls)).say(UNKNOWN_CALL)
            self.assertEqual(calls._running, 1)
            end(call)
            self.assertEqual((calls._running, calls._running_of), (0, {}))
        self.flushLoggedErrors()
