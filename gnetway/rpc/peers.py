"""Places that peers take of a number: so many in all, so many of one peer.

A peer is an IPv4 address or the /64 of an IPv6 one, as a client is.
"""

from collections import Counter
from collections.abc import Callable, Hashable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final
from urllib.parse import unquote

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from gnetway.admission.shares import client_network, is_in
from gnetway.metrics import Causes


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


# -- what the server's peers did wrong ------------------------------------------------------------

#: Seconds from one line in the log to the next.
LINE_SECONDS: Final = 60.0


class RefusedPeers:
    """Counts by cause; a line in the log has the cause and the address of the last one.

    Whoever reaches the port can make any number of connections, so none has a line of its own.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self.causes = Causes()
        self._next_line = float("-inf")

    def note(self, cause: str, peer: str) -> None:
        """Note that ``peer`` was refused or closed for ``cause``."""
        self.causes.count(cause)
        now = self._clock.seconds()
        if now >= self._next_line:
            self._next_line = now + LINE_SECONDS
            self._log.warn(
                "gRPC peers refused or closed, last {peer}: {cause}; since the start: {causes}",
                peer=peer,
                cause=cause,
                causes=self.causes.as_dict(),
            )


# -- ``host:port`` in its parts ------------------------------------------------------------------

Network = IPv4Network | IPv6Network


def split_address(address: str) -> tuple[str, int]:
    """Return host, without the brackets of IPv6, and port.

    :raises ValueError: there is no port.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal():
        raise ValueError(f"{address!r} is not host:port")
    return host.removeprefix("[").removesuffix("]"), int(port)


def is_ipv4(host: str) -> bool:
    """Return whether a host is an IPv4 address."""
    try:
        IPv4Address(host)
    except ValueError:
        return False
    return True


def is_ipv6(host: str) -> bool:
    """Return whether a host is an IPv6 address, with or without a zone."""
    try:
        IPv6Address(host)
    except ValueError:
        return False
    return True


def is_allowed(host: str, networks: tuple[Network, ...]) -> bool:
    """Return whether an address belongs to one of ``networks``; without any it does."""
    return not networks or is_in(host, networks)


def host_of_peer(peer: str) -> str:
    """Return the host of a peer as grpcio names it: ``ipv4:10.0.0.7:40312``."""
    host, _, _ = unquote(peer).partition(":")[2].rpartition(":")
    return host.removeprefix("[").removesuffix("]")
