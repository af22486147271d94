"""Temporary keys over HTTP: proved here, decided by the backend before anything else answers."""

from functools import partial

from twisted.internet.defer import fail
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from gnetway.errors import BackendRefused, BackendUnavailable, KeyUnknown
from gnetway.net.http.answers import HttpSettings
from gnetway.net.waits import MAX_REFUSALS
from gnetway.tl.service_messages import (
    BadServerSalt,
    HttpWait,
    MsgsAck,
    NewSessionCreated,
    Ping,
    Pong,
    RpcErrorObject,
    RpcResult,
    parse_container,
)
from tests.binds import bind_in, forged_binds, next_bind
from tests.connection.wrappers import CALL, PERM, bind_body, contained, temp_key
from tests.net.http_client import HttpGateway, HttpLink, said
from tests.net.unbound import FAULTS, OTHER, REFUSALS, REFUSED, note_name

PING = Ping(1).pack()
PONG = Pong(4, 1).pack()
TRUE = bytes.fromhex("b5757299")
WAIT = HttpWait(0, 0, 0).pack()


class UnboundCase(SynchronousTestCase):
    """``session`` is of an unbound key; the backend's answers wait for the test."""

    def setUp(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Start with a gateway that has seen nothing yet."""
        self.gateway = HttpGateway()
        self.key = temp_key()
        self.gateway.knows(self.key, PERM)
        self.link = self.gateway.browse()
        self.session = self.link.session(self.key)
        self.key.greeted_session_id = self.session.session_id
        self.gateway.held = True

    def bind(self) -> int:
        """Send a good bind; return its msg_id."""
        self.link.say(self.session, next_bind(self.session, PERM, self.now()).pack())
        return self.session.msg_id

    def now(self) -> float:
        return self.gateway.wall()

    def bodies(self, link: HttpLink | None = None) -> list[bytes]:
        return [one.body for one in (link or self.link).heard(self.session)]

    def assert_nothing_went_out(self) -> None:
        self.assertEqual((self.gateway.backend.opened, self.gateway.backend.sent), ([], []))
        self.assertEqual((len(self.gateway.registry), len(self.gateway.http.sessions)), (0, 0))
        self.assertEqual(self.key.perm_auth_key_id, 0)


class UnboundTests(UnboundCase):
    def test_a_ping_is_answered_here(self) -> None:
        self.key.greeted_session_id = 0
        self.link.say(self.session, PING)
        (heard,) = self.link.heard(self.session)
        pong, created = parse_container(heard.body, 2)
        self.assertEqual(NewSessionCreated.parse(created.body).server_salt, self.session.salt)
        self.assertEqual(pong.body, Pong(self.session.msg_id, 1).pack())
        self.assert_nothing_went_out()

    def test_a_wrong_salt_is_put_right(self) -> None:
        self.session.salt = 0
        self.link.say(self.session, PING)
        (body,) = self.bodies()
        self.session.salt = BadServerSalt.parse(body).new_server_salt
        self.link.say(self.session, PING)
        self.assertEqual(self.bodies(), [Pong(self.session.msg_id, 1).pack()])
        self.assert_nothing_went_out()

    def test_a_call_needs_the_bind(self) -> None:
        self.link.say(self.session, contained(CALL, WAIT))
        error = RpcErrorObject(401, "AUTH_KEY_PERM_EMPTY").pack()
        self.assertEqual(self.bodies(), [RpcResult(400, error).pack()])
        self.assert_nothing_went_out()


class ProofTests(UnboundCase):
    def test_forged_binds(self) -> None:
        for name in forged_binds(self.session, PERM, OTHER, 4):
            with self.subTest(name):
                self.begin()
                self.gateway.knows(OTHER)
                msg_id = self.session.coming_msg_id(self.now())
                forged = forged_binds(self.session, PERM, OTHER, msg_id)[name]
                self.link.say(self.session, forged.pack())
                self.assertEqual(self.bodies(), [RpcResult(msg_id, REFUSED).pack()])
                self.assert_nothing_went_out()

    def test_beside_http_wait_and_others(self) -> None:
        for beside in (WAIT, HttpWait(0, 0, 25_000).pack(), MsgsAck([1]).pack()):
            self.begin()
            self.link.say(self.session, contained(beside, bind_body(), PING))
            (body,) = self.bodies()
            told = [one.body for one in parse_container(body, 5)]
            # Some clients leave a container at its first error.
            self.assertEqual(told, [Pong(408, 1).pack(), RpcResult(404, REFUSED).pack()])
            self.link.say(self.session, CALL)
            (body,) = self.bodies()
            error = RpcErrorObject(401, "AUTH_KEY_PERM_EMPTY").pack()
            self.assertEqual(body, RpcResult(self.session.msg_id, error).pack())
            self.assert_nothing_went_out()

    def test_the_permanent_key_is_asked_for_once(self) -> None:
        self.bind()
        asked = [auth_key_id for auth_key_id, _ in self.gateway.backend.queries]
        self.assertEqual(asked, [self.key.auth_key_id, PERM.auth_key_id])
        again = temp_key(52)
        self.gateway.knows(again)
        link = self.gateway.browse()
        session = link.session(again)
        link.say(session, next_bind(session, PERM, self.now()).pack())
        self.assertEqual((len(self.gateway.backend.queries), len(self.gateway.asked)), (3, 2))

    def ask_for_the_key(self) -> None:
        """Send a good bind whose permanent key the backend has yet to find."""
        self.gateway.keys.add(self.key)
        self.gateway.backend.held = True
        self.bind()
        self.assert_nothing_went_out()
        self.assertEqual(self.link.answers(), [])

    def test_nothing_goes_out_while_it_is_asked_for(self) -> None:
        self.ask_for_the_key()
        self.gateway.backend.queries[0][1].callback(PERM)
        (sent,) = self.gateway.backend.sent
        self.assertEqual(sent.client.key.perm_auth_key_id, PERM.auth_key_id)
        self.gateway.asked[0].callback(said(self.session, PONG))
        self.assertEqual(self.bodies(), [PONG])

    def test_an_unknown_permanent_key_proves_nothing(self) -> None:
        self.gateway.backend.keys.pop(PERM.auth_key_id)
        msg_id = self.bind()
        self.assertEqual(self.bodies(), [RpcResult(msg_id, REFUSED).pack()])
        self.assert_nothing_went_out()

    def test_a_key_that_cannot_be_asked_for_says_nothing(self) -> None:
        for error in (BackendUnavailable("down"), ZeroDivisionError()):
            with self.subTest(error=error):
                self.begin()
                self.ask_for_the_key()
                self.gateway.backend.queries[0][1].errback(Failure(error))
                self.assertEqual(self.link.answer().status, 503)
                self.assertEqual(self.gateway.ended(), {"backend_unavailable": 1})
                self.assertEqual(self.key.refused_binds, 0)
                self.assert_nothing_went_out()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_a_client_that_is_gone_meanwhile(self) -> None:
        for outcome in (PERM, Failure(KeyUnknown("no")), Failure(BackendUnavailable("no"))):
            with self.subTest(outcome=outcome):
                self.begin()
                self.ask_for_the_key()
                self.link.leave()
                self.gateway.backend.queries[0][1].callback(outcome)
                self.assert_nothing_went_out()

    def test_a_key_with_too_many_sessions(self) -> None:
        """Told also where the permanent key had to be asked for first."""
        for ask in (False, True):
            with self.subTest(ask=ask):
                self.begin()
                self.key.perm_auth_key_id = PERM.auth_key_id
                for _ in range(HttpSettings().max_sessions_per_key):
                    link = self.gateway.browse()
                    link.say(link.session(self.key), CALL)
                self.key.perm_auth_key_id = 0
                self.gateway.backend.held = ask
                self.bind()
                for _, query in self.gateway.backend.queries[1:]:
                    if ask:
                        query.callback(PERM)
                self.assertEqual(self.link.answer().status, 429)
                self.assertEqual(self.gateway.ended(), {"http_too_many_sessions": 1})


class DecisionTests(UnboundCase):
    def test_the_bind_goes_out_in_the_proved_name(self) -> None:
        opened_for: list[int] = []
        backend = self.gateway.backend
        backend.open_session = partial(note_name, opened_for)  # type: ignore[method-assign]
        self.bind()
        (sent,) = backend.sent
        self.assertEqual(opened_for, [PERM.auth_key_id])
        self.assertEqual(sent.client.key.perm_auth_key_id, PERM.auth_key_id)

    def test_a_bind_that_the_backend_accepts(self) -> None:
        self.key.refused_binds = 1
        msg_id = self.bind()
        true = RpcResult(msg_id, TRUE).pack()
        self.assertEqual(self.link.answers(), [])
        self.gateway.asked[0].callback(said(self.session, true))
        self.assertEqual(self.bodies(), [true])
        self.assertEqual(self.key.perm_auth_key_id, PERM.auth_key_id)
        self.assertEqual(self.key.refused_binds, 0)
        self.link.say(self.session, CALL)
        self.assertEqual(len(self.gateway.asked), 2)

    def test_its_result_is_waited_for_however_short_the_wait(self) -> None:
        """An official client gives up before its next request would bring the result."""
        bind = bind_in(self.session, PERM, 400)
        self.link.say(self.session, contained(bind.pack(), WAIT))
        self.gateway.asked[0].callback(b"")
        self.gateway.wait(1)
        self.assertEqual(self.link.answers(), [])
        true = RpcResult(400, TRUE).pack()
        self.assertTrue(self.gateway.push(self.session, true))
        self.assertEqual(self.bodies(), [true])

    def test_an_acceptance_counts_for_all_even_if_the_client_is_gone(self) -> None:
        msg_id = self.bind()
        self.link.leave()
        true = RpcResult(msg_id, TRUE).pack()
        self.gateway.asked[0].callback(said(self.session, true))
        self.assertEqual(self.key.perm_auth_key_id, PERM.auth_key_id)
        link = self.gateway.browse()
        link.say(self.session, MsgsAck([1]).pack())
        self.gateway.asked[1].callback(b"")
        self.assertEqual(self.bodies(link), [true])

    def test_a_push_waits_for_the_decision(self) -> None:
        self.bind()
        self.assertTrue(self.gateway.push(self.session, PING))
        self.assertEqual(self.link.answers(), [])
        self.gateway.asked[0].callback(said(self.session, PONG, 5))
        (body,) = self.bodies()
        self.assertEqual([one.body for one in parse_container(body, 2)], [PING, PONG])

    def test_a_bind_that_the_backend_refuses(self) -> None:
        for error in REFUSALS:
            with self.subTest(error=error):
                self.begin()
                closed_for: list[int] = []
                self.gateway.backend.close_session = (  # type: ignore[method-assign]
                    partial(note_name, closed_for)
                )
                msg_id = self.bind()
                self.assertTrue(self.gateway.push(self.session, PING))
                self.gateway.asked[0].errback(error)
                self.assertEqual(self.bodies(), [RpcResult(msg_id, REFUSED).pack()])
                self.assertEqual(self.key.perm_auth_key_id, 0)
                self.assertEqual((closed_for, len(self.gateway.registry)), ([PERM.auth_key_id], 0))
                self.link.say(self.session, CALL)
                error_result = RpcErrorObject(401, "AUTH_KEY_PERM_EMPTY").pack()
                self.assertEqual(
                    self.bodies(), [RpcResult(self.session.msg_id, error_result).pack()]
                )
                self.assertEqual(len(self.gateway.asked), 1)

    def test_a_refusal_counts_even_if_the_client_is_gone(self) -> None:
        self.bind()
        self.link.leave()
        self.gateway.asked[0].errback(KeyUnknown("no"))
        self.assertEqual((self.key.perm_auth_key_id, self.key.refused_binds), (0, 1))
        self.assertEqual(len(self.gateway.backend.closed), 1)

    def test_a_backend_that_fails_says_nothing_about_the_keys(self) -> None:
        for error in FAULTS:
            with self.subTest(error=error):
                self.begin()
                self.bind()
                self.gateway.asked[0].errback(error)
                self.assertEqual(self.link.answer().status, 503)
                self.assertEqual(self.gateway.ended(), {"backend_unavailable": 1})
                self.assertEqual(self.key.refused_binds, 0)


class PaceTests(UnboundCase):
    """Refusals of one key wait longer each time, over whichever connections."""

    def forge(self) -> HttpLink:
        link = self.gateway.browse()
        link.say(self.session, bind_body())
        return link

    def test_over_several_connections(self) -> None:
        for seconds in (0.0, 0.25, 0.5, 1.0, 2.0):
            link = self.forge()
            if seconds:
                self.gateway.wait(seconds - 0.01)
                self.assertEqual(link.answers(), [])
                self.gateway.wait(0.01)
            self.assertEqual(self.bodies(link), [RpcResult(self.session.msg_id, REFUSED).pack()])
        link = self.forge()
        self.gateway.wait(1.99)
        self.assertEqual(link.answers(), [])
        self.gateway.wait(0.01)
        self.assertEqual(link.answer().status, 503)
        self.assertEqual(self.gateway.ended(), {"bind_refused": 1})

    def test_a_good_bind_is_not_paced_and_begins_anew(self) -> None:
        for _ in range(3):
            self.forge()
            self.gateway.wait(2)
        self.bind()
        self.gateway.asked[0].callback(said(self.session, PONG))
        self.assertEqual(self.bodies(), [PONG])
        self.assertEqual(self.key.refused_binds, 0)

    def test_refusals_of_the_backend_count_too(self) -> None:
        self.forge()
        self.gateway.backend.on_http = lambda sent: fail(BackendRefused(400, "NO"))
        self.bind()
        self.assertEqual(self.link.answers(), [])
        self.gateway.wait(0.25)
        self.assertEqual(self.bodies(), [RpcResult(self.session.msg_id, REFUSED).pack()])

    def test_a_client_that_is_gone_meanwhile(self) -> None:
        self.forge()
        link = self.forge()
        link.leave()
        self.gateway.wait(1)
        self.assertEqual((link.transport.client_takes(), self.key.refused_binds), (b"", 2))
        self.key.refused_binds = MAX_REFUSALS
        self.forge().leave()
        self.gateway.wait(3)
        self.assertEqual(self.gateway.ended(), {"client_closed": 2})

    def test_beside_tcp(self) -> None:
        self.forge()
        tcp = self.gateway.connect()
        tcp.say(self.session, bind_body())
        self.assertEqual(tcp.got, [])
        self.gateway.wait(0.25)
        tcp.read()
        self.assertEqual(len(tcp.said(self.session)), 1)
