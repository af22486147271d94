"""What a worker begins with: the configuration as its parent has read it, and its sockets.

It comes by the pipe of the commands, before the first of them; with one of them another
configuration may come later. The files are not read again: the worker may not be allowed to, where
twistd has changed the user, and it is to run what the other workers run.
"""

import os
import pickle
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, NamedTuple, cast

from gnetway.config.model import GatewayConfig, share_out
from gnetway.errors import ConfigError
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


def pack(handover: Handover) -> bytes:
    """Return a handover as bytes: their length, then the rest. It holds private keys."""
    content = pickle.dumps(handover)
    return len(content).to_bytes(_LENGTH_BYTES, "big") + content


def read(descriptor: int) -> Handover:
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
