"""Sockets that were accepted and are read by nobody: their turn, or their end, comes later.

Closed at once a client would come back at once. So it is kept for a while, with no more than its
descriptor; and how many are kept is bounded, for each network and in all.
"""

import socket
from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from gnetway.admission.accounts import Account
from gnetway.admission.admission import Admission


class HeldSockets:
    """Sockets that wait."""

    def __init__(self, clock: IReactorTime, admission: Admission) -> None:
        self._clock = clock
        self._admission = admission
        #: By what ends the waiting; the oldest first.
        self._turns: dict[IDelayedCall, tuple[socket.socket, Account]] = {}
        self._ends: dict[IDelayedCall, tuple[socket.socket, Account]] = {}
        admission.close_refused = self.close_refused

    def __len__(self) -> int:
        return len(self._turns) + len(self._ends)

    def wait(
        self, waiting: socket.socket, account: Account, seconds: float, go_on: Callable[[], None]
    ) -> bool:
        """Call ``go_on`` after so many seconds; False where no more of them may wait."""
        if not self._admission.hold(account):
            return False

        def turn() -> None:
            del self._turns[call]
            self._admission.release(account)
            go_on()

        call = self._clock.callLater(seconds, turn)
        self._turns[call] = waiting, account
        return True

    def close_later(self, refused: socket.socket, account: Account, seconds: float) -> None:
        """Close a socket after so many seconds; at once where no more of them may wait."""
        if not self._admission.hold(account):
            refused.close()
            return

        def end() -> None:
            del self._ends[call]
            self._admission.release(account)
            refused.close()

        call = self._clock.callLater(seconds, end)
        self._ends[call] = refused, account

    def close_refused(self) -> bool:
        """Close the socket that was refused first; False where there is none."""
        call = next(iter(self._ends), None)
        if call is None:
            return False
        self._drop(self._ends, call)
        return True

    def close_all(self) -> None:
        """Close all that wait."""
        for waiting in (self._turns, self._ends):
            for call in list(waiting):
                self._drop(waiting, call)

    def _drop(
        self, waiting: dict[IDelayedCall, tuple[socket.socket, Account]], call: IDelayedCall
    ) -> None:
        held, account = waiting.pop(call)
        call.cancel()
        self._admission.release(account)
        held.close()
