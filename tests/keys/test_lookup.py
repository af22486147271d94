"""One query for a key, however many ask."""

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from gnetway.admission.accounts import AccountLimits, Accounts
from gnetway.crypto.auth_key import AuthKey, KeyKind
from gnetway.errors import BackendUnavailable, KeyUnknown
from gnetway.interfaces import IKeyLookup
from gnetway.keys.cache import PROOF_SECONDS, KeyCache, TooManyUnknownKeys
from gnetway.keys.lookup import KeyLookup
from tests.clocks import FakeWall
from tests.fakes import FakeBackend, some_key

NOW = 1_700_000_000


class KeyLookupTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.key = some_key(1)
        self.backend = FakeBackend(keys={self.key.auth_key_id: self.key}, held=True)
        self.wall = FakeWall(self.clock, NOW)
        self.cache = KeyCache(100_000)
        self.lookup = KeyLookup(self.clock, self.wall, self.backend, self.cache, timeout_seconds=10)

    def ask(self) -> Deferred[AuthKey]:
        return self.lookup.lookup(self.key.auth_key_id)

    def test_it_provides_the_interface(self) -> None:
        verifyObject(IKeyLookup, self.lookup)

    def test_many_askers_share_one_query(self) -> None:
        askers = [self.ask() for _ in range(5)]
        self.assertEqual(len(self.backend.queries), 1)
        self.backend.queries[0][1].callback(self.key)
        for asker in askers:
            self.assertIs(self.successResultOf(asker), self.key)
        self.assertIs(self.lookup.cached(self.key.auth_key_id), self.key)

    def test_proof_of_absence_reaches_every_asker_and_is_soon_forgotten(self) -> None:
        askers = [self.ask(), self.ask()]
        self.backend.queries[0][1].errback(KeyUnknown("no"))
        for asker in askers:
            self.failureResultOf(asker, KeyUnknown)
        self.failureResultOf(self.ask(), KeyUnknown)
        self.assertEqual(len(self.backend.queries), 1)
        self.clock.advance(PROOF_SECONDS)
        again = self.ask()
        self.assertEqual(len(self.backend.queries), 2)
        self.backend.queries[1][1].callback(self.key)
        self.assertIs(self.successResultOf(again), self.key)

    def test_a_key_that_is_made_meanwhile_is_no_unknown_one(self) -> None:
        """Before its proof, or after it."""
        for early in (True, False):
            key = some_key(2 + early)
            asker = self.lookup.lookup(key.auth_key_id)
            if early:
                self.lookup.add(key)
            self.backend.queries[-1][1].errback(KeyUnknown("no"))
            self.failureResultOf(asker, KeyUnknown)
            if not early:
                self.lookup.add(key)
            # As when it had to leave the cache.
            self.cache.drop(key.auth_key_id)
            again = self.lookup.lookup(key.auth_key_id)
            self.backend.queries[-1][1].callback(key)
            self.assertIs(self.successResultOf(again), key)

    def test_an_outage_is_no_proof(self) -> None:
        self.ask().addErrback(lambda failure: None)
        self.backend.queries[0][1].errback(BackendUnavailable("down"))
        self.ask()
        self.assertEqual(len(self.backend.queries), 2)

    def test_a_backend_that_is_silent_is_unavailable_never_unknown(self) -> None:
        asker = self.ask()
        self.clock.advance(9.9)
        self.assertNoResult(asker)
        self.clock.advance(0.2)
        self.failureResultOf(asker, BackendUnavailable)

    def test_an_asker_that_goes_away_leaves_the_query_to_the_others(self) -> None:
        gone, stays = self.ask(), self.ask()
        gone.cancel()
        self.failureResultOf(gone)
        self.backend.queries[0][1].callback(self.key)
        self.assertIs(self.successResultOf(stays), self.key)

    def test_a_forgotten_key_is_unknown(self) -> None:
        self.lookup.add(self.key)
        self.assertIs(self.lookup.cached(self.key.auth_key_id), self.key)
        self.lookup.forget(self.key.auth_key_id)
        self.assertIsNone(self.lookup.cached(self.key.auth_key_id))
        self.failureResultOf(self.ask(), KeyUnknown)
        self.assertEqual(self.backend.queries, [])

    def test_a_temporary_key_ends_by_the_wall_clock(self) -> None:
        key = some_key(2, KeyKind.TEMP, expires_at=NOW + 60)
        self.lookup.add(key)
        self.wall.step(59)
        self.assertIs(self.lookup.cached(key.auth_key_id), key)
        self.wall.step(1)
        self.assertIsNone(self.lookup.cached(key.auth_key_id))

    def test_a_query_waits_by_the_other_clock(self) -> None:
        asker = self.ask()
        self.wall.step(3600)
        self.clock.advance(9.9)
        self.assertNoResult(asker)


