"""A link with a temporary key, until it is bound and after."""

from twisted.trial.unittest import SynchronousTestCase

from gnetway.tl.service_messages import GetFutureSalts, Ping, Pong, RpcErrorObject, RpcResult
from tests.connection.client_end import STYLES, QuickAck
from tests.connection.link import NOW, Link
from tests.connection.test_connection import body_of
from tests.connection.wrappers import CALL, PERM, bind_body, contained, temp_key, with_layer


class UnboundLinkTests(SynchronousTestCase):
    def test_a_ping_is_answered_in_the_clients_own_session(self) -> None:
        for style in STYLES:
            with self.subTest(style=style):
                key = temp_key()
                link = Link(style, [key])
                session = link.session(key)
                link.send(session.encrypt(Ping(5).pack(), NOW))
                (said,) = link.said(session)
                self.assertEqual(said.body, Pong(session.msg_id, 5).pack())
                self.assertEqual((said.salt, said.seq_no), (session.salt, 0))
                self.assertEqual(said.msg_id % 4, 1)
                self.assertEqual(said.msg_id >> 32, int(NOW))
                self.assertEqual(link.messages, [])

    def test_several_answers_rise_in_msg_id(self) -> None:
        key = temp_key()
        link = Link(keys=[key])
        session = link.session(key)
        link.send(session.encrypt(contained(Ping(1).pack(), CALL, Ping(2).pack()), NOW))
        msg_ids = [said.msg_id for said in link.said(session)]
        self.assertEqual(len(set(msg_ids)), 3)
        self.assertEqual(msg_ids, sorted(msg_ids))

    def test_service_messages_pass(self) -> None:
        key = temp_key()
        link = Link(keys=[key])
        link.send(link.session(key).encrypt(GetFutureSalts(9).pack(), NOW))
        self.assertEqual(
            [body_of(message) for message in link.messages], [GetFutureSalts(9).pack()]
        )

    def test_calls_do_not(self) -> None:
        key = temp_key()
        link = Link(keys=[key])
        session = link.session(key)
        link.send(session.encrypt(with_layer(CALL), NOW))
        (said,) = link.said(session)
        error = RpcErrorObject(401, "AUTH_KEY_PERM_EMPTY").pack()
        self.assertEqual(said.body, RpcResult(session.msg_id, error).pack())
        self.assertEqual(link.messages, [])


class BindTests(SynchronousTestCase):
    def test_messages_after_the_bind_wait_for_the_decision(self) -> None:
        key = temp_key()
        link = Link(keys=[key])
        session = link.session(key)
        for body in (with_layer(bind_body()), CALL, Ping(1).pack()):
            link.send(session.encrypt(body, NOW))
        (bind,) = link.binds
        self.assertEqual(bind.perm_auth_key_id, PERM.auth_key_id)
        self.assertEqual(body_of(bind.message), with_layer(bind_body()))
        self.assertEqual((link.messages, link.got), ([], []))
        self.assertTrue(key.unbound)
        link.connection.bind_accepted(bind)
        link.pump()
        self.assertEqual(key.perm_auth_key_id, PERM.auth_key_id)
        self.assertEqual([body_of(each) for each in link.messages], [CALL, Ping(1).pack()])
        self.assertEqual(link.got, [])

    def test_after_a_refusal_the_key_is_as_before(self) -> None:
        key = temp_key()
        link = Link(keys=[key])
        session = link.session(key)
        link.send(session.encrypt(contained(Ping(1).pack(), bind_body()), NOW))
        link.send(session.encrypt(Ping(2).pack(), NOW))
        (bind,) = link.binds
        self.assertEqual(bind.bind_msg_id, 404)
        link.connection.bind_refused(bind, NOW)
        link.pump()
        self.assertTrue(key.unbound)
        error = RpcErrorObject(400, "ENCRYPTED_MESSAGE_INVALID").pack()
        self.assertEqual(
            [said.body for said in link.said(session)],
            [RpcResult(404, error).pack(), Pong(session.msg_id, 2).pack()],
        )

    def test_another_try_may_follow(self) -> None:
        key = temp_key()
        link = Link(keys=[key])
        session = link.session(key)
        link.send(session.encrypt(bind_body(), NOW))
        link.connection.bind_refused(link.binds[0], NOW)
        link.send(session.encrypt(bind_body(), NOW))
        link.connection.bind_accepted(link.binds[1])
        self.assertFalse(key.unbound)

    def test_a_bind_seen_on_one_link_holds_on_the_others(self) -> None:
        """The key is shared, so what one link learns all know."""
        key = temp_key()
        links = [Link(keys=[key]), Link(keys=[key])]
        links[0].send(links[0].session(key).encrypt(bind_body(), NOW))
        links[0].connection.bind_accepted(links[0].binds[0])
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

    def test_the_wish_for_a_quick_ack_goes_along(self) -> None:
        key = temp_key()
        link = Link(keys=[key])
        session = link.session(key)
        link.send(session.encrypt(bind_body(), NOW), quick_ack=True)
        self.assertEqual(link.binds[0].message.quick_ack_token, session.quick_ack_token)
        link.connection.send_quick_ack(session.quick_ack_token)
        link.read()
        self.assertEqual(link.got, [QuickAck(session.quick_ack_token)])
