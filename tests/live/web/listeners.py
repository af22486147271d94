"""A gateway with any listeners, and ways to connect to them: TLS, WebSocket, PROXY, unix."""

import base64
import contextlib
import os
import socket
import ssl
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.live.certificates import make_certificates
from tests.live.client import Stream
from tests.live.gateway import PATIENCE_SECONDS, Gateway
from tests.net.openings import v1, v2
from tests.ports import free_port

__all__ = ["ListenerGateway", "WebSocketStream", "dial", "dial_unix", "tls_over", "v1", "v2"]

#: The paths in a listener's configuration, which has the folder of the gateway.
TLS = {"CertFile": "./tls/server.pem", "KeyFile": "./tls/server.key"}


class ListenerGateway(Gateway):
    """``listeners`` are items of Gnetway.Server by a name; each without addresses gets a port.

    A plain listener stands before them at the gateway's own address, for ``proto``.
    """

    def __init__(
        self,
        listeners: Mapping[str, Mapping[str, object]],
        limits: Mapping[str, int] | None = None,
        proto: str = "tcp",
        handler: str = "tests.live.web.who.WhoHandler",
    ) -> None:
        super().__init__(limits, handler)
        self._proto = proto
        self.tls_folder = self.folder / "tls"
        self.tls_folder.mkdir()
        make_certificates(self.tls_folder)
        self.ports = {name: free_port() for name in listeners}
        servers: list[object] = [{"Proto": proto, "Addresses": [self.address]}]
        servers += [
            {"Addresses": [self.at(name)], **listener} for name, listener in listeners.items()
        ]
        gnetway = self.config["Gnetway"]
        assert isinstance(gnetway, dict)
        gnetway["Server"] = servers
        self.write_config()

    def _ready(self) -> bool:
        # Without a TCP listener the log names nothing to try.
        return super()._ready() if self._proto == "tcp" else "session backend: " in self.log

    def at(self, name: str) -> str:
        """Return host and port of a listener."""
        return f"127.0.0.1:{self.ports[name]}"

    @property
    def ca_file(self) -> Path:
        return self.tls_folder / "ca.pem"


def dial(port: int, source: str = "127.0.0.1") -> socket.socket:
    """Connect from an address of loopback, of which there are 16 million."""
    connected = socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS, (source, 0))
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connected


def dial_unix(path: str) -> socket.socket:
    connected = socket.socket(socket.AF_UNIX)
    connected.settimeout(PATIENCE_SECONDS)
    connected.connect(path)
    return connected


def tls_over(connected: socket.socket, ca_file: Path | None = None) -> ssl.SSLSocket:
    """Begin TLS as a client that trusts ``ca_file``; None trusts anybody."""
    if ca_file is None:
        # The default context would read all certificates that the system trusts.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context = ssl.create_default_context(cafile=str(ca_file))
    return context.wrap_socket(connected, server_hostname="127.0.0.1")


class WebSocketStream:
    """A stream of bytes over WebSocket, a client's end: each ``sendall`` is a binary message.

    ``close_code`` is the one in the server's close frame, 0 before that.
    """

    def __init__(self, under: Stream, path: str = "/apiws") -> None:
        self.close_code = 0
        self._under = under
        self._buffer = b""
        key = base64.b64encode(os.urandom(16)).decode()
        under.sendall(
            f"GET {path} HTTP/1.1\r\nHost: gateway\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Protocol: binary\r\n\r\n".encode()
        )
        while b"\r\n\r\n" not in self._buffer:
            self._read()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101 "):
            raise ConnectionError(head.partition(b"\r\n")[0].decode())

    def sendall(self, data: bytes, /) -> None:
        self._under.sendall(_frame(0x82, data))

    def send_together(self, messages: Iterable[bytes]) -> None:
        """Send a binary message for each, all in one segment if they fit."""
        self._under.sendall(b"".join(_frame(0x82, data) for data in messages))

    def recv(self, size: int, /) -> bytes:
        """Return the next message, empty at the end; pings are answered."""
        while True:
            try:
                first, payload = self.next_frame()
            except EOFError:
                return b""
            if first == 0x82:
                return payload
            if first == 0x89:
                self._under.sendall(_frame(0x8A, payload))
            elif first == 0x88:
                self.close_code = int.from_bytes(payload[:2], "big")
                # The server may have waited long enough.
                with contextlib.suppress(OSError):
                    self._under.sendall(_frame(0x88, payload[:2]))

    def settimeout(self, seconds: float, /) -> None:
        self._under.settimeout(seconds)

    def close(self) -> None:
        self._under.close()

    def next_frame(self) -> tuple[int, bytes]:
        first, size = self._take(2)
        if size >= 126:
            size = int.from_bytes(self._take(2 if size == 126 else 8), "big")
        return first, self._take(size)

    def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._read()
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken

    def _read(self) -> None:
        data = self._under.recv(1 << 16)
        if not data:
            raise EOFError
        self._buffer += data


def _frame(first: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        head = bytes((first, 0x80 | size))
    elif size < 1 << 16:
        head = bytes((first, 0x80 | 126)) + struct.pack("!H", size)
    else:
        head = bytes((first, 0x80 | 127)) + struct.pack("!Q", size)
    # A mask of zeros is as good as another to a server.
    return head + bytes(4) + payload
