"""A worker's process as the parent sees it: its listening sockets, its start by exec, its pipes.

The parent binds the sockets of all workers and keeps them (WorkerSockets). ProcessSpawner starts a
process with its own of them, and with pipes: orders go to its standard input, reports and what it
prints come back line by line.
"""

import os
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from signal import Signals
from tempfile import mkdtemp
from typing import Final, NamedTuple, Protocol

from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IReactorProcess
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from gnetway.config.addresses import Address, UnixAddress
from gnetway.config.model import GatewayConfig
from gnetway.config.servers import Proto, ServerConfig
from gnetway.service.listeners import (
    BACKLOG,
    ListenAddress,
    Listener,
    adopt,
    bind,
    bind_each,
    close_all,
)
from gnetway.service.reload import with_this_package
from gnetway.service.sockets import InheritedSockets, SocketFile, bind_unix
from gnetway.workers.pipe import (
    REPORTS,
    Command,
    HandedSocket,
    Handover,
    Logged,
    Report,
    pack_handover,
    unpack,
)

#: The worker that serves HTTP for all of them.
_HTTP_WORKER: Final = 0

_PRIVATE_MODE: Final = 0o600


class WorkerSockets:
    """The listening sockets of ``count`` workers, bound by the parent and kept for workers to come.

    Each worker has a socket of its own for every TCP address: the kernel spreads new connections
    over them (SO_REUSEPORT), and nobody wakes in vain. One in the file system is shared, and so is
    what is ``inherited``: a port that was opened without SO_REUSEPORT has one socket.

    The parent binds them all before twistd gives up its privileges, so that a worker can be started
    again later at a port below 1024, and before it becomes a daemon, so that a taken port is told
    on the terminal.

    Since the parent has them open, the sockets of a worker outlive it. So they are shut at its
    death, or the kernel would go on giving them connections; the next worker listens on them again.
    """

    def __init__(
        self, config: GatewayConfig, count: int, inherited: InheritedSockets | None = None
    ) -> None:
        self._config = config
        self._count = count
        self._inherited = inherited
        #: For each address a listener for each worker.
        self._bound: list[list[Listener]] = []
        #: Where the other workers carry HTTP to the first one, by the index of the listener.
        self._relayed: dict[int, Listener] = {}
        self._folder = ""
        #: Whether another gateway takes over, and has them too.
        self.lent = False

    def descriptors(self) -> list[int]:
        """See Estate."""
        bound = {listener.bound for listeners in self._bound for listener in listeners}
        return [each.fileno() for each in bound]

    def lend(self, lent: bool) -> None:
        """See Estate."""
        self.lent = lent
        for listeners in self._bound:
            for listener in listeners:
                if listener.file is not None:
                    listener.file.lend(lent)

    @property
    def listeners(self) -> list[Listener]:
        """One listener for each address."""
        return [listeners[0] for listeners in self._bound]

    def bind(self) -> None:
        """Bind every address.

        :raises ConfigError: with each address that cannot be bound; nothing stays bound then.
        """
        self._bound = bind_each(self._config, self._bind)

    def bind_relays(self) -> None:
        """Bind those of the worker that serves HTTP, which only this user may open.

        Later than the others: twistd has changed the user by then.
        """
        for index, server in enumerate(self._config.gnetway.servers):
            if server.serves(Proto.HTTP):
                # Where there is none, nobody would remove it after a parent that was killed.
                self._folder = self._folder or mkdtemp(prefix="gnetway-")
                path = os.path.join(self._folder, f"http-{index}")
                bound = bind_unix(path, _PRIVATE_MODE, BACKLOG)
                self._relayed[index] = Listener(bound, file=SocketFile(path), server=server)

    def of(self, number: int) -> list[Listener]:
        """Return those of a worker, one for each address."""
        return [listeners[number] for listeners in self._bound]

    def relayed(self, number: int) -> dict[int, Listener]:
        """Return those by which other workers carry HTTP to this one."""
        return self._relayed if number == _HTTP_WORKER else {}

    def http_elsewhere(self, number: int) -> dict[int, str]:
        """Return the paths at which another worker serves a worker's HTTP."""
        if number == _HTTP_WORKER:
            return {}
        return {
            index: listener.file.path
            for index, listener in self._relayed.items()
            if listener.file is not None
        }

    def index(self, listener: Listener) -> int:
        """Return which item of Gnetway.Server it is of, in this and any later configuration."""
        return self._config.gnetway.servers.index(listener.server)

    def shut(self, number: int) -> None:
        """Have a worker's own sockets take no connections; those that wait there are reset.

        Unless another gateway takes over: they are to wait for that one.
        """
        if self.lent:
            return
        for listeners in self._bound:
            listener = listeners[number]
            if listeners.count(listener) == 1:
                with suppress(OSError):
                    listener.bound.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close all of them here; where a worker serves one, it goes on."""
        bound, self._bound = [*self._bound, list(self._relayed.values())], []
        self._relayed = {}
        for listeners in bound:
            close_all(listeners)
        if self._folder:
            with suppress(OSError):
                os.rmdir(self._folder)

    def _bind(self, server: ServerConfig, address: ListenAddress) -> list[Listener]:
        adopted = adopt(server, address, self._inherited)
        if len(adopted) > self._count:
            close_all(adopted)
            found = f"there are {len(adopted)} sockets of another process for it, and fewer workers"
            raise OSError(found)
        if adopted:
            return [adopted[number % len(adopted)] for number in range(self._count)]
        # Alone at first: a port that is to be shared can be shared with any program of this user.
        first = bind(server, address)
        if isinstance(address, UnixAddress):
            return [first] * self._count
        first.close()
        # A port that the kernel has chosen is named from here on, or it would be lost by a shut.
        named: Address = replace(address, port=first.port)
        return [bind(server, named, reuse_port=True) for _ in range(self._count)]


_STDIN: Final = 0
_STDOUT: Final = 1
_STDERR: Final = 2

#: Bytes of a line that is not ended; more is taken as it is.
_MAX_LINE_BYTES: Final = 1024 * 1024


class Ending(NamedTuple):
    """How a process has ended: by a signal, else with an exit status."""

    signal: int | None
    status: int | None

    def __str__(self) -> str:
        if self.signal is None:
            return f"with status {self.status}"
        try:
            return f"by {Signals(self.signal).name}"
        except ValueError:
            return f"by signal {self.signal}"


class ProcessListener(Protocol):
    """What is told of one process."""

    def reported(self, report: Report) -> None:
        """A report has come."""

    def ended(self, ending: Ending) -> None:
        """The process is gone; all of its reports have come before."""


class WorkerProcess(Protocol):
    """A process that runs, or has just ended."""

    @property
    def pid(self) -> int:
        """The id of the process."""

    def tell(self, command: Command, argument: int | str | None = None) -> None:
        """Give an order, with what belongs to it; lost where the process has ended."""

    def kill(self) -> None:
        """End it at once."""


class Spawner(Protocol):
    """Starts processes."""

    def spawn(self, number: int, config: GatewayConfig, listener: ProcessListener) -> WorkerProcess:
        """Start worker ``number``.

        :raises OSError: the system refuses.
        """


class WorkerProcessProtocol(ProcessProtocol):
    """WorkerProcess over a process that Twisted has started, with its pipes cut into lines."""

    _log = Logger()

    def __init__(self, first: bytes, listener: ProcessListener) -> None:
        self._first = first
        self._listener = listener
        #: Beginnings of lines, by descriptor.
        self._rests: dict[int, bytes] = {}
        self.pid = 0

    def connectionMade(self) -> None:
        """Hand over."""
        assert self.transport is not None
        # The transport forgets it when the process ends.
        self.pid = self.transport.pid
        self._write(self._first)
        self._first = b""

    def tell(self, command: Command, argument: int | str | None = None) -> None:
        """See WorkerProcess."""
        order = command.value if argument is None else f"{command} {argument}"
        self._write(f"{order}\n".encode())

    def kill(self) -> None:
        """See WorkerProcess."""
        assert self.transport is not None
        with suppress(ProcessExitedAlready):
            self.transport.signalProcess("KILL")

    def _write(self, data: bytes) -> None:
        assert self.transport is not None
        # Twisted has no such pipe any more where the process has ended, or closed it.
        with suppress(KeyError):
            self.transport.writeToChild(_STDIN, data)

    def childDataReceived(self, childFD: int, data: bytes) -> None:  # noqa: N803 - Twisted's name
        """Take reports, and what is printed."""
        *lines, rest = (self._rests.get(childFD, b"") + data).split(b"\n")
        if len(rest) > _MAX_LINE_BYTES:
            lines, rest = [*lines, rest], b""
        self._rests[childFD] = rest
        for line in lines:
            self._line(childFD, line)

    def processEnded(self, reason: Failure) -> None:  # noqa: N802
        """Tell how it has ended, after its last words."""
        for descriptor, line in self._rests.items():
            if line:
                self._line(descriptor, line)
        self._rests = {}
        ended = reason.value
        ending = Ending(getattr(ended, "signal", None), getattr(ended, "exitCode", None))
        self._listener.ended(ending)

    def _line(self, descriptor: int, line: bytes) -> None:
        if descriptor != REPORTS:
            # Of a library, or of an interpreter that cannot go on.
            text = line.decode(errors="backslashreplace")
            level = "warn" if descriptor == _STDERR else "info"
            self._listener.reported(Logged(level, "output", text))
            return
        try:
            report = unpack(line)
        except ValueError:
            self._log.failure("a worker has sent what is no report")
            return
        self._listener.reported(report)


class ProcessSpawner:
    """Starts workers, each with its own of the ``sockets``."""

    def __init__(
        self, reactor: IReactorProcess, sockets: WorkerSockets, environment: Mapping[str, str]
    ) -> None:
        self._reactor = reactor
        self._sockets = sockets
        # A worker runs this very package, wherever the parent has it from.
        self._environment = with_this_package(environment)

    def spawn(self, number: int, config: GatewayConfig, listener: ProcessListener) -> WorkerProcess:
        """See Spawner."""
        descriptors: dict[int, int | str] = {
            _STDIN: "w",
            _STDOUT: "r",
            _STDERR: "r",
            REPORTS: "r",
        }
        handed = []
        # Descriptors behind those of the pipes, in an order that the handover names.
        relayed = list(self._sockets.relayed(number).values())
        for given in self._sockets.of(number) + relayed:
            descriptor = len(descriptors)
            descriptors[descriptor] = given.bound.fileno()
            server = self._sockets.index(given)
            path = "" if given.file is None else given.file.path
            handed.append(HandedSocket(server, descriptor, path, given in relayed))
        elsewhere = self._sockets.http_elsewhere(number)
        first = pack_handover(Handover(config, number, tuple(handed), elsewhere))
        process = WorkerProcessProtocol(first, listener)
        self._reactor.spawnProcess(
            process,
            sys.executable,
            # The number is for those who look at the list of processes.
            [sys.executable, "-m", "gnetway.workers.main", str(number)],
            self._environment,
            childFDs=descriptors,
        )
        return process
