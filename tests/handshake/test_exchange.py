"""The run as a whole: both ends meet in memory."""

from hypothesis import given
from hypothesis.strategies import (
    SearchStrategy,
    booleans,
    builds,
    integers,
    none,
    one_of,
    sampled_from,
)
from twisted.trial.unittest import SynchronousTestCase

from gnetway.crypto.auth_key import KeyKind, make_pq
from gnetway.crypto.rsa import RsaKey, generate_pem
from gnetway.errors import HandshakeError
from gnetway.handshake import checks
from gnetway.handshake.exchange import ExchangeSetup, KeyExchange, Reply, StoreWanted
from gnetway.handshake.steps import Phase
from gnetway.testing import ClientExchange, Wish
from gnetway.tl.key_exchange import (
    DHGenOk,
    ReqPq,
    ResPQ,
    ServerDHParamsOk,
    parse_answer,
)
from tests.crypto.chance import rsa_key
from tests.handshake.server import (
    NOW,
    PQ_OF_DOCUMENTS,
    Server,
    make_client,
    make_setup,
    run,
    until_client_dh,
    until_dh_params,
)
from tests.strategies import SeededBytes


def wishes() -> SearchStrategy[Wish]:
    """Every kind of inner data, in both paddings, after either first query."""
    return builds(
        Wish,
        multi=booleans(),
        legacy=booleans(),
        dc=one_of(none(), sampled_from([1, 2, -2, 10002, -10002])),
        expires_in=one_of(none(), integers(1, 90000)),
    )


class KeyTests(SynchronousTestCase):
    @given(wish=wishes(), seed=integers(0, 2**32))
    def test_both_ends_have_the_same_key(self, wish: Wish, seed: int) -> None:
        client, server = make_client(seed, wish), Server(seed=seed + 1)
        run(client, server)
        (wanted,) = server.stores
        assert client.key is not None
        self.assertEqual(wanted.key.secret, client.key.secret)
        self.assertEqual(wanted.salt, client.salt)
        self.assertEqual(client.server_time, int(NOW))
        self.assertTrue(server.exchange.done)

    def test_any_pq_will_do(self) -> None:
        """The number to factor is another for each run."""
        source = SeededBytes(4)
        for _ in range(3):
            server, client = Server(), make_client()
            server.exchange = KeyExchange(make_setup(), make_pq(source), server.take_secret, source)
            run(client, server)
            self.assertIsNotNone(client.key)

    def test_client_chooses_among_the_keys(self) -> None:
        other = RsaKey.from_pem(generate_pem())
        keys = {key.fingerprint: key for key in (other, rsa_key())}
        for key in keys.values():
            client = ClientExchange([key], SeededBytes(1))
            run(client, Server(ExchangeSetup(keys)))
            self.assertIsNotNone(client.key)

    def test_key_of_another_server(self) -> None:
        """Naming one of our fingerprints and encrypting for another key."""
        other = RsaKey.from_pem(generate_pem())
        server = Server(ExchangeSetup({rsa_key().fingerprint: other}))
        self.assertRaises(HandshakeError, run, make_client(), server)

    def test_permanent(self) -> None:
        for dc in (None, 2, -2):
            wanted = self.stored(Wish(dc=dc))
            self.assertIs(wanted.key.kind, KeyKind.PERM)
            self.assertEqual((wanted.expires_in, wanted.key.expires_at), (0, 0))
            self.assertEqual(wanted.key.perm_auth_key_id, wanted.key.auth_key_id)

    def test_temporary(self) -> None:
        for dc in (None, 2, 10002):
            wanted = self.stored(Wish(dc=dc, expires_in=86400))
            self.assertIs(wanted.key.kind, KeyKind.TEMP)
            self.assertTrue(wanted.key.unbound)

    def test_temporary_for_media(self) -> None:
        for dc in (-2, -10002):
            wanted = self.stored(Wish(dc=dc, expires_in=86400))
            self.assertIs(wanted.key.kind, KeyKind.MEDIA_TEMP)

    def test_expiry_is_kept(self) -> None:
        wanted = self.stored(Wish(expires_in=83000))
        self.assertEqual(wanted.expires_in, 83000)
        self.assertEqual(wanted.key.expires_at, int(NOW) + 83000)

    def test_expiry_is_capped(self) -> None:
        for expires_in in (90001, 2**31 - 1):
            wanted = self.stored(Wish(expires_in=expires_in))
            self.assertEqual(wanted.expires_in, 90000)
            self.assertEqual(wanted.key.expires_at, int(NOW) + 90000)

    def test_first_salt_holds_for_half_an_hour(self) -> None:
        wanted = self.stored(Wish())
        self.assertEqual(wanted.valid_since, int(NOW))
        self.assertEqual(wanted.valid_until - wanted.valid_since, 1800)

    def stored(self, wish: Wish) -> StoreWanted:
        server = Server()
        run(make_client(wish=wish), server)
        (wanted,) = server.stores
        return wanted


