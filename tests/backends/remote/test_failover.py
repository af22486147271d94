"""What a node does not answer goes to the next one, and redirects are followed."""

from gnetway.backends.remote.connections import Announce
from gnetway.rpc.status import RpcStatus, StatusCode
from tests.backends.remote.cases import A, B, C, Cluster, redirect_to, redirecting
from tests.backends.remote.test_backend import BackendCase
from tests.backends.remote.test_sessions import texts


class FailoverTests(BackendCase):
    def test_unavailable(self) -> None:
        """The next node gets it, after its own announcement, and in order."""
        for announce in Announce:
            cluster = self.cluster(A, B, announce=announce)
            session = cluster.session(at=A)
            cluster.say(session, b"1")
            cluster.settle()
            cluster.node(A).up = False
            cluster.say(session, *texts(3, 2))
            cluster.settle()
            self.assertEqual(cluster.node(A).payloads(), [b"1"])
            self.assertEqual(cluster.node(B).payloads(), texts(3, 2))
            self.assertEqual(cluster.node(B).unannounced, [])

    def test_slow(self) -> None:
        """So does one that does not answer in time; then the slow one hears of the end."""
        cluster = self.cluster(A, B, timeout_seconds=2)
        session = cluster.session(at=A)
        cluster.say(session, b"1")
        cluster.settle()
        cluster.node(A).frozen = True
        cluster.say(session, b"2", b"3")
        cluster.settle()
        cluster.pass_time(4)
        cluster.node(A).frozen = False
        cluster.pass_time(8)
        self.assertEqual(cluster.node(B).payloads(), [b"2", b"3"])
        self.assertEqual((cluster.node(B).unannounced, cluster.node(A).live), ([], set()))
        self.assertEqual([cluster.outcome(one) for one in (b"2", b"3")], ["ok", "ok"])

    def test_cancelled_by_a_node_that_stops(self) -> None:
        cluster = self.cluster(A, B)
        session = cluster.session(at=A)
        cluster.say(session, b"1")
        client = cluster.carrier.client_of(A)
        status = RpcStatus(StatusCode.CANCELLED, "stopping")
        if self.stream:
            client.streams[0].end(status)
        else:
            client.calls[0].fail(status)
        cluster.settle()
        self.assertEqual(cluster.node(B).payloads(), [b"1"])

    def test_strikes_and_trial(self) -> None:
        """A dead node is asked by nobody's message: it is connected to, and then used again."""
        cluster = self.cluster(A, B)
        cluster.node(A).up = False
        sessions = [cluster.session(number, at=A) for number in range(1, 9)]
        for session in sessions:
            cluster.say(session, b"%d" % session.key.auth_key_id)
            cluster.settle()
        asked: list[int] = []
        for _ in range(20):
            cluster.clock.advance(0.5)
            for number, session in enumerate(sessions):
                cluster.say(session, b"%d again %d" % (number, len(asked)))
            client = cluster.carrier.client_of(A)
            asked.append(len(client.calls) + len(client.streams))
            cluster.settle()
        self.assertEqual(set(asked), {0})
        cluster.node(A).up = True
        cluster.pass_time(10)
        cluster.say(sessions[0], b"home")
        cluster.settle()
        cluster.say(sessions[0], b"at home")
        cluster.settle()
        self.assertIn(b"at home", cluster.node(A).payloads())

    def test_named_anew(self) -> None:
        cluster = self.cluster(A, B)
        session = cluster.session(at=A)
        cluster.node(A).up = False
        for number in range(5):
            cluster.say(session, b"%d" % number)
            cluster.settle()
        cluster.clock.advance(20)
        cluster.node(A).up = True
        cluster.discovery.say(B)
        cluster.discovery.say(A, B)
        cluster.say(session, b"home")
        cluster.settle()
        self.assertEqual(cluster.node(A).payloads(), [b"home"])

    def test_other_keys_stay(self) -> None:
        """A node that comes or goes moves no session between the others."""
        cluster = self.cluster(A, B)
        sessions = [cluster.session(number) for number in range(40)]
        for session in sessions:
            cluster.say(session, b"1")
        cluster.settle()
        homes = {session.name: session.name in cluster.node(A).live for session in sessions}
        for addresses in ([A, B, C], [A, B]):
            cluster.discovery.say(*addresses)
            for session in sessions:
                cluster.say(session, b"%d %d" % (len(addresses), session.key.auth_key_id))
            cluster.settle()
        for session in sessions:
            home, other = (A, B) if homes[session.name] else (B, A)
            self.assertIn(session.name, cluster.node(home).live)
            self.assertEqual(cluster.node(other).payloads(session.name), [])
        self.assertEqual(cluster.node(C).live, set())
        self.assertGreater(len(cluster.node(C).payloads()), 0)

    def test_once_more_and_no_more(self) -> None:
        """A message that nodes may have got twice is given up; the client is to begin anew.

        By stream a node that is silent is used no more, so it cannot get it twice.
        """
        cluster = self.cluster(A, timeout_seconds=2)
        session = cluster.session()
        cluster.node(A).frozen = True
        cluster.say(session, b"1")
        cluster.pass_time(8)
        if self.stream:
            self.assertEqual((cluster.outcome(b"1"), session.paused), ("", 1))
            cluster.node(A).frozen = False
            cluster.pass_time(5)
            self.assertEqual((cluster.outcome(b"1"), session.paused), ("ok", 0))
            return
        self.assertEqual(cluster.outcome(b"1"), "BackendUnavailable")
        self.assertEqual(session.ended, ["not_acknowledged"])
        self.assertEqual(cluster.backend.lost.as_dict(), {"not_acknowledged": 1})
        cluster.node(A).frozen = False
        cluster.say(session, b"2")
        cluster.pass_time(8)
        self.assertEqual(cluster.node(A).payloads(), [b"2"])

    def test_the_close_of_a_client_that_was_told(self) -> None:
        """It is the last thing a node hears, though others were still to be sent again."""
        cluster = self.cluster(A, B, C, timeout_seconds=2)
        session = cluster.session()

        def hang_up() -> None:
            session.on_end = lambda: None
            cluster.backend.close_session(session)

        session.on_end = hang_up
        for address in (A, B, C):
            cluster.node(address).frozen = True
        cluster.say(session, *texts(3))
        cluster.pass_time(8)
        self.assertGreater(len(session.ended), 0)
        for address in (A, B, C):
            cluster.node(address).frozen = False
        cluster.pass_time(25)
        self.assertEqual(cluster.sessions, {})
        for address in (A, B, C):
            node = cluster.node(address)
            self.assertEqual((node.live, node.unannounced), (set(), []))


