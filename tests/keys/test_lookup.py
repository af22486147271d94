"""One query for a key, however many ask."""

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from gnetway.crypto.auth_key import AuthKey, KeyKind
from gnetway.errors import BackendUnavailable, KeyUnknown
from gnetway.interfaces import IKeyLookup
from gnetway.keys.cache import KeyCache
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
        self.lookup = KeyLookup(
            self.clock, self.wall, self.backend, KeyCache(100_000), timeout_seconds=10
        )

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

    def test_proof_of_absence_reaches_every_asker_and_is_not_kept(self) -> None:
        askers = [self.ask(), self.ask()]
        self.backend.queries[0][1].errback(KeyUnknown("no"))
        for asker in askers:
            self.failureResultOf(asker, KeyUnknown)
        again = self.ask()
        self.assertEqual(len(self.backend.queries), 2)
        self.backend.queries[1][1].callback(self.key)
        self.assertIs(self.successResultOf(again), self.key)

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
