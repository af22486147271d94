"""What parent and worker tell each other: lines, by pipes.

    parent → worker    a Command and its argument, after the handover (handover.py), by descriptor 0
    worker → parent    a Report as JSON, on descriptor REPORTS; what is printed goes its usual ways

The end of its commands tells a worker that its parent is gone.
"""

import json
from enum import StrEnum
from typing import Final, NamedTuple, TypeAlias

from gnetway.metrics import GatewayCounts

#: Where a worker writes its reports: the first descriptor behind the standard ones.
REPORTS: Final = 3


class Command(StrEnum):
    """What a worker is told to do."""

    STOP = "stop"
    RELOAD = "reload"
    COUNT = "count"
    #: With the id of an auth key that another worker has found to be gone.
    FORGET = "forget"


class Ready(NamedTuple):
    """The worker serves; ``backend`` describes its session backend."""

    backend: str


class Refused(NamedTuple):
    """The worker cannot start, for the configuration's sake: a line for each fault."""

    faults: tuple[str, ...]


class Counted(NamedTuple):
    """What the worker has counted so far."""

    counts: GatewayCounts


class KeyGone(NamedTuple):
    """A session service has let out that a key is destroyed, or that it knows it no more."""

    auth_key_id: int


class Logged(NamedTuple):
    """Something for the log; ``level`` is a LogLevel's name, ``text`` has tracebacks within."""

    level: str
    namespace: str
    text: str


Report: TypeAlias = Ready | Refused | Counted | KeyGone | Logged


def pack(report: Report) -> bytes:
    """Return a report as a line, with its end."""
    return json.dumps([type(report).__name__, *report]).encode() + b"\n"


def unpack(line: bytes) -> Report:
    """Return the report of a line.

    :raises ValueError: it is none.
    """
    match json.loads(line):
        case ["Ready", str(backend)]:
            return Ready(backend)
        case ["Refused", list(faults)]:
            return Refused(tuple(map(str, faults)))
        case ["Counted", [int(open_connections), dict(causes), dict(pushes)]]:
            return Counted(GatewayCounts(open_connections, causes, pushes))
        case ["KeyGone", int(auth_key_id)]:
            return KeyGone(auth_key_id)
        case ["Logged", str(level), str(namespace), str(text)]:
            return Logged(level, namespace, text)
    raise ValueError("no report of a worker")
