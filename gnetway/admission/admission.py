"""Who is let in, and who gives way where there is no room.

A connection has a place from the moment it is let in. It is half open until its client has used a
key (over HTTP: until it has sent a request), and it is named where it counts to its client's own
address: behind a balancer that is only known when the PROXY header is here.

    turn_of    how long a new connection has to wait for its turn     rate of its network
    admit      a place                                                counts of its network, of all
    name       the same for a connection that was let in unnamed

Where there is no room in all, the network with most connections gives one up to a network that has
fewer: a half-open one first, then the one that has been silent for longest. So whoever opens all
he can takes nobody else's place.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Final

from gnetway.admission.accounts import (
    Account,
    AccountLimits,
    AddressDenied,
    TooManyConnections,
    TooManyHalfOpen,
    TooManyNewConnections,
)
from gnetway.admission.place import Cut, Place
from gnetway.admission.shares import Ranking

#: A half-open connection gives way to a new one of its own network only when it is as old, in
#: seconds: else a crowd that comes at once would push itself out, and nobody would get anywhere.
GRACE_SECONDS: Final = 5.0

#: By so much places are apart that begin at once, in seconds.
_LEAST_SECONDS: Final = 1e-6

#: So many of a network's connections are looked at for the one that is silent for longest.
_LOOKED_AT: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How many there may be over all networks.

    ``connections`` at a time, with those that are ``held``: that wait to be let in, or to be
    closed. A network may have a quarter of those, and not more than ``half_open`` in all may be
    half open. ``patience`` is for how many seconds a new connection may wait for its turn.
    """

    connections: int = 1 << 20
    half_open: int = 1 << 20
    held: int = 1 << 12
    patience: float = 5.0