class AnswerTests(SynchronousTestCase):
    def test_res_pq(self) -> None:
        client, server = make_client(), Server()
        answer = parse_answer(server.ask(client.begin()) or b"")
        assert isinstance(answer, ResPQ)
        self.assertEqual(answer.nonce, client.nonce)
        self.assertEqual(answer.server_nonce, server.exchange.server_nonce)
        self.assertEqual(answer.pq, PQ_OF_DOCUMENTS.pq_bytes)
        self.assertEqual(answer.fingerprints, [rsa_key().fingerprint])
        self.assertEqual(server.exchange.nonce, client.nonce)

    def test_server_nonce_is_fresh(self) -> None:
        source = SeededBytes(7)
        runs = [KeyExchange(make_setup(), PQ_OF_DOCUMENTS, self.fail, source) for _ in range(50)]
        self.assertEqual(len({run.server_nonce for run in runs}), 50)

    def test_server_time_is_that_of_the_answer(self) -> None:
        client, server = make_client(), Server()
        query = until_dh_params(client, server)
        client.receive(server.ask(query, NOW + 99) or b"")
        self.assertEqual(client.server_time, int(NOW + 99))

    def test_client_hears_of_no_key_before_it_is_stored(self) -> None:
        client, server = make_client(), Server()
        server.exchange.receive(until_client_dh(client, server), NOW)
        server.work(server.next_work())
        self.assertIsInstance(server.exchange.next_event(), StoreWanted)
        self.assertIsNone(server.exchange.next_event())
        server.exchange.stored(True)
        event = server.exchange.next_event()
        assert isinstance(event, Reply)
        self.assertIsInstance(parse_answer(event.body), DHGenOk)

    def test_nothing_is_made_before_the_work_is_done(self) -> None:
        """What takes time happens inside the work only."""
        client, server = make_client(), Server()
        server.exchange.receive(until_dh_params(client, server), NOW)
        work = server.next_work()
        self.assertEqual(server.secrets, [])
        self.assertIsNone(server.exchange.next_event())
        result = work.work()
        self.assertEqual(len(server.secrets), 1)
        self.assertIs(server.exchange.phase, Phase.OPENING)
        server.exchange.work_done(result)
        self.assertIsInstance(server.exchange.next_event(), Reply)


class RepeatTests(SynchronousTestCase):
    def test_every_answer_can_be_repeated(self) -> None:
        """The same bytes again, as long as the next step has not come."""
        client, server = make_client(), Server()
        query: bytes | None = client.begin()
        kinds = []
        while query is not None:
            answer = server.ask(query)
            assert answer is not None
            for later in (0, 300, 599):
                self.assertEqual(server.ask(query, NOW + later), answer)
            kinds.append(type(parse_answer(answer)))
            query = client.receive(answer)
        self.assertEqual(kinds, [ResPQ, ServerDHParamsOk, DHGenOk])
        self.assertEqual(len(server.stores), 1)

    def test_bytes_after_the_query_make_no_difference(self) -> None:
        """One client pads its queries anew each time."""
        client, server = make_client(), Server()
        answer = server.ask(client.begin() + b"\1" * 12)
        self.assertEqual(server.ask(client.begin() + b"\2" * 40), answer)

    def test_silence_while_work_is_running(self) -> None:
        client, server = make_client(), Server()
        query = until_dh_params(client, server)
        server.exchange.receive(query, NOW)
        work = server.next_work()
        server.exchange.receive(query, NOW)
        self.assertIsNone(server.exchange.next_event())
        server.work(work)
        self.assertIsInstance(server.exchange.next_event(), Reply)
        self.assertIsNone(server.exchange.next_event())

    def test_a_want_not_yet_taken_stays(self) -> None:
        client, server = make_client(), Server()
        query = until_dh_params(client, server)
        server.exchange.receive(query, NOW)
        server.exchange.receive(query, NOW)
        self.assertIsNotNone(client.receive(server.finish() or b""))

    def test_silence_while_the_key_is_being_stored(self) -> None:
        client, server = make_client(), Server()
        query = until_client_dh(client, server)
        server.exchange.receive(query, NOW)
        server.work(server.next_work())
        self.assertIsInstance(server.exchange.next_event(), StoreWanted)
        server.exchange.receive(query, NOW)
        self.assertIsNone(server.exchange.next_event())

    def test_an_older_query_is_a_wrong_step(self) -> None:
        """An answer is dropped once the next step has come."""
        for older in (0, 1):
            client, server = make_client(), Server()
            queries = [client.begin()]
            queries.append(client.receive(server.ask(queries[0]) or b"") or b"")
            queries.append(client.receive(server.ask(queries[1]) or b"") or b"")
            server.ask(queries[2])
            self.assertRaises(checks.WrongStep, server.ask, queries[older])
            self.assertRaises(checks.WrongStep, server.ask, queries[2])

    def test_same_nonce_with_the_other_kind_of_req_pq(self) -> None:
        client, server = make_client(), Server()
        server.ask(client.begin())
        other = ReqPq(client.nonce, multi=False)
        self.assertFalse(server.exchange.repeats(other))
        self.assertRaises(checks.WrongStep, server.ask, other.pack())
