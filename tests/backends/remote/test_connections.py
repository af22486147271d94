"""Connections to nodes: made before anything is sent, made again, and what proves a node well."""

from gnetway.backends.remote.requests import MAX_DC_STREAMS
from gnetway.dispatch.node import BreakerState, Node
from gnetway.rpc.status import RpcStatus, StatusCode
from tests.backends.remote.cases import A, B, C, Cluster, redirecting
from tests.backends.remote.fakes import FakeNode
from tests.backends.remote.test_backend import BackendCase
from tests.backends.remote.test_sessions import texts

NOT_SERVED = RpcStatus(StatusCode.UNIMPLEMENTED, "unknown service session.RPCSession")


class ConnectionTests(BackendCase):
    def core_node(self, cluster: Cluster, address: str) -> Node:
        node = cluster.backend._core.nodes.known(address)
        assert node is not None
        return node

    def test_a_dead_address_is_sent_nothing(self) -> None:
        """Nor does anybody wait for it, however long the attempt to connect takes."""
        cluster = self.cluster(A)
        cluster.ring.add(B)
        cluster.node(B).unreachable = True
        cluster.discovery.say(A, B)
        for number in range(20):
            cluster.say(cluster.session(number, at=B if number % 2 else A), b"%d" % number)
        cluster.settle()
        self.assertEqual(len(cluster.node(A).payloads()), 20)
        cluster.pass_time(20)
        client = cluster.carrier.client_of(B)
        self.assertEqual((client.opened, len(client.metadata)), (0, 0))

    def test_a_lost_connection_is_made_again(self) -> None:
        """Until then the node is off the ring; then it has its keys again."""
        cluster = self.cluster(A, B)
        session = cluster.session(at=A)
        cluster.node(A).up = False
        cluster.carrier.client_of(A).lose_connection()
        cluster.say(session, b"1")
        cluster.settle()
        self.assertEqual(cluster.node(B).payloads(), [b"1"])
        cluster.node(A).up = True
        cluster.pass_time(3)
        cluster.say(session, b"2")
        cluster.settle()
        self.assertEqual(cluster.node(A).payloads(), [b"2"])

    def wrong(self, node: FakeNode) -> None:
        """Let a node refuse everything by a status of its own."""
        node.refuse = lambda kind: NOT_SERVED
        if self.stream:
            # Then the stream itself ends so.
            node.frozen = True

    def end_stream(self, cluster: Cluster, address: str) -> None:
        for stream in list(cluster.carrier.client_of(address).streams):
            stream.end(NOT_SERVED)

    def test_an_address_that_is_no_session_service(self) -> None:
        """Its breaker opens with the first answer, and messages go to the next node."""
        cluster = self.cluster(A, B)
        self.wrong(cluster.node(A))
        sessions = [cluster.session(number, at=A) for number in range(3)]
        for session in sessions:
            cluster.say(session, b"%d" % session.key.auth_key_id)
        self.end_stream(cluster, A)
        cluster.settle()
        self.assertEqual(len(cluster.node(B).payloads()), 3)
        self.assertIs(self.core_node(cluster, A).breaker.state, BreakerState.OPEN)
        self.assertEqual([session.ended for session in sessions], [[]] * 3)

    def test_a_probe_closes_the_breaker(self) -> None:
        """Not before the node answers it by something of its own."""
        cluster = self.cluster(A, B)
        self.wrong(cluster.node(A))
        session = cluster.session(at=A)
        cluster.say(session, b"1")
        self.end_stream(cluster, A)
        cluster.pass_time(3)
        self.assertIsNot(self.core_node(cluster, A).breaker.state, BreakerState.CLOSED)
        cluster.node(A).refuse = lambda kind: None
        cluster.node(A).frozen = False
        cluster.pass_time(20)
        self.assertIsNot(self.core_node(cluster, A).breaker.state, BreakerState.CLOSED)
        cluster.pass_time(20)
        self.assertIs(self.core_node(cluster, A).breaker.state, BreakerState.CLOSED)
        self.assertEqual(set(cluster.node(A).kinds()), {"query_auth_key"})
        cluster.say(session, b"2")
        cluster.settle()
        self.assertEqual(cluster.node(A).payloads(), [b"2"])

    def test_a_redirect_to_a_node_that_cannot_be_connected_to(self) -> None:
        """Who was sent there waits for the attempt, and then goes by the ring."""
        cluster = self.cluster(A)
        cluster.node(A).refuse = redirecting(C, "send_data")
        cluster.node(C).up = False
        session = cluster.session()
        cluster.say(session, b"1")
        cluster.settle()
        cluster.node(A).refuse = lambda kind: None
        cluster.pass_time(2)
        self.assertEqual(cluster.node(A).payloads(), [b"1"])

    def test_a_node_that_only_a_redirect_named_is_forgotten(self) -> None:
        """With its connection, and with what the log knows of it."""
        cluster = self.cluster(A)
        cluster.node(A).refuse = redirecting(C, "send_data")
        cluster.node(C).up = False
        cluster.say(cluster.session(), b"1")
        cluster.pass_time(2)
        self.assertIn(C, cluster.backend._node_log._told)
        cluster.node(A).refuse = lambda kind: None
        cluster.pass_time(130)
        self.assertIsNone(cluster.backend._core.nodes.known(C))
        self.assertTrue(cluster.carrier.client_of(C).closed)
        self.assertEqual(cluster.backend._node_log._told, {})

    def test_why_it_is_not_ready(self) -> None:
        cluster = self.cluster()
        self.assertEqual(cluster.backend.unready(), "no session node is known")
        cluster.node(A).up = False
        cluster.discovery.say(A)
        self.assertEqual(cluster.backend.unready(), f"no session node answers: {A}")
        cluster.node(A).up = True
        cluster.pass_time(3)
        self.assertEqual(cluster.backend.unready(), "")


