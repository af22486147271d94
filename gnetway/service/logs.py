"""The log of a process: which events are written, and with the section Log their lines and places.

Levels are by namespace, and change while the process runs. twistd chooses where the log goes once
makeService has returned. What the section asks for takes the place of twistd's own choice, but not
of what was asked of twistd: its --logfile, --syslog and --logger have the log as well.
"""

import json
import os
import pwd
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Final, cast

from twisted.application.service import IService, MultiService
from twisted.logger import (
    FilteringLogObserver,
    ILogObserver,
    LogEvent,
    Logger,
    LogLevel,
    LogLevelFilterPredicate,
    LogPublisher,
    eventAsText,
    globalLogPublisher,
    textFileLogObserver,
)
from twisted.python.components import Componentized
from zope.interface import implementer

from gnetway.config.model import GatewayConfig
from gnetway.config.operators import (
    DEFAULT_BACKUPS,
    Level,
    LogConfig,
    LogEncoding,
    LogMode,
    Rotation,
)
from gnetway.errors import ConfigError
from gnetway.log_file import (
    Bounds,
    LogSink,
    LogWriter,
    RotatingLog,
    as_text,
    complain_on_terminal,
)

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


# Lines for machines, under go-zero's names.

#: Twisted's levels as go-zero writes them.
_WORDS: Final = {
    LogLevel.debug: "debug",
    LogLevel.info: "info",
    LogLevel.warn: "warn",
    LogLevel.error: "error",
    LogLevel.critical: "fatal",
}


def as_json(event: LogEvent, max_content_bytes: int = 0) -> str:
    """Return an event as a line of JSON, in ASCII alone, a traceback inside of its content."""
    content, is_cut = _cut(_content(event), max_content_bytes)
    entry: dict[str, object] = {
        "@timestamp": _timestamp(event),
        "caller": str(event.get("log_namespace") or ""),
        "content": content,
        "level": _WORDS.get(event.get("log_level"), "info"),
    }
    if "log_worker" in event:
        entry["worker"] = event["log_worker"]
    if is_cut:
        entry["truncated"] = True
    return json.dumps(entry) + "\n"


def _content(event: LogEvent) -> str:
    return eventAsText(event, includeTimestamp=False, includeSystem=False)


def _cut(content: str, max_bytes: int) -> tuple[str, bool]:
    encoded = content.encode("utf-8", "backslashreplace") if max_bytes else b""
    if len(encoded) <= max_bytes:
        return content, False
    return encoded[:max_bytes].decode("utf-8", "ignore"), True


def _timestamp(event: LogEvent) -> str:
    moment = datetime.fromtimestamp(event.get("log_time") or 0.0).astimezone()
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _form(config: LogConfig, encoding: LogEncoding) -> Callable[[LogEvent], str]:
    most = config.max_content_bytes
    if encoding is LogEncoding.JSON:
        return lambda event: as_json(event, most)

    def cut_text(event: LogEvent) -> str:
        content, is_cut = _cut(_content(event), most)
        if not is_cut:
            return as_text(event)
        plain = {"log_format": "{content}", "content": content, "log_failure": None}
        return as_text({name: value for name, value in {**event, **plain}.items() if value})

    return cut_text if most else as_text


# Where it goes.

#: Beside what the Go gateway may have in the same folder, which has several files.
FILE_NAME: Final = "gnetway.log"

_MIB: Final = 1024 * 1024


class Console:
    """A LogSink: what the process was started with as its standard output."""

    path = "on the standard output"

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, data: bytes, now: float) -> None:
        """See LogSink."""
        while data:
            data = data[os.write(self._descriptor, data) :]


