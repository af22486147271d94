"""A bind that is proved: over every transport, in every wrapping, and what goes along with it."""

import os

from gnetway.errors import TransportErrorCode
from gnetway.tl.primitives import Constructor, pack_uint32
from gnetway.tl.service_messages import Ping, RpcResult
from tests.live.apps.android import GET_CONFIG
from tests.live.apps.gateways import (
    EMBEDDED,
    GRPCIO_STREAM,
    GRPCIO_UNARY,
    STREAM,
    UNARY,
    AppCase,
)
from tests.live.apps.handler import NAME_CALL, name_in
from tests.live.apps.keys import make_key
from tests.live.apps.proof import LIFETIME_SECONDS, Bind
from tests.live.apps.talk import NO_WAIT, Talk
from tests.live.apps.wire import (
    HTTP,
    TCP,
    WEBSOCKET,
    Message,
    TransportError,
    with_layer,
)
from tests.live.apps.wrappings import WRAPPINGS, Wrapping, alone
from tests.live.client import now

WAYS = (TCP, WEBSOCKET, HTTP)

TRUE = pack_uint32(Constructor.BOOL_TRUE)

DAY = 86_400


class BindTests(AppCase):
    backend = EMBEDDED

    def setUp(self) -> None:
        super().setUp()
        self.perm = self.new_perm_key()

    def bind(self, talk: Talk, wrap: Wrapping, lifetime: int = LIFETIME_SECONDS) -> int:
        """Send a bind, and return its msg_id."""
        session = talk.session
        msg_id = session.next_msg_id(now())
        expires_at = int(now()) + lifetime
        bind = Bind.honest(session.key, self.perm, session.session_id, msg_id, expires_at)
        wrap(talk, bind.call(), msg_id)
        return msg_id

    def assert_bound(self, talk: Talk, answer: Message) -> None:
        """The bind was accepted, and everything of the key has its name from the bind on."""
        self.assertIsNone(answer.error)
        self.assertEqual(RpcResult.parse(answer.body).result, TRUE)
        result = talk.ask(NAME_CALL)
        self.assertIsNone(result.error)
        self.assertEqual(name_in(RpcResult.parse(result.body).result), self.perm.auth_key_id)
        heard = self.service.by(talk.session.key.auth_key_id)
        names = {one.perm_auth_key_id for one in heard}
        self.assertEqual(names, {self.perm.auth_key_id} if self.backend.remote else set())
        if self.backend.remote:
            self.assertEqual({one.key_type for one in heard}, {1})

    def test_every_wrapping(self) -> None:
        for way in WAYS:
            for name, wrap in WRAPPINGS.items():
                with self.subTest(name, way=way), self.connect(way) as line:
                    talk = Talk(line, self.new_temp_key(line))
                    msg_id = self.bind(talk, wrap)
                    if way == HTTP:
                        # In the answer to its own request, whatever stands beside it.
                        talk.hear()
                        found = [said for said in talk.heard if answers(said, msg_id)]
                        self.assertEqual(len(found), 1, "answers to the bind in its request")
                        answer = found[0]
                    else:
                        answer = talk.result(msg_id)
                    self.assert_bound(talk, answer)
        self.assert_no_nameless()

    def test_an_expiry_that_is_days_off(self) -> None:
        """It is not compared with the time: a phone may count its clock's error twice."""
        for way in WAYS:
            for days in (-3, 3, 30):
                with self.subTest(way=way, days=days), self.connect(way) as line:
                    talk = Talk(line, self.new_temp_key(line))
                    msg_id = self.bind(talk, alone, LIFETIME_SECONDS + days * DAY)
                    self.assert_bound(talk, talk.result(msg_id))

    def test_the_same_bind_for_another_session(self) -> None:
        """A client that comes back binds its key anew, in a session of its own."""
        for way in WAYS:
            with self.subTest(way):
                with self.connect(way) as line:
                    talk = Talk(line, self.new_temp_key(line))
                    talk.result(self.bind(talk, alone))
                with self.connect(way) as line:
                    again = Talk(
                        line, type(talk.session)(talk.session.key, talk.session.salt, os.urandom)
                    )
                    self.assert_bound(again, again.result(self.bind(again, alone)))

    def test_an_unbound_key_has_no_name(self) -> None:
        """A call is refused; the embedded backend knows what is the same for all."""
        for way in WAYS:
            with self.subTest(way), self.connect(way) as line:
                talk = Talk(line, self.new_temp_key(line))
                self.assertEqual(talk.ask(NAME_CALL).error, (401, "AUTH_KEY_PERM_EMPTY"))
                if not self.backend.remote:
                    self.assertIsNone(talk.ask(with_layer(GET_CONFIG)).error)
                self.assertEqual(self.service.by(talk.session.key.auth_key_id), [])


class UnaryBindTests(BindTests):
    backend = UNARY


class StreamBindTests(BindTests):
    backend = STREAM


class GrpcioUnaryBindTests(BindTests):
    backend = GRPCIO_UNARY


class GrpcioStreamBindTests(BindTests):
    backend = GRPCIO_STREAM


class DestroyTests(AppCase):
    """destroy_auth_key as TDLib sends it over HTTP: its answer leaves before its session ends."""

    def test_over_http(self) -> None:
        with self.connect(HTTP) as line:
            talk = Talk(line, make_key(line, self.gateway.rsa))
            destroy = pack_uint32(Constructor.DESTROY_AUTH_KEY)
            talk.say_together(destroy, Ping(1).pack(), NO_WAIT.pack())
            talk.hear()
            self.assertIn(Constructor.DESTROY_AUTH_KEY_OK, said_of(talk))
            # And the key is gone.
            with self.assertRaises(TransportError) as told:
                talk.ping()
            self.assertEqual(told.exception.code, TransportErrorCode.KEY_UNKNOWN)

    def test_over_streams(self) -> None:
        for way in (TCP, WEBSOCKET):
            with self.subTest(way), self.connect(way) as line:
                talk = Talk(line, make_key(line, self.gateway.rsa))
                destroy = pack_uint32(Constructor.DESTROY_AUTH_KEY)
                talk.say_together(destroy, Ping(1).pack())
                while Constructor.DESTROY_AUTH_KEY_OK not in said_of(talk):
                    talk.hear()


def said_of(talk: Talk) -> list[int]:
    """Return what was said, results by what they hold."""
    kinds = talk.kinds()
    for message in talk.heard:
        if message.kind == Constructor.RPC_RESULT:
            result = RpcResult.parse(message.body).result
            kinds.append(int.from_bytes(result[:4], "little"))
    return kinds


def answers(message: Message, msg_id: int) -> bool:
    if message.kind != Constructor.RPC_RESULT:
        return False
    return RpcResult.parse(message.body).req_msg_id == msg_id
