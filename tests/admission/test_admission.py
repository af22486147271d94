from collections import Counter

from twisted.trial.unittest import SynchronousTestCase

from gnetway.admission.accounts import (
    Account,
    AccountLimits,
    AddressDenied,
    TooManyConnections,
    TooManyHalfOpen,
    TooManyNewConnections,
)
from gnetway.admission.admission import GRACE_SECONDS, Admission, Bounds
from gnetway.admission.place import NO_PLACE, Facts, Place, place_of
from gnetway.ends import Phase, Stage


class Served:
    """What serves a connection, and what carries it."""

    def __init__(self, deadline: float = 0.0) -> None:
        self.deadline = deadline
        self.causes: list[str] = []
        self.aborted = False

    def end(self, cause: str) -> None:
        self.causes.append(cause)

    def facts(self) -> Facts:
        return Facts(Stage.ACCEPTED, Phase.TRANSPORT, "192.0.2.1")

    def abortConnection(self) -> None:  # noqa: N802
        self.aborted = True


class AdmissionCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.counted: Counter[str] = Counter()
        self.told: list[str] = []
        self.admission = self.make()

    def make(self, **bounds: int) -> Admission:
        admission = Admission(Bounds(**bounds), lambda cause: self.counted.update([cause]))
        admission.gave_way = self.told.append
        return admission

    def account(self, network: str = "192.0.2.1", **limits: float) -> Account:
        return Account(network, AccountLimits(**limits), 0.0)  # type: ignore[arg-type]

    def enter(self, account: Account, now: float = 0.0, deadline: float | None = None) -> Place:
        """Let a connection in; with a deadline it has used a key."""
        place = self.admission.admit(account, now)
        if deadline is not None:
            place.opened()
            served = Served(deadline)
            place.carried(served)
            place.serves(served)
        return place


class CountTests(AdmissionCase):
    def test_a_connection_is_counted_until_it_has_left(self) -> None:
        account = self.account()
        place = self.enter(account)
        self.assertEqual((account.connections, account.half_open), (1, 1))
        place.opened()
        place.opened()
        self.assertEqual((account.connections, account.half_open), (1, 0))
        self.assertTrue(account.is_in_use)
        place.left()
        place.left()
        self.assertEqual((account.connections, self.admission.descriptors), (0, 0))
        self.assertFalse(account.is_in_use)

    def test_one_that_leaves_half_open(self) -> None:
        account = self.account()
        self.enter(account).left()
        self.assertEqual((account.half_open, self.admission.half_open), (0, 0))
        self.assertEqual(account.half_open_places, {})

    def test_a_relay_has_two_descriptors(self) -> None:
        place = self.enter(self.account())
        place.relayed()
        self.assertEqual(self.admission.descriptors, 2)
        place.left()
        self.assertEqual(self.admission.descriptors, 0)

    def test_what_nobody_has_let_in(self) -> None:
        """It takes part in nothing, whatever is said of it."""
        place = place_of(object())
        self.assertIs(place, NO_PLACE)
        place.serves(Served())
        place.opened()
        place.relayed()
        self.assertEqual(place.name(self.account(denied=True), 0.0), 0.0)
        self.assertFalse(place.hold(self.account()))
        self.assertFalse(NO_PLACE.give_way("never"))


class OwnBoundsTests(AdmissionCase):
    def test_connections(self) -> None:
        account = self.account(connections=2)
        places = [self.enter(account, deadline=1), self.enter(account, deadline=1)]
        self.assertRaises(TooManyConnections, self.admission.admit, account, 0.0)
        places[0].left()
        self.enter(account)

    def test_half_open(self) -> None:
        account = self.account(half_open=2)
        places = [self.enter(account), self.enter(account)]
        self.assertRaises(TooManyHalfOpen, self.admission.admit, account, 0.0)
        places[1].opened()
        self.enter(account)

    def test_an_old_half_open_one_gives_way_to_its_own(self) -> None:
        """So who shares his address with a flood gets in."""
        account = self.account(half_open=2)
        old = self.enter(account)
        served = Served()
        old.carried(served)
        old.serves(served)
        self.enter(account, 1.0)
        self.enter(account, GRACE_SECONDS)
        self.assertEqual((served.causes, served.aborted), (["too_many_half_open"], True))
        self.assertEqual(account.half_open, 2)
        self.assertRaises(TooManyHalfOpen, self.admission.admit, account, GRACE_SECONDS)
        self.assertEqual(self.told, ["too_many_half_open"])
        self.assertEqual(self.counted, {})

    def test_one_that_nothing_serves_is_counted_all_the_same(self) -> None:
        account = self.account(half_open=1)
        self.enter(account)
        self.enter(account, GRACE_SECONDS)
        self.assertEqual(self.counted, {"too_many_half_open": 1})

    def test_denied(self) -> None:
        self.assertRaises(AddressDenied, self.admission.turn_of, self.account(denied=True), 0.0)
        self.assertRaises(AddressDenied, self.admission.admit, self.account(denied=True), 0.0)

    def test_rate(self) -> None:
        account = self.account(connect_rate=2, connect_burst=2)
        waits = [self.admission.turn_of(account, 0.0) for _ in range(12)]
        self.assertEqual(waits, [0.0, 0.0, *(n / 2 for n in range(1, 11))])
        self.assertRaises(TooManyNewConnections, self.admission.turn_of, account, 0.0)
        self.assertEqual(self.admission.turn_of(account, 1.0), 4.5)


