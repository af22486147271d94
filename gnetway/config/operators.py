"""What an operator sees of a running gateway: Log, Telemetry, Admin and Prometheus.

Log says where the log goes, in which form, and what is written of it. Its words are those of
go-zero's logx, which Teamgram's services log by; Levels is ours. Without the section the log is
twistd's. Telemetry says where traces go; nothing is traced without an Endpoint. Admin is where an
operator asks, and Prometheus is go-zero's form of it. Both are read as they stand in the file.
Nobody listens without them.

Source: github.com/zeromicro/go-zero, core/logx/config.go and core/trace/config.go
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from gnetway.config.addresses import Address, UnixAddress, endpoint, is_loopback, listener_address
from gnetway.config.document import Node, Rejected, join, shown
from gnetway.config.files import output_path
from gnetway.config.reader import section
from gnetway.config.servers import DEFAULT_MODE, unix_mode
from gnetway.config.values import (
    TEXT,
    Reading,
    choice,
    described,
    described_as,
    flag,
    key,
    list_of,
    optional,
    secret,
    text,
    web_path,
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


class Batcher(StrEnum):
    """What a collector is spoken to in; go-zero's others are not taken, and then nothing is."""

    OTLP_GRPC = "otlpgrpc"
    OTLP_HTTP = "otlphttp"


_RATIO: Final = "a number from 0 to 1"


@described({"type": "number", "minimum": 0, "maximum": 1}, _RATIO)
def _ratio(node: Node, reading: Reading) -> float:
    value = node.value
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        reading.reject(node, shown(value), _RATIO)
    return float(value)


#: Of gRPC, whose names are the narrower ones.
_FIELD_NAME: Final = re.compile(r"[0-9a-z_.-]+")


_HEADERS: Final = "a mapping of names to texts"


@described({"type": "object", "additionalProperties": {"type": "string"}}, _HEADERS)
def _headers(node: Node, reading: Reading) -> Mapping[str, str]:
    """Read a mapping of names to texts, which are secrets: collectors know their users by them."""
    if not isinstance(node.value, dict):
        reading.reject(node, "no mapping", _HEADERS)
    headers = {}
    sound = True
    for name, child in node.value.items():
        child.path = join(node.path, name)
        reading.lines[child.path] = child.line
        try:
            value = secret(child, reading)
            if not _FIELD_NAME.fullmatch(name.lower()):
                reading.reject(child, "a name with other characters", "letters, digits, -, _, .")
            if not value.isascii() or not value.isprintable():
                reading.reject(child, "a value with others", "printable characters of ASCII")
            headers[name.lower()] = value
        except Rejected:
            sound = False
    if not sound:
        raise Rejected
    return headers


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryConfig:
    """Telemetry; ``ratio`` is of the calls that begin a trace here."""

    name: str = field(default="", metadata=key("Name", optional(text)))
    endpoint: str | None = field(default=None, metadata=key("Endpoint", optional(endpoint)))
    ratio: float = field(default=1.0, metadata=key("Sampler", _ratio))
    batcher: Batcher = field(default=Batcher.OTLP_GRPC, metadata=key("Batcher", choice(Batcher)))
    headers: Mapping[str, str] | None = field(
        default=None, repr=False, metadata=key("OtlpHeaders", optional(_headers))
    )
    http_path: str = field(default="/v1/traces", metadata=key("OtlpHttpPath", web_path))
    http_secure: bool = field(default=False, metadata=key("OtlpHttpSecure", flag))
    disabled: bool = field(default=False, metadata=key("Disabled", flag))


#: Those of go-zero, now or before, that collectors have given up for OTLP.
_NOT_TAKEN: Final = frozenset({"jaeger", "zipkin", "file"})


def _batcher(node: Node) -> object:
    """Return the value of Batcher, whatever stands there."""
    if not isinstance(node.value, dict):
        return None
    return next(
        (child.value for name, child in node.value.items() if name.lower() == "batcher"), None
    )


_OF_HTTP: Final = ("OtlpHttpPath", "OtlpHttpSecure")
_OF_ALL: Final = ("Name", "Sampler", "Batcher", "OtlpHeaders", *_OF_HTTP)


@described_as(section(TelemetryConfig))
def telemetry(node: Node, reading: Reading) -> TelemetryConfig | None:
    """Read Telemetry; None where nothing is to be traced, and what then means nothing is listed."""
    if _batcher(node) in _NOT_TAKEN:
        # Its other keys are of that one, such as an Endpoint that is an address of the web.
        reading.unused.append(node.path)
        return None
    read = section(TelemetryConfig)(node, reading)
    is_off = read.disabled or read.endpoint is None
    meaningless: tuple[str, ...] = ()
    if is_off:
        meaningless = _OF_ALL if read.endpoint is None else ("Endpoint", *_OF_ALL)
    elif read.batcher is Batcher.OTLP_GRPC:
        meaningless = _OF_HTTP
    paths = (join(node.path, name) for name in meaningless)
    reading.unused.extend(path for path in paths if path in reading.lines)
    return None if is_off else read


#: A token that is shorter could be found out by trying.
MIN_TOKEN_CHARS: Final = 16


_TOKEN: Final = f"a text of {MIN_TOKEN_CHARS} or more printable characters of ASCII"


@described({"type": "string", "minLength": MIN_TOKEN_CHARS}, _TOKEN)
def _token(node: Node, reading: Reading) -> str:
    read = secret(node, reading)
    if len(read) < MIN_TOKEN_CHARS or not read.isascii() or not read.isprintable():
        reading.reject(node, "one that is shorter, or has others", _TOKEN)
    return read


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminConfig:
    """Admin: addresses of the admin site, and what whoever reads it must know."""

    addresses: tuple[Address | UnixAddress, ...] = field(
        metadata=key("Addresses", list_of(listener_address))
    )
    token: str = field(default="", repr=False, metadata=key("Token", optional(_token)))
    unix_mode: int = field(default=DEFAULT_MODE, metadata=key("UnixMode", unix_mode))

    @property
    def open_to_others(self) -> list[str]:
        """The addresses that other machines reach without a token."""
        return [
            str(address)
            for address in self.addresses
            if not self.token and isinstance(address, Address) and not is_loopback(address.host)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class PrometheusConfig:
    """Prometheus, as Teamgram's services have it: one address with the metrics and nothing else.

    Without a Host nobody listens, as there.
    """

    host: str = field(default="", metadata=key("Host", optional(text)))
    port: int = field(default=9101, metadata=key("Port", whole(0, 65535)))
    path: str = field(default="/metrics", metadata=key("Path", web_path))


@described_as(section(PrometheusConfig))
def prometheus(node: Node, reading: Reading) -> PrometheusConfig | None:
    """Read Prometheus; None where nobody is to listen."""
    read = section(PrometheusConfig)(node, reading)
    if not read.host:
        reading.unused.extend(
            path for name in ("Port", "Path") if (path := join(node.path, name)) in reading.lines
        )
        return None
    return read
