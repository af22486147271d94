"""What all sessions keep for clients to acknowledge, and who gives it up."""

from twisted.trial.unittest import SynchronousTestCase

from gnetway.backends.embedded.received import PAGE_BYTES, Unacked, UnackedBudget
from tests.backends.embedded.backend_case import PERM, BackendCase, OneClient
from tests.backends.embedded.talk import SESSION_ID

ONE, OTHER = "198.51.100.4", "198.51.100.5"


class UnackedTests(SynchronousTestCase):
    """A budget of 80 pages, 10 for each network."""

    def setUp(self) -> None:
        self.budget = UnackedBudget(80 * PAGE_BYTES, PAGE_BYTES)
        self.gave_way: list[str] = []

    def holder(self, name: str, client_ip: str = ONE) -> Unacked:
        def give_way() -> None:
            self.gave_way.append(name)
            holder.hold(0)

        holder = Unacked(self.budget, client_ip, give_way)
        return holder

    def hold(self, name: str, pages: float, client_ip: str = ONE) -> Unacked:
        holder = self.holder(name, client_ip)
        holder.hold(int(pages * PAGE_BYTES))
        return holder

    def test_the_largest_of_a_network_gives_way(self) -> None:
        self.hold("small", 1)
        self.hold("large", 8)
        self.hold("last", 1.5)
        self.assertEqual(self.gave_way, [])
        self.hold("more", 1)
        self.assertEqual(self.gave_way, ["large"])
        self.assertEqual(self.budget.total_bytes, 3 * PAGE_BYTES)

    def test_it_may_be_the_one_that_holds_more_now(self) -> None:
        holder = self.hold("greedy", 9)
        self.hold("small", 1)
        holder.hold(10 * PAGE_BYTES)
        self.assertEqual(self.gave_way, ["greedy"])
        self.assertEqual(holder.pages, 0)

    def test_a_network_does_not_reach_another(self) -> None:
        for number in range(100):
            self.hold(f"{number}", 1)
        self.hold("stranger", 9, OTHER)
        self.assertNotIn("stranger", self.gave_way)
        self.assertEqual(self.budget.total_bytes, 19 * PAGE_BYTES)

    def test_of_all_the_network_that_holds_most_gives_way(self) -> None:
        for number in range(8):
            self.hold(f"full {number}", 9, f"192.0.2.{number}")
        self.hold("small", 7, OTHER)
        self.assertEqual(self.gave_way, [])
        self.hold("small as well", 2)
        self.assertEqual(self.gave_way, ["full 0"])

    def test_what_is_below_a_page_is_not_counted(self) -> None:
        for number in range(100):
            self.hold(f"{number}", 0.99)
        self.assertEqual(self.budget.total_bytes, 0)
        self.assertEqual(self.gave_way, [])

    def test_what_was_acknowledged_is_free(self) -> None:
        for number in range(100):
            self.hold(f"{number}", 7).hold(0)
        self.assertEqual(self.gave_way, [])

    def test_a_client_that_comes_from_another_network_counts_there(self) -> None:
        holder = self.hold("moved", 6)
        holder.move(OTHER)
        self.hold("here", 9)
        self.assertEqual(self.gave_way, [])
        self.hold("there", 5, OTHER)
        self.assertEqual(self.gave_way, ["moved"])


class BackendTests(BackendCase):
    """Sessions of one client, each of which is told something and acknowledges nothing."""

    def setUp(self) -> None:
        super().setUp()
        self.directory = self.backend._directory
        self.budget = self.directory._unacked

    def told(self, session_id: int, size: int) -> OneClient:
        client = self.open(session_id=session_id)
        client.say(b"\0\0\0\0")
        self.backend.sessions.push(PERM.auth_key_id, session_id, bytes(size))
        return client

    def test_sessions_that_are_over_do_not_keep_all_of_theirs(self) -> None:
        for session_id in range(1, 41):
            client = self.told(session_id, 1 << 20)
            self.backend.close_session(client.client)
        self.assertGreater(self.budget.total_bytes, 4 << 20)
        self.assertLessEqual(self.budget.total_bytes, 8 << 20)
        kept = [
            message
            for live in self.directory.all_known()
            if live.session is not None
            for message in live.session.out._out
        ]
        self.assertEqual(kept, [])

    def test_nor_do_open_ones(self) -> None:
        for session_id in range(1, 41):
            self.told(session_id, 1 << 20)
        sessions = [live.session for live in self.directory.all_known() if live.session]
        self.assertEqual(len(sessions), 40)
        kept = [len(session.out.sent) for session in sessions]
        self.assertEqual(kept.count(0), 32)

    def test_the_last_one_is_still_told_again(self) -> None:
        for session_id in range(1, 41):
            client = self.told(session_id, 1 << 20)
        live = self.directory.find(PERM.auth_key_id, 40)
        assert live is not None and live.session is not None
        sent = live.session.out.sent
        kept = len(sent)
        client.come_back()
        self.assertEqual((kept, len(sent)), (3, 3))

    def test_forgotten_sessions_hold_nothing(self) -> None:
        self.told(SESSION_ID, 1 << 20)
        self.assertGreaterEqual(self.budget.total_bytes, 1 << 20)
        self.directory.drop(PERM.auth_key_id, SESSION_ID)
        self.assertEqual(self.budget.total_bytes, 0)
