"""Telemetry: where traces go, go-zero's section. Nothing is traced without an Endpoint.

Source: github.com/zeromicro/go-zero, core/trace/config.go
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from gnetway.config.addresses import endpoint
from gnetway.config.document import Node, join
from gnetway.config.faults import Rejected, shown
from gnetway.config.reader import section
from gnetway.config.values import (
    Reading,
    choice,
    described,
    described_as,
    flag,
    key,
    optional,
    secret,
    text,
    web_path,
)


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