class ProcessLog:
    """The log that the section Log asks for.

    ``levels`` says what is written of it, and may be changed. ``twistd`` are twistd's options,
    nothing where the process is not its.

    :raises ConfigError: the file cannot be made.
    """

    _log = Logger()

    def __init__(self, config: GatewayConfig, twistd: Mapping[str, object]) -> None:
        assert config.log is not None, "only for the section Log"
        self._config = config.log
        self._twistd = twistd
        self._file: RotatingLog | None = None
        self.levels = LogLevels(config.log)
        self.writer: LogWriter | None = None
        sink: LogSink
        if config.log.mode is not LogMode.CONSOLE:
            sink = self._file = _open_file(config, config.log, _owner(twistd))
            encoding = config.log.encoding or LogEncoding.JSON
        elif self._takes_twistds_place():
            sys.stdout.flush()
            sink = Console(sys.stdout.fileno())
            by_default = LogEncoding.PLAIN if sys.stdout.isatty() else LogEncoding.JSON
            encoding = config.log.encoding or by_default
        else:
            return
        form = _form(config.log, encoding)
        self.writer = LogWriter(sink, form, complain_on_terminal)

    def take(self, config: GatewayConfig) -> None:
        """Take the levels of another configuration, where it has others than the one before.

        Else those stay that were set since then.
        """
        log, before = config.log, self._config
        if log is not None and (log.level, log.levels) != (before.level, before.levels):
            self._config = log
            self.levels.use(log)

    def reopen(self) -> None:
        """Go on with the file that is at its path now, for a program that has renamed it."""
        if self._file is not None:
            try:
                self._file.reopen()
            except OSError as error:
                self._log.warn(
                    "the log {path} cannot be opened anew, the old file is written on: {why}",
                    path=self._file.path,
                    why=error.strerror,
                )

    def begin(self, gateway: IService) -> IService:
        """Have the log of the process written; return what twistd is to run for ``gateway``."""
        if self.writer is None:
            return LoggedService(gateway, self, None)
        observer = self.levels.filtered(self.writer)
        if not self._takes_twistds_place():
            globalLogPublisher.addObserver(observer)
            return LoggedService(gateway, self, None)
        if self._file is not None and self._twistd["nodaemon"]:
            # Who looks at the terminal learns where the log is, and whatever is worst.
            sys.stdout.write(f"gnetway: the log is in {self._file.path}\n")
            sys.stdout.flush()
            worst = LogLevelFilterPredicate(defaultLogLevel=LogLevel.critical)
            terminal = FilteringLogObserver(textFileLogObserver(sys.stderr), [worst])
            observer = LogPublisher(observer, terminal)
        return LoggedService(gateway, self, observer)

    def tell_what_is_amiss(self) -> None:
        """Log what cannot be as the section has it; once the process has the user that it keeps."""
        if self.writer is None:
            self._log.warn("Log, whose Mode is console, is without effect: twistd logs elsewhere")
        bounds = None if self._file is None else self._file.bounds
        if self._file is not None and bounds and (bounds.daily or bounds.max_bytes):
            folder = os.path.dirname(self._file.path)
            if not os.access(folder, os.W_OK | os.X_OK, effective_ids=True):
                self._log.warn(
                    "the log {path} will grow without a bound: user {user} may rename nothing in"
                    " {folder}; give it the folder",
                    path=self._file.path,
                    user=os.geteuid(),
                    folder=folder,
                )

    def _takes_twistds_place(self) -> bool:
        """Whether nobody has told twistd where the log goes.

        The console is not that of a daemon.
        """
        options = self._twistd
        if "nodaemon" not in options or options.get("logger") or options.get("syslog"):
            return False
        file = options.get("logfile")
        if self._config.mode is LogMode.CONSOLE:
            return bool(options["nodaemon"]) and file in (None, "", "-")
        return not file


class LoggedService(MultiService):
    """What twistd runs: a gateway, and the observer that is to be in the place of twistd's own.

    It is None where twistd's stays.
    """

    def __init__(self, gateway: IService, log: ProcessLog, observer: ILogObserver | None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._log = log
        self._observer = observer
        gateway.setServiceParent(self)

    def setServiceParent(self, parent: object) -> None:
        """Give the application the observer, which twistd then takes."""
        super().setServiceParent(parent)  # type: ignore[no-untyped-call]
        if self._observer is not None and isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, self._observer)

    def startService(self) -> None:
        """Begin; twistd has changed the user by now."""
        self._log.tell_what_is_amiss()
        super().startService()  # type: ignore[no-untyped-call]


def _owner(twistd: Mapping[str, object]) -> tuple[int, int] | None:
    """Return the user and the group that twistd will change to, None for as it is."""
    user, group = cast("tuple[int | None, int | None]", (twistd.get("uid"), twistd.get("gid")))
    if user is None:
        return None
    if group is None:
        with suppress(KeyError):
            group = pwd.getpwuid(user).pw_gid
    return user, os.getgid() if group is None else group


def _open_file(config: GatewayConfig, log: LogConfig, owner: tuple[int, int] | None) -> RotatingLog:
    """Open the file, in a folder that is made where it is not there.

    :raises ConfigError: that cannot be.
    """
    folder = log.path
    if log.mode is LogMode.VOLUME:
        name = (log.service_name or config.name).replace("/", "_")
        folder = os.path.join(folder, f"_{name}" if name in (".", "..") else name)
        folder = os.path.join(folder, socket.gethostname())
    keep = log.max_backups
    bounds = Bounds(
        max_bytes=log.max_size_mib * _MIB,
        keep=max(DEFAULT_BACKUPS, log.keep_days) if keep is None else keep,
        daily=log.rotation is Rotation.DAILY,
        keep_days=log.keep_days,
        compress=log.compress,
    )
    try:
        _make_folder(folder, owner)
        return RotatingLog(os.path.join(folder, FILE_NAME), bounds, owner)
    except OSError as error:
        found = f"{error.filename or folder}: {error.strerror}"
        path = "Log.Path" if "Log.Path" in config.lines else "Log"
        raise ConfigError([config.fault(path, found, "a folder for log files")]) from None


def _make_folder(folder: str, owner: tuple[int, int] | None) -> None:
    """Make a folder and those around it, for who is to write there."""
    above = os.path.dirname(folder)
    if not os.path.isdir(above) and above != folder:
        _make_folder(above, owner)
    if not os.path.isdir(folder):
        os.mkdir(folder)
        if owner is not None and os.geteuid() == 0:
            os.chown(folder, *owner)
