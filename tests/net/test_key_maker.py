"""Work for key exchanges: threads, spare secrets, storing, sweeping."""

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gnetway.crypto.auth_key import DH_PRIME, GENERATOR, AuthKey
from gnetway.errors import BackendUnavailable, KeyUnknown
from gnetway.handshake.exchange import StoreWanted
from gnetway.net.exchange_driver import SWEEP_SECONDS, KeyMaker, SpareSecrets, Unwanted
from tests.connection.link import LIFETIME_SECONDS, Secrets, make_pending
from tests.fakes import FakeBackend, FakeKeys, some_key
from tests.handshake.server import make_client
from tests.net.gateway import Threads
from tests.strategies import SeededBytes

KEY = some_key(1)
WANTED = StoreWanted(KEY, salt=5, valid_since=100, valid_until=1900, expires_in=60)


class SpareSecretsTests(SynchronousTestCase):
    def test_what_was_made_ahead_is_taken_first_and_once(self) -> None:
        spare = SpareSecrets(SeededBytes(1), 3)
        spare.refill()
        taken = [spare.take() for _ in range(5)]
        self.assertEqual(len({secret.exponent for secret in taken}), 5)
        for secret in taken:
            g_a = pow(GENERATOR, secret.exponent, DH_PRIME)
            self.assertEqual(secret.g_a, g_a.to_bytes(256, "big"))

    def test_the_same_for_primes(self) -> None:
        spare = SpareSecrets(SeededBytes(1), 3)
        spare.refill()
        taken = [spare.take_pq() for _ in range(5)]
        self.assertEqual(len({pq.pq for pq in taken}), 5)
        for pq in taken:
            self.assertEqual(pq.p * pq.q, pq.pq)

    def test_no_more_is_made_than_asked_for(self) -> None:
        calls = []
        chance = SeededBytes(1)

        def counting(size: int) -> bytes:
            calls.append(size)
            return chance(size)

        spare = SpareSecrets(counting, 2)
        spare.refill()
        made = len(calls)
        self.assertGreater(made, 0)
        spare.refill()
        self.assertEqual(len(calls), made)
        spare.take()
        self.assertEqual(len(calls), made)
        spare.refill()
        self.assertEqual(len(calls), made + 1)

    def test_half_is_enough(self) -> None:
        """Of the two stocks the lower one counts."""
        for taking in (SpareSecrets.take, SpareSecrets.take_pq):
            spare = SpareSecrets(SeededBytes(1), 4)
            self.assertTrue(spare.half_gone)
            spare.refill()
            seen = []
            for _ in range(4):
                taking(spare)
                seen.append(spare.half_gone)
            self.assertEqual(seen, [False, False, True, True])

    def test_none_is_wanted(self) -> None:
        spare = SpareSecrets(SeededBytes(1), 0)
        self.assertFalse(spare.half_gone)
        spare.refill()
        self.assertNotEqual(spare.take().exponent, spare.take().exponent)


class KeyMakerTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.threads = Clock(), Threads()
        self.backend, self.keys = FakeBackend(), FakeKeys()
        chance = SeededBytes(1)
        self.exchanges = make_pending(Secrets(chance), chance)
        self.spare = SpareSecrets(chance, 1)
        self.maker = KeyMaker(
            self.clock, self.threads, self.exchanges, self.spare, self.backend, self.keys
        )

    def run_work(self, work: Callable[[], object] = lambda: 7) -> Deferred[object]:
        return self.maker.run(work, "192.0.2.1", lambda: True)


