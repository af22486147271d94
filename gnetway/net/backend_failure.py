"""How a client ends that waited for the session backend, which has failed it."""

from typing import Final, Protocol

from twisted.logger import Logger
from twisted.python.failure import Failure

from gnetway.connection.connection import AuthKeyMissing
from gnetway.errors import BackendError, Busy, KeyUnknown, ProtocolError
from gnetway.net.link_services import LinkServices

_log: Final = Logger()


class Waiter(Protocol):
    """A connection or a request that waited."""

    def fail(self, error: ProtocolError) -> None:
        """End for an error; it says which code the client is told, if any."""

    def end(self, cause: str) -> None:
        """End without a code."""


def end_by_failure(failure: Failure, services: LinkServices, waiter: Waiter) -> None:
    """End ``waiter`` for what the backend said in the place of an answer."""
    error = failure.value
    if isinstance(error, KeyUnknown):
        waiter.fail(AuthKeyMissing("the session backend does not know the key"))
    elif isinstance(error, Busy):
        # It says nothing about the key: no code, which would end it.
        waiter.fail(error)
    else:
        if not isinstance(error, BackendError):
            _log.failure("The session backend failed in an unknown way", failure)
        # Never a code: the client would throw its key away.
        waiter.end(services.backend_cause("backend_unavailable"))