class Admission:
    """The door; ``count`` hears the cause of an end that nothing else would count."""

    def __init__(self, bounds: Bounds, count: Callable[[str], None]) -> None:
        self.bounds = bounds
        self._count = count
        # Who has one or none is never asked to give way.
        self._by_connections: Ranking[Account] = Ranking(least=2)
        self._by_half_open: Ranking[Account] = Ranking(least=2)
        #: Of all connections that have a place, and of those that are held.
        self.descriptors = 0
        self.half_open = 0
        self.held = 0
        #: Closes one that is held only to be closed later; returns whether there was one.
        self.close_refused: Callable[[], bool] = bool
        #: Hears that the transport of a place is gone, with what the kernel knew of it.
        self.gone: Callable[[Place, Cut, bytes], None] = _tell_nobody_of_it
        #: No two places begin at the same time.
        self._last_since = float("-inf")
        #: Hears that a connection has given way, and of which cause.
        self.gave_way: Callable[[str], None] = _tell_nobody

    def heaviest(self) -> Account | None:
        """Return the account with most connections."""
        return self._by_connections.heaviest()

    # -- being let in --------------------------------------------------------------------------

    def turn_of(self, account: Account, now: float) -> float:
        """Take a turn of the network; return in how many seconds it comes.

        :raises NotAdmitted: the network may have no connection, or not so many that wait.
        """
        if account.limits.denied:
            raise AddressDenied
        wait = account.connecting.reserve(now, self.bounds.patience)
        if wait is None:
            raise TooManyNewConnections
        return wait

    def admit(self, account: Account, now: float, named: bool = True) -> Place:
        """Give a connection a place, somebody else's if need be.

        One that is not ``named`` is bounded only with all others.

        :raises NotAdmitted: there is none.
        """
        if named:
            self._check_own(account, now)
        bounds = self.bounds
        # Half-open room first: who gives way there frees a descriptor as well.
        if self.half_open >= bounds.half_open:
            self._make_half_open_room(account, now)
        if self.descriptors >= bounds.connections:
            self._make_room(account, now)
        self._last_since = max(now, self._last_since + _LEAST_SECONDS)
        place = Place(self, account, self._last_since)
        place.is_named = named
        self.descriptors += 1
        self._enter(place, account)
        return place

    def name(self, place: Place, account: Account, now: float, bounded: bool) -> float:
        """See Place."""
        wait = 0.0
        if bounded:
            wait = self.turn_of(account, now)
            # What has come with its own address is among those that are counted.
            self._check_own(account, now, having=int(account is place.account))
        place.is_named = True
        if account is not place.account and not place.is_gone:
            self._exit(place)
            place.account = account
            self._enter(place, account)
        return wait

    def _check_own(self, account: Account, now: float, having: int = 0) -> None:
        limits = account.limits
        if limits.denied:
            raise AddressDenied
        if limits.connections and account.connections - having >= limits.connections:
            raise TooManyConnections
        if limits.half_open and account.half_open - having >= limits.half_open:
            self._replace_half_open(account, now)

    # -- other limits --------------------------------------------------------------------------

    def change(self, account: Account, limits: AccountLimits, now: float) -> list[Place]:
        """Have a network go on with other limits; return the places that it may have no more.

        It keeps what it has above its bounds, and gets no more. Only who may not connect at all is
        to be shown out, by ``expel``: those that are named, since behind a balancer others are.
        """
        was_exempt = account.limits.exempt
        account.change(limits, now)
        if was_exempt is not limits.exempt:
            for ranking, number in (
                (self._by_connections, account.connections),
                (self._by_half_open, account.half_open),
            ):
                ranking.changed(account, *((0, number) if was_exempt else (number, 0)))
        if not limits.denied:
            return []
        return [
            place
            for places in (account.half_open_places, account.open_places)
            for place in places
            if place.is_named
        ]

    def expel(self, place: Place) -> None:
        """End a connection whose network may not connect any more."""
        if not place.is_gone and place.account.limits.denied:
            self._give_way(place, AddressDenied.cause)

    # -- giving way ----------------------------------------------------------------------------

    def _replace_half_open(self, account: Account, now: float) -> None:
        """Have the oldest half-open connection of a network give way to a new one of it."""
        oldest = next(iter(account.half_open_places), None)
        if oldest is None or now - oldest.since < GRACE_SECONDS:
            raise TooManyHalfOpen
        self._give_way(oldest, TooManyHalfOpen.cause)

    def _make_half_open_room(self, account: Account, now: float) -> None:
        heaviest = self._by_half_open.heaviest()
        if heaviest is None or heaviest.half_open <= account.half_open + 1:
            self._replace_half_open(account, now)
        else:
            self._give_way(next(iter(heaviest.half_open_places)), TooManyHalfOpen.cause)

    def _make_room(self, account: Account, now: float) -> None:
        # A socket that is only held to be closed is worth less than any connection.
        if self.close_refused():
            return
        heaviest = self._by_connections.heaviest()
        has = 0 if account.limits.exempt else account.connections
        # With a difference of one the two would only change places.
        if heaviest is None or heaviest.connections <= has + 1:
            oldest = next(iter(account.half_open_places), None)
            if oldest is None or now - oldest.since < GRACE_SECONDS:
                raise TooManyConnections
            self._give_way(oldest, TooManyConnections.cause)
        elif heaviest.half_open_places:
            self._give_way(next(iter(heaviest.half_open_places)), "gave_way")
        else:
            self._give_way(_most_silent(heaviest), "gave_way")

    def _give_way(self, place: Place, cause: str) -> None:
        if not place.give_way(cause):
            self._count(cause)
        self.gave_way(cause)

    # -- what a place says ---------------------------------------------------------------------

    def opened(self, place: Place) -> None:
        """See Place."""
        account = place.account
        place.is_half_open = False
        del account.half_open_places[place]
        account.open_places[place] = None
        self._half_open_changed(account, -1)

    def leave(self, place: Place) -> None:
        """See ``Place.left``."""
        self.descriptors -= place.descriptors
        self._exit(place)

    def _enter(self, place: Place, account: Account) -> None:
        if place.is_half_open:
            account.half_open_places[place] = None
            self._half_open_changed(account, 1)
        else:
            account.open_places[place] = None
        self._connections_changed(account, 1)

    def _exit(self, place: Place) -> None:
        # The mirror of _enter: a place is in one of the two tables of its account.
        account = place.account
        if place.is_half_open:
            del account.half_open_places[place]
            self._half_open_changed(account, -1)
        else:
            del account.open_places[place]
        self._connections_changed(account, -1)

    def _half_open_changed(self, account: Account, step: int) -> None:
        self.half_open += step
        before = account.half_open
        account.half_open = after = before + step
        # Below two nothing is ranked, which is nearly every account: this costs it no lookup.
        if (before > 1 or after > 1) and not account.limits.exempt:
            self._by_half_open.changed(account, before, after)

    def _connections_changed(self, account: Account, step: int) -> None:
        before = account.connections
        account.connections = after = before + step
        if (before > 1 or after > 1) and not account.limits.exempt:
            self._by_connections.changed(account, before, after)

    # -- what is held --------------------------------------------------------------------------

    def hold(self, account: Account, descriptors: int = 1) -> bool:
        """Count a connection that waits; False where no more of them may wait."""
        bounds = self.bounds
        if (
            self.held >= bounds.held
            or account.held * 4 >= bounds.held
            or self.descriptors + descriptors > bounds.connections
        ):
            return False
        self.held += 1
        self.descriptors += descriptors
        account.held += 1
        return True

    def release(self, account: Account, descriptors: int = 1) -> None:
        """Take back one ``hold``."""
        self.held -= 1
        self.descriptors -= descriptors
        account.held -= 1


def _tell_nobody(cause: str) -> None:
    """Stand for a listener that is not there."""


def _tell_nobody_of_it(place: Place, transport: Cut, tcp_info: bytes) -> None:
    """Stand for a listener that is not there."""


def _most_silent(account: Account) -> Place:
    """Return the connection that has been silent for longest, of those looked at longest ago."""
    places = account.open_places
    oldest = list(islice(places, _LOOKED_AT))
    found = min(oldest, key=lambda place: place.deadline)
    for place in oldest:
        # Another time others are looked at.
        del places[place]
        places[place] = None
    return found
