"""A link with a temporary key, until it is bound and after."""

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from gnetway.connection.events import BindReceived
from gnetway.connection.unbound import prove_bind
from gnetway.crypto.auth_key import AuthKey, KeyKind
from gnetway.testing import ClientSession, QuickAck, Wish
from gnetway.tl.key_exchange import BindTempAuthKey
from gnetway.tl.service_messages import (
    BadMsgNotification,
    BadServerSalt,
    FutureSalts,
    GetFutureSalts,
    MsgsAck,
    NewSessionCreated,
    Ping,
    Pong,
    RpcErrorObject,
    RpcResult,
)
from tests.binds import bind_in, forged_binds, next_bind
from tests.connection.link import NOW, Link, make_connection_setup
from tests.connection.styles import STYLES
from tests.connection.test_connection import body_of
from tests.connection.wrappers import CALL, PERM, bind_body, contained, temp_key, with_layer
from tests.fakes import some_key
from tests.handshake.server import make_client

OTHER = some_key(60)
REFUSED = RpcErrorObject(400, "ENCRYPTED_MESSAGE_INVALID").pack()


def connect(key: AuthKey | None = None, *, greeted: bool = True) -> tuple[Link, ClientSession]:
    """Return a link with a session of an unbound key."""
    unbound = key or temp_key()
    link = Link(keys=[unbound])
    session = link.session(unbound)
    if greeted:
        unbound.greeted_session_id = session.session_id
    return link, session


class UnboundLinkTests(SynchronousTestCase):
    def test_a_ping_is_answered_in_the_clients_own_session(self) -> None:
        for style in STYLES:
            with self.subTest(style=style):
                key = temp_key()
                link = Link(style, [key])
                session = link.session(key)
                link.send(session.encrypt(Ping(5).pack(), NOW))
                pong, created = link.said(session)
                greeting = NewSessionCreated.parse(created.body)
                self.assertEqual(greeting.first_msg_id, session.msg_id)
                self.assertEqual(greeting.server_salt, session.salt)
                self.assertEqual((created.salt, created.seq_no), (session.salt, 1))
                self.assertEqual(created.msg_id % 4, 3)
                self.assertEqual(pong.body, Pong(session.msg_id, 5).pack())
                self.assertEqual((pong.salt, pong.seq_no), (session.salt, 0))
                self.assertEqual(pong.msg_id % 4, 1)
                self.assertEqual(pong.msg_id >> 32, int(NOW))
                self.assertEqual(link.messages, [])

    def test_a_session_is_greeted_once_over_all_links(self) -> None:
        link, session = connect(greeted=False)
        link.say(session, Ping(1).pack())
        self.assertEqual(len(link.said(session)), 2)
        again = Link(keys=[session.key])
        again.say(session, Ping(2).pack())
        self.assertEqual(
            [one.body for one in again.said(session)], [Pong(session.msg_id, 2).pack()]
        )

    def test_the_salt_of_the_exchange_is_good(self) -> None:
        link, client = Link(), make_client(wish=Wish(expires_in=3600))
        key = link.make_key(client)
        session = ClientSession(key, client.salt, link.chance)
        link.send(session.encrypt(Ping(1).pack(), NOW))
        self.assertEqual(link.said(session)[0].body, Pong(session.msg_id, 1).pack())

    def test_a_wrong_salt_is_put_right(self) -> None:
        """As iOS does it: a lone ping with salt 0 and an even seq_no, then again with another."""
        link, session = connect(greeted=False)
        session.salt = 0
        link.send(session.encrypt(Ping(1).pack(), NOW, content_related=False))
        (told,) = link.said(session)
        wrong = BadServerSalt.parse(told.body)
        self.assertEqual((wrong.bad_msg_id, wrong.bad_msg_seqno), (session.msg_id, 0))
        self.assertEqual((told.salt, told.seq_no, told.msg_id % 4), (wrong.new_server_salt, 0, 1))
        session.salt = wrong.new_server_salt
        link.send(session.encrypt(Ping(1).pack(), NOW, content_related=False))
        self.assertEqual(link.said(session)[0].body, Pong(session.msg_id, 1).pack())
        self.assertEqual(link.messages, [])

    def test_a_wrong_clock_is_put_right(self) -> None:
        for seconds, code in {-7200: 16, 7200: 17}.items():
            with self.subTest(seconds=seconds):
                link, session = connect()
                link.send(session.encrypt(Ping(1).pack(), NOW + seconds))
                (told,) = link.said(session)
                wrong = BadMsgNotification(session.msg_id, 1, code)
                self.assertEqual(BadMsgNotification.parse(told.body), wrong)
                self.assertEqual(told.msg_id >> 32, int(NOW))

    def test_several_answers_rise_in_msg_id(self) -> None:
        link, session = connect()
        link.send(session.encrypt(contained(Ping(1).pack(), CALL, Ping(2).pack()), NOW))
        msg_ids = [said.msg_id for said in link.said(session)]
        self.assertEqual(len(set(msg_ids)), 3)
        self.assertEqual(msg_ids, sorted(msg_ids))

    def test_service_messages_are_answered(self) -> None:
        link, session = connect()
        link.send(session.encrypt(GetFutureSalts(9).pack(), NOW))
        (told,) = link.said(session)
        self.assertEqual(FutureSalts.parse(told.body).req_msg_id, session.msg_id)
        self.assertEqual(link.messages, [])

    def test_calls_are_refused(self) -> None:
        link, session = connect()
        link.send(session.encrypt(with_layer(CALL), NOW))
        (said,) = link.said(session)
        error = RpcErrorObject(401, "AUTH_KEY_PERM_EMPTY").pack()
        self.assertEqual(said.body, RpcResult(session.msg_id, error).pack())
        self.assertEqual(link.messages, [])


