"""One try of a gateway over a socket, as a client makes it, and what is wrong in plain words.

``gnetway ping`` and ``gnetway check`` are made of this. Everything blocks, within bounds of time.
"""

import os
import socket
import ssl
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from struct import pack
from time import perf_counter
from typing import Final, NamedTuple, Self

from gnetway.codec.proxy_protocol import V2_SIGNATURE
from gnetway.config.addresses import Address, UnixAddress
from gnetway.crypto.rsa import RsaKeyError
from gnetway.errors import GatewayError, TLError, TransportErrorCode
from gnetway.runtime.clocks import wall_clock
from gnetway.testing.checks import KeyGivenUp, PeerError, ServerKeyUnknown
from gnetway.testing.exchange import ServerKey, Wish
from gnetway.testing.http import HttpLink
from gnetway.testing.link import ClientLink, Framing, Style
from gnetway.testing.session import ClientSession
from gnetway.testing.talk import ClientTalk, LinkEnded, TransportErrorReceived
from gnetway.testing.websocket import WebSocketEnd

#: A WebSocket; it carries the transport that browsers have.
WEBSOCKET: Final = "ws"
HTTP: Final = "http"

#: What a client may speak, by name; HTTP has no framing.
TRANSPORTS: Final[dict[str, Style | None]] = {
    "abridged": Style(Framing.ABRIDGED, False),
    "intermediate": Style(Framing.INTERMEDIATE, False),
    "padded": Style(Framing.PADDED, False),
    "full": Style(Framing.FULL, False),
    "obf-abridged": Style(Framing.ABRIDGED, True),
    "obf-intermediate": Style(Framing.INTERMEDIATE, True),
    "obf-padded": Style(Framing.PADDED, True),
    WEBSOCKET: Style(Framing.INTERMEDIATE, True),
    HTTP: None,
}

#: Those over plain TCP.
OVER_TCP: Final = tuple(name for name in TRANSPORTS if name not in (WEBSOCKET, HTTP))

#: What transport errors mean to somebody who tries a gateway.
_MEANINGS: Final[dict[int, str]] = {
    TransportErrorCode.KEY_UNKNOWN: "it does not know the auth key, or refuses the key exchange",
    TransportErrorCode.FLOOD: "too many connections or requests come from this address",
    TransportErrorCode.WRONG_DC: "it serves another data centre, see --dc",
}

#: How other servers begin: with a fatal alert of TLS, and with an answer of HTTP.
_TLS_ALERT: Final = b"\x15\x03"
_HTTP_ANSWER: Final = b"HTTP/1."


class NotServed(GatewayError):
    """The gateway did not answer as it should; the text says what came instead."""


class NotReached(NotServed):
    """Nobody was there to answer."""


class Way(NamedTuple):
    """How a client comes: one of TRANSPORTS, in TLS or not, behind a PROXY header or not.

    ``proxy_version`` is 0 for no header. ``origin`` is what a browser would say of its page, empty
    for none. ``dc_id`` is the data centre that the client asks for.
    """

    transport: str
    tls: bool = False
    proxy_version: int = 0
    origin: str = ""
    dc_id: int = 2

    def __str__(self) -> str:
        tls = " in TLS" if self.tls else ""
        proxy = f" after PROXY v{self.proxy_version}" if self.with_proxy else ""
        return f"{self.transport}{tls}{proxy}"

    @property
    def with_proxy(self) -> bool:
        """Whether a header comes first."""
        return self.proxy_version > 0


