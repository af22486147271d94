"""Where a client comes from: the addresses of its connection, and the web page that opened it.

The addresses are not always those of the connection's two ends here.

Which pages may use the gateway is told by their Origin: over WebSocket, and by CORS over HTTP.
Browsers ask before a page reads an answer of another origin. A page that is not on the list gets no
answer at all: the list is to keep it away, not only to keep the answer from it. A client may send
any Origin, and as many as it likes. So of those that are refused a few are remembered, each is cut,
and the log gets a line a minute at most, and none for an origin that it has.

See fetch.spec.whatwg.org#http-cors-protocol
"""

import re
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from sys import intern
from typing import ClassVar, Final

from twisted.internet.interfaces import IAddress, ITransport
from twisted.logger import Logger
from zope.interface import directlyProvides, providedBy

from gnetway.admission.shares import is_in
from gnetway.errors import ProtocolError
from gnetway.interfaces import ILinkTransport

#: The client_ip of whoever comes through a socket in the file system and names no other.
UNIX_CLIENT: Final = "unix"


def client_ip(transport: ITransport) -> str:
    """Return a client's address as session services, limits and handlers hear of it."""
    return getattr(transport.getPeer(), "host", None) or UNIX_CLIENT


def local_ip(transport: ITransport) -> str:
    """Return the address that a client came to; empty for a socket in the file system.

    A gateway has few of them, so each is one object however many connections name it.
    """
    return intern(getattr(transport.getHost(), "host", None) or "")


class PeerTransport:
    """A TCP transport behind a balancer: it has the addresses that the balancer has told.

    ``host`` is the one that the client came to. All else is that of the transport, whose interfaces
    it provides.
    """

    def __init__(self, transport: ILinkTransport, peer: IAddress, host: IAddress) -> None:
        self._transport = transport
        self._peer = peer
        self._host = host
        # Found on the instance, so that no write takes the way through __getattr__.
        self.write = transport.write
        directlyProvides(self, providedBy(transport))

    def getPeer(self) -> IAddress:  # noqa: N802
        """Return the address of the client."""
        return self._peer

    def getHost(self) -> IAddress:  # noqa: N802
        """Return the address that the client came to."""
        return self._host

    def __getattr__(self, name: str) -> object:
        return getattr(self._transport, name)


#: How many balancers may be behind each other.
_MAX_HOPS: Final = 16

#: Bytes of an address with brackets and a port; the longest has 47.
_MAX_ADDRESS_BYTES: Final = 64


class BadForwardedFor(ProtocolError):
    """A trusted balancer has sent something that is no address where the client's should stand."""

    cause: ClassVar[str] = "bad_forwarded_for"


class TrustedProxies:
    """The balancers whose X-Forwarded-For is believed.

    Each balancer adds the address of whom it was asked by, at the end of what it was sent. So the
    list is read from its end: past the addresses of trusted balancers, the first other one is the
    client's, and whatever stands before that the client may have made up.

        10.0.0.5 asks, with  "1.2.3.4, 192.0.2.7, 10.0.0.9"  and 10.0.0.0/8 trusted  →  192.0.2.7

    Whoever comes through a socket in the file system is one of them; without networks nobody is.
    """

    __slots__ = ("_networks",)

    def __init__(self, networks: Iterable[IPv4Network | IPv6Network] = ()) -> None:
        self._networks = tuple(networks)

    def __bool__(self) -> bool:
        return bool(self._networks)

    def client_ip(self, peer_ip: str, values: Sequence[bytes]) -> str:
        """Return the client's address, where ``peer_ip`` has sent these fields.

        Without a field it is the peer, which then asks for itself. Where all addresses are of
        trusted balancers it is the first one, up to 16 from the end.

        :raises BadForwardedFor: what stands in the client's place is no address.
        """
        if not values or not self._networks:
            return peer_ip
        if peer_ip != UNIX_CLIENT and not is_in(peer_ip, self._networks):
            return peer_ip
        client = ""
        for written in reversed(b",".join(values).rsplit(b",", _MAX_HOPS)[-_MAX_HOPS:]):
            client = str(_address(written.strip()))
            if not is_in(client, self._networks):
                break
        return client


def _address(written: bytes) -> IPv4Address | IPv6Address:
    """Read an address; some balancers write the port too, and brackets around IPv6."""
    if len(written) <= _MAX_ADDRESS_BYTES:
        text = written.decode("latin-1")
        if text.startswith("["):
            text = text[1:].partition("]")[0]
        elif text.count(":") == 1:
            text = text.partition(":")[0]
        try:
            address = ip_address(text)
        except ValueError:
            pass
        else:
            if isinstance(address, IPv4Address):
                return address
            if address.scope_id is None:
                return address.ipv4_mapped or address
    raise BadForwardedFor("no address in X-Forwarded-For")


#: The pattern that stands for every origin, ``null`` among them, which is what a page opened
#: from a file has.
ANY_ORIGIN: Final = "*"

