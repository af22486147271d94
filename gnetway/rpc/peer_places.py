"""Places that peers take of a number: so many in all, so many of one peer.

A peer is an IPv4 address or the /64 of an IPv6 one, as a client is.
"""

from collections.abc import Callable

from gnetway.client_network import client_network


class PeerPlace:
    """A place that a peer has; ``give_way`` is called when another peer gets it."""

    __slots__ = ("give_way", "peer")

    def __init__(self, peer: str) -> None:
        self.peer = peer
        self.give_way: Callable[[], object] = _nothing


class PeerPlaces:
    """Who has which places.

    Where all are taken, a peer that has at least two fewer than the one with most gets the newest
    of that: so no peer keeps another out, however many places it takes.
    """

    def __init__(self, most: int, most_of_one_peer: int) -> None:
        self._most = most
        self._most_of_one_peer = most_of_one_peer
        self._taken = 0
        #: By peer, the oldest place first.
        self._of: dict[str, dict[PeerPlace, None]] = {}

    def take(self, host: str) -> PeerPlace | None:
        """Return a place for the peer with this address, None if it gets none."""
        peer = client_network(host)
        mine = len(self._of.get(peer, ()))
        if mine >= self._most_of_one_peer:
            return None
        if self._taken >= self._most:
            richest = max(self._of, key=lambda other: len(self._of[other]))
            if len(self._of[richest]) < mine + 2:
                return None
            newest = next(reversed(self._of[richest]))
            self.leave(newest)
            newest.give_way()
        place = PeerPlace(peer)
        self._of.setdefault(peer, {})[place] = None
        self._taken += 1
        return place

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