class Trial:
    """One connection to ``place`` that makes an auth key, and pings.

    ``key_name`` stands for the key in errors, such as the path of its file. ``seconds`` are for the
    connection and TLS, then for the key, and for each ping. Where ``verify`` is set, TLS is held to
    the authorities that the system trusts; a certificate that does not stand it is taken all the
    same, since MTProto proves the server by its RSA key, and ``note`` says why others refuse it.
    """

    def __init__(
        self,
        place: Address | UnixAddress,
        way: Way,
        key: ServerKey,
        key_name: str,
        seconds: float,
        verify: bool = False,
    ) -> None:
        self._place = place
        self._way = way
        self._key = key
        self._key_name = key_name
        self._seconds = seconds
        self._verify = verify
        self._host = place.host if isinstance(place, Address) else "localhost"
        self.note = ""

    def run(self, pings: int) -> Iterator[float]:
        """Yield the seconds that the key took, then those of each ping.

        :raises NotServed: anything else comes, or nothing in time.
        """
        stream: _Bounded | None = None
        try:
            with self._connected() as connected:
                stream = _Bounded(connected, self._seconds)
                yield from self._talk(stream, pings)
        except ServerKeyUnknown as error:
            raise NotServed(self._other_key(error)) from None
        except TransportErrorReceived as error:
            meaning = _MEANINGS.get(error.code, "a code that no document knows")
            raise NotServed(f"{self._place} has answered {error.code}: {meaning}") from None
        except KeyGivenUp:
            what = "could not keep the auth key (dh_gen_fail): its session backend does not answer"
            raise NotServed(f"{self._place} {what}") from None
        except (PeerError, TLError) as error:
            what = f"{self._place} has answered what is not MTProto: {error}"
            raise NotServed(f"{what}{self._hint(stream)}") from None
        except TimeoutError:
            raise NotServed(self._silence("has not answered in time", stream)) from None
        except (LinkEnded, ConnectionError, ssl.SSLError):
            raise NotServed(self._silence("has closed the connection", stream)) from None
        except OSError as error:
            raise NotServed(f"{self._place}: {error.strerror or error}") from None

    @contextmanager
    def _connected(self) -> Iterator[socket.socket]:
        try:
            connected = self._secured(verify=self._verify)
        except ssl.SSLCertVerificationError as error:
            self.note = f"browsers refuse its certificate: {error.verify_message}"
            connected = self._secured(verify=False)
        with connected:
            yield connected

    def _secured(self, verify: bool) -> socket.socket:
        """Connect, and do what comes before the client's own bytes."""
        connected = self._dial()
        try:
            if self._way.with_proxy:
                connected.sendall(proxy_header(self._way.proxy_version, connected))
            if not self._way.tls:
                return connected
            context = ssl.create_default_context() if verify else _trusting_context()
            return context.wrap_socket(connected, server_hostname=self._host)
        except ssl.SSLCertVerificationError:
            connected.close()
            raise
        except (OSError, ValueError) as error:
            connected.close()
            raise NotServed(self._no_tls(error)) from None

    def _dial(self) -> socket.socket:
        place = self._place
        try:
            if isinstance(place, UnixAddress):
                connected = socket.socket(socket.AF_UNIX)
                connected.settimeout(self._seconds)
                connected.connect(place.file)
            else:
                connected = socket.create_connection((place.host, place.port), self._seconds)
                connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            raise NotReached(f"cannot connect to {place}: {error.strerror or error}") from None
        return connected

    def _talk(self, stream: "_Bounded", pings: int) -> Iterator[float]:
        way, host = self._way, str(self._place) if isinstance(self._place, Address) else self._host
        style = TRANSPORTS[way.transport]
        link = (
            HttpLink(host, origin=way.origin)
            if style is None
            else ClientLink(style._replace(dc_id=way.dc_id), os.urandom)
        )
        websocket = WebSocketEnd(os.urandom) if way.transport == WEBSOCKET else None
        talk = ClientTalk(stream, link, os.urandom, wall_clock, websocket)
        start = stream.restart()
        talk.open(host, way.origin)
        session = talk.make_key([self._key], Wish(dc=way.dc_id))
        yield perf_counter() - start
        for number in range(1, pings + 1):
            start = stream.restart()
            talk.ping(session, number)
            yield perf_counter() - start

    # -- what went wrong -----------------------------------------------------------------------

    def _other_key(self, error: ServerKeyUnknown) -> str:
        offered = ", ".join(map(shown_fingerprint, error.offered)) or "none"
        key = f"{self._key_name}, {shown_fingerprint(self._key.fingerprint)}"
        return f"the gateway does not have the key of {key}, but: {offered}"

    def _silence(self, what: str, stream: "_Bounded | None") -> str:
        way = self._way
        tls, proxy = (f"with{'' if has else 'out'}" for has in (way.tls, way.with_proxy))
        return (
            f"{self._place} {what}: does it speak {way.transport} there, {tls} TLS and {proxy} a"
            f" PROXY header before it?{self._hint(stream)} Its log has the cause (docs:"
            " troubleshooting)"
        )

    def _hint(self, stream: "_Bounded | None") -> str:
        """Return what the first bytes tell, as a sentence behind another."""
        begin = b"" if stream is None else stream.first
        if begin.startswith(_TLS_ALERT):
            return " It wants TLS (--tls)."
        if begin.startswith(_HTTP_ANSWER) and self._way.transport in OVER_TCP:
            return f" It speaks HTTP (--transport {WEBSOCKET} or {HTTP})."
        return ""

    def _no_tls(self, error: Exception) -> str:
        if isinstance(error, TimeoutError):
            why = "nothing comes in time"
        else:
            why = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
        before = " after a PROXY header" if self._way.with_proxy else " without a PROXY header"
        return f"{self._place} begins no TLS: {why}; is TLS asked for there, and{before}?"


