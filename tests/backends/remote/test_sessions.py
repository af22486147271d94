"""Sessions at the nodes: announced before their data, ended once, and forgotten."""

import gc

from gnetway.backends.remote.connections import Announce, OutageLimits
from gnetway.dispatch.session_queue import SessionQueue
from gnetway.rpc.calls import RpcOptions
from gnetway.rpc.status import RpcStatus, StatusCode
from tests.backends.remote.cases import A, B, Cluster
from tests.backends.remote.fakes import FakeSession
from tests.backends.remote.test_backend import BackendCase


def texts(count: int, start: int = 0) -> list[bytes]:
    return [b"%d" % number for number in range(start, start + count)]


class AnnouncementTests(BackendCase):
    def test_in_the_first_message(self) -> None:
        cluster = self.cluster(A, B)
        session = cluster.session(at=A)
        cluster.say(session, *texts(3))
        cluster.settle()
        events = cluster.node(A).events
        self.assertEqual([event.conn_type for event in events], [1, 0, 0])
        self.assertEqual([event.payload for event in events], texts(3))
        self.assertEqual([cluster.outcome(one) for one in texts(3)], ["ok"] * 3)

    def test_by_a_call(self) -> None:
        cluster = self.cluster(A, B, announce=Announce.CALL)
        session = cluster.session(at=A)
        cluster.say(session, *texts(3))
        cluster.settle()
        node = cluster.node(A)
        self.assertEqual(node.kinds(), ["create_session", "send_data", "send_data", "send_data"])
        self.assertEqual({event.conn_type for event in node.events}, {0})
        self.assertEqual(node.payloads(), texts(3))

    def test_each_session_of_a_key(self) -> None:
        cluster = self.cluster(A)
        sessions = [cluster.session(1, session_id=number) for number in (1, 2)]
        for session in sessions:
            cluster.say(session, b"%d" % session.session_id)
        cluster.settle()
        self.assertEqual([event.conn_type for event in cluster.node(A).events], [1, 1])
        self.assertEqual(cluster.node(A).live, {session.name for session in sessions})

    def test_on_a_full_link(self) -> None:
        """What the link did not take has announced nothing."""
        for announce in Announce:
            options = RpcOptions(max_unsent_messages=1, max_calls=1)
            cluster = self.cluster(A, announce=announce, options=options)
            for number in range(3):
                cluster.say(cluster.session(number), b"%d" % number)
            cluster.pass_time(1)
            self.assertEqual(len(cluster.node(A).payloads()), 3)
            self.assertEqual(cluster.node(A).unannounced, [])
            self.assertEqual(len(cluster.node(A).live), 3)

    def test_after_an_idle_restart(self) -> None:
        """A stream that breaks says that the node may have forgotten."""
        if not self.stream:
            return
        for announce in Announce:
            cluster = self.cluster(A, announce=announce)
            session = cluster.session()
            cluster.say(session, b"1")
            cluster.settle()
            cluster.node(A).forget()
            cluster.links_down(A)
            cluster.say(session, b"2")
            cluster.settle()
            self.assertEqual(cluster.node(A).unannounced, [])

    def test_a_refused_announcement(self) -> None:
        """Whether the node knows the session is not known: it is told again."""
        for announce in Announce:
            cluster = self.cluster(A, announce=announce)
            node = cluster.node(A)
            node.refuse = lambda kind: RpcStatus(StatusCode.INTERNAL, "DB_DOWN")
            session = cluster.session()
            cluster.say(session, b"1")
            cluster.settle()
            self.assertEqual(cluster.outcome(b"1"), "BackendRefused")
            node.refuse = lambda kind: None
            cluster.say(session, b"2")
            cluster.settle()
            self.assertEqual((node.unannounced, node.payloads()), ([], [b"2"]))

    def test_fields_follow_the_client(self) -> None:
        """A key that is bound and an address that changes are told with the next message."""
        cluster = self.cluster(A)
        session = cluster.session()
        requests: list[bytes] = []
        handle = cluster.node(A).handle

        def note(method: str, request: bytes) -> bytes | RpcStatus:
            requests.append(request)
            return handle(method, request)

        cluster.node(A).handle = note  # type: ignore[method-assign]
        cluster.say(session, b"1")
        cluster.settle()
        session.client_ip = "192.0.2.99"
        cluster.say(session, b"2")
        cluster.settle()
        session.key.perm_auth_key_id = 99
        cluster.say(session, b"3")
        cluster.settle()
        self.assertEqual([b"192.0.2.99" in one for one in requests], [False, True, True])
        self.assertEqual([b"\x38\x63" in one for one in requests], [False, False, True])


