"""The listening sockets of all workers, bound by the parent and kept for workers to come.

Each worker has a socket of its own for every TCP address: the kernel spreads new connections over
them (SO_REUSEPORT), and nobody wakes in vain. One in the file system is shared. The parent binds
them all before twistd gives up its privileges, so that a worker can be started again later at a
port below 1024, and before it becomes a daemon, so that a taken port is told on the terminal.

Since the parent has them open, the sockets of a worker outlive it. So they are shut at its death,
or the kernel would go on giving them connections; the next worker listens on them again.
"""

import os
import socket
from contextlib import suppress
from dataclasses import replace
from tempfile import mkdtemp
from typing import Final

from gnetway.config.addresses import Address, UnixAddress
from gnetway.config.model import GatewayConfig
from gnetway.config.servers import Proto, ServerConfig
from gnetway.service.listeners import BACKLOG, Listener, Place, bind, bind_each, close_all
from gnetway.service.unix_sockets import SocketFile, bind_unix

#: The worker that serves HTTP for all of them.
_HTTP_WORKER: Final = 0

_PRIVATE_MODE: Final = 0o600


class WorkerSockets:
    """The sockets of ``count`` workers."""

    def __init__(self, config: GatewayConfig, count: int) -> None:
        self._config = config
        self._count = count
        #: For each address a listener for each worker.
        self._bound: list[list[Listener]] = []
        #: Where the other workers carry HTTP to the first one, by the index of the listener.
        self._relayed: dict[int, Listener] = {}
        self._folder = ""

    @property
    def listeners(self) -> list[Listener]:
        """One listener for each address."""
        return [listeners[0] for listeners in self._bound]

    def bind(self) -> None:
        """Bind every address.

        :raises ConfigError: with each address that cannot be bound; nothing stays bound then.
        """
        self._bound = bind_each(self._config, self._bind)

    def bind_relays(self) -> None:
        """Bind those of the worker that serves HTTP, which only this user may open.

        Later than the others: twistd has changed the user by then.
        """
        for index, server in enumerate(self._config.gnetway.servers):
            if server.serves(Proto.HTTP):
                # Where there is none, nobody would remove it after a parent that was killed.
                self._folder = self._folder or mkdtemp(prefix="gnetway-")
                path = os.path.join(self._folder, f"http-{index}")
                bound = bind_unix(path, _PRIVATE_MODE, BACKLOG)
                self._relayed[index] = Listener(server, bound, file=SocketFile(path))

    def of(self, number: int) -> list[Listener]:
        """Return those of a worker, one for each address."""
        return [listeners[number] for listeners in self._bound]

    def relayed(self, number: int) -> dict[int, Listener]:
        """Return those by which other workers carry HTTP to this one."""
        return self._relayed if number == _HTTP_WORKER else {}

    def http_elsewhere(self, number: int) -> dict[int, str]:
        """Return the paths at which another worker serves a worker's HTTP."""
        if number == _HTTP_WORKER:
            return {}
        return {
            index: listener.file.path
            for index, listener in self._relayed.items()
            if listener.file is not None
        }

    def shut(self, number: int) -> None:
        """Have a worker's own sockets take no connections; those that wait there are reset."""
        for listener in self.of(number):
            if listener.file is None:
                with suppress(OSError):
                    listener.bound.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close all of them here; where a worker serves one, it goes on."""
        bound, self._bound = [*self._bound, list(self._relayed.values())], []
        self._relayed = {}
        for listeners in bound:
            close_all(listeners)
        if self._folder:
            with suppress(OSError):
                os.rmdir(self._folder)

    def _bind(self, server: ServerConfig, address: Place) -> list[Listener]:
        # Alone at first: a port that is to be shared can be shared with any program of this user.
        first = bind(server, address)
        if isinstance(address, UnixAddress):
            return [first] * self._count
        first.close()
        # A port that the kernel has chosen is named from here on, or it would be lost by a shut.
        named: Address = replace(address, port=first.port)
        return [bind(server, named, reuse_port=True) for _ in range(self._count)]
