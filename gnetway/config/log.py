"""Log: where the log goes, in which form, and what is written of it; go-zero's section.

Its words are those of go-zero's logx, which Teamgram's services log by; Levels is ours. Without
the section the log is twistd's.
Source: github.com/zeromicro/go-zero, core/logx/config.go
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from gnetway.config.document import Node, join
from gnetway.config.faults import Rejected, shown
from gnetway.config.files import output_path
from gnetway.config.reader import section
from gnetway.config.values import (
    TEXT,
    Reading,
    choice,
    described,
    described_as,
    flag,
    key,
    optional,
    text,
    whole,
)


class LogMode(StrEnum):
    """Where the log goes; ``volume`` is a folder of this machine's own below Path."""

    CONSOLE = "console"
    FILE = "file"
    VOLUME = "volume"


class LogEncoding(StrEnum):
    """What a line is."""

    JSON = "json"
    PLAIN = "plain"


class Rotation(StrEnum):
    """When a log file ends."""

    DAILY = "daily"
    SIZE = "size"


class Level(StrEnum):
    """From which level on events are written; go-zero has no ``warn``."""

    DEBUG = "debug"
    INFO = "info"
    WARN = "warn"
    ERROR = "error"
    SEVERE = "severe"


_FOLDER_PATH: Final = "the path of a folder"


@described(TEXT, _FOLDER_PATH)
def _path(node: Node, reading: Reading) -> str:
    read = text(node, reading)
    if "\0" in read:
        reading.reject(node, shown(read), _FOLDER_PATH)
    return output_path(read, reading.directory)


_LEVELS: Final = "a mapping of namespaces to levels"


@described({"type": "object", "additionalProperties": {"enum": list(Level)}}, _LEVELS)
def _levels(node: Node, reading: Reading) -> Mapping[str, Level]:
    """Read a mapping of namespaces to levels."""
    if not isinstance(node.value, dict):
        reading.reject(node, shown(node.value), _LEVELS)
    levels = {}
    sound = True
    for namespace, child in node.value.items():
        child.path = join(node.path, namespace)
        reading.lines[child.path] = child.line
        try:
            _check_namespace(namespace, child, reading)
            levels[namespace] = choice(Level)(child, reading)
        except Rejected:
            sound = False
    if not sound:
        raise Rejected
    return levels


#: The folder of gnetway, whose modules give their names to namespaces.
_PACKAGE: Final = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def _check_namespace(namespace: str, node: Node, reading: Reading) -> None:
    """Refuse the name of a module that gnetway does not have; others' are unknown here."""
    package, *names = namespace.split(".")
    if package != os.path.basename(_PACKAGE):
        return
    folder = _PACKAGE
    for name in names:
        if not os.path.isdir(folder):
            # A class may stand behind a module.
            return
        if name not in {entry.partition(".")[0] for entry in os.listdir(folder)}:
            reading.reject(node, "a namespace that no module has", "such as gnetway.net")
        folder = os.path.join(folder, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogConfig:
    """Log; ``path`` is absolute. Numbers that are 0 are no bound."""

    service_name: str = field(default="", metadata=key("ServiceName", optional(text)))
    mode: LogMode = field(default=LogMode.CONSOLE, metadata=key("Mode", choice(LogMode)))
    encoding: LogEncoding | None = field(
        default=None, metadata=key("Encoding", choice(LogEncoding))
    )
    path: str = field(default="", metadata=key("Path", _path))
    level: Level = field(default=Level.INFO, metadata=key("Level", choice(Level), live=True))
    levels: Mapping[str, Level] = field(
        default_factory=dict, metadata=key("Levels", optional(_levels), live=True)
    )
    max_content_bytes: int = field(
        default=0, metadata=key("MaxContentLength", whole(0, 1 << 32, "bytes"))
    )
    rotation: Rotation = field(default=Rotation.DAILY, metadata=key("Rotation", choice(Rotation)))
    max_size_mib: int = field(default=100, metadata=key("MaxSize", whole(0, 1 << 20, "MiB")))
    max_backups: int | None = field(
        default=None, metadata=key("MaxBackups", whole(0, 100_000, "files"))
    )
    keep_days: int = field(default=0, metadata=key("KeepDays", whole(0, 100_000, "days")))
    compress: bool = field(default=False, metadata=key("Compress", flag))


#: Path where the file has none.
_FOLDER: Final = "logs"

#: Old files where neither MaxBackups nor KeepDays says how many.
DEFAULT_BACKUPS: Final = 10

#: What only files have.
_OF_FILES: Final = ("Path", "Rotation", "MaxSize", "MaxBackups", "KeepDays", "Compress")


@described_as(section(LogConfig))
def log(node: Node, reading: Reading) -> LogConfig:
    """Read Log; what means nothing in its Mode is listed."""
    read = section(LogConfig)(node, reading)
    meaningless = [] if read.mode is LogMode.VOLUME else ["ServiceName"]
    if read.mode is LogMode.CONSOLE:
        meaningless += _OF_FILES
    paths = (join(node.path, name) for name in meaningless)
    reading.unused.extend(path for path in paths if path in reading.lines)
    return read if read.path else replace(read, path=output_path(_FOLDER, reading.directory))
