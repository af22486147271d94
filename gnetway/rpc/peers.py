"""Places that peers take of a number: so many in all, so many of one peer.

A peer is an IPv4 address or the /64 of an IPv6 one, as a client is.
"""

from collections import Counter
from collections.abc import Callable, Hashable

from gnetway.admission.client_network import client_network


class PeerPlace:
    """A place that a peer has; ``give_way`` is called when another gets it.

    ``connection`` is the one of the peer's that has it.
    """

    __slots__ = ("connection", "give_way", "peer")

    def __init__(self, peer: str, connection: Hashable) -> None:
        self.peer = peer
        self.connection = connection
        self.give_way: Callable[[], object] = _nothing


class PeerPlaces:
    """Who has which places.

    Where all are taken, a peer that has at least two fewer than the one with most gets the newest
    of that: so no peer keeps another out, however many places it takes. Where all of one peer are
    taken, it is the same between its connections: several session nodes may be behind one address.
    """

    def __init__(self, most: int, most_of_one_peer: int) -> None:
        self._most = most
        self._most_of_one_peer = most_of_one_peer
        self._taken = 0
        #: By peer, the oldest place first.
        self._of: dict[str, dict[PeerPlace, None]] = {}

    def take(self, host: str, connection: Hashable = None) -> PeerPlace | None:
        """Return a place for the peer with this address, None if it gets none."""
        peer = client_network(host)
        mine = len(self._of.get(peer, ()))
        newest: PeerPlace | None = None
        if mine >= self._most_of_one_peer:
            newest = self._of_another_connection(peer, connection)
        elif self._taken >= self._most:
            newest = self._of_another_peer(mine)
        if newest is not None:
            self.leave(newest)
            newest.give_way()
        elif mine >= self._most_of_one_peer or self._taken >= self._most:
            return None
        place = PeerPlace(peer, connection)
        self._of.setdefault(peer, {})[place] = None
        self._taken += 1
        return place

    def _of_another_peer(self, mine: int) -> PeerPlace | None:
        richest = max(self._of, key=lambda other: len(self._of[other]))
        return None if len(self._of[richest]) < mine + 2 else next(reversed(self._of[richest]))

    def _of_another_connection(self, peer: str, connection: Hashable) -> PeerPlace | None:
        places = self._of[peer]
        counts = Counter(place.connection for place in places)
        [(richest, most)] = counts.most_common(1)
        if most < counts[connection] + 2:
            return None
        return next(place for place in reversed(places) if place.connection == richest)

    def leave(self, place: PeerPlace) -> None:
        """Give a place back, unless another peer got it."""
        places = self._of.get(place.peer)
        if places is None or place not in places:
            return
        del places[place]
        self._taken -= 1
        if not places:
            del self._of[place.peer]


def _nothing() -> None:
    """Do nothing: who has the place has not said yet how to give way."""
