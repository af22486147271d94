"""Writing to a TCP connection that has nothing left to write: by ``send``, at once.

Twisted's ``write`` keeps the bytes until the kernel says that the socket has room, which costs two
system calls to ask and an event to hear it, and it nearly always has. Here they are offered to the
kernel first. What it does not take goes the usual way, and so does everything behind that, since
this looks at the transport's own buffers: nothing overtakes, and producers are paused as ever.

Only for Twisted's own TCP transports, without TLS, whose code is still the code that was compared;
all others are written to as usual.

It brings a fifth of the CPU of an echo 1 by 1, and a twentieth 64 by 8 (``python -m
benchmarks.by_turns write``). A Twisted that offers data to the kernel before it asks for an event
would make it superfluous.

``read_more`` is the other direction: Twisted reads 64 KiB at a time, so that a message of 64 KiB,
which is a little more with all that is around it, comes in two pieces: two events and two system
calls, and a copy to join them. With 96 KiB instead of 64 a message of 64 KiB that comes costs 6 %
less CPU, by turns in one process (rows bulk-64-up of ``make bench``); one that goes costs the same.
"""

import socket
from typing import Final, Protocol

from twisted.internet import tcp, unix
from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import ITransport
from twisted.internet.tcp import Client, Server
from twisted.python.failure import Failure

from gnetway.runtime.compared_code import why_not as differs

#: What Twisted reads at once, in bytes; who sends as much in one go may have more to send.
USUAL_BYTES: Final = FileDescriptor.bufferSize

#: What is read at once from who sends much, in bytes. It stays below the size from which glibc,
#: left to itself, asks the system for each block anew.
LARGE_BYTES: Final = 96 * 1024


def read_more(transport: object) -> None:
    """Have more read at once from now on, if the transport is a socket of Twisted's.

    It also is what such a transport keeps unsent before it pauses its producer.
    """
    if isinstance(transport, FileDescriptor):
        transport.bufferSize = LARGE_BYTES


class Leaving(Protocol):
    """Hears of the end of a connection."""

    def left(self) -> None:
        """Hear that the connection is gone."""

    def gone(self, transport: "ClientTransport | UnixClientTransport", tcp_info: bytes) -> None:
        """Hear, after whoever serves it, that it is; ``tcp_info`` is the kernel's record of it."""


class _Nobody:
    def left(self) -> None:
        """See Leaving."""

    def gone(self, transport: "ClientTransport | UnixClientTransport", tcp_info: bytes) -> None:
        """See Leaving."""


#: As much of the kernel's struct tcp_info as is read: with the bytes of both directions.
_TCP_INFO_BYTES: Final = 136


def read_tcp_info(connected: socket.socket) -> bytes:
    """Return the kernel's struct tcp_info of a connection, empty for a socket that has none."""
    try:
        return connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    except OSError:
        return b""


class ClientTransport(tcp.Server):
    """The transport of a client's TCP connection; its ``place`` hears of its end."""

    place: Leaving = _Nobody()

    def connectionLost(self, reason: Failure) -> None:
        """See tcp.Server."""
        place = self.place
        place.left()
        # Twisted closes the socket first.
        tcp_info = read_tcp_info(self.socket)
        super().connectionLost(reason)
        place.gone(self, tcp_info)


class UnixClientTransport(unix.Server):
    """The same for a socket in the file system."""

    place: Leaving = _Nobody()

    def connectionLost(self, reason: Failure) -> None:
        """See unix.Server."""
        place = self.place
        place.left()
        super().connectionLost(reason)
        place.gone(self, b"")


#: Why nothing is sent so here, in a few words; empty where it is.
WHY_NOT: Final = differs(
    {
        "twisted.internet.abstract:FileDescriptor.write": "3e46c97fc173bc7e",
        "twisted.internet.abstract:FileDescriptor.doWrite": "a986d7b1b1054e43",
        "twisted.internet.tcp:Connection.writeSomeData": "2dd0d4209260b94e",
        "twisted.internet.tcp:Connection.connectionLost": "dd7a9a87035a2084",
    }
)

#: The classes that are known; another subclass may do anything.
_KNOWN: Final[frozenset[type]] = frozenset(() if WHY_NOT else (Server, Client, ClientTransport))


def write(transport: ITransport, data: bytes) -> None:
    """Write ``data`` behind all that was written before.

    Everything that may overtake or be overtaken has to be written by this function or by the
    transport's own ``write``.
    """
    if type(transport) in _KNOWN:
        known: Server = transport  # type: ignore[assignment] # a cast is a call, and calls count
        if not (
            known.dataBuffer
            or known._tempDataBuffer  # noqa: SLF001 - see the head of the file
            or known.TLS
            or known._aborting  # noqa: SLF001
            or not known.connected
        ):
            try:
                sent = known.socket.send(data)
            except OSError:
                pass  # full, or broken; which, Twisted finds out by its own writing
            else:
                if sent == len(data):
                    return
                data = data[sent:]
    transport.write(data)
