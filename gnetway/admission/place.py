"""What one connection has of the admission, and what is known of it.

A place begins when the connection is let in and goes with its transport, whatever serves it
meanwhile; facts are what whoever serves it says of it at one moment.
"""

from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from gnetway.admission.accounts import Account, AccountLimits
from gnetway.ends import Phase, Stage
from gnetway.tl.client_info import ClientInfo


class Facts(NamedTuple):
    """What serves a connection says of it.

    ``transport`` is the client's, as ``obfuscated intermediate`` or ``websocket, ...``; ``client``
    is what it has said of itself, and nobody has proved. ``pending_bytes`` wait in the gateway to
    be sent; of ``keys`` and ``sessions`` there are only numbers.
    """

    stage: Stage
    phase: Phase
    client_ip: str
    transport: str = ""
    client: ClientInfo | None = None
    messages_in: int = 0
    messages_out: int = 0
    quick_acks: int = 0
    pending_bytes: int = 0
    keys: int = 0
    sessions: int = 0


class End(NamedTuple):
    """The end of a connection, as it was decided.

    ``at`` is in the seconds of the clock that only goes on; ``detail`` says more of the cause, and
    never has a secret.
    """

    cause: str
    at: float
    facts: Facts
    detail: str = ""


class Endable(Protocol):
    """What can be ended when the gateway stops."""

    def end(self, cause: str) -> None:
        """End it; ``cause`` is what it is counted under."""


class Served(Endable, Protocol):
    """Whatever serves a connection now."""

    def facts(self) -> Facts:
        """Return what is known of the connection now."""


class Cut(Protocol):
    """The transport of a connection."""

    def abortConnection(self) -> None:  # noqa: N802 - Twisted's name
        """Close at once."""


class Door(Protocol):
    """The admission that a place is of."""

    #: Of all connections that have a place, and of those that are held.
    descriptors: int

    #: Hears that the transport of a place is gone, with what the kernel knew of it.
    gone: "Callable[[Place, Cut, bytes], None]"

    def opened(self, place: "Place") -> None:
        """Count the connection as half open no more."""

    def leave(self, place: "Place") -> None:
        """Count the connection no more."""

    def hold(self, account: Account, descriptors: int = 1) -> bool:
        """Count a connection that waits; False where no more of them may wait."""

    def release(self, account: Account, descriptors: int = 1) -> None:
        """Take back one ``hold``."""

    def name(self, place: "Place", account: Account, now: float, bounded: bool) -> float:
        """See Place."""


class Place:
    """What one connection has.

    ``since`` is when it was let in, in the clock's seconds; no two of an admission have the same.
    ``layers`` are what stands between the socket and MTProto, as ``("PROXY", "TLSv1.3")``.
    ``ended`` is set when the end is decided.
    """

    __slots__ = (
        "_admission",
        "_served",
        "_transport",
        "account",
        "descriptors",
        "ended",
        "is_half_open",
        "is_named",
        "layers",
        "since",
    )

    def __init__(self, admission: "Door | None", account: Account, now: float) -> None:
        self._admission = admission
        self.account = account
        #: A relay takes a second one.
        self.descriptors = 1
        self.is_half_open = True
        self.is_named = True
        self.since = now
        self.layers: tuple[str, ...] = ()
        self.ended: End | None = None
        self._served: Served | None = None
        self._transport: Cut | None = None

    def carried(self, transport: Cut) -> None:
        """Note the transport, which is aborted when the connection gives way."""
        self._transport = transport

    def serves(self, served: Served) -> None:
        """Note what serves it from now on: that knows the deadline and counts the end."""
        if self._admission is not None:
            self._served = served

    def passed(self, layer: str) -> None:
        """Note what stands between the socket and MTProto, once it is passed."""
        if self._admission is not None:
            self.layers = (*self.layers, layer)

    @property
    def served(self) -> Served | None:
        """What serves it now; None before that, and once it has left."""
        return self._served

    @property
    def transport(self) -> Cut | None:
        """What carries it; None once it has left."""
        return self._transport

    def gone(self, transport: "Cut", tcp_info: bytes) -> None:
        """Hear that its transport is gone; ``tcp_info`` is what the kernel knew of it."""
        if self._admission is not None:
            self._admission.gone(self, transport, tcp_info)

    def opened(self) -> None:
        """Count the connection as half open no more: its client has used a key."""
        if self.is_half_open and self._admission is not None and not self.is_gone:
            self._admission.opened(self)

    def left(self) -> None:
        """Give the place back: the connection is gone."""
        if self._admission is not None and not self.is_gone:
            self._admission.leave(self)
            self.descriptors = 0
        self._served = self._transport = None

    @property
    def is_gone(self) -> bool:
        """Whether the connection is gone, or has given way."""
        return not self.descriptors

    @property
    def deadline(self) -> float:
        """When the connection is late, which follows from when its client has spoken last."""
        deadline: float = getattr(self._served, "deadline", 0.0)
        return deadline

    def give_way(self, cause: str) -> bool:
        """End the connection at once; False where nothing was there to count the cause."""
        served, transport = self._served, self._transport
        self.left()
        if served is not None:
            served.end(cause)
        if transport is not None:
            # Its own end takes its time, and its descriptor is wanted now.
            transport.abortConnection()
        return served is not None

    def relayed(self) -> None:
        """Count another descriptor: the connection is relayed to another worker."""
        if self._admission is not None and not self.is_gone:
            self.descriptors += 1
            self._admission.descriptors += 1

    def hold(self, account: Account) -> bool:
        """Count it as one that waits to be closed; False where no more may wait."""
        if self._admission is None or self.is_gone:
            return False
        return self._admission.hold(account, 0)

    def release(self, account: Account) -> None:
        """Take back one ``hold``."""
        if self._admission is not None:
            self._admission.release(account, 0)

    def name(self, account: Account, now: float, bounded: bool = True) -> float:
        """Count to a network from now on; return how many seconds it has to wait.

        Without ``bounded`` the network's own bounds do not count.

        :raises NotAdmitted: that network may not have it.
        """
        if self._admission is None or self.is_gone or self.is_named:
            return 0.0
        return self._admission.name(self, account, now, bounded)


#: Of a connection that nobody has let in, such as one in memory; nothing is counted for it.
NO_PLACE: Final = Place(None, Account("", AccountLimits(), 0.0), 0.0)


def place_of(transport: object) -> Place:
    """Return the place of the connection that a transport, whatever is around it, belongs to."""
    place: Place = getattr(transport, "place", NO_PLACE)
    return place