class RateTests(SynchronousTestCase):
    """How many keys that nobody knows one network may ask for."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.backend = FakeBackend()
        limits = AccountLimits(unknown_key_rate=1, unknown_key_burst=5)
        self.lookup = KeyLookup(
            self.clock,
            FakeWall(self.clock, NOW),
            self.backend,
            KeyCache(100_000),
            timeout_seconds=10,
            accounts=Accounts(lambda network: limits),
        )

    def guess(self, *numbers: int) -> list[Deferred[AuthKey]]:
        return [self.lookup.lookup(number, client_ip="192.0.2.66") for number in numbers]

    def spend(self, *numbers: int) -> None:
        for asked in self.guess(*numbers):
            self.failureResultOf(asked, KeyUnknown)

    def test_above_it_they_wait_in_line(self) -> None:
        guesses = self.guess(*range(100, 120))
        self.assertEqual(len(self.backend.queries), 5)
        for asked in guesses[:5]:
            self.failureResultOf(asked, KeyUnknown)
        self.clock.pump([0.1] * 105)
        # Some more had their turn; the others were told nothing about their keys.
        self.assertEqual(len(self.backend.queries), 14)
        for asked in guesses[5:14]:
            self.failureResultOf(asked, KeyUnknown)
        for asked in guesses[14:]:
            self.failureResultOf(asked, TooManyUnknownKeys)

    def test_the_same_key_costs_one(self) -> None:
        for asked in self.guess(*[100] * 40):
            self.failureResultOf(asked, KeyUnknown)
        self.assertEqual(len(self.backend.queries), 1)
        self.spend(*range(101, 105))
        self.assertEqual(len(self.backend.queries), 5)

    def test_a_stranger_waits_for_nobody(self) -> None:
        self.spend(*range(100, 105))
        self.guess(*range(105, 120))
        key = some_key(1)
        self.backend.keys[key.auth_key_id] = key
        found = self.lookup.lookup(key.auth_key_id, client_ip="198.51.100.1")
        self.assertIs(self.successResultOf(found), key)

    def test_a_key_that_waits_in_a_line_is_asked_for_by_another(self) -> None:
        """A stranger who guesses it is no hindrance, and gets it without another call."""
        key = some_key(1)
        self.backend.keys[key.auth_key_id] = key
        self.spend(*range(100, 105))
        (guessed,) = self.guess(key.auth_key_id)
        found = self.lookup.lookup(key.auth_key_id, client_ip="198.51.100.1")
        self.assertIs(self.successResultOf(found), key)
        self.assertNoResult(guessed)
        self.clock.advance(1.1)
        self.assertIs(self.successResultOf(guessed), key)
        self.assertEqual(len(self.backend.queries), 6)

    def test_known_keys_are_free(self) -> None:
        for number in range(1, 60):
            key = some_key(number)
            self.backend.keys[key.auth_key_id] = key
            (found,) = self.guess(key.auth_key_id)
            self.assertIs(self.successResultOf(found), key)

    def test_whoever_is_gone_has_no_turn(self) -> None:
        self.spend(*range(100, 105))
        for asked in self.guess(*range(200, 230)):
            asked.cancel()
            self.failureResultOf(asked, CancelledError)
        (stays,) = self.guess(300)
        self.clock.advance(1.1)
        self.failureResultOf(stays, KeyUnknown)
        self.assertEqual(len(self.backend.queries), 6)

    def test_whoever_is_gone_keeps_its_token(self) -> None:
        """Else whoever leaves at once could ask for as many as it likes."""
        self.backend.held = True
        for asked in self.guess(*range(100, 110)):
            asked.cancel()
            self.failureResultOf(asked, CancelledError)
        self.assertEqual(len(self.backend.queries), 5)
