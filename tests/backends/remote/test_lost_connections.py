"""Connections that are lost while nothing is under way: the node may have been restarted."""

from twisted.trial.unittest import SynchronousTestCase

from tests.backends.remote.cases import A, Cluster


class LostConnectionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.cluster = Cluster(A)
        self.node = self.cluster.node(A)
        self.session = self.cluster.session()
        self.say(b"1", b"2")

    def say(self, *payloads: bytes) -> None:
        self.cluster.say(self.session, *payloads)
        self.cluster.settle()

    def conn_types(self) -> list[int]:
        return [event.conn_type for event in self.node.events if event.kind == "send_data"]

    def test_a_session_is_announced_anew(self) -> None:
        self.node.forget()
        self.cluster.carrier.client_of(A).lose_connection()
        self.say(b"3", b"4")
        self.assertEqual(self.conn_types(), [1, 0, 1, 0])
        self.assertEqual(self.node.unannounced, [])

    def test_once_where_calls_have_told_it_too(self) -> None:
        self.node.forget()
        self.cluster.say(self.session, b"3")
        self.cluster.links_down(A)
        self.cluster.carrier.client_of(A).lose_connection()
        self.cluster.pass_time(1)
        self.say(b"4")
        self.assertEqual(self.conn_types(), [1, 0, 1, 0])