class BackendTakesUnboundTests(SynchronousTestCase):
    """A backend may answer unbound keys by itself, but never judges a bind."""

    def setUp(self) -> None:
        self.key = temp_key()
        setup = replace(make_connection_setup(), backend_takes_unbound=True)
        self.link = Link(keys=[self.key], setup=setup)
        self.session = self.link.session(self.key)

    def test_all_but_binds_goes_on(self) -> None:
        bodies = [Ping(1).pack(), CALL, GetFutureSalts(1).pack(), MsgsAck([1]).pack()]
        self.session.salt = 0
        for body in bodies:
            self.link.send(self.session.encrypt(body, NOW - 7200))
        self.assertEqual([body_of(message) for message in self.link.messages], bodies)
        self.assertEqual((self.link.got, self.key.greeted_session_id), ([], 0))

    def test_a_bind_is_proved_first(self) -> None:
        self.link.say(self.session, next_bind(self.session, PERM, NOW).pack())
        self.link.say(self.session, CALL)
        (bind,) = self.link.binds
        self.assertEqual((self.link.messages, self.link.got), ([], []))
        self.assertTrue(prove_bind(bind, PERM))


class BindTests(SynchronousTestCase):
    def test_messages_after_the_bind_wait_for_the_decision(self) -> None:
        link, session = connect()
        key = session.key
        body = with_layer(next_bind(session, PERM, NOW).pack())
        for said in (body, CALL, Ping(1).pack()):
            link.send(session.encrypt(said, NOW))
        (bind,) = link.binds
        self.assertEqual(bind.perm_auth_key_id, PERM.auth_key_id)
        self.assertEqual(body_of(bind.message), body)
        self.assertEqual((link.messages, link.got), ([], []))
        self.assertTrue(key.unbound)
        self.assertTrue(prove_bind(bind, PERM))
        link.pump()
        self.assertEqual((link.messages, link.got), ([], []))
        self.assertEqual(key.perm_auth_key_id, PERM.auth_key_id)
        link.connection.bind_accepted(bind, link.now)
        link.pump()
        self.assertEqual(key.perm_auth_key_id, PERM.auth_key_id)
        self.assertEqual([body_of(each) for each in link.messages], [CALL, Ping(1).pack()])
        self.assertEqual(link.got, [])

    def test_what_a_client_claims_is_not_believed(self) -> None:
        """Anybody's auth_key_id stands in clear in front of each of her packets."""
        names = forged_binds(connect()[1], PERM, OTHER, 4)
        for name in names:
            with self.subTest(name):
                link, session = connect()
                msg_id = session.coming_msg_id(NOW)
                forged = forged_binds(session, PERM, OTHER, msg_id)[name]
                self.refuse(link, session, forged)
        self.assertGreater(len(names), 15)

    def test_proof_of_another_session_or_message(self) -> None:
        for session_id, msg_id in ((1, 0), (0, 8)):
            link, session = connect()
            recorded = ClientSession(session.key, 99, link.chance, session_id or session.session_id)
            bind = bind_in(recorded, PERM, session.coming_msg_id(NOW) + msg_id)
            self.refuse(link, session, bind)

    def test_proof_of_another_temporary_key(self) -> None:
        link, session = connect()
        hers = ClientSession(temp_key(77), 99, link.chance, session.session_id)
        self.refuse(link, session, bind_in(hers, PERM, session.coming_msg_id(NOW)))

    def test_another_key_than_the_one_that_is_named(self) -> None:
        """A good proof by the forger's own key says nothing about another one."""
        link, session = connect()
        own = next_bind(session, OTHER, NOW)
        self.refuse(link, session, replace(own, perm_auth_key_id=PERM.auth_key_id))
        link, session = connect()
        self.refuse(link, session, replace(own, perm_auth_key_id=PERM.auth_key_id), OTHER)

    def test_only_to_a_permanent_key(self) -> None:
        link, session = connect()
        other = some_key(61, KeyKind.TEMP)
        self.refuse(link, session, next_bind(session, other, NOW), other)

    def refuse(
        self, link: Link, session: ClientSession, forged: BindTempAuthKey, perm: AuthKey = PERM
    ) -> None:
        link.say(session, forged.pack())
        bind_msg_id = session.msg_id
        link.say(session, CALL)
        (bind,) = link.binds
        self.assertFalse(prove_bind(bind, perm))
        self.assertTrue(session.key.unbound)
        link.pump()
        self.assertEqual((link.messages, link.got), ([], []))
        link.connection.bind_refused(bind, NOW)
        link.pump()
        told = link.said(session)
        self.assertEqual(told[0].body, RpcResult(bind_msg_id, REFUSED).pack())
        self.assertEqual(RpcResult.parse(told[1].body).req_msg_id, session.msg_id)
        self.assertEqual((link.messages, session.key.perm_auth_key_id), ([], 0))

    def test_a_refusal_answers_what_stands_beside_the_bind(self) -> None:
        link, session = connect()
        link.send(session.encrypt(contained(Ping(1).pack(), bind_body(), CALL), NOW))
        link.send(session.encrypt(Ping(2).pack(), NOW))
        (bind,) = link.binds
        self.assertEqual(bind.peek.bind_msg_id, 404)
        self.assertFalse(prove_bind(bind, PERM))
        link.connection.bind_refused(bind, NOW)
        link.pump()
        self.assertTrue(session.key.unbound)
        told = link.said(session)
        error = RpcErrorObject(401, "AUTH_KEY_PERM_EMPTY").pack()
        self.assertEqual(
            [said.body for said in told],
            [
                RpcResult(404, REFUSED).pack(),
                Pong(400, 1).pack(),
                RpcResult(408, error).pack(),
                Pong(session.msg_id, 2).pack(),
            ],
        )
        self.assertEqual([said.seq_no for said in told], [1, 2, 3, 0])
        self.assertEqual({said.salt for said in told}, {session.salt})

    def test_another_try_may_follow(self) -> None:
        link, session = connect()
        link.say(session, bind_body())
        link.connection.bind_refused(link.binds[0], NOW)
        link.say(session, next_bind(session, PERM, NOW).pack())
        self.accept(link, link.binds[1])
        self.assertFalse(session.key.unbound)

    def test_an_accepted_bind_ends_the_row_of_refusals(self) -> None:
        link, session = connect()
        session.key.refused_binds = 4
        link.say(session, next_bind(session, PERM, NOW).pack())
        self.accept(link, link.binds[0])
        self.assertEqual(session.key.refused_binds, 0)

    def test_a_proof_alone_does_not(self) -> None:
        """The backend may know better, and is asked each time."""
        link, session = connect()
        session.key.refused_binds = 4
        link.say(session, next_bind(session, PERM, NOW).pack())
        prove_bind(link.binds[0], PERM)
        self.assertEqual(session.key.refused_binds, 4)

    def accept(self, link: Link, bind: BindReceived) -> None:
        self.assertTrue(prove_bind(bind, PERM))
        link.connection.bind_accepted(bind, link.now)

    def test_a_bind_seen_on_one_link_holds_on_the_others(self) -> None:
        """The key is shared, so what one link learns all know."""
        key = temp_key()
        links = [Link(keys=[key]), Link(keys=[key])]
        session = links[0].session(key)
        links[0].say(session, next_bind(session, PERM, NOW).pack())
        self.accept(links[0], links[0].binds[0])
        links[1].send(links[1].session(key).encrypt(CALL, NOW))
        self.assertEqual([body_of(message) for message in links[1].messages], [CALL])

    def test_once_bound_nothing_is_looked_into(self) -> None:
        key = temp_key()
        key.perm_auth_key_id = PERM.auth_key_id
        link = Link(keys=[key])
        for body in (bind_body(), CALL, b"\xff" * 8):
            link.send(link.session(key).encrypt(body, NOW))
        self.assertEqual(len(link.messages), 3)
        self.assertEqual(link.binds, [])

    def test_a_salt_and_a_clock_of_its_own_do_not_stop_a_bind(self) -> None:
        """They are judged by the backend: the proof says who it is without them."""
        link, session = connect()
        session.salt = 0
        link.send(session.encrypt(next_bind(session, PERM, NOW - 7200).pack(), NOW - 7200))
        self.accept(link, link.binds[0])
        self.assertEqual(link.got, [])

    def test_the_wish_for_a_quick_ack_goes_along(self) -> None:
        link, session = connect()
        link.send(session.encrypt(bind_body(), NOW), quick_ack=True)
        self.assertEqual(link.binds[0].message.quick_ack_token, session.quick_ack_token)
        link.connection.output.send_quick_ack(session.quick_ack_token)
        link.read()
        self.assertEqual(link.got, [QuickAck(session.quick_ack_token)])
