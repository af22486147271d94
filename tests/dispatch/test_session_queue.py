"""One session's messages: their order, where the session is known, and who hears of its end."""

from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from gnetway.dispatch.outputs import NodeWish
from gnetway.dispatch.request import MAX_WAITING, MAX_WAITING_BYTES, Method
from gnetway.dispatch.retry import FALSE_REPLY
from gnetway.dispatch.shared import Announce
from gnetway.errors import BackendRefused
from gnetway.rpc.status import RpcStatus, StatusCode
from tests.dispatch.cases import (
    NOT_SERVED,
    STRANGER,
    A,
    B,
    C,
    Core,
    FakeClient,
    client_of,
    is_first,
    number_at,
    redirect_to,
)

CREATE, CLOSE, DATA = Method.CREATE_SESSION, Method.CLOSE_SESSION, Method.SEND_DATA
_STREAM = (True, False)


def client_at(address: str, *addresses: str) -> FakeClient:
    return client_of(number_at(address, *addresses))


class OrderTests(SynchronousTestCase):
    def test_calls(self) -> None:
        """One at a time, since calls may overtake each other."""
        core = Core(stream=False).with_nodes(A)
        requests = core.say(core.open(client_of()), b"1", b"2", b"3")
        for request in requests:
            self.assertEqual(core.requests(A), [request])
            core.answer(request)
        self.assertEqual(core.requests(A), [])

    def test_stream(self) -> None:
        """All at once, since a stream keeps order; only the first announces the session."""
        core = Core().with_nodes(A)
        core.say(core.open(client_of()), b"1", b"2", b"3")
        self.assertEqual(core.payloads(A), [b"1", b"2", b"3"])
        self.assertEqual([is_first(send.data) for send in core.sends], [True, False, False])

    def test_what_failed_goes_first(self) -> None:
        """Nothing new starts until all that was in flight is answered, in whatever order."""
        core = Core().with_nodes(A, B)
        queue = core.open(client_at(A, A, B))
        one, two, three = core.say(queue, b"1", b"2", b"3")
        core.fail(two, redirect_to(B))
        core.say(queue, b"4")
        core.fail(one, redirect_to(B))
        self.assertEqual((core.payloads(A), core.payloads(B)), ([b"3"], []))
        core.fail(three, redirect_to(B))
        self.assertEqual((core.payloads(A), core.payloads(B)), ([], [b"1", b"2", b"3", b"4"]))

    def test_one_node_at_a_time(self) -> None:
        """Two nodes do not keep each other's order: the next one waits for the last answer."""
        core = Core().with_nodes(A)
        queue = core.open(client_at(B, A, B))
        one, two = core.say(queue, b"1", b"2")
        core.set_nodes(A, B)
        core.connect(B)
        core.say(queue, b"3")
        core.answer(one)
        self.assertEqual(core.payloads(B), [])
        core.answer(two)
        self.assertEqual((core.methods(A), core.payloads(B)), ([CLOSE], [b"3"]))


class AnnouncementTests(SynchronousTestCase):
    def test_by_call(self) -> None:
        """Nothing goes before createSession is answered; what refuses it refuses its message."""
        for stream in _STREAM:
            core = Core(stream=stream, announce=Announce.CALL).with_nodes(A)
            queue = core.open(client_of())
            one, two = core.say(queue, b"1", b"2", asks=True)
            self.assertEqual(core.methods(A), [CREATE])
            core.answer(core.requests(A)[0], FALSE_REPLY)
            self.assertEqual([done.request for done in core.finished], [one])
            self.assertIsInstance(core.finished[0].error, BackendRefused)
            self.assertEqual(core.methods(A), [CREATE])
            core.answer(core.requests(A)[0])
            self.assertEqual(core.requests(A), [two])
            self.assertFalse(is_first(core.sends[-1].data))

    def test_anew(self) -> None:
        """A node that lost its connection may have forgotten the session."""
        for announce in Announce:
            core = Core(announce=announce).with_nodes(A)
            queue = core.open(client_of())
            core.say(queue, b"1")
            core.answer_all(A)
            core.lose_connection(A)
            core.connect(A)
            core.say(queue, b"2")
            if announce is Announce.CALL:
                self.assertEqual(core.methods(A), [CREATE])
            else:
                self.assertTrue(is_first(core.sends[-1].data))
            core.answer_all(A)
            core.close(queue)
            self.assertEqual(core.methods(A), [CLOSE])