#: How long a browser may remember a preflight's answer, in seconds; browsers cut it to 2 h or 24 h.
_MAX_AGE_SECONDS: Final = 86_400

#: Names of header fields as a browser lists them in a preflight, at a length no page needs.
_FIELD_NAMES: Final = re.compile(rb"[0-9A-Za-z!#$%&'*+.^_`|~, -]{1,512}\Z")

_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}

#: How many are remembered: those that came last.
MAX_ORIGINS: Final = 8

#: Characters of an origin that are shown; that of a page is rarely half as long.
MAX_ORIGIN_CHARS: Final = 100

#: Seconds from one line in the log to the next.
LINE_SECONDS: Final = 60.0


class CorsPolicy:
    """Which web pages may use the gateway, by their Origin: over WebSocket, and over HTTP by CORS.

    ``allowed_origins`` are patterns as in ``https://*.example.org``, ``*`` for any. Browsers leave
    out the port that is the scheme's own; a pattern may name it all the same.
    """

    def __init__(self, allowed_origins: Iterable[str]) -> None:
        patterns = [pattern.lower() for pattern in allowed_origins]
        self._any = ANY_ORIGIN in patterns
        # An origin has slashes before its host alone, so that no * reaches over from the scheme.
        self._patterns = [
            re.compile("[^/]*".join(map(re.escape, pattern.split("*"))) + r"\Z")
            for pattern in patterns
        ]

    def allows(self, origin: bytes | None) -> bool:
        """Whether a request with that Origin field may be answered; one without always may.

        An empty Origin is one too, and none that a list can name.
        """
        if origin is None or self._any:
            return True
        text = origin.decode("latin-1").lower()
        spellings = (text, _with_port(text))
        return any(pattern.match(one) for pattern in self._patterns for one in spellings)

    def answer_fields(self, origin: bytes | None) -> bytes:
        """Return the header fields for the answer to an allowed request, each with its CRLF."""
        if self._any:
            return b"Access-Control-Allow-Origin: *\r\n" if origin is not None else b""
        # With a list the answer differs by who asks, and caches are to know it.
        if origin is None or not self.allows(origin):
            return b"Vary: Origin\r\n"
        return b"Access-Control-Allow-Origin: %b\r\nVary: Origin\r\n" % origin

    def preflight_fields(self, origin: bytes | None, asked_fields: bytes | None) -> bytes:
        """Return the header fields for the answer to a preflight.

        ``asked_fields`` is its Access-Control-Request-Headers: what a page wants to send along is
        its own business, so all of it is allowed.
        """
        fields = self.answer_fields(origin)
        if origin is not None:
            fields += b"Access-Control-Allow-Methods: POST, OPTIONS\r\n"
            fields += b"Access-Control-Max-Age: %d\r\n" % _MAX_AGE_SECONDS
            if asked_fields is not None and _FIELD_NAMES.match(asked_fields):
                fields += b"Access-Control-Allow-Headers: %b\r\n" % asked_fields
        return fields


def _with_port(origin: str) -> str:
    """Return an origin with the port that its scheme has where none is named."""
    scheme, _, host = origin.partition("://")
    port = _DEFAULT_PORTS.get(scheme)
    if port is None or re.search(r":\d+\Z", host):
        return origin
    return f"{origin}:{port}"


class RefusedOrigins:
    """The Origins that were refused last, and how often each."""

    _log = Logger()

    def __init__(self) -> None:
        #: The one that came last stands last.
        self._times: dict[str, int] = {}
        self._untold: set[str] = set()
        self._next_line = float("-inf")

    def note(self, origin: bytes, now: float) -> None:
        """Note that a page was refused; ``now`` is in seconds of any clock that only goes on."""
        shown = _shown(origin)
        if shown not in self._times:
            self._untold.add(shown)
        self._times[shown] = self._times.pop(shown, 0) + 1
        if len(self._times) > MAX_ORIGINS:
            oldest = next(iter(self._times))
            del self._times[oldest]
            self._untold.discard(oldest)
        if self._untold and now >= self._next_line:
            self._next_line = now + LINE_SECONDS
            self.tell()

    def as_dict(self) -> dict[str, int]:
        """Return how often each was refused, the last first.

        Control characters and all that is not ASCII are escaped, as in a literal of Python.
        """
        return dict(reversed(self._times.items()))

    def tell(self) -> None:
        """Log them, if there are any."""
        self._untold.clear()
        if self._times:
            self._log.info(
                "refused origins, not among AllowedOrigins: {origins}", origins=self.as_dict()
            )


def _shown(origin: bytes) -> str:
    # What is cut here could not be shown anyway.
    text = ascii(origin[: MAX_ORIGIN_CHARS + 1].decode("latin-1"))[1:-1]
    return text if len(text) <= MAX_ORIGIN_CHARS else f"{text[:MAX_ORIGIN_CHARS]}..."
