"""One session's messages: their order, where the session is known, and who hears of its end."""

from twisted.trial.unittest import SynchronousTestCase

from gnetway.dispatch.request import MAX_WAITING, MAX_WAITING_BYTES
from gnetway.dispatch.retry import FALSE_REPLY
from gnetway.dispatch.shared import Announce
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
    number_at,
    redirect_to,
)
from tests.dispatch.playbook import (
    CLOSE,
    CREATE,
    Playbook,
    answer,
    close,
    comes_back,
    connected,
    disconnected,
    end_stream,
    fail,
    listed,
    say,
)

TOO_LATE = RpcStatus(StatusCode.DEADLINE_EXCEEDED)


def client_at(address: str, *addresses: str) -> FakeClient:
    return client_of(number_at(address, *addresses))


class OrderTests(SynchronousTestCase):
    def test_calls(self) -> None:
        """One at a time, since calls may overtake each other."""
        assert (
            Playbook(Core(stream=False).with_nodes(A))
            >> say("1", "2", "3")
            << "A: 1, first"
            >> answer("1")
            << "A: 2"
            >> answer("2")
            << "A: 3"
            >> answer("3")
        )

    def test_stream(self) -> None:
        """All at once, since a stream keeps order; only the first announces the session."""
        assert (
            Playbook(Core().with_nodes(A))
            >> say("1", "2", "3")
            << "A: 1, first"
            << "A: 2"
            << "A: 3"
            >> answer("2")
            >> answer("1")
            >> answer("3")
        )

    def test_what_failed_goes_first(self) -> None:
        """Nothing new starts until all that was in flight is answered, in whatever order."""
        assert (
            Playbook(Core().with_nodes(A, B), client_at(A, A, B))
            >> say("1", "2", "3")
            << "A: 1, first"
            << "A: 2"
            << "A: 3"
            >> fail("2", redirect_to(B))
            >> say("4")
            >> fail("1", redirect_to(B))
            >> fail("3", redirect_to(B))
            << "B: 1, first"
            << "B: 2"
            << "B: 3"
            << "B: 4"
        )

    def test_one_node_at_a_time(self) -> None:
        """Two nodes do not keep each other's order: the next one waits for the last answer."""
        assert (
            Playbook(Core().with_nodes(A), client_at(B, A, B))
            >> say("1", "2")
            << "A: 1, first"
            << "A: 2"
            >> listed(A, B)
            << "B joins"
            << "connect B"
            >> connected(B)
            >> say("3")
            >> answer("1")
            >> answer("2")
            << "A: closeSession"
            << "B: 3, first"
        )


class AnnouncementTests(SynchronousTestCase):
    def test_by_call(self) -> None:
        """Nothing goes before createSession is answered; what refuses it refuses its message."""
        for stream in (True, False):
            assert (
                Playbook(Core(stream=stream, announce=Announce.CALL).with_nodes(A))
                >> say("1", "2", asks=True)
                << "A: createSession"
                >> answer(CREATE, FALSE_REPLY)
                << "1 fails: 500 BOOL_FALSE"
                << "A: createSession"
                >> answer(CREATE)
                << "A: 2"
            )

    def test_anew(self) -> None:
        """A node that lost its connection may have forgotten the session."""
        assert (
            Playbook(Core().with_nodes(A))
            >> say("1")
            << "A: 1, first"
            >> answer("1")
            >> disconnected(A)
            << "A is not used"
            >> connected(A)
            << "A is well again"
            >> say("2")
            << "A: 2, first"
            >> answer("2")
            >> close()
            << "A: closeSession"
        )

    def test_anew_by_call(self) -> None:
        assert (
            Playbook(Core(announce=Announce.CALL).with_nodes(A))
            >> say("1")
            << "A: createSession"
            >> answer(CREATE)
            << "A: 1"
            >> answer("1")
            >> disconnected(A)
            << "A is not used"
            >> connected(A)
            << "A is well again"
            >> say("2")
            << "A: createSession"
            >> answer(CREATE)
            << "A: 2"
            >> answer("2")
            >> close()
            << "A: closeSession"
        )


