import sys
from threading import Event, Lock, Thread, current_thread

from twisted.trial.unittest import SynchronousTestCase

from gnetway.rpc.grpcio.server import WorkerPool


class WorkerPoolTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.pool = WorkerPool("test-worker", 2)
        self.addCleanup(self.pool.close)

    def test_result_and_error(self) -> None:
        self.assertEqual(self.pool.submit(divmod, 7, 2).result(10), (3, 1))
        failed = self.pool.submit(int, "no number")
        self.assertRaises(ValueError, failed.result, 10)
        self.assertEqual(self.pool.submit(int, "11", base=2).result(10), 3)

    def test_a_cancelled_job_does_not_run(self) -> None:
        go, ran = Event(), Event()
        held = [self.pool.submit(go.wait, 10) for _ in range(2)]
        cancelled = self.pool.submit(ran.set)
        self.assertTrue(cancelled.cancel())
        go.set()
        for job in held:
            job.result(10)
        self.pool.close()
        self.assertFalse(ran.is_set())

    def test_never_more_workers_than_allowed(self) -> None:
        lock, running, most = Lock(), [0], [0]

        def work() -> None:
            with lock:
                running[0] += 1
                most[0] = max(most[0], running[0])
            with lock:
                running[0] -= 1

        for job in [self.pool.submit(work) for _ in range(200)]:
            job.result(10)
        self.assertLessEqual(most[0], 2)

    def test_no_job_waits_for_a_busy_worker_while_another_may_be_started(self) -> None:
        """However the first worker stands when the second job comes."""
        self.addCleanup(sys.setswitchinterval, sys.getswitchinterval())
        sys.setswitchinterval(1e-6)
        for _ in range(2000):
            pool = WorkerPool("test-worker", 2)
            pool.submit(abs, 1).result(10)
            release = Event()
            first = pool.submit(release.wait, 10)
            self.assertEqual(pool.submit(abs, -2).result(3), 2)
            release.set()
            self.assertTrue(first.result(10))
            pool.close()

    def test_workers_are_daemons(self) -> None:
        """One that waits for a stopped reactor must not keep the process."""
        worker = self.pool.submit(current_thread).result(10)
        self.assertTrue(worker.daemon)
        self.assertEqual(worker.name, "test-worker")

    def test_who_leaves_makes_room(self) -> None:
        go = Event()

        def long_work() -> Thread:
            self.pool.leave()
            go.wait(10)
            return current_thread()

        lasting = [self.pool.submit(long_work) for _ in range(5)]
        self.assertEqual(self.pool.submit(abs, -3).result(10), 3)
        go.set()
        gone = {job.result(10) for job in lasting}
        self.assertEqual(len(gone), 5)
        for thread in gone:
            thread.join(10)
            self.assertFalse(thread.is_alive())

    def test_closing_waits_for_the_work(self) -> None:
        done: list[int] = []
        for number in range(20):
            self.pool.submit(done.append, number)
        self.pool.close()
        self.assertEqual(sorted(done), list(range(20)))
        self.assertRaises(RuntimeError, self.pool.submit, abs, 1)
