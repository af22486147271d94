"""What a worker begins with: the configuration as its parent has read it, and its sockets.

It comes by the pipe of the commands, before the first of them. The files are not read again: the
worker may not be allowed to, where twistd has changed the user, and it is to run what the other
workers run.
"""

import os
import pickle
from collections.abc import Mapping
from typing import Final, NamedTuple, cast

from gnetway.config.model import GatewayConfig

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


def _read_exactly(descriptor: int, length: int) -> bytes:
    content = bytearray()
    while len(content) < length:
        segment = os.read(descriptor, length - len(content))
        if not segment:
            raise EOFError("the parent is gone")
        content += segment
    return bytes(content)
