"""Runs that end badly: refused keys, faults, answers that come too late."""

from twisted.trial.unittest import SynchronousTestCase

from gnetway.crypto.auth_key import AuthKey
from gnetway.crypto.rsa import RsaFault, RsaOpenError
from gnetway.errors import HandshakeError, ProtocolError
from gnetway.handshake import checks
from gnetway.handshake.steps import Phase
from gnetway.testing import KeyGivenUp
from gnetway.tl.key_exchange import (
    DHGenFail,
    DHGenRetry,
    SetClientDHParams,
    parse_answer,
)
from tests.handshake.server import (
    NOW,
    Server,
    make_client,
    run,
    until_client_dh,
    until_dh_params,
)


class NoRoom(ProtocolError):
    """What the shell says when too much work waits."""


class RefusedKeyTests(SynchronousTestCase):
    def test_client_may_try_three_times_again(self) -> None:
        for refusals in (1, 2, 3):
            client, server = make_client(), Server()
            server.refusals = refusals
            run(client, server)
            self.assertEqual(client.retries, refusals)
            self.assertEqual(
                len({wanted.key.auth_key_id for wanted in server.stores}), refusals + 1
            )
            assert client.key is not None
            self.assertEqual(server.stores[-1].key.secret, client.key.secret)

    def test_then_the_server_gives_up(self) -> None:
        client, server = make_client(), Server()
        server.refusals = 4
        self.assertRaises(KeyGivenUp, run, client, server)
        self.assertEqual(client.retries, 3)
        self.assertEqual(len(server.stores), 4)
        self.assertIs(server.exchange.phase, Phase.FAILED)
        self.assertTrue(server.exchange.done)

    def test_giving_up_can_be_repeated(self) -> None:
        client, server = make_client(), Server()
        server.refusals = 4
        query = until_client_dh(client, server)
        for _ in range(3):
            query = client.receive(server.ask(query) or b"") or b""
        answer = server.ask(query)
        self.assertIsInstance(parse_answer(answer or b""), DHGenFail)
        self.assertEqual(server.ask(query), answer)
        again = SetClientDHParams(client.nonce, client.server_nonce, bytes(336)).pack()
        self.assertRaises(checks.WrongStep, server.ask, again)

    def test_retry_can_be_repeated(self) -> None:
        client, server = make_client(), Server()
        server.refusals = 1
        query = until_client_dh(client, server)
        answer = server.ask(query)
        self.assertIsInstance(parse_answer(answer or b""), DHGenRetry)
        self.assertEqual(server.ask(query), answer)
        self.assertFalse(server.exchange.done)

    def test_key_id_zero_is_never_stored(self) -> None:
        """On the wire it would mean an unencrypted message."""
        client, server = make_client(), Server()
        server.exchange.receive(until_client_dh(client, server), NOW)
        key = server.next_work().work()
        assert isinstance(key, AuthKey)
        key.auth_key_id = 0
        server.exchange.work_done(key)
        query = client.receive(server.finish() or b"")
        self.assertEqual((client.retries, server.stores), (1, []))
        self.assertIsNone(client.receive(server.ask(query or b"") or b""))

    def test_key_id_zero_four_times(self) -> None:
        client, server = make_client(), Server()
        query = until_client_dh(client, server)
        for _ in range(3):
            query = client.receive(self.ask_with_id_zero(server, query)) or b""
        self.assertRaises(KeyGivenUp, client.receive, self.ask_with_id_zero(server, query))
        self.assertEqual(server.stores, [])

    def ask_with_id_zero(self, server: Server, query: bytes) -> bytes:
        server.exchange.receive(query, NOW)
        key = server.next_work().work()
        assert isinstance(key, AuthKey)
        key.auth_key_id = 0
        server.exchange.work_done(key)
        return server.finish() or b""


class FailedWorkTests(SynchronousTestCase):
    def test_a_fault_of_ours_ends_the_run(self) -> None:
        client, server = make_client(), Server()
        server.exchange.receive(until_dh_params(client, server), NOW)
        server.next_work()
        fault = RsaFault("miscalculated")
        error = self.assertRaises(checks.WorkFailed, server.exchange.work_failed, fault)
        self.assertIs(error.__cause__, fault)
        self.assertIs(server.exchange.phase, Phase.DEAD)

    def test_an_error_of_the_protocol_is_raised_as_it_is(self) -> None:
        """A failed check, or whoever does the work having no room for it."""
        for fault in (RsaOpenError("another key"), NoRoom("no thread is free")):
            client, server = make_client(), Server()
            server.exchange.receive(until_dh_params(client, server), NOW)
            error = self.assertRaises(type(fault), server.exchange.work_failed, fault)
            self.assertIs(error, fault)
            self.assertTrue(server.exchange.done)

    def test_results_that_come_too_late_are_ignored(self) -> None:
        """A wrong query ends the run while a thread works for it."""
        for prepare in (until_dh_params, until_client_dh):
            client, server = make_client(), Server()
            server.exchange.receive(prepare(client, server), NOW)
            result = server.next_work().work()
            self.assertRaises(HandshakeError, server.ask, make_client(2).begin())
            server.exchange.work_done(result)
            server.exchange.work_failed(RsaOpenError("another key"))
            server.exchange.stored(True)
            self.assertIsNone(server.exchange.next_event())
            self.assertIs(server.exchange.phase, Phase.DEAD)

    def test_a_key_stored_too_late_is_not_told(self) -> None:
        client, server = make_client(), Server()
        server.exchange.receive(until_client_dh(client, server), NOW)
        server.work(server.next_work())
        self.assertRaises(HandshakeError, server.ask, make_client(2).begin())
        server.exchange.stored(True)
        self.assertIsNone(server.exchange.next_event())

    def test_stored_unasked(self) -> None:
        server = Server()
        server.exchange.stored(True)
        self.assertIs(server.exchange.phase, Phase.WANT_REQ_PQ)
