"""What the session service refuses, and what its clients then hear."""

import os

from gnetway.config.session import Carrier
from gnetway.crypto.auth_key import AuthKey, KeyKind
from gnetway.errors import TransportErrorCode
from gnetway.mtproto.binding import seal_bind
from gnetway.testing import ClientSession, Wish
from gnetway.tl.key_exchange import BindAuthKeyInner, BindTempAuthKey
from gnetway.tl.primitives import Constructor
from gnetway.tl.service_messages import Ping, Pong, RpcErrorObject, RpcResult
from tests.live.client import LiveClient, constructor_of, now
from tests.live.cluster.cluster import ClusterTestCase
from tests.live.cluster.session_service import Refusal, Told
from tests.live.gateway import until


def bind_of(session: ClientSession, perm_key: AuthKey) -> bytes:
    """Return auth.bindTempAuthKey, to be sent as the next message of its session."""
    expires_at = int(now()) + 3600
    inner = BindAuthKeyInner(
        7, session.key.auth_key_id, perm_key.auth_key_id, session.session_id, expires_at
    )
    sealed = seal_bind(perm_key, session.msg_id, inner, os.urandom(24))
    return BindTempAuthKey(perm_key.auth_key_id, 7, expires_at, sealed).pack()


class UnaryRefusalTests(ClusterTestCase):
    def test_an_unknown_key(self) -> None:
        self.start_cluster(1)
        session = ClientSession(AuthKey(os.urandom(256), KeyKind.PERM), 1, os.urandom)
        with LiveClient(self.gateway) as client:
            client.send(session.encrypt(Ping(1).pack(), now()))
            self.assertEqual(client.transport_error(), TransportErrorCode.KEY_UNKNOWN)
            self.assertTrue(client.ended())
        self.assertEqual(self.service.heard("data"), [])

    def test_a_refused_bind(self) -> None:
        self.start_cluster(1)

        def refuse_data(told: Told) -> None:
            if told.method == "data":
                raise Refusal(401, "AUTH_KEY_UNREGISTERED")

        self.service.verdict = refuse_data
        with LiveClient(self.gateway) as client:
            session = client.make_key(Wish(expires_in=3600))
            self._send_bind(client, session)
            said = next(client.bodies(session))
            self.assertEqual(constructor_of(said), Constructor.RPC_RESULT)
            result = RpcResult.parse(said)
            self.assertEqual(result.req_msg_id, session.msg_id)
            error = RpcErrorObject.parse(result.result)
            self.assertEqual((error.code, error.text), (400, "ENCRYPTED_MESSAGE_INVALID"))
            # The key is as unbound as before: a ping is answered, by the gateway itself.
            client.ping(session)
        self.assertEqual(len(self.service.heard("data")), 1)

    def test_an_accepted_bind(self) -> None:
        self.start_cluster(1)
        with LiveClient(self.gateway) as client:
            session = client.make_key(Wish(expires_in=3600))
            perm_key = self._send_bind(client, session)
            until(lambda: len(self.service.heard("data")) == 1, "the bind")
            client.ping(session)
        (bind, ping) = self.service.heard("data")
        self.assertEqual(bind.auth_key_id, session.key.auth_key_id)
        self.assertEqual(constructor_of(ping.body), Constructor.PING)
        self.assertNotEqual(perm_key.auth_key_id, session.key.auth_key_id)

    def test_a_push_for_nobody(self) -> None:
        """Refused while the session is not here, delivered while it is."""
        self.start_cluster(1)
        session = self.new_session()
        name = (session.key.auth_key_id, session.session_id)
        gateway, pong = self.gateway.grpc_address, Pong(4, 5).pack()
        self.service.push(gateway, *name, session.salt, pong)
        link = self.service.links[gateway]
        until(lambda: link.refused == 1, "boolFalse")
        with LiveClient(self.gateway) as client:
            client.ping(session)
            self.service.push(gateway, *name, session.salt, pong)
            client.await_pong(session, 5)
        until(lambda: link.delivered == 2, "boolTrue")
        self.assertEqual((link.refused, link.failed), (1, 0))

    def _send_bind(self, client: LiveClient, session: ClientSession) -> AuthKey:
        perm_key = AuthKey(os.urandom(256), KeyKind.PERM)
        self.service.know(perm_key)
        msg_id = session.next_msg_id(now())
        bind = bind_of(session, perm_key)
        client.send(session.encrypt_message(msg_id, session.next_seq_no(True), bind))
        return perm_key


class StreamRefusalTests(UnaryRefusalTests):
    by_stream = True


class GrpcioUnaryRefusalTests(UnaryRefusalTests):
    carrier = Carrier.GRPCIO


class GrpcioStreamRefusalTests(StreamRefusalTests):
    carrier = Carrier.GRPCIO
