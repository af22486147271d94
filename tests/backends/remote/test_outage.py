"""No node answers: what waits, how long, and what becomes of the rest."""

from gnetway.backends.remote.connections import OutageLimits
from tests.backends.remote.cases import A, B, Cluster
from tests.backends.remote.fakes import FakeSession
from tests.backends.remote.test_backend import BackendCase
from tests.backends.remote.test_sessions import texts


class OutageTests(BackendCase):
    def test_held_in_order(self) -> None:
        cluster = self.cluster()
        sessions = [cluster.session(number) for number in range(3)]
        for number in range(4):
            for session in sessions:
                cluster.say(session, b"%d:%d" % (session.key.auth_key_id, number))
        self.assertEqual([session.paused for session in sessions], [1] * 3)
        self.assertEqual(cluster.buffer.messages, 12)
        cluster.pass_time(5)
        cluster.discovery.say(A, B)
        cluster.settle()
        self.assertEqual([session.paused for session in sessions], [0] * 3)
        for session in sessions:
            (home,) = [node for node in map(cluster.node, (A, B)) if session.name in node.live]
            expected = [b"%d:%d" % (session.key.auth_key_id, number) for number in range(4)]
            self.assertEqual(home.payloads(session.name), expected)

    def test_nodes_down(self) -> None:
        """They come back by themselves, and all that waited goes out, in order, once."""
        cluster = self.cluster(A, B)
        session = cluster.session(at=A)
        cluster.say(session, b"0")
        cluster.settle()
        cluster.node(A).up = cluster.node(B).up = False
        cluster.say(session, *texts(5, 1))
        cluster.pass_time(8)
        self.assertEqual(session.paused, 1)
        cluster.node(A).up = cluster.node(B).up = True
        cluster.pass_time(10)
        received = cluster.node(A).payloads() + cluster.node(B).payloads()
        self.assertEqual(sorted(received), texts(6))
        self.assertEqual((session.paused, session.ended), (0, []))
        self.assertEqual(cluster.backend.lost.as_dict(), {})

    def lost(self, cluster: Cluster, cause: str, *sessions: FakeSession) -> None:
        """All that these sessions have said has been given up."""
        for session in sessions:
            self.assertEqual((session.ended, session.paused), ([cause], 0))
        hold = cluster.buffer
        self.assertEqual((len(hold), hold.messages, hold.size), (0, 0, 0))

    def test_seconds(self) -> None:
        cluster = self.cluster(A, outage=OutageLimits(max_seconds=5))
        cluster.node(A).up = False
        session = cluster.session()
        cluster.say(session, b"1", b"2")
        cluster.pass_time(4.5)
        self.assertEqual(session.ended, [])
        cluster.pass_time(1)
        self.lost(cluster, "hold_expired", session)
        self.assertEqual(cluster.backend.lost.as_dict(), {"hold_expired": 2})
        outcomes = [cluster.outcome(one) for one in (b"1", b"2")]
        self.assertEqual(outcomes, ["BackendUnavailable"] * 2)

    def test_count(self) -> None:
        """Who is over the bound loses all of its own that waits: what follows would be a gap."""
        cluster = self.cluster(outage=OutageLimits(max_messages=5))
        first, second = cluster.session(1), cluster.session(2)
        cluster.say(first, *texts(3))
        cluster.say(second, *texts(3, 3))
        self.assertEqual((first.ended, second.ended), ([], ["hold_full"]))
        self.assertEqual(cluster.backend.lost.as_dict(), {"hold_full": 3})
        self.assertEqual(cluster.buffer.messages, 3)
        cluster.discovery.say(A)
        cluster.settle()
        self.assertEqual(cluster.node(A).payloads(), texts(3))

    def test_bytes(self) -> None:
        cluster = self.cluster(outage=OutageLimits(max_bytes=100))
        session = cluster.session()
        cluster.say(session, bytes(60))
        self.assertEqual(session.ended, [])
        cluster.say(session, bytes(50))
        self.lost(cluster, "hold_full", session)
        self.assertEqual(cluster.backend.lost.as_dict(), {"hold_full": 2})

    def test_no_room_for_what_failed(self) -> None:
        """What comes back from a broken node needs room as well."""
        cluster = self.cluster(A, outage=OutageLimits(max_messages=2))
        session = cluster.session()
        cluster.say(session, *texts(3))
        cluster.node(A).up = False
        cluster.settle()
        self.lost(cluster, "hold_full", session)
        self.assertEqual(cluster.backend.lost.as_dict(), {"hold_full": 3})

    def test_a_client_that_hangs_up_when_told(self) -> None:
        """Its session is forgotten, though it was closed in the midst of giving up."""
        cluster = self.cluster(A, outage=OutageLimits(max_messages=1))
        session = cluster.session()
        session.on_end = lambda: cluster.backend.close_session(session)
        cluster.say(session, b"0")
        cluster.settle()
        cluster.node(A).up = False
        cluster.say(session, *texts(3, 1))
        cluster.pass_time(1)
        self.assertEqual(session.ended, ["hold_full"])
        cluster.restart(A)
        cluster.pass_time(5)
        self.assertEqual((cluster.sessions, cluster.node(A).live), ({}, set()))

    def test_closed_while_nothing_works(self) -> None:
        """What it said goes out before its end; what expires is ended all the same."""
        for seconds, received in ((20.0, texts(3)), (5.0, [b"0"])):
            cluster = self.cluster(A, outage=OutageLimits(max_seconds=seconds))
            session = cluster.session()
            cluster.say(session, b"0")
            cluster.settle()
            cluster.node(A).up = False
            cluster.say(session, b"1", b"2")
            cluster.backend.close_session(session)
            cluster.pass_time(6)
            cluster.restart(A)
            cluster.pass_time(10)
            self.assertEqual(cluster.node(A).payloads(), received)
            self.assertEqual((cluster.node(A).live, cluster.sessions), (set(), {}))

    def test_ends_are_no_loss(self) -> None:
        """The end of a session at a node that does not come back is nobody's message."""
        cluster = self.cluster(A, B, outage=OutageLimits(max_seconds=3))
        session = cluster.session(at=A)
        cluster.say(session, b"0")
        cluster.settle()
        cluster.node(A).up = False
        cluster.backend.close_session(session)
        cluster.pass_time(8)
        self.assertEqual((cluster.sessions, session.ended), ({}, []))
        self.assertEqual(cluster.backend.lost.as_dict(), {})

    def test_trials_make_nobody_younger(self) -> None:
        """A message that each trial takes out and each failure brings back expires in time."""
        cluster = self.cluster(A, outage=OutageLimits(max_seconds=5))
        cluster.node(A).up = False
        session = cluster.session()
        cluster.say(session, b"1")
        cluster.settle()
        for _ in range(60):
            cluster.clock.advance(0.1)
            cluster.settle()
        self.assertEqual(session.ended, ["hold_expired"])

    def test_a_crowd_waits_for_a_connection(self) -> None:
        """Not one of its messages is sent to find out whether the node is back."""
        cluster = self.cluster(A)
        cluster.node(A).up = False
        sessions = [cluster.session(number) for number in range(30)]
        for session in sessions:
            cluster.say(session, b"%d" % session.key.auth_key_id)
        cluster.pass_time(3)
        most = 0
        for _ in range(60):
            cluster.clock.advance(0.1)
            client = cluster.carrier.client_of(A)
            unsent = sum(stream.unsent_messages for stream in client.streams)
            most = max(most, len(client.calls) + unsent)
            cluster.settle()
        self.assertEqual(most, 0)
        cluster.node(A).up = True
        cluster.pass_time(10)
        self.assertEqual(len(cluster.node(A).payloads()), 30)


class StreamOutageTests(OutageTests):
    stream = True
