"""Which events of the log are written, by their namespaces; changed while the process runs."""

from collections.abc import Callable, Mapping
from typing import Final

from twisted.logger import ILogObserver, LogEvent, LogLevel
from zope.interface import implementer

from gnetway.config.log import Level, LogConfig

#: The order of Twisted's levels.
_RANKS: Final = {
    LogLevel.debug: 0,
    LogLevel.info: 1,
    LogLevel.warn: 2,
    LogLevel.error: 3,
    LogLevel.critical: 4,
}

_RANK_OF: Final = {level: rank for rank, level in enumerate(Level)}

#: Namespaces whose level is at hand; there are some hundred, but a handler may make them up.
_MAX_KNOWN: Final = 1024


class LogLevels:
    """From which level on events are written, by their namespaces; may change at any time.

    The longest name counts that an event's namespace is, or is inside of; ``""`` is all of them.
    """

    def __init__(self, config: LogConfig) -> None:
        self._levels: dict[str, Level] = {}
        #: Ranks by the namespaces that were met.
        self._known: dict[object, int] = {}
        self._listeners: list[Callable[[], object]] = []
        self.use(config)

    def use(self, config: LogConfig) -> None:
        """Take the levels of a configuration, and forget all others."""
        self.replace({"": config.level, **config.levels})

    def set(self, namespace: str, level: Level | None) -> None:
        """Have a namespace written from a level on; None: as what is around it."""
        levels = {**self._levels, namespace: level}
        self.replace({name: its for name, its in levels.items() if its is not None})

    def replace(self, levels: Mapping[str, Level]) -> None:
        """Take these, and forget all others."""
        self._levels = {"": Level.INFO, **levels}
        self._known = {}
        for listener in self._listeners:
            listener()

    def as_dict(self) -> dict[str, Level]:
        """Return the level of each namespace that has one of its own."""
        return dict(self._levels)

    def when_changed(self, listener: Callable[[], object]) -> None:
        """Call ``listener`` at each change from now on."""
        self._listeners.append(listener)

    def of(self, namespace: str) -> Level:
        """Return from which level on a namespace is written."""
        while namespace and namespace not in self._levels:
            namespace = namespace.rpartition(".")[0]
        return self._levels[namespace]

    def filtered(self, observer: ILogObserver) -> ILogObserver:
        """Return what hands on to ``observer`` only the events that are to be written."""
        return _Filtered(self, observer)

    def lets_through(self, event: LogEvent) -> bool:
        """Return whether an event is to be written; one without a level is."""
        namespace = event.get("log_namespace")
        least = self._known.get(namespace)
        if least is None:
            if len(self._known) >= _MAX_KNOWN:
                self._known = {}
            least = self._known[namespace] = _RANK_OF[self.of(str(namespace or ""))]
        return _RANKS.get(event.get("log_level"), least) >= least


@implementer(ILogObserver)
class _Filtered:
    def __init__(self, levels: LogLevels, observer: ILogObserver) -> None:
        self._lets_through = levels.lets_through
        self._observer = observer

    def __call__(self, event: LogEvent) -> None:
        if self._lets_through(event):
            self._observer(event)
