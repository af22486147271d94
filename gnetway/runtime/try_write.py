"""Writing to a TCP connection that has nothing left to write: by ``send``, at once.

Twisted's ``write`` keeps the bytes until the kernel says that the socket has room, which costs two
system calls to ask and an event to hear it, and it nearly always has. Here they are offered to the
kernel first. What it does not take goes the usual way, and so does everything behind that, since
this looks at the transport's own buffers: nothing overtakes, and producers are paused as ever.

Only for Twisted's own TCP transports, without TLS, whose code is still the code that was compared;
all others are written to as usual.
"""

from typing import Final

from twisted.internet.interfaces import ITransport
from twisted.internet.tcp import Client, Server

from gnetway.runtime.client_transport import ClientTransport
from gnetway.runtime.compared_code import why_not as differs

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