class StreamFailoverTests(FailoverTests):
    stream = True

    def test_resent_once(self) -> None:
        """Data the node may have got is sent once more; what it acknowledged is not."""
        cluster = self.cluster(A)
        session = cluster.session()
        cluster.say(session, *texts(3))
        (stream,) = cluster.carrier.client_of(A).streams
        stream.step()
        stream.step()
        stream.take()
        cluster.links_down(A)
        cluster.pass_time(1)
        self.assertEqual(cluster.node(A).payloads(), [b"0", b"1", b"1", b"2"])
        self.assertEqual([cluster.outcome(one) for one in texts(3)], ["ok"] * 3)

    def test_all_of_a_break_go_again_together(self) -> None:
        """None waits for the answer to the one before it."""
        cluster = self.cluster(A)
        session = cluster.session()
        cluster.say(session, b"first")
        cluster.settle()
        cluster.say(session, *texts(50))
        cluster.links_down(A)
        cluster.pass_time(0.5)
        self.assertEqual(cluster.node(A).payloads(), [b"first", *texts(50)])

    def test_a_dead_peer_costs_no_resend(self) -> None:
        """However often no connection came about."""
        cluster = self.cluster(A)
        cluster.node(A).up = False
        session = cluster.session()
        cluster.say(session, b"1")
        cluster.pass_time(20)
        cluster.node(A).up = True
        cluster.pass_time(10)
        self.assertEqual(cluster.node(A).payloads(), [b"1"])
        self.assertEqual(cluster.outcome(b"1"), "ok")

    def test_reconnect(self) -> None:
        cluster = self.cluster(A)
        session = cluster.session()
        for number in range(3):
            cluster.say(session, b"%d" % number)
            cluster.settle()
            cluster.links_down(A)
        self.assertEqual(cluster.node(A).payloads(), texts(3))
        self.assertEqual(cluster.carrier.client_of(A).opened, 3)