class StreamAnnouncementTests(AnnouncementTests):
    stream = True


class EndTests(BackendCase):
    def begun(self, cluster: Cluster, at: str) -> FakeSession:
        """A session that a node knows by its first message, b"1"."""
        session = cluster.session(at=at)
        cluster.say(session, b"1")
        cluster.settle()
        return session

    def taken_over(self, cluster: Cluster) -> FakeSession:
        """A session that A knows alone, but whose key goes to B from now on."""
        cluster.ring.add(B)
        session = self.begun(cluster, B)
        cluster.discovery.say(A, B)
        return session

    def closed(self, cluster: Cluster, session: FakeSession) -> None:
        cluster.backend.close_session(session)
        cluster.settle()
        self.assertEqual(cluster.sessions, {})

    def test_after_all_data(self) -> None:
        for announce in Announce:
            cluster = self.cluster(A, B, announce=announce)
            session = cluster.session(at=A)
            cluster.say(session, *texts(3))
            self.closed(cluster, session)
            self.assertEqual(cluster.node(A).payloads(), texts(3))
            self.assertEqual(cluster.node(A).kinds()[-2:], ["send_data", "close_session"])
            self.assertEqual(cluster.node(A).closed_unknown, [])

    def test_of_what_nobody_knows(self) -> None:
        cluster = self.cluster(A)
        self.closed(cluster, cluster.session())
        self.assertEqual(cluster.node(A).events, [])

    def test_reopened(self) -> None:
        """A client that is back before its end could be told was never gone for the node."""
        for announce in Announce:
            cluster = self.cluster(A, announce=announce)
            session = cluster.session()
            cluster.say(session, b"1")
            cluster.backend.close_session(session)
            again = cluster.session()
            cluster.say(again, b"2", b"3")
            cluster.settle()
            node = cluster.node(A)
            expected = ["send_data", "send_data", "send_data"]
            if announce is Announce.CALL:
                expected.insert(0, "create_session")
            self.assertEqual(node.kinds(), expected)
            self.assertEqual((node.unannounced, node.closed_unknown), ([], []))
            self.closed(cluster, again)
            self.assertEqual(node.live, set())

    def test_the_old_node_hears_of_it(self) -> None:
        """Where a new node takes over a key, the one before is told."""
        for announce in Announce:
            cluster = self.cluster(A, announce=announce)
            session = self.taken_over(cluster)
            cluster.say(session, b"2")
            cluster.settle()
            self.assertEqual(cluster.node(A).live, set())
            self.assertEqual(cluster.node(A).kinds().count("close_session"), 1)
            self.assertEqual(cluster.node(B).live, {session.name})
            self.closed(cluster, session)
            self.assertEqual(cluster.node(B).live, set())
            self.assertEqual(cluster.node(B).closed_unknown, [])

    def test_to_the_node_that_knows(self) -> None:
        """A session that has not moved yet is ended where it is."""
        cluster = self.cluster(A)
        session = self.taken_over(cluster)
        self.closed(cluster, session)
        self.assertEqual((cluster.node(A).live, cluster.node(B).events), (set(), []))

    def test_a_node_that_left(self) -> None:
        """It is told as long as it lives; the gone are not waited for."""
        for up in (True, False):
            cluster = self.cluster(A, B)
            session = self.begun(cluster, A)
            cluster.node(A).up = up
            cluster.discovery.say(B)
            cluster.backend.close_session(session)
            cluster.pass_time(2)
            self.assertEqual(cluster.sessions, {})
            self.assertEqual("close_session" in cluster.node(A).kinds(), up)

    def test_a_node_that_is_down_for_a_while(self) -> None:
        """It may be another process then, so it is told nothing, and nobody waits for it."""
        cluster = self.cluster(A, B)
        session = self.begun(cluster, A)
        cluster.node(A).up = False
        cluster.backend.close_session(session)
        again = FakeSession(session.key, session.session_id)
        cluster.backend.open_session(again)
        cluster.say(again, b"2")
        cluster.pass_time(2)
        self.assertEqual(cluster.node(B).payloads(), [b"2"])
        cluster.node(A).up = True
        cluster.pass_time(5)
        self.assertEqual(cluster.node(A).kinds(), ["send_data"])

    def test_no_new_beginning_before_the_end(self) -> None:
        """Even where a session comes back to a node that is still to hear that it left."""
        for reopened in (False, True):
            cluster = self.cluster(A)
            session = self.taken_over(cluster)
            cluster.say(session, b"2")
            if reopened:
                cluster.backend.close_session(session)
            client = cluster.carrier.client_of(B)
            while any(one.step() for one in client.under_way()):
                pass
            cluster.discovery.say(A)
            if reopened:
                again = FakeSession(session.key, session.session_id)
                cluster.backend.open_session(again)
                cluster.backend.send_data(again, 5, b"3", False, None)
            else:
                cluster.say(session, b"3")
            for call in list(reversed(cluster.carrier.client_of(A).calls)):
                call.step()
            cluster.pass_time(1)
            node = cluster.node(A)
            self.assertEqual(node.kinds(), ["send_data", "close_session", "send_data"])
            self.assertEqual((node.payloads(), node.unannounced), ([b"1", b"3"], []))

    def test_given_up_before_what_flew(self) -> None:
        """What was in flight when the rest was given up does not go again either."""
        if not self.stream:
            return
        options = RpcOptions(max_unsent_messages=2)
        cluster = self.cluster(A, options=options, outage=OutageLimits(max_seconds=3))
        session = cluster.session()
        cluster.node(A).frozen = True
        cluster.say(session, *texts(3))
        cluster.backend.close_session(session)
        cluster.pass_time(8)
        self.assertEqual(session.ended, ["hold_expired"])
        cluster.node(A).frozen = False
        cluster.links_down(A)
        cluster.pass_time(5)
        self.assertEqual(cluster.node(A).payloads(), [])
        self.assertEqual({cluster.outcome(one) for one in texts(3)}, {"BackendUnavailable"})
        self.assertEqual((cluster.node(A).live, cluster.sessions), (set(), {}))

    def test_a_refused_end(self) -> None:
        cluster = self.cluster(A)
        session = cluster.session()
        cluster.say(session, b"1")
        cluster.settle()
        cluster.node(A).refuse = lambda kind: RpcStatus(StatusCode.INTERNAL, "DB_DOWN")
        self.closed(cluster, session)
        self.assertEqual(cluster.backend.refused.as_dict(), {"DB_DOWN": 1})


class StreamEndTests(EndTests):
    stream = True


class LeftoverTests(BackendCase):
    def test_a_closed_session_leaves_nothing_for_the_collector(self) -> None:
        cluster = self.cluster(A)
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        held = self.queues()
        session = cluster.session(1)
        cluster.say(session, b"1")
        cluster.settle()
        self.assertEqual(self.queues(), held + 1)
        cluster.backend.close_session(session)
        cluster.settle()
        self.assertEqual(cluster.node(A).live, set())
        self.assertEqual(self.queues(), held)

    def queues(self) -> int:
        # By their types: what other tests have left may not even tell its class.
        return sum(type(one) is SessionQueue for one in gc.get_objects())
