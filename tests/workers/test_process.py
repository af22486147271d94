import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.interfaces import IReactorProcess
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

import gnetway
from gnetway.workers.pipe import (
    REPORTS,
    Command,
    Handover,
    Logged,
    Ready,
    Report,
    pack,
    read_handover,
)
from gnetway.workers.process import Ending, ProcessSpawner, WorkerSockets
from tests.service.cases import ServiceCase


class FakeTransport:
    """IProcessTransport of a process that the test plays."""

    pid = 4711

    def __init__(self) -> None:
        self.written = b""
        self.signals: list[str] = []
        self.listens = True
        self.runs = True

    def writeToChild(self, childFD: int, data: bytes) -> None:  # noqa: N802, N803
        if not self.listens:
            raise KeyError(childFD)
        assert childFD == 0
        self.written += data

    def signalProcess(self, signalID: str) -> None:  # noqa: N802, N803
        if not self.runs:
            raise ProcessExitedAlready
        self.signals.append(signalID)


class FakeReactor:
    """The part of a reactor that starts processes."""

    def __init__(self) -> None:
        self.transport = FakeTransport()

    def spawnProcess(  # noqa: N802
        self,
        protocol: ProcessProtocol,
        executable: str,
        args: Sequence[str],
        env: Mapping[str, str],
        childFDs: Mapping[int, int | str],  # noqa: N803
    ) -> FakeTransport:
        self.protocol, self.command = protocol, [executable, *args]
        self.environment, self.descriptors = env, childFDs
        protocol.makeConnection(self.transport)
        return self.transport


class Listener:
    """ProcessListener that write down what they hear."""

    def __init__(self) -> None:
        self.heard: list[Report | Ending] = []

    def reported(self, report: Report) -> None:
        self.heard.append(report)

    def ended(self, ending: Ending) -> None:
        self.heard.append(ending)


class SpawnCase(ServiceCase):
    def setUp(self) -> None:
        super().setUp()
        server = {"Addresses": ["127.0.0.1:0"]}
        self.settings = self.config(
            {"Endpoints": ["a:1"]},
            ListenOn="127.0.0.1:0",
            Gnetway={"Server": [server, server | {"Proto": "http"}]},
        )
        self.sockets = WorkerSockets(self.settings, 2)
        self.sockets.bind()
        self.addCleanup(self.sockets.close)
        self.sockets.bind_relays()
        self.reactor = FakeReactor()
        self.listener = Listener()

    def spawn(self, number: int = 0, **environment: str) -> None:
        reactor = cast(IReactorProcess, self.reactor)
        spawner = ProcessSpawner(reactor, self.sockets, environment)
        self.process = spawner.spawn(number, self.settings, self.listener)

    def handed(self) -> Handover:
        file = self.directory / "handover"
        file.write_bytes(self.reactor.transport.written)
        with file.open("rb") as reading:
            return read_handover(reading.fileno())


class SpawnTests(SpawnCase):
    def test_this_python_and_this_package(self) -> None:
        self.spawn(1, PYTHONPATH="/elsewhere", POD_IP="10.0.0.9")
        self.assertEqual(
            self.reactor.command[1:], [sys.executable, "-m", "gnetway.workers.main", "1"]
        )
        place = str(Path(gnetway.__file__).parents[1])
        self.assertEqual(
            self.reactor.environment,
            {"PYTHONPATH": f"{place}{os.pathsep}/elsewhere", "POD_IP": "10.0.0.9"},
        )

    def test_its_sockets(self) -> None:
        self.spawn(1)
        mine = self.sockets.of(1)
        self.assertEqual(
            self.reactor.descriptors,
            {0: "w", 1: "r", 2: "r", 3: "r"}
            | {4 + index: listener.bound.fileno() for index, listener in enumerate(mine)},
        )
        handed = self.handed()
        self.assertEqual([(s.server, s.descriptor) for s in handed.sockets], [(0, 4), (1, 5)])
        self.assertEqual(handed.http_elsewhere, self.sockets.http_elsewhere(1))
        self.assertEqual(handed.number, 1)

    def test_those_of_the_worker_that_serves_http(self) -> None:
        self.spawn(0)
        handed = self.handed()
        (relayed,) = [given for given in handed.sockets if given.relayed]
        self.assertEqual((relayed.server, relayed.descriptor), (1, 6))
        self.assertEqual({1: relayed.path}, self.sockets.http_elsewhere(1))
        self.assertEqual(handed.http_elsewhere, {})


class TalkTests(SpawnCase):
    def setUp(self) -> None:
        super().setUp()
        self.spawn()
        self.reactor.transport.written = b""

    def test_orders(self) -> None:
        self.process.tell(Command.RELOAD)
        self.process.tell(Command.STOP)
        self.assertEqual(self.reactor.transport.written, b"reload\nstop\n")
        self.assertEqual(self.process.pid, 4711)

    def test_reports_however_they_are_cut(self) -> None:
        for byte in pack(Ready("a")) + pack(Ready("b")):
            self.reactor.protocol.childDataReceived(REPORTS, bytes((byte,)))
        self.assertEqual(self.listener.heard, [Ready("a"), Ready("b")])

    def test_what_is_no_report(self) -> None:
        self.reactor.protocol.childDataReceived(REPORTS, b"nonsense\n" + pack(Ready("a")))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(self.listener.heard, [Ready("a")])

    def test_what_is_printed(self) -> None:
        self.reactor.protocol.childDataReceived(1, b"a line\n")
        self.reactor.protocol.childDataReceived(2, b"Trace\xff\nback")
        self.reactor.protocol.processEnded(Failure(ProcessTerminated(status=256)))
        self.assertEqual(
            self.listener.heard[:3],
            [
                Logged("info", "output", "a line"),
                Logged("warn", "output", "Trace\\xff"),
                Logged("warn", "output", "back"),
            ],
        )

    def test_a_line_without_end(self) -> None:
        self.reactor.protocol.childDataReceived(1, bytes(2 << 20))
        self.assertEqual(len(self.listener.heard), 1)

    def test_how_it_has_ended(self) -> None:
        for failure, told in (
            (ProcessDone(0), "with status 0"),
            (ProcessTerminated(3, None, 768), "with status 3"),
            (ProcessTerminated(None, 9, 9), "by SIGKILL"),
        ):
            self.listener.heard.clear()
            self.reactor.protocol.processEnded(Failure(failure))
            self.assertEqual([str(ending) for ending in self.listener.heard], [told])

    def test_one_that_is_gone(self) -> None:
        self.process.kill()
        self.assertEqual(self.reactor.transport.signals, ["KILL"])
        self.reactor.transport.listens = self.reactor.transport.runs = False
        self.process.tell(Command.STOP)
        self.process.kill()
        self.assertEqual(self.reactor.transport.signals, ["KILL"])


class EndingTests(SynchronousTestCase):
    def test_a_signal_without_a_name(self) -> None:
        """A real-time one."""
        self.assertEqual(str(Ending(40, None)), "by signal 40")
