"""What the kernel does about a peer that is gone without a word: its machine, or the way to it."""

import socket
from typing import Final

#: Questions that may be lost before the connection counts as broken; together they take as long as
#: data does.
_PROBES: Final = 3


def watch(transport: object, silent_seconds: float, timeout_seconds: float) -> None:
    """Have the kernel break the connection of a transport whose peer is gone.

    After ``silent_seconds`` of silence, 0 for never, it asks; and what it has sent, be it such a
    question or data, has to be acknowledged within ``timeout_seconds``.
    """
    # That of TLS passes on what it does not have itself.
    handle = getattr(transport, "socket", None)
    if not isinstance(handle, socket.socket):
        return
    tcp = socket.IPPROTO_TCP
    handle.setsockopt(tcp, socket.TCP_USER_TIMEOUT, int(timeout_seconds * 1000))
    if silent_seconds > 0:
        handle.setsockopt(tcp, socket.TCP_KEEPIDLE, max(1, int(silent_seconds)))
        handle.setsockopt(tcp, socket.TCP_KEEPINTVL, max(1, int(timeout_seconds / _PROBES)))
        handle.setsockopt(tcp, socket.TCP_KEEPCNT, _PROBES)
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
