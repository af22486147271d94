"""Binds that are proved: the backend decides, the link waits, in order and in time."""

from functools import partial

from twisted.trial.unittest import SynchronousTestCase

from gnetway.errors import KeyUnknown
from gnetway.testing import QuickAck
from gnetway.tl.service_messages import Ping, Pong, RpcResult
from tests.binds import bind_in, bind_until, next_bind
from tests.connection.wrappers import CALL, PERM, contained, temp_key, with_layer
from tests.fakes import Sent, some_key
from tests.net.unbound import FAULTS, REFUSALS, REFUSED, connect, decide, note_name, say_bind


class DecisionTests(SynchronousTestCase):
    def test_the_bind_goes_out_in_the_proved_name(self) -> None:
        gateway, link, session = connect()
        opened_for: list[int] = []
        sent_for: list[int] = []
        backend = gateway.backend
        backend.on_send = lambda sent: sent_for.append(sent.client.key.perm_auth_key_id)
        backend.open_session = partial(note_name, opened_for)  # type: ignore[method-assign]
        say_bind(link, session)
        self.assertEqual((opened_for, sent_for), ([PERM.auth_key_id], [PERM.auth_key_id]))

    def test_what_follows_waits_and_goes_through_once_bound(self) -> None:
        gateway, link, session = connect()
        body = with_layer(next_bind(session, PERM, link.now).pack())
        link.say(session, body)
        link.say(session, CALL)
        (bind,) = gateway.backend.sent
        self.assertEqual(bind.payload[16:24], body[:8])
        self.assertFalse(link.transport.reading)
        decide(bind, None)
        gateway.settle()
        self.assertEqual(session.key.perm_auth_key_id, PERM.auth_key_id)
        self.assertTrue(link.transport.reading)
        self.assertEqual([sent.payload[16:20] for sent in gateway.backend.sent[1:]], [CALL])
        self.assertIsNone(gateway.backend.sent[1].done)
        self.assertEqual(len(gateway.backend.opened), 1)

    def test_an_accepted_bind_tells_the_end_of_a_key_that_has_none(self) -> None:
        for error, life in ((None, 7200), (KeyUnknown("401"), 86_400)):
            with self.subTest(error=error):
                gateway, link, session = connect()
                gateway.backend.on_send = partial(decide, error=error)
                end = int(gateway.wall()) + 7200
                link.say(session, bind_until(session, PERM, link.now, end).pack())
                self.assertEqual(session.key.expires_at, int(gateway.wall()) + life)

    def test_a_decision_at_once(self) -> None:
        for error in (None, *REFUSALS):
            with self.subTest(error=error):
                gateway, link, session = connect()
                gateway.backend.on_send = partial(decide, error=error)
                bind = bind_in(session, PERM, 404)
                link.say(session, contained(Ping(1).pack(), bind.pack()))
                self.assertEqual(session.key.unbound, error is not None)
                self.assertEqual((link.open, link.transport.reading), (True, True))
                refused = [RpcResult(404, REFUSED).pack(), Pong(400, 1).pack()]
                self.assertEqual(
                    [said.body for said in link.said(session)], refused if error else []
                )

    def test_a_refusal_is_told_under_the_msg_id_of_the_bind(self) -> None:
        for error in REFUSALS:
            with self.subTest(error=error):
                gateway, link, session = connect()
                bind_msg_id = say_bind(link, session)
                link.say(session, Ping(5).pack())
                decide(gateway.backend.sent[0], error)
                link.read()
                self.assertEqual(
                    [said.body for said in link.said(session)],
                    [RpcResult(bind_msg_id, REFUSED).pack(), Pong(session.msg_id, 5).pack()],
                )
                self.assertEqual(session.key.perm_auth_key_id, 0)
                self.assertEqual(len(gateway.backend.sent), 1)

    def test_a_refused_session_is_closed_under_the_name_it_was_opened_with(self) -> None:
        for error in REFUSALS:
            with self.subTest(error=error):
                gateway, link, session = connect()
                closed_for: list[int] = []
                gateway.backend.close_session = (  # type: ignore[method-assign]
                    partial(note_name, closed_for)
                )
                say_bind(link, session)
                decide(gateway.backend.sent[0], error)
                self.assertEqual((closed_for, len(gateway.registry)), ([PERM.auth_key_id], 0))
                link.leave()
                self.assertEqual(len(closed_for), 1)

    def test_sessions_of_other_keys_stay(self) -> None:
        for first in (True, False):
            with self.subTest(first=first):
                temp, perm = temp_key(), some_key(7)
                gateway, link, session = connect(temp, perm)
                hers = link.session(perm)
                if first:
                    link.say(hers, CALL)
                say_bind(link, session)
                decide(gateway.backend.sent[-1], KeyUnknown("401"))
                link.say(hers, CALL)
                self.assertEqual([one.key for one in gateway.backend.closed], [temp])
                self.assertEqual([one.key for one in gateway.backend.opened].count(perm), 1)
                link.leave()
                self.assertEqual([one.key for one in gateway.backend.closed], [temp, perm])

    def test_after_a_refusal_another_bind_may_come(self) -> None:
        gateway, link, session = connect()
        say_bind(link, session)
        decide(gateway.backend.sent[0], KeyUnknown("401"))
        say_bind(link, session)
        decide(gateway.backend.sent[1], None)
        link.say(session, CALL)
        self.assertEqual(len(gateway.backend.opened), 2)
        self.assertEqual(gateway.backend.sent[2].client.key.perm_auth_key_id, PERM.auth_key_id)

    def test_a_backend_that_fails_ends_the_link_without_a_code(self) -> None:
        """It says nothing about the keys, and Android would delete them at a refusal."""
        for error in FAULTS:
            with self.subTest(error=error):
                gateway, link, session = connect()
                say_bind(link, session)
                decide(gateway.backend.sent[0], error)
                link.read()
                self.assertEqual((link.code(), link.transport.lost), (0, True))
                self.assertEqual(gateway.ended(), {"backend_unavailable": 1})
                self.assertEqual(session.key.refused_binds, 0)
                self.assertEqual(len(gateway.backend.closed), 1)

    def test_a_decision_has_10_seconds(self) -> None:
        gateway, link, session = connect()
        say_bind(link, session)
        gateway.wait(9.9)
        self.assertTrue(link.open)
        gateway.wait(0.2)
        self.assertFalse(link.open)
        self.assertEqual(gateway.ended(), {"backend_unavailable": 1})

    def test_in_time_there_is_no_deadline_left(self) -> None:
        gateway, link, session = connect()
        say_bind(link, session)
        decide(gateway.backend.sent[0], None)
        gateway.wait(60)
        self.assertTrue(link.open)

    def test_another_try_has_its_own_10_seconds(self) -> None:
        gateway, link, session = connect()
        say_bind(link, session)
        gateway.wait(5)
        decide(gateway.backend.sent[0], KeyUnknown("401"))
        say_bind(link, session)
        gateway.wait(9)
        self.assertTrue(link.open)
        gateway.wait(2)
        self.assertFalse(link.open)

    def test_a_decision_at_once_keeps_what_is_sent_in_order(self) -> None:
        gateway, link, session = connect()
        tokens, data = [], b""
        for body in (next_bind(session, PERM, link.now).pack(), CALL):
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
            for error in (None, *REFUSALS):
                with self.subTest(leave=leave, error=error):
                    gateway, link, session = connect()
                    say_bind(link, session)
                    if leave:
                        link.leave()
                    else:
                        gateway.wait(11)
                    decide(gateway.backend.sent[0], error)
                    bound = 0 if error else PERM.auth_key_id
                    self.assertEqual(session.key.perm_auth_key_id, bound)
                    self.assertEqual(len(gateway.backend.closed), 1)
                    link.leave()
                    self.assertEqual(gateway.clock.getDelayedCalls(), [])

    def test_the_quick_ack_of_a_bind(self) -> None:
        gateway, link, session = connect()
        say_bind(link, session, quick_ack=True)
        self.assertEqual(link.got, [QuickAck(session.quick_ack_token)])
        self.assertTrue(gateway.backend.sent[0].quick_ack)

    def test_the_quick_ack_of_a_bind_whose_key_was_asked_for(self) -> None:
        gateway, link, session = connect()
        gateway.keys.add(session.key)
        gateway.backend.held = True
        say_bind(link, session, quick_ack=True)
        self.assertEqual(link.got, [])
        gateway.backend.queries[0][1].callback(PERM)
        link.read()
        self.assertEqual(link.got, [QuickAck(session.quick_ack_token)])

    def test_the_bind_goes_along_with_its_own_key(self) -> None:
        """Even where the client uses one session_id under two keys."""
        temp, perm = temp_key(), some_key(7)
        gateway, link, _ = connect(temp, perm)
        link.say(link.session(perm, session_id=70), CALL)
        say_bind(link, link.session(temp, session_id=70))
        self.assertEqual([sent.client.key for sent in gateway.backend.sent], [perm, temp])