class Client:
    """A client over TCP that calls methods, for tests of an application's handlers.

    It connects and makes a key, or goes on in a ``session`` that another one has had. ``layer`` is
    what it says that it speaks. ``seconds`` are for each call and each push. It blocks, so beside
    a reactor it belongs into a thread. Raises as ClientTalk does, and OSError.
    """

    def __init__(
        self,
        host: str,
        port: int,
        key: ServerKey,
        layer: int = 0,
        seconds: float = 30.0,
        session: ClientSession | None = None,
    ) -> None:
        self._layer = layer
        self._socket = socket.create_connection((host, port), seconds)
        self._stream = _Bounded(self._socket, seconds)
        self._stream.restart()
        link = ClientLink(Style(Framing.INTERMEDIATE, obfuscated=True), os.urandom)
        self._talk = ClientTalk(self._stream, link, os.urandom, wall_clock)
        try:
            self.session = session or self._talk.make_key([key])
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pushes(self) -> deque[bytes]:
        """What has come beside answers: TL objects, the oldest first."""
        return self._talk.pushes

    def call(self, body: bytes) -> bytes:
        """Call a method by its TL object, and return the answer's.

        :raises RpcError: it is an rpc_error.
        """
        self._stream.restart()
        return self._talk.call(self.session, body, self._layer)

    def next_push(self) -> bytes:
        """Return the oldest of ``pushes``, or the next one to come."""
        self._stream.restart()
        return self._talk.next_push(self.session)

    def close(self) -> None:
        """Leave; the session may be gone on with."""
        self._socket.close()


class _Bounded:
    """A socket of which all that is waited for has a common end: a Stream.

    ``first`` are the first bytes that came.
    """

    def __init__(self, connected: socket.socket, seconds: float) -> None:
        self._connected = connected
        self._seconds = seconds
        self._end = 0.0
        self.first = b""

    def restart(self) -> float:
        """Give what follows its whole time again; returns the time of now."""
        now = perf_counter()
        self._end = now + self._seconds
        return now

    def sendall(self, data: bytes, /) -> None:
        """See Stream."""
        self._bound()
        self._connected.sendall(data)

    def recv(self, size: int, /) -> bytes:
        """See Stream."""
        self._bound()
        data = self._connected.recv(size)
        self.first = self.first or data[:16]
        return data

    def _bound(self) -> None:
        left = self._end - perf_counter()
        if left <= 0:
            raise TimeoutError
        self._connected.settimeout(left)


def address(text: str) -> Address:
    """Read HOST:PORT or [IPv6]:PORT.

    :raises ValueError: it is none.
    """
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise ValueError(f"{text!r} is not host:port")
    return Address(host, int(port))


def load_server_key(path: str) -> ServerKey:
    """Read a server's RSA key from a file in PEM, either half.

    :raises NotServed: there is none.
    """
    try:
        return ServerKey.from_pem(Path(path).read_bytes())
    except OSError as error:
        raise NotServed(f"{path}: {error.strerror}") from None
    except RsaKeyError as error:
        raise NotServed(f"{path}: {error}") from None


def shown_fingerprint(fingerprint: int) -> str:
    """Return a fingerprint as the gateway's log has it: unsigned, and in hexadecimal digits."""
    unsigned = fingerprint % (1 << 64)
    return f"{unsigned} ({unsigned:016x})"


def proxy_header(version: int, connected: socket.socket) -> bytes:
    """Return a header that tells of both ends of a connection as they are, as a balancer would.

    Source: github.com/haproxy/haproxy, doc/proxy-protocol.txt
    """
    if connected.family == socket.AF_UNIX:
        return b"PROXY UNKNOWN\r\n" if version == 1 else V2_SIGNATURE + b"\x20\0\0\0"
    source, source_port = connected.getsockname()[:2]
    target, target_port = connected.getpeername()[:2]
    is_v6 = connected.family == socket.AF_INET6
    if version == 1:
        family = "TCP6" if is_v6 else "TCP4"
        return f"PROXY {family} {source} {target} {source_port} {target_port}\r\n".encode()
    addresses = ip_address(source).packed + ip_address(target).packed
    block = addresses + pack(">HH", source_port, target_port)
    return V2_SIGNATURE + pack(">BBH", 0x21, 0x21 if is_v6 else 0x11, len(block)) + block


def _trusting_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
