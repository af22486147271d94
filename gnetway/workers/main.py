"""``python -m gnetway.workers.main``: a worker's process, which only a parent starts.

Signals are the parent's to take: those that a terminal gives to both are ignored here. SIGTERM
ends a worker in order, after which its parent starts another. The end of the pipe of commands
means that the parent is gone, and ends it as well.
"""

import signal
import sys
from typing import Final, cast

from twisted.internet.interfaces import IReactorFDSet
from twisted.logger import globalLogBeginner

from gnetway.interfaces import IGatewayReactor
from gnetway.service.logs import LogLevels
from gnetway.workers.pipe import REPORTS, CommandReader, Reports, read_handover
from gnetway.workers.worker import Worker

_COMMANDS: Final = 0


def main() -> int:
    """Serve until told to end; return the exit status."""
    for ignored in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(ignored, signal.SIG_IGN)
    try:
        handed = read_handover(_COMMANDS)
    except EOFError:
        return 0
    reports = Reports(REPORTS)
    log = handed.config.log
    levels = None if log is None else LogLevels(log)
    # What the parent would not write need not come to it.
    observer = reports if levels is None else levels.filtered(reports)
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)
    from twisted.internet import reactor as installed  # noqa: PLC0415, TID251

    reactor = cast(IGatewayReactor, installed)
    worker = Worker(handed, reactor, reports.tell, own_process=True, levels=levels)
    if not worker.prepare():
        return 1
    commands = CommandReader(
        cast(IReactorFDSet, reactor), _COMMANDS, worker.obey, worker.parent_gone
    )
    commands.start()
    reactor.callWhenRunning(worker.start)
    reactor.addSystemEventTrigger("before", "shutdown", worker.shut_down)
    reactor.run()
    return 1 if worker.has_failed else 0


if __name__ == "__main__":
    sys.exit(main())
