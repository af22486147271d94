"""Messages that go where the last one went, with nothing decided anew.

They are the same bytes to the same nodes as if everything were decided for each.
"""

from unittest.mock import patch

from hypothesis import example, given
from hypothesis.strategies import integers, lists, sampled_from, tuples
from twisted.trial.unittest import SynchronousTestCase

from gnetway.dispatch.request import DataRequest
from gnetway.dispatch.session_queue import SessionQueue
from gnetway.rpc.status import RpcStatus
from tests.backends.remote.cases import A, B, Cluster, redirecting
from tests.backends.remote.fakes import FakeNode, FakeSession

STEPS = sampled_from(
    ["send", "send", "send", "settle", "bind", "move", "A", "A,B", "B", "break", "redirect", "stop"]
)


class Recorder:
    """A cluster, and what its nodes were asked, in order."""

    def __init__(self, stream: bool) -> None:
        self.cluster = Cluster(A, B, stream=stream)
        self.asked: list[tuple[str, str, bytes]] = []
        self.sent = 0
        for address in (A, B):
            self.record(self.cluster.node(address))
        self.session: FakeSession = self.cluster.session()

    def record(self, node: FakeNode) -> None:
        handle = node.handle

        def recorded(method: str, request: bytes) -> bytes | RpcStatus:
            self.asked.append((node.address, method, request))
            return handle(method, request)

        node.handle = recorded  # type: ignore[method-assign]

    def take(self, step: str, number: int) -> None:
        cluster, session = self.cluster, self.session
        if step == "send":
            self.sent += 1
            payload = b"%d " % self.sent * (1 + number)
            cluster.backend.send_data(session, number // 3, payload, number % 2 == 1, None)
        elif step == "settle":
            cluster.settle()
        elif step == "bind":
            session.key.perm_auth_key_id = number
        elif step == "move":
            session.client_ip = f"192.0.2.{number}"
        elif step == "break":
            self.break_links(number)
        elif step == "redirect":
            cluster.node(A).refuse = redirecting(B) if number % 2 else lambda kind: None
        elif step == "stop":
            cluster.node(A).up = number % 2 == 1
        else:
            cluster.discovery.say(*step.split(","))

    def break_links(self, number: int) -> None:
        clients = self.cluster.carrier.clients
        if clients:
            self.cluster.links_down(clients[number % len(clients)].peer)


#: Messages that wait for the answer to others while a key is bound.
BOUND = [*[("send", 0), ("settle", 0)] * 3, *[("send", 0)] * 4, ("bind", 3), ("settle", 0)]

#: Messages that wait under the old key and, behind them, under the new one.
BOUND_MEANWHILE = [*BOUND[:-3], ("send", 0), ("bind", 3), ("send", 0), ("send", 0), ("settle", 0)]


class StraightTests(SynchronousTestCase):
    @example(stream=False, steps=BOUND)
    @example(stream=False, steps=BOUND_MEANWHILE)
    @given(stream=sampled_from([True, False]), steps=lists(tuples(STEPS, integers(0, 5))))
    def test_the_same(self, stream: bool, steps: list[tuple[str, int]]) -> None:
        made = Recorder(stream)
        with (
            patch.object(SessionQueue, "straight", lambda *_: b""),
            patch.object(SessionQueue, "next_straight", lambda *_: None),
        ):
            wanted = Recorder(stream)
            for step, number in steps:
                wanted.take(step, number)
            wanted.cluster.pass_time(2)
        for step, number in steps:
            made.take(step, number)
        made.cluster.pass_time(2)
        self.assertEqual(made.asked, wanted.asked)

    def test_taken(self) -> None:
        """From the third message on, until something changes."""
        for stream in (True, False):
            recorder = Recorder(stream)
            backend, session = recorder.cluster.backend, recorder.session
            queue = session.backend_state
            assert isinstance(queue, SessionQueue)
            decided: list[int] = []
            for number in range(9):
                if number == 5:
                    recorder.take("move", 2)
                # As the backend does it.
                key_id = session.key.perm_auth_key_id
                request = DataRequest(queue, key_id, 5, b"%d" % number, False, None)
                data = queue.straight(request)
                if data:
                    assert request.node is not None
                    request.node.link.send(request, data)
                else:
                    decided.append(number)
                    queue.submit(request, backend._clock.seconds())
                    backend._flush()
                recorder.take("settle", 0)
            self.assertEqual(decided, [0, 1, 5])
            self.assertEqual(len(recorder.asked), 9)