class RoomTests(AdmissionCase):
    def test_who_has_most_gives_way(self) -> None:
        self.admission = self.make(connections=4)
        many, few = self.account("192.0.2.1"), self.account("192.0.2.2")
        places = [self.enter(many, deadline=9 - n) for n in range(4)]
        self.enter(few)
        self.enter(few)
        # The two that have been silent for longest.
        self.assertEqual([place.is_gone for place in places], [False, False, True, True])
        self.assertEqual(self.told, ["gave_way", "gave_way"])
        self.assertEqual((many.connections, few.connections), (2, 2))
        # As many each: the next has to stay outside, whoever it is.
        for account in (many, few):
            self.assertRaises(TooManyConnections, self.admission.admit, account, 0.0)

    def test_its_half_open_ones_first(self) -> None:
        self.admission = self.make(connections=3)
        many = self.account("192.0.2.1")
        spoken = [self.enter(many, deadline=1), self.enter(many, deadline=2)]
        half_open = self.enter(many)
        self.enter(self.account("192.0.2.2"))
        self.assertTrue(half_open.is_gone)
        self.assertFalse(any(place.is_gone for place in spoken))

    def test_one_that_is_exempt_never_does(self) -> None:
        self.admission = self.make(connections=3)
        exempt = self.account("10.0.0.1", exempt=True)
        for _ in range(3):
            self.enter(exempt, deadline=1)
        self.assertRaises(TooManyConnections, self.admission.admit, self.account(), 0.0)
        self.assertEqual(exempt.connections, 3)

    def test_it_gets_in_however_many_it_has(self) -> None:
        self.admission = self.make(connections=5)
        exempt, other = self.account("10.0.0.1", exempt=True), self.account("192.0.2.1")
        for _ in range(3):
            self.enter(exempt, deadline=1)
        for _ in range(2):
            self.enter(other, deadline=1)
        self.enter(exempt)
        self.assertEqual((exempt.connections, other.connections), (4, 1))

    def test_what_is_only_to_be_closed_goes_first(self) -> None:
        self.admission = self.make(connections=2)
        many = self.account("192.0.2.1")
        self.enter(many, deadline=1)
        self.assertTrue(self.admission.hold(many))
        closed = []

        def close() -> bool:
            closed.append(True)
            self.admission.release(many)
            return True

        self.admission.close_refused = close
        self.enter(self.account("192.0.2.2"))
        self.assertEqual((closed, self.admission.descriptors), ([True], 2))

    def test_half_open_in_all(self) -> None:
        self.admission = self.make(half_open=3)
        many, few = self.account("192.0.2.1"), self.account("192.0.2.2")
        oldest, *_ = [self.enter(many) for _ in range(3)]
        self.assertRaises(TooManyHalfOpen, self.admission.admit, many, 0.0)
        self.enter(few)
        self.assertTrue(oldest.is_gone)
        self.assertEqual((many.half_open, few.half_open), (2, 1))
        # It would have as many as the other then.
        self.assertRaises(TooManyHalfOpen, self.admission.admit, few, 0.0)

    def test_others_are_looked_at_another_time(self) -> None:
        """A network whose oldest connections all speak gives up the silent ones behind them."""
        self.admission = self.make(connections=32)
        many = self.account("192.0.2.1")
        for _ in range(16):
            self.enter(many, deadline=100)
        silent = [self.enter(many, deadline=1) for _ in range(16)]
        for n in range(2, 4):
            self.enter(self.account(f"192.0.2.{n}"))
        self.assertEqual([place.is_gone for place in silent].count(True), 1)


