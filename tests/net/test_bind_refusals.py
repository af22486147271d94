"""Official clients repeat a refused bind at once: how soon they hear of it, and when no more."""

from twisted.trial.unittest import SynchronousTestCase

from gnetway.errors import BackendRefused, BackendUnavailable, KeyUnknown
from gnetway.net.waits import MAX_REFUSALS, refusal_delay, refuses_bind
from gnetway.tl.service_messages import Ping, RpcResult
from tests.connection.wrappers import CALL, PERM, bind_body, temp_key
from tests.net.gateway import TcpLink
from tests.net.unbound import FAULTS, REFUSALS, REFUSED, connect, decide, say_bind

#: Seconds until each refusal in a row.
DELAYS = (0.0, 0.25, 0.5, 1.0, 2.0)


class RuleTests(SynchronousTestCase):
    def test_only_a_judgement_refuses(self) -> None:
        """Android and Desktop throw their permanent key away at a refusal."""
        for error in (*REFUSALS, BackendRefused(16, "x ENCRYPTED_MESSAGE_INVALID")):
            self.assertTrue(refuses_bind(error), error)
        for fault in (*FAULTS, BackendRefused(0, "400"), BackendUnavailable("400")):
            self.assertFalse(refuses_bind(fault), fault)

    def test_the_delay_grows_within_a_bound(self) -> None:
        self.assertEqual(tuple(map(refusal_delay, range(1, MAX_REFUSALS + 1))), DELAYS)
        self.assertEqual((refusal_delay(0), refusal_delay(MAX_REFUSALS + 1)), (0.0, DELAYS[-1]))
        self.assertEqual(refusal_delay(10**9), DELAYS[-1])


class PaceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.gateway, self.link, self.session = connect()

    def forge(self, link: TcpLink | None = None) -> None:
        (link or self.link).say(self.session, bind_body())

    def assert_refused_after(self, seconds: float, link: TcpLink | None = None) -> None:
        """The refusal of the bind that was said last comes after so long, and not before."""
        link = link or self.link
        if seconds:
            self.assertFalse(link.transport.reading)
            self.gateway.wait(seconds - 0.01)
            link.read()
            self.assertEqual(link.got, [])
            self.gateway.wait(0.01)
            link.read()
        self.assertEqual(
            [said.body for said in link.said(self.session)],
            [RpcResult(self.session.msg_id, REFUSED).pack()],
        )
        self.assertTrue(link.transport.reading)

    def test_on_one_link(self) -> None:
        for seconds in DELAYS:
            self.forge()
            self.assert_refused_after(seconds)
        self.forge()
        self.gateway.wait(DELAYS[-1] - 0.01)
        self.assertTrue(self.link.open)
        self.gateway.wait(0.01)
        self.link.read()
        self.assertEqual((self.link.code(), self.link.transport.lost), (0, True))
        self.assertEqual(self.gateway.ended(), {"bind_refused": 1})
        self.assertEqual(self.gateway.backend.opened, [])
        self.assertEqual(self.gateway.clock.getDelayedCalls(), [])

    def test_what_is_said_meanwhile_waits(self) -> None:
        self.forge()
        self.link.said(self.session)
        self.forge()
        self.link.say(self.session, Ping(1).pack())
        self.link.say(self.session, CALL)
        self.link.read()
        self.assertEqual(self.link.got, [])
        self.gateway.wait(0.25)
        self.link.read()
        self.assertEqual(len(self.link.said(self.session)), 3)

    def test_over_several_links_of_a_key(self) -> None:
        for seconds in DELAYS:
            link = self.gateway.connect()
            self.forge(link)
            self.assert_refused_after(seconds, link)
            link.leave()
        for ended in (1, 2):
            link = self.gateway.connect()
            self.forge(link)
            self.gateway.wait(2)
            self.assertFalse(link.open)
            self.assertEqual(self.gateway.ended()["bind_refused"], ended)

    def test_another_key_has_its_own_pace(self) -> None:
        self.forge()
        self.assert_refused_after(0)
        other = temp_key(52)
        self.gateway.knows(other)
        session = self.link.session(other)
        self.link.say(session, bind_body())
        self.assertEqual(len(self.link.said(session)), 1)

    def test_refusals_of_the_backend_count_too(self) -> None:
        self.forge()
        self.assert_refused_after(0)
        say_bind(self.link, self.session)
        decide(self.gateway.backend.sent[0], KeyUnknown("401"))
        self.assert_refused_after(0.25)
        self.forge()
        self.assert_refused_after(0.5)

    def test_faults_do_not(self) -> None:
        self.forge()
        self.assert_refused_after(0)
        say_bind(self.link, self.session)
        decide(self.gateway.backend.sent[0], BackendUnavailable("down"))
        self.assertEqual(self.session.key.refused_binds, 1)

    def test_unknown_permanent_keys_count_too(self) -> None:
        self.gateway.backend.keys.pop(PERM.auth_key_id)
        for seconds in DELAYS[:2]:
            say_bind(self.link, self.session)
            self.assert_refused_after(seconds)

    def test_an_accepted_bind_begins_anew(self) -> None:
        for seconds in DELAYS[:3]:
            self.forge()
            self.assert_refused_after(seconds)
        say_bind(self.link, self.session)
        decide(self.gateway.backend.sent[0], None)
        self.assertEqual(self.session.key.refused_binds, 0)
        self.session.key.perm_auth_key_id = 0
        self.forge()
        self.assert_refused_after(0)

    def test_a_link_lost_while_a_refusal_waits(self) -> None:
        self.forge()
        self.assert_refused_after(0)
        self.forge()
        self.link.leave()
        self.assertEqual(self.gateway.clock.getDelayedCalls(), [])
        self.assertEqual(self.gateway.ended(), {"client_closed": 1})

    def test_a_decision_counts_even_if_the_link_is_lost(self) -> None:
        """The key belongs to all connections that use it."""
        self.link.leave()
        key = self.session.key
        for error, decided in ((KeyUnknown("401"), (0, 2)), (None, (PERM.auth_key_id, 0))):
            key.refused_binds, key.perm_auth_key_id = 1, 0
            link = self.gateway.connect()
            say_bind(link, self.session)
            link.leave()
            decide(self.gateway.backend.sent[-1], error)
            self.assertEqual((key.perm_auth_key_id, key.refused_binds), decided)
        self.assertEqual(self.gateway.clock.getDelayedCalls(), [])

    def test_a_link_ended_while_a_refusal_waits(self) -> None:
        self.forge()
        self.assert_refused_after(0)
        self.forge()
        self.link.link.end("gateway_stopped")
        self.gateway.wait(5)
        self.assertEqual(self.link.packets(), [])
        self.assertEqual(self.gateway.ended(), {"gateway_stopped": 1})
