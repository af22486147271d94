"""Workers without processes: a spawner that writes down what it starts, and endings."""

from collections.abc import Sequence

from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from gnetway.config.model import GatewayConfig
from gnetway.workers.pipe import Command, Ready, Taken, unpack_config
from gnetway.workers.process import Ending, ProcessListener


@implementer(ILogObserver)
class LogLines:
    """What is logged until the test's end: ``lines``, and with their levels ``levelled``."""

    def __init__(self, case: SynchronousTestCase) -> None:
        self.lines: list[str] = []
        self.levelled: list[tuple[LogLevel, str]] = []
        globalLogPublisher.addObserver(self)
        case.addCleanup(globalLogPublisher.removeObserver, self)

    def __call__(self, event: LogEvent) -> None:
        self.lines.append(formatEvent(event))
        self.levelled.append((event["log_level"], self.lines[-1]))


KILLED = Ending(9, None)
CLEAN = Ending(None, 0)
FAULTY = Ending(None, 1)


class FakeProcess:
    """WorkerProcess; the test says what it does."""

    def __init__(
        self, number: int, config: GatewayConfig | None, listener: ProcessListener
    ) -> None:
        self.pid = 1000 + number
        self.number = number
        self.config = config
        self.listener = listener
        self.told: list[Command] = []
        self.forgets: list[int] = []
        self.levels: list[str] = []
        self.questions: list[str] = []
        #: The configurations that it was told to take, by the numbers of the orders.
        self.takes: dict[int, GatewayConfig] = {}
        self.killed = False

    def tell(self, command: Command, argument: int | str | None = None) -> None:
        self.told.append(command)
        if isinstance(argument, int):
            self.forgets.append(argument)
        elif argument is not None:
            if command is Command.TAKE:
                number, packed = argument.split(" ")
                self.takes[int(number)] = unpack_config(packed)
            else:
                (self.questions if command is Command.ASK else self.levels).append(argument)

    def answer(self, *faults: str) -> None:
        """Say what has come of the last configuration."""
        self.listener.reported(Taken(max(self.takes), "another backend", faults))

    def kill(self) -> None:
        self.killed = True

    def serve(self) -> None:
        self.listener.reported(Ready("a backend"))


class FakeSpawner:
    """Spawner; ``refusals`` are raised first."""

    def __init__(self, refusals: Sequence[OSError] = ()) -> None:
        self.processes: list[FakeProcess] = []
        self.refusals = list(refusals)

    def spawn(
        self, number: int, config: GatewayConfig | None, listener: ProcessListener
    ) -> FakeProcess:
        if self.refusals:
            raise self.refusals.pop(0)
        self.processes.append(FakeProcess(number, config, listener))
        return self.processes[-1]