class HoldTests(AdmissionCase):
    def test_each_network_has_a_quarter(self) -> None:
        self.admission = self.make(held=8)
        one, other = self.account("192.0.2.1"), self.account("192.0.2.2")
        self.assertEqual([self.admission.hold(one) for _ in range(3)], [True, True, False])
        self.assertTrue(self.admission.hold(other))
        self.assertTrue(one.is_in_use)
        self.admission.release(one)
        self.assertTrue(self.admission.hold(one))

    def test_in_all(self) -> None:
        self.admission = self.make(held=2)
        held = [self.admission.hold(self.account(f"192.0.2.{n}")) for n in range(3)]
        self.assertEqual(held, [True, True, False])

    def test_only_where_there_is_room(self) -> None:
        self.admission = self.make(connections=1)
        self.enter(self.account())
        self.assertFalse(self.admission.hold(self.account("192.0.2.2")))


class NameTests(AdmissionCase):
    def setUp(self) -> None:
        super().setUp()
        self.balancer = self.account("10.0.0.5", connections=1, half_open=1)

    def unnamed(self) -> Place:
        return self.admission.admit(self.balancer, 0.0, named=False)

    def test_a_balancer_has_no_bounds_of_its_own(self) -> None:
        for _ in range(3):
            self.unnamed()
        self.assertEqual(self.balancer.connections, 3)

    def test_it_counts_to_the_client_from_then_on(self) -> None:
        client = self.account(connections=1)
        place = self.unnamed()
        self.assertEqual(place.name(client, 0.0), 0.0)
        self.assertEqual((self.balancer.connections, client.connections), (0, 1))
        # Once: what comes later in the connection changes nothing.
        self.assertEqual(place.name(self.account(denied=True), 0.0), 0.0)
        self.assertRaises(TooManyConnections, self.unnamed().name, client, 0.0)
        self.assertEqual(self.balancer.connections, 1)
        place.left()
        self.assertEqual(client.connections, 0)

    def test_the_rate_of_the_client(self) -> None:
        client = self.account(connect_rate=1, connect_burst=1)
        self.assertEqual(self.unnamed().name(client, 0.0), 0.0)
        self.assertEqual(self.unnamed().name(client, 0.0), 1.0)
        self.assertEqual(client.connections, 2)

    def test_one_that_speaks_for_itself(self) -> None:
        """It is among those of its address already."""
        place = self.unnamed()
        place.name(self.balancer, 0.0)
        self.assertEqual(self.balancer.connections, 1)
        self.assertRaises(TooManyConnections, self.unnamed().name, self.balancer, 0.0)

    def test_one_that_another_worker_has_let_in(self) -> None:
        client = self.account(connections=1, connect_rate=1, connect_burst=1)
        for _ in range(3):
            self.assertEqual(self.unnamed().name(client, 0.0, bounded=False), 0.0)
        self.assertEqual(client.connections, 3)


class ChangeTests(AdmissionCase):
    def change(self, account: Account, **limits: float) -> None:
        for place in self.admission.change(account, self.account("", **limits).limits, 0.0):
            self.admission.expel(place)

    def test_nobody_leaves_for_a_smaller_bound(self) -> None:
        account = self.account()
        for _ in range(3):
            self.enter(account)
        self.change(account, connections=2)
        self.assertEqual(account.connections, 3)
        self.assertRaises(TooManyConnections, self.enter, account)

    def test_whoever_may_not_connect_any_more_leaves(self) -> None:
        account = self.account()
        places = [self.enter(account, deadline=1.0), self.enter(account)]
        self.change(account, denied=True)
        self.assertTrue(all(place.is_gone for place in places))
        self.assertEqual((account.connections, self.admission.descriptors), (0, 0))
        # Nothing served the second one that could count its end.
        self.assertEqual(self.counted, {"address_denied": 1})
        self.assertEqual(self.told, ["address_denied"] * 2)
        self.assertRaises(AddressDenied, self.enter, account)

    def test_clients_behind_a_balancer_stay(self) -> None:
        balancer = self.account("10.0.0.5")
        place = self.admission.admit(balancer, 0.0, named=False)
        self.change(balancer, denied=True)
        self.assertFalse(place.is_gone)

    def test_one_that_may_connect_again_meanwhile_stays(self) -> None:
        account = self.account()
        place = self.enter(account)
        (denied,) = self.admission.change(account, self.account(denied=True).limits, 0.0)
        self.change(account)
        self.admission.expel(denied)
        self.assertFalse(place.is_gone)

    def test_who_is_exempt_gives_way_no_more_and_then_again(self) -> None:
        self.admission = self.make(connections=3)
        heavy, other = self.account(), self.account("192.0.2.2")
        for _ in range(3):
            self.enter(heavy, deadline=1.0)
        self.change(heavy, exempt=True)
        self.assertIsNone(self.admission.heaviest())
        self.assertRaises(TooManyConnections, self.enter, other)
        self.change(heavy)
        self.assertIs(self.admission.heaviest(), heavy)
        self.enter(other)
        self.assertEqual(heavy.connections, 2)
