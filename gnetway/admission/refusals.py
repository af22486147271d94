"""Why a connection is not let in; each is counted by its ``cause``, and never logged by itself."""

from typing import ClassVar

from gnetway.errors import GatewayError


class NotAdmitted(GatewayError):
    """A connection is not let in; the client is told nothing."""

    cause: ClassVar[str]


class AddressDenied(NotAdmitted):
    """Its network is among those that may not connect."""

    cause = "address_denied"


class TooManyConnections(NotAdmitted):
    """Its network has as many as it may have, or there is no room for one more in all."""

    cause = "too_many_connections"


class TooManyNewConnections(NotAdmitted):
    """Its network makes them faster than it may, and too many of it wait already."""

    cause = "too_many_new_connections"


class TooManyHalfOpen(NotAdmitted):
    """Too many of its network have not got as far as a key, and have only just come."""

    cause = "too_many_half_open"
