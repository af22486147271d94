"""Accepting connections: each has its place before a byte of it is read.

What Twisted's own ports do, but that

- a connection is let in by ``admission``, waits for its turn, or is refused, and none of that makes
  a line of the log for a client;
- one turn of the reactor accepts a few, then others have theirs;
- where the system has no descriptor left, accepting rests for a second, where Twisted would close
  what comes and log three lines for each.
"""

import socket
from collections.abc import Callable
from errno import EAGAIN, EMFILE, ENFILE, ENOBUFS, ENOMEM, EWOULDBLOCK
from typing import Final, TypeAlias

from twisted.internet import tcp
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from gnetway.admission.accounts import (
    Account,
    Accounts,
    AddressDenied,
    NotAdmitted,
    TooManyNewConnections,
)
from gnetway.admission.admission import Admission
from gnetway.admission.place import Place
from gnetway.metrics import Causes
from gnetway.net.failure_log import FailureLog
from gnetway.net.link_services import BUSY_SECONDS
from gnetway.net.peer import UNIX_CLIENT
from gnetway.net.records import ConnectionRecords
from gnetway.runtime.shortcuts import ClientTransport, UnixClientTransport


class HeldSockets:
    """Sockets that were accepted and are read by nobody: their turn, or their end, comes later.

    A client that is closed at once comes back at once. So its socket is kept for a while, which
    costs no more than the descriptor. Admission bounds how many, for each network and in all.
    """

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
        return self._keep(self._turns, waiting, account, seconds, go_on)

    def close_later(self, refused: socket.socket, account: Account, seconds: float) -> None:
        """Close a socket after so many seconds; at once where no more of them may wait."""
        if not self._keep(self._ends, refused, account, seconds, refused.close):
            refused.close()

    def _keep(
        self,
        waiting: dict[IDelayedCall, tuple[socket.socket, Account]],
        kept: socket.socket,
        account: Account,
        seconds: float,
        then: Callable[[], None],
    ) -> bool:
        if not self._admission.hold(account):
            return False

        def over() -> None:
            del waiting[call]
            self._admission.release(account)
            then()

        call = self._clock.callLater(seconds, over)
        waiting[call] = kept, account
        return True

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


#: Seconds from one line in the log to the next.
LINE_SECONDS: Final = 60.0

#: Seconds from the first refusal to its line, so that this has more than one to tell.
FIRST_SECONDS: Final = 5.0


