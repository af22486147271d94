"""What parent and worker tell each other: lines, by pipes.

    parent → worker    a Command and its argument, after the handover, by descriptor 0
    worker → parent    a Report as JSON, on descriptor REPORTS; what is printed goes its usual ways

The handover is the configuration as the parent has read it, and the sockets; with a later command
another configuration may come. The files are not read again: the worker may not be allowed to,
where twistd has changed the user, and it is to run what the other workers run.

The end of its commands tells a worker that its parent is gone.
"""

import json
import os
import pickle
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from enum import StrEnum
from typing import Final, NamedTuple, TypeAlias, cast

from twisted.internet.interfaces import IReactorFDSet, IReadDescriptor
from twisted.logger import ILogObserver, LogEvent, LogLevel, eventAsText
from twisted.python.failure import Failure
from zope.interface import implementer

from gnetway.config.model import GatewayConfig, share_out
from gnetway.errors import ConfigError
from gnetway.metrics import GatewayCounts, Measures
from gnetway.runtime.machine import machine_memory

#: Bytes of the length before the rest, big endian.
_LENGTH_BYTES: Final = 8


class HandedSocket(NamedTuple):
    """A listening socket, by its descriptor in the worker.

    ``server`` is the index of its item in Gnetway.Server; ``path`` is that of a socket in the
    file system, else empty. One that is ``relayed`` is where other workers carry HTTP.
    """

    server: int
    descriptor: int
    path: str
    relayed: bool


class Handover(NamedTuple):
    """What a worker begins with; its ``number`` counts from 0.

    ``http_elsewhere`` has the path of another worker's socket for each index in Gnetway.Server
    whose HTTP is served there.
    """

    config: GatewayConfig
    number: int
    sockets: tuple[HandedSocket, ...]
    http_elsewhere: Mapping[int, str]


def pack_handover(handover: Handover) -> bytes:
    """Return a handover as bytes: their length, then the rest. It holds private keys."""
    content = pickle.dumps(handover)
    return len(content).to_bytes(_LENGTH_BYTES, "big") + content


def read_handover(descriptor: int) -> Handover:
    """Return the handover that comes by a pipe, however long that takes.

    :raises EOFError: the pipe ends before it is whole: the parent is gone.
    """
    length = int.from_bytes(_read_exactly(descriptor, _LENGTH_BYTES), "big")
    # From our own parent, by a pipe that nobody else has.
    return cast(Handover, pickle.loads(_read_exactly(descriptor, length)))  # noqa: S301


def pack_config(config: GatewayConfig) -> str:
    """Return a configuration as a text without spaces. It holds private keys."""
    return b64encode(pickle.dumps(config)).decode("ascii")


def unpack_config(packed: str) -> GatewayConfig:
    """Return the configuration of such a text, from our own parent."""
    return cast(GatewayConfig, pickle.loads(b64decode(packed)))  # noqa: S301


def _read_exactly(descriptor: int, length: int) -> bytes:
    content = bytearray()
    while len(content) < length:
        segment = os.read(descriptor, length - len(content))
        if not segment:
            raise EOFError("the parent is gone")
        content += segment
    return bytes(content)


_MAX_PORT: Final = 65535


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0))


