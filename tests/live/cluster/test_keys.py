"""Keys and sessions at a session service that forgets the ends of keys, as Teamgram's does."""

import os
from contextlib import suppress

from gnetway.errors import TransportErrorCode
from gnetway.testing import ClientSession, PeerError, Wish
from gnetway.tl.primitives import Constructor, pack_uint32
from gnetway.tl.service_messages import Ping, Pong, RpcResult
from tests.live.client import LinkEnded, LiveClient, constructor_of, now
from tests.live.cluster.cluster import ClusterTestCase
from tests.live.gateway import until

DESTROY = pack_uint32(Constructor.DESTROY_AUTH_KEY)
DESTROYED = pack_uint32(Constructor.DESTROY_AUTH_KEY_OK)


class UnaryKeyTests(ClusterTestCase):
    def answer_of(self, session: ClientSession) -> int:
        """Ping over a connection of its own; return the transport error, 0 for none."""
        with LiveClient(self.gateway) as client:
            client.send(session.encrypt(Ping(1).pack(), now()))
            packet = client.receive()
            assert isinstance(packet, bytes)
            return int.from_bytes(packet, "little", signed=True) if len(packet) == 4 else 0

    def queries_of(self, session: ClientSession) -> int:
        key_id = session.key.auth_key_id
        return [told.auth_key_id for told in self.service.heard("query")].count(key_id)

    def test_a_temporary_key_that_has_ended(self) -> None:
        """The service would give it out again, and without an end."""
        self.start_cluster(1)
        with LiveClient(self.gateway) as client:
            session = client.make_key(Wish(expires_in=2))
        self.assertIn(session.key.auth_key_id, self.service.keys)
        until(lambda: self.answer_of(session) == TransportErrorCode.KEY_UNKNOWN, "its end")
        for _ in range(5):
            self.assertEqual(self.answer_of(session), TransportErrorCode.KEY_UNKNOWN)
        self.assertEqual(self.queries_of(session), 0)

    def test_a_key_that_its_client_destroys(self) -> None:
        """The service says that it is done, and goes on to know the key."""
        self.start_cluster(1)
        session = self.new_session()
        with LiveClient(self.gateway) as idle, LiveClient(self.gateway) as client:
            other = ClientSession(session.key, session.salt, os.urandom)
            idle.ping(other)
            client.ping(session)
            client.send(session.encrypt(DESTROY, now()))
            said = next(client.bodies(session))
            self.assertEqual(RpcResult.parse(said), (session.msg_id, DESTROYED))
            for end in (client, idle):
                self.assertEqual(end.transport_error(), TransportErrorCode.KEY_UNKNOWN)
                self.assertTrue(end.ended())
        self.assertEqual(self.answer_of(session), TransportErrorCode.KEY_UNKNOWN)
        self.assertEqual(self.queries_of(session), 1)
        self.assert_all_closed()

    def test_two_sessions_by_turns(self) -> None:
        self.start_cluster(2)
        first = self.new_session()
        sessions = [first, ClientSession(first.key, first.salt, os.urandom)]
        with LiveClient(self.gateway) as client:
            for number in range(20):
                client.ping(sessions[number % 2], number)
            # Many at once, so that answers of one come while the other speaks.
            for number in range(20):
                client.send(sessions[number % 2].encrypt(Ping(number).pack(), now()))
            answered: set[int] = set()
            while len(answered) < 20:
                answered.add(self._pong(client, sessions))
            self.assertEqual(self.service.heard("close"), [])
        for session in sessions:
            name = session.key.auth_key_id, session.session_id
            told = [told for told in self.service.heard("data") if told.session == name]
            self.assertEqual([one.conn_type for one in told], [1] + [0] * 19)
        self.assert_all_closed()

    def _pong(self, client: LiveClient, sessions: list[ClientSession]) -> int:
        packet = client.receive()
        assert isinstance(packet, bytes)
        for session in sessions:
            with suppress(PeerError):
                body = session.decrypt(packet).body
                assert constructor_of(body) == Constructor.PONG
                return Pong.parse(body).ping_id
        raise AssertionError("a packet of neither session")

    def test_a_client_that_does_not_read(self) -> None:
        """What its connection does not take, the session service hears of."""
        section = self.gateway.config["Gnetway"]
        assert isinstance(section, dict)
        section["Limits"] = {"MaxSendBufferBytes": 1 << 20}
        self.gateway.write_config()
        self.start_cluster(1)
        session = self.new_session()
        name = session.key.auth_key_id, session.session_id
        with LiveClient(self.gateway) as client:
            client.ping(session)
            link = self.service.links[self.gateway.grpc_address]
            body = bytes(1 << 18)
            pushed = 1

            def refused() -> bool:
                nonlocal pushed
                self.service.push(self.gateway.grpc_address, *name, session.salt, body)
                pushed += 1
                return link.refused > 0

            until(refused, "a push that is not taken")
            received = 0
            with suppress(LinkEnded, ConnectionResetError):
                while True:
                    received += isinstance(client.receive(), bytes)
        until(lambda: link.delivered + link.refused == pushed, "the answers to all pushes")
        self.assertEqual(link.failed, 0)
        self.assertLess(received, pushed)
        self.gateway.stop()
        self.assertIn("'not_taken': ", self.gateway.log)


class StreamKeyTests(UnaryKeyTests):
    by_stream = True