class RefusalLog:
    """Counts refusals, and logs a line with the counts once a minute.

    No client makes a line of its own, or a flood of them would fill the disk.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, causes: Causes, admission: Admission) -> None:
        self._clock = clock
        self._causes = causes
        self._admission = admission
        self._untold: dict[str, int] = {}
        self._next_line = float("-inf")
        self._line: IDelayedCall | None = None
        admission.gave_way = self._note

    def note(self, cause: str) -> None:
        """Count that a connection was refused."""
        self._causes.count(cause)
        self._note(cause)

    def _note(self, cause: str) -> None:
        self._untold[cause] = self._untold.get(cause, 0) + 1
        if self._line is None:
            wait = max(FIRST_SECONDS, self._next_line - self._clock.seconds())
            self._line = self._clock.callLater(wait, self._tell)

    def stop(self) -> None:
        """Log what was not logged yet."""
        if self._line is not None:
            self._line.cancel()
            self._tell()

    def _tell(self) -> None:
        self._line = None
        self._next_line = self._clock.seconds() + LINE_SECONDS
        untold, self._untold = self._untold, {}
        heaviest = self._admission.heaviest()
        most = "no network has two connections"
        if heaviest is not None:
            most = f"most has {heaviest.network}: {heaviest.connections}"
        self._log.warn(
            "connections refused, or ended for others: {untold}; {descriptors} of {connections}"
            " are taken, {most}",
            untold=untold,
            descriptors=self._admission.descriptors,
            connections=self._admission.bounds.connections,
            most=most,
        )


#: Connections that one turn of the reactor accepts on a port. Whoever gives way to them is gone
#: only by the next turn, so that the reserve of descriptors has to be more.
ACCEPTED_A_TURN: Final = 8

#: Seconds until it is tried again where the system refuses.
REST_SECONDS: Final = 1.0

#: The system has nothing left for a connection; all other errors are those of one connection.
_EXHAUSTED: Final = frozenset((EMFILE, ENFILE, ENOBUFS, ENOMEM))

#: As the kernel names a client: host and port, and two more of IPv6; empty for a socket in the file
#: system.
_Address: TypeAlias = tuple[str, int] | tuple[str, int, int, int]

#: Returns whether what comes from an address is a balancer's, which will say for whom it speaks.
IsBalancer: TypeAlias = Callable[[str], bool]


class Arrivals:
    """Lets the connections of all ports in."""

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        accounts: Accounts,
        admission: Admission,
        causes: Causes,
        records: ConnectionRecords,
    ) -> None:
        self._clock = clock
        self._records = records
        self._accounts = accounts
        self._admission = admission
        self._held = HeldSockets(clock, admission)
        self._refusals = RefusalLog(clock, causes, admission)
        self._failures = FailureLog(clock, records)
        self._resting: dict[tcp.Port, IDelayedCall] = {}

    def stop(self) -> None:
        """Close what waits, and log what was not logged yet."""
        self._held.close_all()
        self._refusals.stop()
        self._failures.stop()
        resting, self._resting = self._resting, {}
        for call in resting.values():
            call.cancel()

    def accept(self, port: tcp.Port, is_balancer: IsBalancer) -> None:
        """Accept what waits at a port, or some of it."""
        for _ in range(ACCEPTED_A_TURN):
            try:
                accepted, address = port.socket.accept()
            except OSError as error:
                if error.errno in (EAGAIN, EWOULDBLOCK):
                    return
                if error.errno in _EXHAUSTED:
                    self._rest(port, error)
                    return
                # That one connection is gone already, or a packet filter refuses it.
                continue
            self._arrived(port, accepted, address, is_balancer)

    def _arrived(
        self, port: tcp.Port, accepted: socket.socket, address: _Address, is_balancer: IsBalancer
    ) -> None:
        if len(address) == 4 and address[3]:
            # With the name of the link, which is a part of such an address.
            host, _ = socket.getnameinfo(address, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)
            address = (host, *address[1:])
        client_ip = (address[0] if address else "") or UNIX_CLIENT
        now = self._clock.seconds()
        account = self._accounts.of(client_ip, now)
        named = not is_balancer(client_ip)
        try:
            wait = self._admission.turn_of(account, now) if named else 0.0
            if not wait:
                self._let_in(port, accepted, address, account, named)
            elif not self._held.wait(
                accepted, account, wait, lambda: self._turn(port, accepted, address, account)
            ):
                accepted.close()
                self._note(account, TooManyNewConnections.cause)
        except NotAdmitted as refusal:
            self._refuse(accepted, account, refusal)

    def _turn(
        self, port: tcp.Port, accepted: socket.socket, address: _Address, account: Account
    ) -> None:
        if not port.connected or port.disconnecting:
            accepted.close()
            return
        try:
            self._let_in(port, accepted, address, account, True)
        except NotAdmitted as refusal:
            self._refuse(accepted, account, refusal)

    def _let_in(
        self,
        port: tcp.Port,
        accepted: socket.socket,
        address: _Address,
        account: Account,
        named: bool,
    ) -> None:
        place = self._admission.admit(account, self._clock.seconds(), named)
        try:
            _serve(port, accepted, address, place)
            self._records.let_in(place, port)
        except Exception:  # noqa: BLE001 - one connection must not end the others
            place.left()
            accepted.close()
            self._log.failure("a connection could not be served")

    def _refuse(self, refused: socket.socket, account: Account, refusal: NotAdmitted) -> None:
        self._note(account, refusal.cause)
        if isinstance(refusal, AddressDenied):
            refused.close()
        else:
            self._held.close_later(refused, account, BUSY_SECONDS)

    def _note(self, account: Account, cause: str) -> None:
        self._refusals.note(cause)
        self._records.refused(account, cause)

    def _rest(self, port: tcp.Port, error: OSError) -> None:
        """Accept nothing at a port for a while."""
        self._refusals.note("no_descriptor")
        port.stopReading()

        def go_on() -> None:
            del self._resting[port]
            if port.connected and not port.disconnecting:
                port.startReading()

        self._resting[port] = self._clock.callLater(REST_SECONDS, go_on)


def _serve(port: tcp.Port, accepted: socket.socket, address: _Address, place: Place) -> None:
    """Do what Twisted's port does with a connection."""
    assert port.factory is not None
    protocol = port.factory.buildProtocol(port._buildAddr(address))  # noqa: SLF001
    assert protocol is not None, "our factories refuse nobody"
    port.sessionno += 1
    transport = port.transport(accepted, protocol, address, port, port.sessionno, port.reactor)
    assert isinstance(transport, ClientTransport | UnixClientTransport)
    transport.place = place
    place.carried(transport)
    protocol.makeConnection(transport)


class ClientPort(tcp.Port):
    """A port of clients; ``arrivals`` lets them in."""

    transport = ClientTransport

    arrivals: Arrivals
    is_balancer: IsBalancer
    #: The listener, as records of its connections name it, and what is spoken there: empty where
    #: connections are other workers', which count them.
    shown = proto = ""

    def doRead(self) -> None:  # noqa: N802
        """Accept connections."""
        self.arrivals.accept(self, self.is_balancer)
