"""Temporary keys on a link: the backend decides, the link waits, in order and in time."""

from functools import partial

from twisted.trial.unittest import SynchronousTestCase

from gnetway.crypto.auth_key import AuthKey
from gnetway.errors import BackendError, BackendRefused, BackendUnavailable, KeyUnknown
from gnetway.tl.service_messages import GetFutureSalts, Ping, Pong, RpcErrorObject, RpcResult
from tests.connection.client_end import QuickAck
from tests.connection.wrappers import CALL, PERM, bind_body, contained, temp_key, with_layer
from tests.fakes import Sent, some_key
from tests.net.gateway import Gateway, TcpLink

REFUSED = RpcErrorObject(400, "ENCRYPTED_MESSAGE_INVALID").pack()


def connect(*keys: AuthKey) -> tuple[Gateway, TcpLink]:
    gateway = Gateway()
    gateway.knows(*keys)
    return gateway, gateway.connect()


def decide(sent: Sent, error: BackendError | None) -> None:
    assert sent.done is not None
    sent.done(error)


class UnboundTests(SynchronousTestCase):
    def test_the_gateway_answers_pings_itself(self) -> None:
        key = temp_key()
        gateway, link = connect(key)
        session = link.session(key)
        link.say(session, Ping(3).pack())
        self.assertEqual(
            [said.body for said in link.said(session)], [Pong(session.msg_id, 3).pack()]
        )
        self.assertEqual(gateway.backend.opened, [])

    def test_a_call_needs_the_bind(self) -> None:
        key = temp_key()
        gateway, link = connect(key)
        session = link.session(key)
        link.say(session, CALL)
        error = RpcErrorObject(401, "AUTH_KEY_PERM_EMPTY").pack()
        self.assertEqual(
            [said.body for said in link.said(session)], [RpcResult(session.msg_id, error).pack()]
        )
        self.assertEqual((gateway.backend.sent, link.open), ([], True))

    def test_service_messages_go_to_the_backend(self) -> None:
        key = temp_key()
        gateway, link = connect(key)
        link.say(link.session(key), GetFutureSalts(64).pack())
        (sent,) = gateway.backend.sent
        self.assertEqual((sent.done, sent.client.key.perm_auth_key_id), (None, 0))


