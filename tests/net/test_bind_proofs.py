"""Temporary keys on a link before a proof: nothing of theirs reaches the backend."""

from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from gnetway.errors import BackendRefused, BackendUnavailable, KeyUnknown
from gnetway.testing import ClientSession
from gnetway.tl.service_messages import (
    FutureSalts,
    GetFutureSalts,
    Ping,
    Pong,
    RpcErrorObject,
    RpcResult,
)
from tests.binds import forged_binds
from tests.connection.wrappers import CALL, PERM, bind_body, contained, temp_key
from tests.net.gateway import Gateway
from tests.net.unbound import OTHER, REFUSED, connect, decide, say_bind


class UnboundTests(SynchronousTestCase):
    def test_the_gateway_answers_pings_itself(self) -> None:
        gateway, link, session = connect()
        link.say(session, Ping(3).pack())
        self.assertEqual(
            [said.body for said in link.said(session)], [Pong(session.msg_id, 3).pack()]
        )
        self.assertEqual(gateway.backend.opened, [])

    def test_a_call_needs_the_bind(self) -> None:
        gateway, link, session = connect()
        link.say(session, CALL)
        error = RpcErrorObject(401, "AUTH_KEY_PERM_EMPTY").pack()
        self.assertEqual(
            [said.body for said in link.said(session)], [RpcResult(session.msg_id, error).pack()]
        )
        self.assertEqual((gateway.backend.sent, link.open), ([], True))

    def test_the_gateway_answers_service_messages_itself(self) -> None:
        gateway, link, session = connect()
        link.say(session, GetFutureSalts(64).pack())
        (said,) = link.said(session)
        self.assertEqual(FutureSalts.parse(said.body).req_msg_id, session.msg_id)
        self.assertEqual((gateway.backend.opened, gateway.backend.sent), ([], []))


class ProofTests(SynchronousTestCase):
    """Nothing is opened or sent in a name before its key has proved it."""

    def test_forged_binds(self) -> None:
        for name in forged_binds(connect()[2], PERM, OTHER, 4):
            with self.subTest(name):
                gateway, link, session = connect()
                gateway.knows(OTHER)
                msg_id = session.coming_msg_id(link.now)
                link.say(session, forged_binds(session, PERM, OTHER, msg_id)[name].pack())
                link.say(session, CALL)
                told = [RpcResult.parse(said.body) for said in link.said(session)]
                self.assertEqual(told[0], (msg_id, REFUSED))
                error = RpcErrorObject(401, "AUTH_KEY_PERM_EMPTY").pack()
                self.assertEqual(told[1], (session.msg_id, error))
                self.assert_nothing_went_out(gateway, session)
                self.assertTrue(link.open)

    def assert_nothing_went_out(self, gateway: Gateway, session: ClientSession) -> None:
        self.assertEqual((gateway.backend.opened, gateway.backend.sent), ([], []))
        self.assertEqual((session.key.perm_auth_key_id, len(gateway.registry)), (0, 0))

    def test_beside_http_wait_and_calls(self) -> None:
        gateway, link, session = connect()
        link.say(session, contained(bind_body(), CALL))
        told = [RpcResult.parse(said.body).req_msg_id for said in link.said(session)]
        self.assertEqual(told, [400, 404])
        self.assert_nothing_went_out(gateway, session)

    def test_the_permanent_key_is_asked_for_once(self) -> None:
        gateway, link, session = connect()
        say_bind(link, session)
        self.assertEqual(
            [asked for asked, _ in gateway.backend.queries],
            [session.key.auth_key_id, PERM.auth_key_id],
        )
        again = temp_key(52)
        gateway.knows(again)
        say_bind(gateway.connect(), link.session(again))
        self.assertEqual(len(gateway.backend.queries), 3)
        self.assertEqual(len(gateway.backend.sent), 2)

    def test_nothing_goes_out_while_it_is_asked_for(self) -> None:
        gateway, link, session = connect()
        gateway.keys.add(session.key)
        gateway.backend.held = True
        say_bind(link, session)
        link.say(session, CALL)
        self.assert_nothing_went_out(gateway, session)
        self.assertFalse(link.transport.reading)
        ((asked, query),) = gateway.backend.queries
        self.assertEqual(asked, PERM.auth_key_id)
        query.callback(PERM)
        gateway.settle()
        (bind,) = gateway.backend.sent
        self.assertEqual(session.key.perm_auth_key_id, PERM.auth_key_id)
        decide(bind, None)
        gateway.settle()
        self.assertEqual(len(gateway.backend.sent), 2)
        self.assertTrue(link.transport.reading)

    def test_a_forgery_is_refused_once_the_key_is_here(self) -> None:
        gateway, link, session = connect()
        gateway.keys.add(session.key)
        gateway.backend.held = True
        link.say(session, bind_body())
        gateway.backend.queries[0][1].callback(PERM)
        link.read()
        told = [said.body for said in link.said(session)]
        self.assertEqual(told, [RpcResult(session.msg_id, REFUSED).pack()])
        self.assert_nothing_went_out(gateway, session)

    def test_an_unknown_permanent_key_proves_nothing(self) -> None:
        gateway, link, session = connect(perm=False)
        msg_id = say_bind(link, session)
        told = [said.body for said in link.said(session)]
        self.assertEqual(told, [RpcResult(msg_id, REFUSED).pack()])
        self.assert_nothing_went_out(gateway, session)
        self.assertTrue(link.open)
        self.assertTrue(link.transport.reading)

    def test_a_key_that_cannot_be_asked_for_says_nothing(self) -> None:
        """The client would throw its permanent key away."""
        for error in (BackendUnavailable("down"), BackendRefused(400, "NO"), ZeroDivisionError()):
            with self.subTest(error=error):
                gateway, link, session = connect()
                gateway.keys.add(session.key)
                gateway.backend.held = True
                say_bind(link, session)
                gateway.backend.queries[0][1].errback(Failure(error))
                link.read()
                self.assertEqual((link.code(), link.transport.lost), (0, True))
                self.assertEqual(gateway.ended(), {"backend_unavailable": 1})
                self.assert_nothing_went_out(gateway, session)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_a_link_lost_meanwhile_sends_nothing(self) -> None:
        for outcome in (PERM, Failure(KeyUnknown("no")), Failure(BackendUnavailable("no"))):
            with self.subTest(outcome=outcome):
                gateway, link, session = connect()
                gateway.keys.add(session.key)
                gateway.backend.held = True
                say_bind(link, session)
                link.leave()
                gateway.backend.queries[0][1].callback(outcome)
                self.assert_nothing_went_out(gateway, session)
                self.assertEqual(gateway.ended(), {"client_closed": 1})
                self.assertEqual(gateway.clock.getDelayedCalls(), [])