class RunTests(KeyMakerTestCase):
    def test_the_result_or_the_error_comes_back(self) -> None:
        self.assertEqual(self.successResultOf(self.run_work()), 7)

        def broken() -> object:
            raise ZeroDivisionError

        self.failureResultOf(self.run_work(broken), ZeroDivisionError)

    def test_it_waits_for_the_turn_of_its_network(self) -> None:
        self.maker.run(lambda: 7, "192.0.2.7", lambda: True)
        self.assertEqual(self.threads.networks[0], "192.0.2.7")

    def test_what_nobody_wants_any_more_is_not_done(self) -> None:
        """Whether somebody does is asked when a thread comes to it."""
        self.threads.held = True
        wanted, done = [True], []
        runs = [
            self.maker.run(lambda: done.append(1), "192.0.2.1", lambda: wanted[0]) for _ in range(2)
        ]
        self.threads.waiting.pop(0)()
        wanted[0] = False
        self.threads.work()
        self.successResultOf(runs[0])
        self.failureResultOf(runs[1], Unwanted)
        self.assertEqual(done, [1])

    def test_work_that_has_taken_is_followed_by_a_refill(self) -> None:
        self.threads.held = True
        self.maker.start()
        self.assertEqual(len(self.threads.waiting), 1)
        self.threads.work()
        taken = self.spare.take()
        self.run_work()
        self.threads.work()
        self.assertEqual(len(self.threads.waiting), 1)
        self.threads.work()
        self.assertNotEqual(self.spare.take().exponent, taken.exponent)
        self.maker.stop()

    def test_no_refill_where_nothing_is_taken(self) -> None:
        self.maker.start()
        self.threads.held = True
        self.run_work()
        self.threads.work()
        self.assertEqual(self.threads.waiting, [])
        self.maker.stop()

    def test_no_refill_while_work_waits(self) -> None:
        self.threads.held = True
        self.run_work()
        self.run_work()
        self.threads.waiting.pop(0)()
        self.assertEqual(len(self.threads.waiting), 1)
        self.threads.work()
        self.assertEqual(len(self.threads.waiting), 1)

    def test_one_refill_runs_at_a_time(self) -> None:
        self.threads.held = True
        self.maker.start()
        for _ in range(3):
            self.run_work()
        waiting, self.threads.waiting = self.threads.waiting, []
        for run in waiting[1:]:
            run()
        self.assertEqual(self.threads.waiting, [])
        self.maker.stop()

    def test_a_refill_that_fails_is_logged_and_tried_again(self) -> None:
        def broken(size: int) -> bytes:
            raise OSError("no chance")

        maker = KeyMaker(
            self.clock,
            self.threads,
            self.exchanges,
            SpareSecrets(broken, 1),
            self.backend,
            self.keys,
        )
        maker.start()
        self.successResultOf(maker.run(lambda: 7, "192.0.2.1", lambda: True))
        maker.stop()
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 2)


class StoreTests(KeyMakerTestCase):
    def test_a_stored_key_is_kept_at_hand(self) -> None:
        self.assertTrue(self.successResultOf(self.maker.store(WANTED, "192.0.2.1")))
        self.assertEqual(self.backend.stored, [(KEY, (100, 1900, 5), 60)])
        self.assertIs(self.keys.cached(KEY.auth_key_id), KEY)

    def test_no_failure_is_more_than_a_refusal(self) -> None:
        for outcome in (False, BackendUnavailable("down"), KeyUnknown("no")):
            with self.subTest(outcome=outcome):
                self.backend.store_outcomes = [outcome]
                self.assertFalse(self.successResultOf(self.maker.store(WANTED, "192.0.2.1")))
                self.assertIsNone(self.keys.cached(KEY.auth_key_id))

    def test_a_backend_that_raises_is_logged(self) -> None:
        def broken(*ignored: object) -> Deferred[bool]:
            raise ZeroDivisionError

        replaced: Callable[..., Deferred[bool]] = broken
        self.patch(self.backend, "set_auth_key", replaced)
        self.assertFalse(self.successResultOf(self.maker.store(WANTED, "192.0.2.1")))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_a_key_that_cannot_be_kept_is_answered(self) -> None:
        def broken(key: AuthKey) -> None:
            raise ZeroDivisionError

        replaced: Callable[[AuthKey], None] = broken
        self.patch(self.keys, "add", replaced)
        self.assertFalse(self.successResultOf(self.maker.store(WANTED, "192.0.2.1")))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_an_id_that_is_taken_is_refused_without_the_backend(self) -> None:
        self.keys.add(KEY)
        self.assertFalse(self.successResultOf(self.maker.store(WANTED, "192.0.2.1")))
        self.assertEqual(self.backend.stored, [])


class SweepTests(KeyMakerTestCase):
    def test_exchanges_past_their_deadline_are_swept_out(self) -> None:
        self.maker.start()
        self.exchanges.route(make_client().begin(), self.clock.seconds())
        self.clock.pump([SWEEP_SECONDS] * int(LIFETIME_SECONDS / SWEEP_SECONDS))
        self.assertEqual(len(self.exchanges), 1)
        self.clock.pump([SWEEP_SECONDS] * 2)
        self.assertEqual(len(self.exchanges), 0)
        self.maker.stop()

    def test_stopping_ends_the_sweep(self) -> None:
        self.maker.start()
        self.clock.advance(SWEEP_SECONDS)
        self.maker.stop()
        self.maker.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