class EndTests(SynchronousTestCase):
    def confirmed(self, core: Core, client: FakeClient | None = None) -> Playbook:
        """A session at A, which has confirmed it."""
        return Playbook(core, client) >> say("1") << "A: 1, first" >> answer("1")

    def test_once(self) -> None:
        core = Core().with_nodes(A)
        assert self.confirmed(core) >> close() << "A: closeSession"
        self.assertEqual(len(core.dispatcher.sessions), 1)
        core.answer_all(A)
        self.assertTrue(core.is_empty())

    def test_not_after_a_lost_connection(self) -> None:
        core = Core().with_nodes(A)
        assert (
            self.confirmed(core)
            >> disconnected(A)
            << "A is not used"
            >> connected(A)
            << "A is well again"
            >> close()
        )
        self.assertTrue(core.is_empty())

    def test_not_after_it_was_unlisted(self) -> None:
        """It may have been another process in between."""
        core = Core().with_nodes(A)
        assert (
            self.confirmed(core)
            >> listed()
            << "A leaves"
            >> listed(A)
            << "A joins"
            >> connected(A)
            >> close()
        )
        self.assertTrue(core.is_empty())

    def test_not_where_it_was_never_told(self) -> None:
        """What surely did not arrive has told nothing; what may have arrived has."""
        client = client_at(A, A, B)
        assert (
            Playbook(Core(stream=False).with_nodes(A, B), client)
            >> say("1")
            << "A: 1, first"
            >> fail("1", TOO_LATE, sent=False)
            << "B: 1, first"
        )
        assert (
            Playbook(Core(stream=False).with_nodes(A, B), client)
            >> say("1")
            << "A: 1, first"
            >> fail("1", TOO_LATE)
            << "A: closeSession"
            << "B: 1, first"
        )

    def test_waits_for_what_was_said(self) -> None:
        assert (
            Playbook(Core(stream=False).with_nodes(A))
            >> say("1", "2")
            << "A: 1, first"
            >> close()
            >> answer("1")
            << "A: 2"
            >> answer("2")
            << "A: closeSession"
        )

    def test_before_a_new_beginning(self) -> None:
        """Whoever comes back meanwhile is announced elsewhere, or when the end is answered."""
        assert (
            self.confirmed(Core().with_nodes(A))
            >> close()
            << "A: closeSession"
            >> comes_back(client_of())
            >> say("2")
            << "reading paused"
            >> answer(CLOSE)
            << "closeSession done"
            << "A: 2, first"
            << "reading on"
        )

    def test_a_node_that_is_gone_for_good(self) -> None:
        """Unlisted and not usable: nobody is told, and the session goes on elsewhere, once."""
        assert (
            Playbook(Core().with_nodes(A, B), client_at(A, A, B))
            >> say("1", "2")
            << "A: 1, first"
            << "A: 2"
            >> answer("1")
            >> listed(B)
            << "A leaves"
            >> end_stream(A, NOT_SERVED)
            << "A is not used"
            << "B: 2, first"
        )


class RedirectTests(SynchronousTestCase):
    def test_sticks(self) -> None:
        """The session stays with the node that a redirect named, until that one fails."""
        assert (
            Playbook(Core(stream=False).with_nodes(A, B, C), client_at(A, A, B, C))
            >> say("1")
            << "A: 1, first"
            >> fail("1", redirect_to(B))
            << "B: 1, first"
            >> say("2", "3")
            >> answer("1")
            << "B: 2"
            >> answer("2")
            << "B: 3"
            >> fail("3", NOT_SERVED)
            << "B is not used"
            << "A: 3, first"
        )

    def test_a_stranger(self) -> None:
        """It is connected to first."""
        assert (
            Playbook(Core(stream=False).with_nodes(A, B), client_at(A, A, B))
            >> say("1")
            << "A: 1, first"
            >> fail("1", redirect_to(STRANGER))
            << "connect STRANGER"
            << "reading paused"
            >> connected(STRANGER)
            << "STRANGER: 1, first"
            << "reading on"
        )

    def test_a_stranger_who_is_not_there(self) -> None:
        """Then the ring decides again."""
        assert (
            Playbook(Core(stream=False).with_nodes(A, B), client_at(A, A, B))
            >> say("1")
            << "A: 1, first"
            >> fail("1", redirect_to(STRANGER))
            << "connect STRANGER"
            << "reading paused"
            >> disconnected(STRANGER)
            << "STRANGER is not used"
            << "A: 1, first"
            << "reading on"
        )

    def test_circles(self) -> None:
        assert (
            Playbook(Core(stream=False).with_nodes(A, B), client_at(A, A, B))
            >> say("1", asks=True)
            << "A: 1, first"
            >> fail("1", redirect_to(B))
            << "B: 1, first"
            >> fail("1", redirect_to(A))
            << f"1 fails: 700 REDIRECT_TO_{A}"
        )


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
        first, second = client_of(), client_of()
        core = Core()
        assert (
            Playbook(core, first)
            >> say("1")
            << "reading paused"
            >> close()
            >> comes_back(second)
            << "reading on"
            << "reading paused"
            >> listed(A)
            << "A joins"
            << "connect A"
            >> connected(A)
            << "A: 1, first"
            << "reading on"
        )
        self.assertEqual((core.paused[first], core.paused[second]), (0, 0))