class EndTests(SynchronousTestCase):
    def closed_after(self, *deeds: Callable[[Core], None]) -> Core:
        """A session at A, confirmed, after some deeds, closed."""
        core = Core().with_nodes(A)
        queue = core.open(client_of())
        core.say(queue, b"1")
        core.answer_all(A)
        for deed in deeds:
            deed(core)
        core.close(queue)
        return core

    def test_once(self) -> None:
        core = self.closed_after()
        self.assertEqual(core.methods(A), [CLOSE])
        self.assertEqual(len(core.dispatcher.sessions), 1)
        core.answer_all(A)
        self.assertTrue(core.is_empty())
        self.assertEqual([send.request.method for send in core.sends], [DATA, CLOSE])

    def test_not_after_a_lost_connection(self) -> None:
        for deed in (lambda core: core.lose_connection(A), lambda core: core.set_nodes()):
            core = self.closed_after(deed, lambda core: core.set_nodes(A), lambda c: c.connect(A))
            self.assertEqual(core.methods(A), [])
            self.assertTrue(core.is_empty())

    def test_not_where_it_was_never_told(self) -> None:
        """What surely did not arrive has told nothing; what may have arrived has."""
        for sent in (True, False):
            core = Core(stream=False).with_nodes(A, B)
            queue = core.open(client_at(A, A, B))
            (request,) = core.say(queue, b"1")
            core.fail(request, RpcStatus(StatusCode.DEADLINE_EXCEEDED), sent)
            self.assertEqual(core.methods(A), [CLOSE] if sent else [])
            self.assertEqual(core.payloads(B), [b"1"])

    def test_waits_for_what_was_said(self) -> None:
        core = Core(stream=False).with_nodes(A)
        queue = core.open(client_of())
        core.say(queue, b"1", b"2")
        core.close(queue)
        self.assertEqual(core.payloads(A), [b"1"])
        core.answer(core.requests(A)[0])
        core.answer(core.requests(A)[0])
        self.assertEqual(core.methods(A), [CLOSE])

    def test_before_a_new_beginning(self) -> None:
        """Whoever comes back meanwhile is announced elsewhere, or when the end is answered."""
        core = self.closed_after()
        queue = core.open(client_of())
        core.say(queue, b"2")
        self.assertEqual(core.methods(A), [CLOSE])
        core.answer(core.requests(A)[0])
        self.assertEqual(core.payloads(A), [b"2"])
        self.assertTrue(is_first(core.sends[-1].data))

    def test_a_node_that_is_gone_for_good(self) -> None:
        """Unlisted and not usable: nobody is told, and the session goes on elsewhere, once."""
        core = Core().with_nodes(A, B)
        queue = core.open(client_at(A, A, B))
        one, two = core.say(queue, b"1", b"2")
        core.answer(one)
        core.set_nodes(B)
        core.end_stream(A, NOT_SERVED)
        self.assertEqual(core.requests(B), [two])
        self.assertEqual(core.times_sent[two], 2)
        self.assertEqual(core.methods(A), [])


class RedirectTests(SynchronousTestCase):
    def test_sticks(self) -> None:
        """The session stays with the node that a redirect named, until that one fails."""
        core = Core(stream=False).with_nodes(A, B, C)
        queue = core.open(client_at(A, A, B, C))
        (one,) = core.say(queue, b"1")
        core.fail(one, redirect_to(B))
        core.say(queue, b"2", b"3")
        core.answer(one)
        two = core.requests(B)[0]
        core.answer(two)
        self.assertEqual((core.payloads(A), core.payloads(B)), ([], [b"3"]))
        core.fail(core.requests(B)[0], NOT_SERVED)
        self.assertEqual((core.payloads(A), core.payloads(B)), ([b"3"], []))

    def test_a_stranger(self) -> None:
        """It is connected to first; where that fails the ring decides again."""
        for well in (True, False):
            core = Core(stream=False).with_nodes(A, B)
            queue = core.open(client_at(A, A, B))
            (one,) = core.say(queue, b"1")
            core.fail(one, redirect_to(STRANGER))
            self.assertEqual(core.wishes[-1], (STRANGER, NodeWish.CONNECT))
            self.assertFalse(any(core.under_way.values()))
            if well:
                core.connect(STRANGER)
            else:
                core.lose_connection(STRANGER)
            self.assertEqual(core.requests(STRANGER if well else A), [one])

    def test_circles(self) -> None:
        core = Core(stream=False).with_nodes(A, B)
        (one,) = core.say(core.open(client_at(A, A, B)), b"1", asks=True)
        core.fail(one, redirect_to(B))
        core.fail(one, redirect_to(A))
        self.assertIsInstance(core.finished[0].error, BackendRefused)
        self.assertEqual(core.times_sent[one], 2)


class PauseTests(SynchronousTestCase):
    def test_bounds(self) -> None:
        """A client is read no further above 64 messages or 1 MiB, and again below half of both."""
        for size, most in ((1, MAX_WAITING), (MAX_WAITING_BYTES // 8, 8)):
            core = Core(stream=False).with_nodes(A)
            client = client_of()
            queue = core.open(client)
            core.say(queue, *[bytes(size)] * (1 + most))
            self.assertEqual(core.paused[client], 0)
            core.say(queue, bytes(size))
            self.assertEqual(core.paused[client], 1)
            while core.paused[client]:
                core.answer(core.requests(A)[0])
            self.assertEqual(len(core.sends) - 1, 1 + most - most // 2)

    def test_who_comes_back(self) -> None:
        """The pause goes over to the client that goes on in the same session."""
        core = Core()
        first, second = client_of(), client_of()
        queue = core.open(first)
        core.say(queue, b"1")
        core.close(queue)
        self.assertIs(core.open(second), queue)
        self.assertEqual((core.paused[first], core.paused[second]), (0, 1))
        core.with_nodes(A)
        self.assertEqual((core.paused[second], core.payloads(A)), (0, [b"1"]))
