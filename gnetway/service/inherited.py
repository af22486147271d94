"""Listening sockets that somebody else has opened, to be taken in place of binding.

    a socket of a configured address     is adopted there
    what is left over                    is named in a warning: nobody accepts there
    an address without a socket          is bound as ever

So the same configuration does with sockets and without. They are systemd's, or those of a gateway
that this one takes over from (take_over.py); that one hands on other open files too.
"""

import os
import socket
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from twisted.logger import Logger

from gnetway.config.addresses import Address, UnixAddress
from gnetway.runtime.systemd import Passed


@dataclass(slots=True)
class InheritedSocket:
    """One of them; ``name`` says where it is from.

    ``foreign`` is one whose opener goes on having it, as systemd does.
    """

    bound: socket.socket
    name: str
    foreign: bool = True

    def __str__(self) -> str:
        return f"{_place(self.bound) or 'no listening stream socket'} ({self.name})"


class Estate(Protocol):
    """A part of a gateway that has what another gateway may take over."""

    def descriptors(self) -> list[int]:
        """Return the sockets that listen, and other files that are open."""

    def lend(self, lent: bool) -> None:
        """Treat them as another gateway's from now on, or as one's own again."""


class InheritedSockets:
    """Finds them by address; each is taken once."""

    _log = Logger()

    def __init__(self, passed: Iterable[Passed] = ()) -> None:
        self._left: list[InheritedSocket] = []
        #: Whether a gateway that runs has handed on its own.
        self.of_another = False
        #: Descriptors that are no sockets, with what is said of them.
        self._files: dict[int, str] = {}
        for descriptor, name in passed:
            self._add(descriptor, f"descriptor {descriptor}{name and f' {name}'} of systemd", True)

    def add(self, descriptors: Iterable[int]) -> None:
        """Take those of another gateway as well, in whose place this one comes."""
        self.of_another = True
        for descriptor in descriptors:
            self._add(descriptor, "of the other gateway", False)

    def _add(self, descriptor: int, name: str, foreign: bool) -> None:
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            self._files[descriptor] = name
            return
        # systemd may have started both gateways, with the same sockets.
        known = {_identity(each.bound.fileno()) for each in self._left}
        if _identity(descriptor) in known:
            os.close(descriptor)
        else:
            bound = socket.socket(fileno=descriptor)
            self._left.append(InheritedSocket(bound, name, foreign))

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

    def take_file(self, path: str) -> int | None:
        """Return the descriptor of a file that the other gateway has open, None if there is none.

        Its locks come along: they belong to the open file, whichever process has it.
        """
        try:
            status = os.stat(path)
        except OSError:
            return None
        for descriptor in self._files:
            if _identity(descriptor) == (status.st_dev, status.st_ino):
                del self._files[descriptor]
                return descriptor
        return None

    def tell_left_over(self) -> None:
        """Warn of those that nobody has taken, and close those that nobody else serves."""
        left = [*map(str, self._left), *(f"no socket ({name})" for name in self._files.values())]
        for each in self._left:
            if not each.foreign:
                each.bound.close()
        if left:
            self._log.warn(
                "passed and not used, as no address of the configuration is theirs: {sockets}",
                sockets=", ".join(left),
            )


def _identity(descriptor: int) -> tuple[int, int]:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino


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
