"""Session nodes that share the keys, die, come back, leave, and send keys elsewhere."""

import time

from gnetway.config.session import Carrier
from gnetway.dispatch.ring import Ring
from gnetway.tl.service_messages import Ping
from tests.live.client import LinkEnded, LiveClient, now
from tests.live.cluster.cluster import ClusterTestCase
from tests.live.cluster.session_service import Refusal, Told
from tests.live.cluster.talker import Talker
from tests.live.gateway import until


def ring_of(addresses: list[str]) -> Ring:
    ring = Ring()
    for address in addresses:
        ring.add(address)
    return ring


class UnaryNodeTests(ClusterTestCase):
    def test_each_key_on_its_node(self) -> None:
        """Queries and messages of 500 keys, over three nodes."""
        nodes = self.start_cluster(3)
        ring = ring_of([node.address for node in nodes])
        sessions = [self.new_session() for _ in range(500)]
        for session in sessions:
            with LiveClient(self.gateway) as client:
                client.ping(session)
        heard = self.service.heard("data") + self.service.heard("query")
        self.assertEqual(len(heard), 1000)
        for told in heard:
            self.assertEqual(told.node, ring.node_for(told.auth_key_id))
            self.assertEqual(told.by_stream, self.by_stream)
        shares = [len(self.service.heard("data", node.address)) for node in nodes]
        self.assertGreater(min(shares), 50)
        self.assert_all_closed()
        self.assertEqual(len(self.service.heard("close")), 500)

    def test_a_node_dies_under_load_and_comes_back(self) -> None:
        nodes = self.start_cluster(3)
        talkers = self.talkers(20)
        homes = self._homes([node.address for node in nodes])
        dead = nodes[1]
        lost_at = len(self.service.told)
        dead.kill()
        time.sleep(1)
        dead.start()
        self._heard_after(len(self.service.told), dead.address)
        for talker in talkers:
            talker.stop()
        self.assert_served(talkers, most_doubles=4)
        self._assert_only_its_keys_moved(talkers, dead.address, homes, lost_at)

    def test_a_node_restarts_while_nobody_talks(self) -> None:
        """It has forgotten the session, so it hears of it anew."""
        (node,) = self.start_cluster(1)
        session = self.new_session()
        with LiveClient(self.gateway) as client:
            client.ping(session, 1)
            client.ping(session, 2)
            # The pong comes before the node has answered the call that brought the ping: a node
            # that goes in between would get it again.
            time.sleep(1.5)
            node.kill()
            time.sleep(1)
            node.start()
            client.ping(session, 3)
        self.assertEqual([told.conn_type for told in self.service.heard("data")], [1, 0, 1])

    def test_a_node_leaves_etcd_and_comes_back(self) -> None:
        """Nothing is sent twice: it goes on answering what it was asked."""
        nodes = self.start_nodes(3)
        names = [self.list_node(node.address) for node in nodes]
        self.start_gateway([node.address for node in nodes])
        talkers = self.talkers(20)
        homes = self._homes([node.address for node in nodes])
        gone = nodes[2].address
        left_at = len(self.service.told)
        self.etcd.ctl("del", names[2])
        until(lambda: f"session node {gone} leaves" in self.gateway.log, "the node leaves")
        time.sleep(1)
        self.list_node(gone)
        self._heard_after(len(self.service.told), gone)
        for talker in talkers:
            talker.stop()
        self.assert_served(talkers)
        self._assert_only_its_keys_moved(talkers, gone, homes, left_at)
        self.assert_all_closed()

    def test_a_redirect(self) -> None:
        """Followed once without a loss, and remembered; the other node need not be in etcd."""
        first, second = self.start_nodes(2)
        self.list_node(first.address)

        def elsewhere(told: Told) -> None:
            if told.method == "data" and told.node == first.address:
                raise Refusal(700, f"REDIRECT_TO_{second.address}")

        self.service.verdict = elsewhere
        self.start_gateway([first.address])
        talkers = self.talkers(5)
        time.sleep(1)
        for talker in talkers:
            talker.stop()
            there = [
                t.msg_id
                for t in self.service.heard("data", second.address)
                if t.session == talker.name
            ]
            self.assertEqual(there, talker.sent)
            self.assertEqual(talker.answered, set(talker.sent))
            here = [
                t for t in self.service.heard("data", first.address) if t.session == talker.name
            ]
            self.assertLess(len(here), 5)
        until(lambda: len(self.service.heard("close", second.address)) == 5, "sessions closed")

    def test_a_redirect_that_leads_in_a_circle(self) -> None:
        """It ends after one step, and the client is let go instead of being left in silence."""
        first, second = self.start_nodes(2)
        self.list_node(first.address)
        other = {first.address: second.address, second.address: first.address}

        def elsewhere(told: Told) -> None:
            if told.method == "data":
                raise Refusal(700, f"REDIRECT_TO_{other[told.node]}")

        self.service.verdict = elsewhere
        self.start_gateway([first.address])
        session = self.new_session()
        with LiveClient(self.gateway) as client:
            client.send(session.encrypt(Ping(1).pack(), now()))
            until(lambda: len(self.service.heard("data")) == 2, "two attempts")
            self.assertRaises(LinkEnded, client.receive)
        self.assertEqual(len(self.service.heard("data")), 2)
        self.service.verdict = lambda _: None
        with LiveClient(self.gateway) as client:
            client.ping(session, 2)

    # -- small parts ---------------------------------------------------------------------------

    def _heard_after(self, position: int, address: str) -> None:
        until(
            lambda: any(
                told.node == address and told.method == "data"
                for told in self.service.told[position:]
            ),
            f"data at {address} again",
        )

    def _homes(self, addresses: list[str]) -> dict[tuple[int, int], str]:
        """Wait until the ring is whole and talkers are at their nodes; return each talker's node.

        What comes before all nodes are connected to goes to those that are, and moves later.
        """
        for address in addresses:
            self._heard_after(0, address)
        time.sleep(1)
        return {told.session: told.node for told in self.service.told if told.method == "data"}

    def _assert_only_its_keys_moved(
        self, talkers: list[Talker], address: str, homes: dict[tuple[int, int], str], begin: int
    ) -> None:
        self.assertIn(address, homes.values())
        for talker in talkers:
            since = [told.node for told in self.service.told[begin:] if told.session == talker.name]
            places = list(dict.fromkeys([homes[talker.name], *since]))
            if places[0] != address:
                self.assertEqual(len(places), 1)
            else:
                # As a rule 2. grpcio may tell of the lost connection so late that a message is
                # tried there once more; until its end at the second node is answered, a third
                # one has the session.
                self.assertIn(len(places), (2, 3))


class StreamNodeTests(UnaryNodeTests):
    by_stream = True


class GrpcioUnaryNodeTests(UnaryNodeTests):
    carrier = Carrier.GRPCIO


class GrpcioStreamNodeTests(StreamNodeTests):
    carrier = Carrier.GRPCIO
