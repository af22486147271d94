"""While no session node answers: nothing is lost, no key is called unknown, order is kept."""

import time

from gnetway.testing import KeyGivenUp
from gnetway.tl.service_messages import Ping
from tests.live.client import LinkEnded, LiveClient, now
from tests.live.cluster.cluster import ClusterTestCase
from tests.live.gateway import until


class UnaryOutageTests(ClusterTestCase):
    def test_what_was_said_meanwhile_goes_out_in_order(self) -> None:
        """Twenty clients go on talking while their only two nodes are away.

        They do not die at the same moment: a message that two nodes have had and not acknowledged
        is not sent a third time.
        """
        nodes = self.start_cluster(2)
        talkers = self.talkers(20, depth=30)
        for node in nodes:
            time.sleep(0.5)
            node.kill()
        time.sleep(1)
        for node in nodes:
            node.start()
        time.sleep(1)
        for talker in talkers:
            talker.stop()
        self.assert_served(talkers, most_doubles=30)

    def test_a_client_that_comes_meanwhile(self) -> None:
        """It is accepted; its key is asked for until a node answers."""
        (node,) = self.start_cluster(1)
        node.kill()
        session = self.new_session()
        with LiveClient(self.gateway) as client:
            client.send(session.encrypt(Ping(1).pack(), now()))
            client.send(session.encrypt(Ping(2).pack(), now()))
            time.sleep(1)
            node.start()
            client.await_pong(session, 1, 2)
        self.assertEqual(len(self.service.heard("data")), 2)

    def test_no_node_at_all_yet(self) -> None:
        """The gateway starts before any node is known."""
        self.gateway.start()
        session = self.new_session()
        with LiveClient(self.gateway) as client:
            client.send(session.encrypt(Ping(1).pack(), now()))
            time.sleep(0.5)
            (node,) = self.start_nodes(1)
            self.list_node(node.address)
            client.await_pong(session, 1)

    def test_handshakes_are_put_off(self) -> None:
        """dh_gen_retry, then dh_gen_fail; the next one after the outage works."""
        (node,) = self.start_cluster(1)
        node.kill()
        with LiveClient(self.gateway) as client:
            with self.assertRaises(KeyGivenUp):
                client.make_key()
            assert client.exchange is not None
            self.assertGreater(client.exchange.retries, 0)
            node.start()
            until(lambda: self._makes_a_key(client), "a key")
        self.assertEqual(len({told.auth_key_id for told in self.service.heard("set")}), 1)

    def test_who_waits_too_long_is_let_go_without_a_code(self) -> None:
        self.gateway.config["Session"]["Hold"] = {"Seconds": 1}  # type: ignore[index]
        self.gateway.write_config()
        (node,) = self.start_cluster(1)
        session = self.new_session()
        with LiveClient(self.gateway) as client:
            client.ping(session)
            node.kill()
            client.send(session.encrypt(Ping(2).pack(), now()))
            with self.assertRaises((LinkEnded, ConnectionResetError)):
                client.receive()

    def _makes_a_key(self, client: LiveClient) -> bool:
        try:
            client.make_key()
        except KeyGivenUp:
            return False
        return True


class StreamOutageTests(UnaryOutageTests):
    by_stream = True
