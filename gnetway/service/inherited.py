"""Listening sockets that somebody else has opened, to be taken in place of binding: systemd's.

    a socket of a configured address     is adopted there
    what is left over                    is named in a warning, and stays open: it is systemd's
    an address without a socket          is bound as ever

So the same configuration does with sockets and without.
"""

import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from twisted.logger import Logger

from gnetway.config.addresses import Address, UnixAddress
from gnetway.runtime.systemd import Passed


@dataclass(slots=True)
class InheritedSocket:
    """One of them; ``name`` says where it is from. ``owned`` is whether its file is ours by now."""

    bound: socket.socket
    name: str
    owned: bool = False

    def __str__(self) -> str:
        return f"{_place(self.bound) or 'no listening stream socket'} ({self.name})"


class InheritedSockets:
    """Finds them by address; each is taken once."""

    _log = Logger()

    def __init__(self, sockets: Iterable[InheritedSocket] = (), others: Iterable[str] = ()) -> None:
        self._left = list(sockets)
        #: Descriptors that are no sockets at all.
        self._others = list(others)

    @classmethod
    def of_systemd(cls, passed: Iterable[Passed]) -> Self:
        """Return what systemd has passed."""
        sockets, others = [], []
        for descriptor, name in passed:
            name = f"descriptor {descriptor}{f' {name}' if name else ''} of systemd"
            try:
                sockets.append(InheritedSocket(socket.socket(fileno=descriptor), name))
            except OSError:
                others.append(f"no socket ({name})")
        return cls(sockets, others)

    def take(self, address: Address | UnixAddress) -> list[InheritedSocket]:
        """Return all that listen at an address, none of which is left over then.

        :raises OSError: the address cannot be resolved.
        """
        if not self._left:
            return []
        wanted = _wanted(address)
        taken = [left for left in self._left if _place(left.bound) == wanted]
        self._left = [left for left in self._left if left not in taken]
        for each in taken:
            each.bound.setblocking(False)
        return taken

    def tell_left_over(self) -> None:
        """Warn of those that nobody has taken."""
        left = [*map(str, self._left), *self._others]
        if left:
            self._log.warn(
                "passed and not used, as no address of the configuration is theirs: {sockets}",
                sockets=", ".join(left),
            )


def _wanted(address: Address | UnixAddress) -> str:
    """Return where a socket of that address listens, as ``_place`` has it."""
    if isinstance(address, UnixAddress):
        return str(UnixAddress(os.path.realpath(address.file)))
    host, port = socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0][4][:2]
    return str(Address(str(host), int(port)))


def _place(bound: socket.socket) -> str:
    """Return where a socket listens, nothing for one that does not."""
    if bound.type != socket.SOCK_STREAM or not bound.getsockopt(
        socket.SOL_SOCKET, socket.SO_ACCEPTCONN
    ):
        return ""
    name = bound.getsockname()
    if bound.family == socket.AF_UNIX:
        # One that has no place in the file system is told by bytes.
        return str(UnixAddress(os.path.realpath(name))) if name and isinstance(name, str) else ""
    return str(Address(name[0], name[1]))
