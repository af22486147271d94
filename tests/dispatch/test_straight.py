"""A message that goes where the last one went, with nothing decided anew."""

from typing import ClassVar

from hypothesis import given, settings
from hypothesis.strategies import booleans, integers, lists, sampled_from, tuples
from twisted.trial.unittest import SynchronousTestCase

from gnetway.dispatch.request import MAX_WAITING, DataRequest
from gnetway.dispatch.session_queue import SessionQueue
from gnetway.rpc.status import RpcStatus, StatusCode
from tests.dispatch.cases import BROKEN, A, B, Core, client_of, redirect_to


class StraightTests(SynchronousTestCase):
    STEPS: ClassVar = [
        *["say"] * 4,
        "answer",
        "answer",
        "fail",
        "bind",
        "move",
        "break",
        "redirect",
        "large",
    ]

    @settings(max_examples=200)
    @given(stream=booleans(), steps=lists(tuples(sampled_from(STEPS), integers(0, 5)), min_size=6))
    def test_as_submit(self, stream: bool, steps: list[tuple[str, int]]) -> None:
        """The short way gives the same bytes to the same nodes, and counts the same."""
        made, wanted = (Talk(stream, straight) for straight in (True, False))
        for step, number in steps:
            for talk in (made, wanted):
                talk.take(step, number)
            self.assertEqual(made.seen(), wanted.seen())

    def test_pause(self) -> None:
        """A client that has too much waiting is not read, until little is left."""
        made, wanted = (Talk(False, straight) for straight in (True, False))
        paused: list[bool] = []
        for step in [*["say"] * (MAX_WAITING + 3), *["answer"] * (MAX_WAITING + 3)]:
            for talk in (made, wanted):
                talk.take(step, 1)
            self.assertEqual(made.seen(), wanted.seen())
            paused.append(made.queue.paused)
        self.assertEqual(paused.index(True), MAX_WAITING + 1)
        self.assertFalse(paused[-1])


class Talk:
    """One session that either may take the short way or not."""

    def __init__(self, stream: bool, straight: bool) -> None:
        self._straight = straight
        self.core = Core(stream, max_in_flight=4, max_message_bytes=50).with_nodes(A, B)
        self.client = client_of()
        self.queue: SessionQueue = self.core.open(self.client)

    def take(self, step: str, number: int) -> None:
        core = self.core
        busy = [*core.requests(A), *core.requests(B)]
        if step in {"say", "large"}:
            size = 51 if step == "large" else 1 + number
            self.say(core.message(self.queue, bytes(size)))
        elif step == "bind":
            self.client.key.perm_auth_key_id = number
        elif step == "move":
            self.client.client_ip = f"192.0.2.{number}"
        elif step == "break":
            core.end_stream(B if number % 2 else A, BROKEN, number)
            core.connect(A, B)
        elif busy and step == "answer":
            core.answer(busy[number % len(busy)], straight=self._straight)
        elif busy:
            status = redirect_to(B) if step == "redirect" else RpcStatus(StatusCode.UNKNOWN)
            core.fail(busy[number % len(busy)], status)

    def say(self, request: DataRequest) -> None:
        data = self.queue.straight(request) if self._straight else b""
        if data:
            self.core.sent(request, data)
        elif data is not None:
            self.queue.submit(request, self.core.now)
        self.core.flush()

    def seen(self) -> list[object]:
        nodes = [(node.address, node.in_flight, node.sent) for node in self.core.dispatcher.nodes]
        sends = [(send.data, send.request.order) for send in self.core.sends]
        ended = self.core.lost and len(self.core.lost), len(self.core.finished)
        return [nodes, sends, self.queue.paused, *ended]
