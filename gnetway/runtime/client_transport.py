"""The transport of a client's connection: Twisted's, with the place that the client has."""

from typing import Protocol

from twisted.internet import tcp, unix
from twisted.python.failure import Failure


class Leaving(Protocol):
    """Hears of the end of a connection."""

    def left(self) -> None:
        """Hear that the connection is gone."""


class _Nobody:
    def left(self) -> None:
        """See Leaving."""


class ClientTransport(tcp.Server):
    """A TCP connection; its ``place`` hears of its end."""

    place: Leaving = _Nobody()

    def connectionLost(self, reason: Failure) -> None:
        """See tcp.Server."""
        self.place.left()
        super().connectionLost(reason)


class UnixClientTransport(unix.Server):
    """The same for a socket in the file system."""

    place: Leaving = _Nobody()

    def connectionLost(self, reason: Failure) -> None:
        """See unix.Server."""
        self.place.left()
        super().connectionLost(reason)
