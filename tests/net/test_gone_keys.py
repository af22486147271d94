"""Keys that are destroyed, or that the backend knows no more: what their connections hear."""

from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from gnetway.crypto.auth_key import AuthKey, KeyKind
from gnetway.errors import KeyUnknown
from gnetway.keys.lookup import CHECK_SECONDS
from gnetway.mtproto.message import pack_message
from gnetway.push.server import Delivery
from gnetway.tl.primitives import Constructor, pack_uint32
from gnetway.tl.service_messages import HttpWait, Ping, RpcErrorObject, RpcResult
from tests.fakes import some_key
from tests.handshake.server import make_client
from tests.net.gateway import Gateway
from tests.net.http_client import HttpGateway, said

KEY, OTHER = some_key(1), some_key(2)
PING = Ping(1).pack()
DESTROYED = RpcResult(4, pack_uint32(Constructor.DESTROY_AUTH_KEY_OK)).pack()
NOT_LOGGED_IN = RpcResult(4, RpcErrorObject(401, "AUTH_KEY_UNREGISTERED").pack()).pack()


class GoneCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.gateway = Gateway()
        self.gateway.knows(KEY, OTHER)
        self.delivery = Delivery()
        self.delivery.target = self.gateway.registry

    def push(self, key: AuthKey, session_id: int, body: bytes) -> bool:
        plaintext = pack_message(1, session_id, 1, 0, body)
        return self.delivery.push(key.auth_key_id, session_id, plaintext)


class EndTests(GoneCase):
    def test_a_link_is_told_and_so_is_whoever_comes_later(self) -> None:
        link = self.gateway.connect()
        link.say(link.session(KEY, 5), PING)
        self.gateway.registry.forget_key(KEY.auth_key_id)
        link.read()
        self.assertEqual((link.code(), self.gateway.ended()), (-404, {"key_destroyed": 1}))
        link.leave()
        self.assertEqual(len(self.gateway.backend.closed), 1)
        again = self.gateway.connect()
        again.say(again.session(KEY, 5), PING)
        self.assertEqual((again.code(), len(self.gateway.backend.queries)), (-404, 1))

    def test_one_that_uses_other_keys_is_ended_without_a_code(self) -> None:
        """The client would take the code for the key that it used last."""
        link = self.gateway.connect()
        for key in (KEY, OTHER):
            link.say(link.session(key, 5), PING)
        self.gateway.registry.forget_key(KEY.auth_key_id)
        link.read()
        self.assertEqual((link.code(), link.transport.lost), (0, True))
        self.assertEqual(self.gateway.ended(), {"key_destroyed": 1})

    def test_so_is_one_with_a_key_exchange(self) -> None:
        """Desktop throws the key away that it is making."""
        link = self.gateway.connect()
        link.say(link.session(KEY, 5), PING)
        link.ask(make_client(seed=7).begin())
        self.gateway.registry.forget_key(KEY.auth_key_id)
        link.read()
        self.assertEqual((link.code(), link.transport.lost), (0, True))

    def test_temporary_keys_go_with_the_permanent_one(self) -> None:
        temp = some_key(3, KeyKind.TEMP)
        temp.perm_auth_key_id = KEY.auth_key_id
        self.gateway.knows(temp)
        links = [self.gateway.connect() for _ in range(2)]
        for link, key in zip(links, (temp, OTHER), strict=True):
            link.say(link.session(key, 5), PING)
        self.gateway.registry.forget_key(KEY.auth_key_id)
        for link in links:
            link.read()
        self.assertEqual([link.code() for link in links], [-404, 0])
        again = self.gateway.connect()
        again.say(again.session(temp, 5), PING)
        self.assertEqual(again.code(), -404)

    def test_a_key_that_the_backend_knows_no_more_when_it_is_asked_again(self) -> None:
        self.gateway.keys.add(KEY)
        self.gateway.wait(CHECK_SECONDS)
        self.gateway.backend.held = True
        first, second = self.gateway.connect(), self.gateway.connect()
        first.say(first.session(KEY, 5), PING)
        second.say(second.session(KEY, 6), PING)
        self.assertEqual(len(self.gateway.backend.sent), 2)
        ((_, query),) = self.gateway.backend.queries
        query.callback(Failure(KeyUnknown("no")))
        for link in (first, second):
            link.read()
        self.assertEqual((first.code(), second.code()), (-404, -404))


class NewsTests(GoneCase):
    def test_the_answer_to_destroy_auth_key(self) -> None:
        """It is delivered first, since nobody can encrypt it afterwards."""
        link = self.gateway.connect()
        session = link.session(KEY, 5)
        link.say(session, PING)
        self.assertTrue(self.push(KEY, 5, DESTROYED))
        link.read()
        answer, code = link.packets()
        self.assertEqual(session.decrypt(answer).body, DESTROYED)
        self.assertEqual(code[:4], (-404).to_bytes(4, "little", signed=True))
        self.assertIsNone(self.gateway.keys.cached(KEY.auth_key_id))
        self.assertEqual(self.delivery.counts.as_dict(), {"delivered": 1})

    def test_one_that_finds_nobody(self) -> None:
        self.gateway.keys.add(KEY)
        self.assertFalse(self.push(KEY, 5, DESTROYED))
        self.assertIsNone(self.gateway.keys.cached(KEY.auth_key_id))
        self.assertEqual(self.delivery.counts.as_dict(), {"no_session": 1})

    def test_a_call_that_needs_a_login_only_makes_the_key_asked_for(self) -> None:
        link = self.gateway.connect()
        session = link.session(KEY, 5)
        link.say(session, PING)
        self.gateway.clock.advance(100)
        self.gateway.backend.held = True
        for _ in range(5):
            self.assertTrue(self.push(KEY, 5, NOT_LOGGED_IN))
        link.read()
        self.assertEqual(len(link.said(session)), 5)
        self.assertEqual(len(self.gateway.backend.queries), 2)
        self.gateway.backend.queries[-1][1].callback(KEY)
        self.assertTrue(link.open)
        self.gateway.clock.advance(100)
        self.push(KEY, 5, NOT_LOGGED_IN)
        self.gateway.backend.queries[-1][1].callback(Failure(KeyUnknown("no")))
        link.read()
        self.assertEqual(link.packets()[-1][:4], (-404).to_bytes(4, "little", signed=True))

    def test_over_http(self) -> None:
        gateway = HttpGateway()
        gateway.knows(KEY)
        link, waiting = gateway.browse(), gateway.browse()
        session = link.session(KEY, 5)
        waiting.say(session, HttpWait(0, 0, 20_000).pack(), content_related=False)
        gateway.answers = [said(session, DESTROYED)]
        link.say(session, PING)
        self.assertEqual([one.body for one in link.heard(session)], [DESTROYED])
        self.assertEqual(waiting.answer().status, 503)
        link.say(session, PING)
        self.assertEqual(link.answer().status, 404)
        self.assertEqual(len(gateway.backend.closed), 1)