class DecisionTests(SynchronousTestCase):
    def test_what_follows_waits_and_goes_through_once_bound(self) -> None:
        key = temp_key()
        gateway, link = connect(key)
        session = link.session(key)
        link.say(session, with_layer(bind_body()))
        link.say(session, CALL)
        (bind,) = gateway.backend.sent
        self.assertEqual(bind.payload[16:24], with_layer(bind_body())[:8])
        self.assertFalse(link.transport.reading)
        self.assertTrue(key.unbound)
        decide(bind, None)
        gateway.settle()
        self.assertEqual(key.perm_auth_key_id, PERM.auth_key_id)
        self.assertTrue(link.transport.reading)
        self.assertEqual([sent.payload[16:20] for sent in gateway.backend.sent[1:]], [CALL])
        self.assertEqual(len(gateway.backend.opened), 1)

    def test_a_decision_at_once(self) -> None:
        for error in (None, KeyUnknown("401")):
            with self.subTest(error=error):
                key = temp_key()
                gateway, link = connect(key)
                gateway.backend.on_send = partial(decide, error=error)
                session = link.session(key)
                link.say(session, contained(Ping(1).pack(), bind_body()))
                self.assertEqual(key.unbound, error is not None)
                self.assertEqual((link.open, link.transport.reading), (True, True))
                self.assertEqual(
                    [said.body for said in link.said(session)],
                    [RpcResult(404, REFUSED).pack()] if error else [],
                )

    def test_a_refusal_is_told_under_the_msg_id_of_the_bind(self) -> None:
        for error in (KeyUnknown("401"), BackendRefused(400, "NO")):
            with self.subTest(error=type(error).__name__):
                key = temp_key()
                gateway, link = connect(key)
                session = link.session(key)
                link.say(session, bind_body())
                bind_msg_id = session.msg_id
                link.say(session, Ping(5).pack())
                decide(gateway.backend.sent[0], error)
                link.read()
                self.assertEqual(
                    [said.body for said in link.said(session)],
                    [RpcResult(bind_msg_id, REFUSED).pack(), Pong(session.msg_id, 5).pack()],
                )
                self.assertTrue(key.unbound)

    def test_a_backend_that_is_down_ends_the_link_without_a_code(self) -> None:
        key = temp_key()
        gateway, link = connect(key)
        link.say(link.session(key), bind_body())
        decide(gateway.backend.sent[0], BackendUnavailable("down"))
        link.read()
        self.assertEqual((link.code(), link.transport.lost), (0, True))
        self.assertEqual(gateway.ended(), {"backend_unavailable": 1})
        self.assertTrue(key.unbound)

    def test_a_decision_has_10_seconds(self) -> None:
        key = temp_key()
        gateway, link = connect(key)
        link.say(link.session(key), bind_body())
        gateway.wait(9.9)
        self.assertTrue(link.open)
        gateway.wait(0.2)
        self.assertFalse(link.open)
        self.assertEqual(gateway.ended(), {"backend_unavailable": 1})

    def test_in_time_there_is_no_deadline_left(self) -> None:
        key = temp_key()
        gateway, link = connect(key)
        link.say(link.session(key), bind_body())
        decide(gateway.backend.sent[0], None)
        gateway.wait(60)
        self.assertTrue(link.open)

    def test_another_try_has_its_own_10_seconds(self) -> None:
        key = temp_key()
        gateway, link = connect(key)
        session = link.session(key)
        link.say(session, bind_body())
        gateway.wait(5)
        decide(gateway.backend.sent[0], KeyUnknown("401"))
        link.say(session, bind_body())
        gateway.wait(9)
        self.assertTrue(link.open)
        gateway.wait(2)
        self.assertFalse(link.open)

    def test_a_decision_at_once_keeps_what_is_sent_in_order(self) -> None:
        key = temp_key()
        gateway, link = connect(key)
        session = link.session(key)
        tokens, data = [], b""
        for body in (bind_body(), CALL):
            data += link.client.packet(session.encrypt(body, link.now), quick_ack=True)
            tokens.append(QuickAck(session.quick_ack_token))

        def decide_bind(sent: Sent) -> None:
            if sent.done is not None:
                sent.done(None)

        gateway.backend.on_send = decide_bind
        link.feed(data)
        self.assertEqual(link.got, tokens)

    def test_a_decision_after_the_link_is_gone_holds_for_the_key(self) -> None:
        """Other links use it too, and the backend will say it only once."""
        for leave in (True, False):
            with self.subTest(leave=leave):
                key = temp_key()
                gateway, link = connect(key)
                link.say(link.session(key), bind_body())
                if leave:
                    link.leave()
                else:
                    gateway.wait(11)
                decide(gateway.backend.sent[0], None)
                self.assertEqual(key.perm_auth_key_id, PERM.auth_key_id)
                self.assertEqual(len(gateway.backend.closed), 1)
                link.leave()
                self.assertEqual(gateway.clock.getDelayedCalls(), [])

    def test_the_quick_ack_of_a_bind(self) -> None:
        key = temp_key()
        gateway, link = connect(key)
        session = link.session(key)
        link.say(session, bind_body(), quick_ack=True)
        self.assertEqual(link.got, [QuickAck(session.quick_ack_token)])
        self.assertTrue(gateway.backend.sent[0].quick_ack)

    def test_the_bind_goes_along_with_its_own_key(self) -> None:
        """Even where the client uses one session_id under two keys."""
        temp, perm = temp_key(), some_key(7)
        gateway, link = connect(temp, perm)
        link.say(link.session(perm, session_id=70), CALL)
        link.say(link.session(temp, session_id=70), bind_body())
        self.assertEqual([sent.client.key for sent in gateway.backend.sent], [perm, temp])