class StreamConnectionTests(ConnectionTests):
    stream = True


class DataCentreTests(BackendCase):
    def named(self, *dc_ids: int) -> list[str]:
        """Return what nodes are told of clients that name these data centres."""
        cluster = self.cluster(A)
        for dc_id in dc_ids:
            session = cluster.session(dc_id + 1)
            session.dc_id = dc_id
            cluster.say(session, *texts(2, 10 * dc_id))
        cluster.settle()
        self.assertEqual(len(cluster.node(A).payloads()), 2 * len(dc_ids))
        told = [dict(metadata) for metadata in cluster.carrier.client_of(A).metadata]
        return [fields.get("x-teamgram-source-dc-id", "") for fields in told]

    def test_named(self) -> None:
        """With each call, or with a stream for each."""
        told = self.named(0, 2, 4)
        self.assertEqual(told, ["", "2", "4"] if self.stream else ["", "2", "4"] * 2)

    def test_so_many_streams_at_most(self) -> None:
        if self.stream:
            told = self.named(*range(1, MAX_DC_STREAMS + 5))
            self.assertEqual(len(told), MAX_DC_STREAMS + 1)
            self.assertEqual(told[-1], "")


class StreamDataCentreTests(DataCentreTests):
    stream = True


class LargeMessageTests(BackendCase):
    def test_above_the_bound(self) -> None:
        """It is not sent at all, its client is let go, and others go on."""
        cluster = self.cluster(A, max_message_bytes=1000)
        session, other = cluster.session(1), cluster.session(2)
        for client, size in ((session, 1000), (session, 1001), (other, 10)):
            cluster.backend.send_data(client, 5, bytes(size), False, None)
        cluster.settle()
        self.assertEqual((session.ended, other.ended), (["message_too_big"], []))
        self.assertEqual([len(one) for one in cluster.node(A).payloads()], [1000, 10])


class StreamLargeMessageTests(LargeMessageTests):
    stream = True


class GoneKeyTests(BackendCase):
    def test_an_answer_that_proves_it(self) -> None:
        cluster = self.cluster(A)
        status = RpcStatus(StatusCode.UNKNOWN, "AUTH_KEY_UNREGISTERED")
        cluster.node(A).refuse = lambda kind: status
        session = cluster.session()
        cluster.backend.send_data(session, 5, b"1", True, None)
        cluster.settle()
        self.assertEqual(cluster.target.forgotten, [session.key.auth_key_id])
        self.assertEqual(session.ended, ["key_unregistered"])


class StreamGoneKeyTests(GoneKeyTests):
    stream = True