class RedirectTests(BackendCase):
    def moved(self, announce: Announce = Announce.MESSAGE) -> Cluster:
        """A sends data to C, which discovery does not name."""
        cluster = self.cluster(A, announce=announce)
        cluster.node(A).refuse = redirecting(C, "send_data")
        return cluster

    def test_followed(self) -> None:
        """No message is lost, and what follows goes straight there."""
        for announce in Announce:
            cluster = self.moved(announce)
            session = cluster.session()
            cluster.say(session, *texts(3))
            cluster.settle()
            self.assertEqual(cluster.node(C).payloads(), texts(3))
            self.assertEqual(cluster.node(C).unannounced, [])
            before = list(cluster.node(A).events)
            cluster.say(session, *texts(3, 3))
            cluster.backend.close_session(session)
            cluster.settle()
            self.assertEqual(cluster.node(C).payloads(), texts(6))
            self.assertEqual(cluster.node(C).kinds()[-1], "close_session")
            self.assertEqual((cluster.node(C).live, cluster.node(A).live), (set(), set()))
            self.assertEqual(cluster.node(C).closed_unknown + cluster.node(A).closed_unknown, [])
            self.assertEqual(cluster.node(A).events, before)

    def test_everything_is_redirected(self) -> None:
        """Announcements too; and an end is not carried after a session that has moved."""
        for announce in Announce:
            cluster = self.cluster(A, announce=announce)
            session = cluster.session()
            cluster.say(session, b"0")
            cluster.settle()
            cluster.node(A).refuse = redirecting(C)
            cluster.say(session, *texts(2, 1))
            cluster.settle()
            self.assertEqual(cluster.node(C).payloads(), texts(2, 1))
            self.assertNotIn("close_session", cluster.node(C).kinds())
            self.assertEqual(cluster.node(C).live, {session.name})

    def test_twice_is_an_error(self) -> None:
        for announce in Announce:
            cluster = self.cluster(A, announce=announce)
            cluster.node(A).refuse = redirecting(C, "send_data", "create_session")
            cluster.node(C).refuse = redirecting(B, "send_data", "create_session")
            session = cluster.session()
            cluster.say(session, b"1")
            cluster.settle()
            self.assertEqual(cluster.outcome(b"1"), "BackendRefused")
            cluster.backend.close_session(session)
            cluster.settle()
            self.assertEqual(cluster.node(B).events, [])
            cluster.node(A).refuse = cluster.node(C).refuse = lambda kind: None
            cluster.pass_time(1)
            self.assertEqual(cluster.node(A).events + cluster.node(C).events, [])

    def test_loops_end(self) -> None:
        for targets in ((A, A), (C, A), (C, C)):
            for announce in Announce:
                cluster = self.cluster(A, announce=announce)
                cluster.node(A).refuse = redirecting(targets[0])
                cluster.node(C).refuse = redirecting(targets[1])
                session = cluster.session()
                cluster.say(session, *texts(2))
                cluster.settle()
                outcomes = [cluster.outcome(one) for one in texts(2)]
                self.assertEqual(outcomes, ["BackendRefused"] * 2)
                cluster.node(A).refuse = cluster.node(C).refuse = lambda kind: None
                cluster.say(session, b"later")
                cluster.settle()
                self.assertEqual(cluster.outcome(b"later"), "ok")

    def test_target_fails_later(self) -> None:
        """Then the ring decides again."""
        cluster = self.moved()
        session = cluster.session()
        cluster.say(session, b"1")
        cluster.settle()
        cluster.node(C).up = False
        cluster.node(A).refuse = lambda kind: None
        cluster.say(session, b"2", b"3")
        cluster.settle()
        self.assertEqual(cluster.node(A).payloads(), [b"2", b"3"])
        self.assertEqual(cluster.node(A).unannounced, [])

    def test_target_known_to_be_down(self) -> None:
        """Who was sent there goes by the ring, without another failure of its own."""
        cluster = self.moved()
        sessions = [cluster.session(number) for number in range(5)]
        for session in sessions:
            cluster.say(session, b"1")
        cluster.settle()
        cluster.node(C).up = False
        cluster.node(A).refuse = lambda kind: None
        for number, session in enumerate(sessions):
            cluster.say(session, b"2 of %d" % number)
            cluster.settle()
        self.assertEqual(len(cluster.node(A).payloads()), 5)

    def test_target_down(self) -> None:
        """The message waits, and is not lost to a second redirect to the same node."""
        for announce in Announce:
            cluster = self.moved(announce)
            cluster.node(C).up = False
            session = cluster.session()
            cluster.say(session, b"1", b"2")
            cluster.pass_time(5)
            self.assertEqual((cluster.outcome(b"1"), session.paused), ("", 1))
            cluster.node(C).up = True
            cluster.pass_time(10)
            self.assertEqual(cluster.node(C).payloads(), [b"1", b"2"])
            self.assertEqual([cluster.outcome(one) for one in (b"1", b"2")], ["ok", "ok"])

    def test_text_without_the_number(self) -> None:
        """Carriers hide numbers over 16; the text decides."""
        cluster = self.cluster(A)
        status = RpcStatus(StatusCode.UNKNOWN, redirect_to(C).details)
        cluster.node(A).refuse = lambda kind: status
        cluster.say(cluster.session(), b"1")
        cluster.settle()
        self.assertEqual(cluster.node(C).payloads(), [b"1"])


class StreamRedirectTests(RedirectTests):
    stream = True
