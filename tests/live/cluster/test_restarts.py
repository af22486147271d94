"""A node that was restarted: another process, which has never heard of the sessions before it."""

from gnetway.config.session import Carrier
from gnetway.testing import ClientSession
from tests.live.client import LiveClient
from tests.live.cluster.faulty import FaultyCase
from tests.live.cluster.faulty_node import CountingNode
from tests.live.cluster.session_service import Told
from tests.live.gateway import until


class UnaryTests(FaultyCase):
    def setUp(self) -> None:
        super().setUp()
        self.node = self.nodes[0]
        self._open: list[LiveClient] = []
        self._sessions: list[ClientSession] = []
        self.addCleanup(self._close_all)

    def test_it_hears_no_end_of_sessions_from_before(self) -> None:
        _, client = self._session_at(self.node)
        restarted_at = self._restart()
        # It is known again, by another session, before the first one ends.
        self._session_at(self.node)
        client.socket.close()
        self._assert_ends(restarted_at)

    def test_nor_of_those_that_have_moved_on(self) -> None:
        """The next node hears the end; the one that forgot the session while it was away, none."""
        session, client = self._session_at(self.node)
        self.node.kill()
        client.ping(session, 2)
        restarted_at = len(self.service.told)
        self.node.start()
        self._session_at(self.node)
        client.socket.close()
        self._assert_ends(restarted_at)
        until(lambda: len(self.heard("close", session)) == 1, "its end at the next node")

    def test_a_session_that_goes_on_is_announced_again_and_ended_once(self) -> None:
        session, client = self._session_at(self.node)
        restarted_at = self._restart()
        self._session_at(self.node)
        until(lambda: self._ping_at(self.node, session, client), "at its node again")
        client.socket.close()
        self._assert_ends(restarted_at)
        # Other nodes too: it may have been at the next one meanwhile.
        anew = set(self.service.told[restarted_at:])
        announced = [
            told.node
            for told in self.heard("data", session)
            if told.conn_type == 1 and told in anew
        ]

        def ends() -> list[str]:
            return [told.node for told in self.heard("close", session)]

        until(lambda: len(ends()) >= len(announced), "an end for each announcement")
        self.assertEqual(sorted(ends()), sorted(announced))

    # -- small parts ---------------------------------------------------------------------------

    def _close_all(self) -> None:
        for client in self._open:
            client.socket.close()

    def _restart(self) -> int:
        """Replace the process; returns how much had been heard by then."""
        self.node.kill()
        restarted_at = len(self.service.told)
        self.node.start()
        return restarted_at

    def _session_at(self, node: CountingNode) -> tuple[ClientSession, LiveClient]:
        """Open sessions of new keys until the ring sends one to a node, and return that one."""
        until(lambda: self._opens_at(node), f"a session at {node.address}")
        return self._sessions[-1], self._open[-1]

    def _opens_at(self, node: CountingNode) -> bool:
        session, client = self.new_session(), LiveClient(self.gateway)
        self._sessions.append(session)
        self._open.append(client)
        return self._ping_at(node, session, client)

    def _ping_at(self, node: CountingNode, session: ClientSession, client: LiveClient) -> bool:
        client.ping(session)
        return self.heard("data", session)[-1].node == node.address

    def _assert_ends(self, restarted_at: int) -> None:
        """Close everything; the node hears the end of each session that it knows, and no other."""
        # One session more, whose end comes after those of the others.
        self._session_at(self.node)
        self._close_all()
        until(lambda: not self._known(restarted_at), "the ends of all sessions")

    def _known(self, since: int) -> set[tuple[int, int]]:
        """Return the sessions that the node knows since then; it may hear no end of another one."""
        known = set()
        for told in self._told(since):
            if told.conn_type == 1:
                known.add(told.session)
            elif told.method == "close":
                self.assertIn(told.session, known)
                known.discard(told.session)
        return known

    def _told(self, since: int) -> list[Told]:
        names = {(session.key.auth_key_id, session.session_id) for session in self._sessions}
        return [
            told
            for told in self.service.told[since:]
            if told.node == self.node.address and told.session in names
        ]


class StreamTests(UnaryTests):
    by_stream = True


class GrpcioUnaryTests(UnaryTests):
    carrier = Carrier.GRPCIO


class GrpcioStreamTests(StreamTests):
    carrier = Carrier.GRPCIO
