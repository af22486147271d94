from threading import Event, Thread, current_thread

from hypothesis import given
from hypothesis.strategies import integers, lists
from twisted.trial.unittest import SynchronousTestCase

from gnetway.rpc.grpcio.bridge import Inbox, Outbox, run_in_thread
from gnetway.runtime.threads import Batch
from tests.rpc.threads import HeldReactor


class InboxTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = HeldReactor()
        self.got: list[bytes] = []

    def inbox(self, max_items: int = 10, max_bytes: int = 100) -> Inbox:
        return Inbox(Batch(self.reactor.typed()), self.got.append, max_items, max_bytes)

    def test_in_order_with_one_wake_up(self) -> None:
        inbox = self.inbox()
        for number in range(5):
            inbox.put(b"%d" % number)
        self.assertEqual(self.reactor.run(), 1)
        self.assertEqual(self.got, [b"0", b"1", b"2", b"3", b"4"])

    def assert_held_back(self, inbox: Inbox, item: bytes) -> None:
        put = Event()

        def body() -> None:
            inbox.put(item)
            put.set()

        thread = Thread(target=body, daemon=True)
        thread.start()
        self.assertFalse(put.wait(0.05))
        self.reactor.run()
        thread.join(10)
        self.assertTrue(put.is_set())
        self.reactor.run()
        self.assertEqual(self.got[-1], item)

    def test_bound_of_items_holds_the_thread_back(self) -> None:
        inbox = self.inbox(max_items=2)
        inbox.put(b"1")
        inbox.put(b"2")
        self.assert_held_back(inbox, b"3")

    def test_bound_of_bytes_holds_the_thread_back(self) -> None:
        inbox = self.inbox(max_bytes=4)
        inbox.put(b"1234")
        self.assert_held_back(inbox, b"5")


class OutboxTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.writable = 0

    def outbox(self, max_items: int = 10, max_bytes: int = 100) -> Outbox:
        def count() -> None:
            self.writable += 1

        return Outbox(max_items, max_bytes, count)

    def test_in_order_to_the_end(self) -> None:
        outbox = self.outbox()
        for item in (b"a", b"", b"c"):
            self.assertTrue(outbox.put(item))
        outbox.finish()
        self.assertEqual(list(outbox), [b"a", b"", b"c"])
        self.assertEqual((outbox.unsent_items, outbox.unsent_bytes), (0, 0))

    def test_an_item_in_hand_is_unsent(self) -> None:
        outbox = self.outbox()
        outbox.put(b"one")
        outbox.put(b"three")
        self.assertEqual(next(outbox), b"one")
        self.assertEqual((outbox.unsent_items, outbox.unsent_bytes), (2, 8))
        next(outbox)
        self.assertEqual((outbox.unsent_items, outbox.unsent_bytes), (1, 5))

    def test_dropping_ends_at_once(self) -> None:
        outbox = self.outbox()
        outbox.put(b"lost")
        outbox.drop()
        self.assertEqual(list(outbox), [])

    def test_bound_of_items(self) -> None:
        outbox = self.outbox(max_items=2)
        self.assertEqual([outbox.put(b"") for _ in range(3)], [True, True, False])

    def test_bound_of_bytes(self) -> None:
        outbox = self.outbox(max_bytes=4)
        self.assertTrue(outbox.put(b"123"))
        self.assertFalse(outbox.put(b"45"))
        self.assertTrue(outbox.put(b"4"))

    def test_a_large_item_passes_alone(self) -> None:
        outbox = self.outbox(max_bytes=4)
        self.assertTrue(outbox.put(b"12345678"))
        self.assertFalse(outbox.put(b""))

    def test_room_is_told_once_at_half(self) -> None:
        outbox = self.outbox(max_items=4)
        while outbox.put(b"x"):
            pass
        told = []
        for _ in range(4):
            next(outbox)
            told.append(self.writable)
        self.assertEqual(told, [0, 0, 1, 1])

    def test_room_is_not_told_to_who_never_asked(self) -> None:
        outbox = self.outbox(max_items=4)
        for _ in range(4):
            outbox.put(b"x")
        outbox.finish()
        self.assertEqual(len(list(outbox)), 4)
        self.assertEqual(self.writable, 0)

    @given(sizes=lists(integers(0, 60), max_size=40), bound=integers(1, 80))
    def test_never_over_the_bound(self, sizes: list[int], bound: int) -> None:
        """Over it is at most one item, and that one alone."""
        outbox = self.outbox(max_items=5, max_bytes=bound)
        for size in sizes:
            outbox.put(bytes(size))
            within = outbox.unsent_bytes <= bound and outbox.unsent_items <= 5
            self.assertTrue(within or outbox.unsent_items == 1)

    def test_a_writer_and_a_reader_lose_no_wake_up(self) -> None:
        """Whoever is refused and waits to be told goes on until all has been sent."""
        room = Event()
        outbox = Outbox(3, 1000, room.set)
        got: list[bytes] = []
        thread = Thread(target=lambda: got.extend(outbox), daemon=True)
        thread.start()
        sent = [b"%d" % number for number in range(5000)]
        for item in sent:
            while not outbox.put(item):
                self.assertTrue(room.wait(10))
                room.clear()
        outbox.finish()
        thread.join(10)
        self.assertEqual(got, sent)


class RunInThreadTests(SynchronousTestCase):
    def test_result_comes_when_the_thread_is_gone(self) -> None:
        reactor = HeldReactor()
        threads: list[Thread] = []

        def work() -> int:
            threads.append(current_thread())
            return 7

        done = run_in_thread(reactor.typed(), "test", work)
        while not reactor.held:
            pass
        self.assertNoResult(done)
        reactor.run()
        self.assertEqual(self.successResultOf(done), 7)
        self.assertFalse(threads[0].is_alive())
        self.assertEqual(threads[0].name, "test")

    def test_error(self) -> None:
        reactor = HeldReactor()
        done = run_in_thread(reactor.typed(), "test", lambda: int("no number"))
        while not reactor.held:
            pass
        reactor.run()
        self.failureResultOf(done, ValueError)
