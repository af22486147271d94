"""The way from a worker to its parent."""

import os
from contextlib import suppress

from twisted.logger import ILogObserver, LogEvent, LogLevel, eventAsText
from zope.interface import implementer

from gnetway.workers.pipe import Logged, Report, pack


@implementer(ILogObserver)
class Reports:
    """Writes reports; as an observer of the log, all that is logged.

    They are written at once, so that nothing is lost of a process that ends the next moment. They
    are few: a parent that does not read would have to miss hundreds before it is waited for.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def tell(self, report: Report) -> None:
        """Send a report; lost where the parent is gone."""
        content = pack(report)
        with suppress(OSError):
            while content:
                content = content[os.write(self._descriptor, content) :]

    def __call__(self, event: LogEvent) -> None:
        """Send an event of the log."""
        level = event.get("log_level") or LogLevel.info
        text = eventAsText(event, includeTimestamp=False, includeSystem=False)
        self.tell(Logged(level.name, str(event.get("log_namespace", "")), text))
