"""A worker's process as the parent sees it: started by exec, with pipes for orders and reports."""

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from signal import Signals
from typing import Final, NamedTuple, Protocol

from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IProcessTransport, IReactorProcess
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

import gnetway
from gnetway.config.model import GatewayConfig
from gnetway.workers import handover
from gnetway.workers.handover import HandedSocket, Handover
from gnetway.workers.pipe import REPORTS, Command, Logged, Report, unpack
from gnetway.workers.sockets import WorkerSockets

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


class WorkerEars(Protocol):
    """Hears of one process."""

    def reported(self, report: Report) -> None:
        """Take a report."""

    def ended(self, ending: Ending) -> None:
        """Hear that it is gone; all of its reports have come before."""


class WorkerProcess(Protocol):
    """A process that runs, or has just ended."""

    @property
    def pid(self) -> int:
        """The id of the process."""

    def tell(self, command: Command, argument: int | None = None) -> None:
        """Give an order, with what belongs to it; lost where the process has ended."""

    def kill(self) -> None:
        """End it at once."""


class Spawner(Protocol):
    """Starts processes."""

    def spawn(self, number: int, config: GatewayConfig, ears: WorkerEars) -> WorkerProcess:
        """Start worker ``number``.

        :raises OSError: the system refuses.
        """


class _Pipes(ProcessProtocol):
    """The pipes of a process, cut into lines."""

    _log = Logger()

    def __init__(self, first: bytes, ears: WorkerEars) -> None:
        self._first = first
        self._ears = ears
        self._held: dict[int, bytes] = {}

    def connectionMade(self) -> None:
        """Hand over."""
        self.write(self._first)
        self._first = b""

    def write(self, data: bytes) -> None:
        """Write to the process, unless it does not listen any more."""
        assert self.transport is not None
        with suppress(KeyError):
            self.transport.writeToChild(_STDIN, data)

    def childDataReceived(self, childFD: int, data: bytes) -> None:  # noqa: N803 - Twisted's name
        """Take reports, and what is printed."""
        *lines, rest = (self._held.get(childFD, b"") + data).split(b"\n")
        if len(rest) > _MAX_LINE_BYTES:
            lines, rest = [*lines, rest], b""
        self._held[childFD] = rest
        for line in lines:
            self._line(childFD, line)

    def processEnded(self, reason: Failure) -> None:  # noqa: N802
        """Tell how it has ended, after its last words."""
        for descriptor, line in self._held.items():
            if line:
                self._line(descriptor, line)
        self._held = {}
        ended = reason.value
        self._ears.ended(Ending(getattr(ended, "signal", None), getattr(ended, "exitCode", None)))

    def _line(self, descriptor: int, line: bytes) -> None:
        if descriptor != REPORTS:
            # Of a library, or of an interpreter that cannot go on.
            text = line.decode(errors="backslashreplace")
            self._ears.reported(Logged("warn" if descriptor == _STDERR else "info", "output", text))
            return
        try:
            report = unpack(line)
        except ValueError:
            self._log.failure("a worker has sent what is no report")
            return
        self._ears.reported(report)


class _Process:
    """WorkerProcess over a process that Twisted has started."""

    def __init__(self, transport: IProcessTransport, pipes: _Pipes) -> None:
        self._transport = transport
        self._pipes = pipes
        self.pid: int = transport.pid

    def tell(self, command: Command, argument: int | None = None) -> None:
        """See WorkerProcess."""
        order = command.value if argument is None else f"{command} {argument}"
        self._pipes.write(f"{order}\n".encode())

    def kill(self) -> None:
        """See WorkerProcess."""
        with suppress(ProcessExitedAlready):
            self._transport.signalProcess("KILL")


class ProcessSpawner:
    """Starts workers, each with its own of the ``sockets``."""

    def __init__(
        self, reactor: IReactorProcess, sockets: WorkerSockets, environment: Mapping[str, str]
    ) -> None:
        self._reactor = reactor
        self._sockets = sockets
        self._environment = {**environment, "PYTHONPATH": _python_path(environment)}

    def spawn(self, number: int, config: GatewayConfig, ears: WorkerEars) -> WorkerProcess:
        """See Spawner."""
        descriptors: dict[int, int | str] = {
            _STDIN: "w",
            _STDOUT: "r",
            _STDERR: "r",
            REPORTS: "r",
        }
        handed = []
        relayed = list(self._sockets.relayed(number).values())
        for listener in self._sockets.of(number) + relayed:
            descriptor = len(descriptors)
            descriptors[descriptor] = listener.bound.fileno()
            server = config.gnetway.servers.index(listener.server)
            path = "" if listener.file is None else listener.file.path
            handed.append(HandedSocket(server, descriptor, path, listener in relayed))
        elsewhere = self._sockets.http_elsewhere(number)
        pipes = _Pipes(handover.pack(Handover(config, number, tuple(handed), elsewhere)), ears)
        transport = self._reactor.spawnProcess(
            pipes,
            sys.executable,
            # The number is for those who look at the list of processes.
            [sys.executable, "-m", "gnetway.workers.main", str(number)],
            self._environment,
            childFDs=descriptors,
        )
        return _Process(transport, pipes)


def _python_path(environment: Mapping[str, str]) -> str:
    """Return where a worker finds this very package, and then what its parent was told."""
    given = environment.get("PYTHONPATH")
    places = [os.path.dirname(path) for path in gnetway.__path__]
    return os.pathsep.join([*map(os.path.abspath, places), *([given] if given else [])])