def shares(config: GatewayConfig, count: int) -> list[GatewayConfig]:
    """Return the configuration of each worker: the same, but for its gRPC address and its share.

    A push must reach the process that has the connection. So each worker serves session services
    at an address of its own, by which they know it: ListenOn for worker 0, and for worker k the
    k-th port above it; port 0 gives each any free one. MemoryBudget, what a client's address
    may have (Gnetway.Admission) and Drain.PerSecond are of all workers together, and each has a
    part, since the kernel spreads connections over them.

    :raises ConfigError: there are not so many ports above that of ListenOn.
    """
    listen_on = config.listen_on
    assert listen_on is not None, "several workers have a remote session backend"
    if listen_on.port + count - 1 > _MAX_PORT:
        found = f"{listen_on} for {count} workers, which take a port each from there on"
        allowed = f"a port up to {_MAX_PORT - count + 1}, or 0"
        raise ConfigError([config.fault("ListenOn", found, allowed)])
    shared_out = share_out(config, machine_memory(), count)
    admission = config.gnetway.admission.share(count)
    per_second = max(1, config.gnetway.drain.per_second // count)
    drain = replace(config.gnetway.drain, per_second=per_second)
    gnetway = replace(shared_out.gnetway, admission=admission, drain=drain)
    shared = replace(shared_out, gnetway=gnetway)
    ports = [listen_on.port + number if listen_on.port else 0 for number in range(count)]
    return [replace(shared, listen_on=replace(listen_on, port=port)) for port in ports]


#: Where a worker writes its reports: the first descriptor behind the standard ones.
REPORTS: Final = 3


class Command(StrEnum):
    """What a worker is told to do."""

    STOP = "stop"
    #: Before STOP: another gateway has taken over.
    LEND = "lend"
    #: After STOP: end all connections now.
    HURRY = "hurry"
    #: Read the certificates again.
    RELOAD = "reload"
    #: With a number, which its answer has as well, and another configuration.
    TAKE = "take"
    COUNT = "count"
    #: With a question of an operator, as ``workers.questions`` has it.
    ASK = "ask"
    #: With the id of an auth key that another worker has found to be gone.
    FORGET = "forget"
    #: With the levels of the log by their namespaces, as JSON.
    LEVELS = "levels"


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


class Answered(NamedTuple):
    """A piece of the answer to the question of that number."""

    question: int
    piece: str
    is_last: bool


class Taken(NamedTuple):
    """The worker goes on with another configuration, or as before where there are ``faults``.

    ``number`` is that of the order, ``backend`` describes its session backend now.
    """

    number: int
    backend: str
    faults: tuple[str, ...]


class Logged(NamedTuple):
    """Something for the log; ``level`` is a LogLevel's name, ``text`` has tracebacks within.

    ``when`` is the time of day, None for now.
    """

    level: str
    namespace: str
    text: str
    when: float | None = None


Report: TypeAlias = Ready | Refused | Counted | KeyGone | Answered | Taken | Logged


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
        case [
            "Counted",
            [
                int(open_now),
                dict(causes),
                dict(pushes),
                int(opened),
                int(keys),
                dict(gauges),
                list(unready),
                [dict(totals), dict(levels), dict(histograms)],
            ],
        ]:
            why = tuple(map(str, unready))
            measures = Measures(totals, levels, histograms)
            return Counted(
                GatewayCounts(open_now, causes, pushes, opened, keys, gauges, why, measures)
            )
        case ["KeyGone", int(auth_key_id)]:
            return KeyGone(auth_key_id)
        case ["Taken", int(number), str(backend), list(faults)]:
            return Taken(number, backend, tuple(map(str, faults)))
        case ["Logged", str(level), str(namespace), str(text), None | float() as when]:
            return Logged(level, namespace, text, when)
        case ["Answered", int(question), str(piece), bool(is_last)]:
            return Answered(question, piece, is_last)
    raise ValueError("no report of a worker")


_READ_BYTES: Final = 4096


@implementer(IReadDescriptor)
class CommandReader:
    """The worker's end of the commands: hands each line to ``obey``; at its end calls ``gone``."""

    def __init__(
        self,
        reactor: IReactorFDSet,
        descriptor: int,
        obey: Callable[[str], object],
        gone: Callable[[], object],
    ) -> None:
        self._reactor = reactor
        self._descriptor = descriptor
        self._obey = obey
        self._gone = gone
        self._rest = b""

    def start(self) -> None:
        """Begin to read."""
        os.set_blocking(self._descriptor, False)
        self._reactor.addReader(self)

    def fileno(self) -> int:
        """Return the pipe, for the reactor."""
        return self._descriptor

    def doRead(self) -> None:  # noqa: N802
        """Take what has come."""
        try:
            segment = os.read(self._descriptor, _READ_BYTES)
        except BlockingIOError:
            return
        if not segment:
            self._reactor.removeReader(self)
            self._gone()
            return
        *lines, self._rest = (self._rest + segment).split(b"\n")
        for line in lines:
            self._obey(line.decode())

    def connectionLost(self, reason: Failure) -> None:
        """See IReadDescriptor: the reactor ends, or the pipe is broken."""
        self._reactor.removeReader(self)
        self._gone()

    def logPrefix(self) -> str:  # noqa: N802
        """Return a name for the log."""
        return "commands"


@implementer(ILogObserver)
class Reports:
    """The worker's end of the reports: writes them, and as a log observer all that is logged.

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
        namespace = str(event.get("log_namespace", ""))
        self.tell(Logged(level.name, namespace, text, event.get("log_time")))
