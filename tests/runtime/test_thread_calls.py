from threading import Event, Thread

from twisted.trial.unittest import SynchronousTestCase

from gnetway.runtime.threads import Batch
from tests.rpc.threads import HeldReactor


class BatchTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = HeldReactor()
        self.batch = Batch(self.reactor.typed())
        self.seen: list[object] = []

    def test_many_calls_are_one_wake_up_in_order(self) -> None:
        for number in range(5):
            self.batch.post(self.seen.append, number)
        self.assertEqual(self.seen, [])
        self.assertEqual(self.reactor.run(), 1)
        self.assertEqual(self.seen, [0, 1, 2, 3, 4])

    def test_an_error_keeps_no_other_call(self) -> None:
        self.batch.post(self.seen.remove, "absent")
        self.batch.post(self.seen.append, "next")
        self.reactor.run()
        self.assertEqual(self.seen, ["next"])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_what_is_posted_meanwhile_waits_for_the_next_turn(self) -> None:
        """Busy threads must not keep the reactor from everything else."""
        self.batch.post(self.batch.post, self.seen.append, "later")
        self.assertEqual(self.reactor.run(), 1)
        self.assertEqual(self.seen, [])
        self.assertEqual(self.reactor.run(), 1)
        self.assertEqual(self.seen, ["later"])

    def test_nothing_is_lost_among_threads(self) -> None:
        """Each post is run though the flag that saves wake-ups has no lock."""
        woken = Event()

        class Waking(HeldReactor):
            def callFromThread(self, call: object, *args: object) -> None:  # noqa: N802
                woken.set()

        batch = Batch(Waking().typed())

        def post_many() -> None:
            for _ in range(2000):
                batch.post(self.seen.append, 1)

        threads = [Thread(target=post_many, daemon=True) for _ in range(4)]
        for thread in threads:
            thread.start()
        while len(self.seen) < 8000:
            self.assertTrue(woken.wait(10), "a post without a wake-up")
            woken.clear()
            batch._drain()
