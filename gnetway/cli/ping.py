"""``gnetway ping HOST:PORT --key PEM``: a small client that tries a gateway as others would."""

import argparse
import os
import socket
import sys
from pathlib import Path
from time import perf_counter
from typing import Final

from gnetway.crypto.rsa import RsaKeyError
from gnetway.errors import GatewayError, TLError, TransportErrorCode
from gnetway.runtime.clocks import wall_clock
from gnetway.testing.checks import KeyGivenUp, PeerError, ServerKeyUnknown
from gnetway.testing.exchange import ServerKey, Wish
from gnetway.testing.link import ClientLink, Framing, Style
from gnetway.testing.talk import ClientTalk, LinkEnded, TransportErrorReceived
from gnetway.testing.websocket import WebSocketEnd

#: The name of a WebSocket; it carries the transport that browsers have.
WEBSOCKET: Final = "ws"

#: What --transport may be.
TRANSPORTS: Final = {
    "abridged": Style(Framing.ABRIDGED, False),
    "intermediate": Style(Framing.INTERMEDIATE, False),
    "padded": Style(Framing.PADDED, False),
    "full": Style(Framing.FULL, False),
    "obf-abridged": Style(Framing.ABRIDGED, True),
    "obf-intermediate": Style(Framing.INTERMEDIATE, True),
    "obf-padded": Style(Framing.PADDED, True),
    WEBSOCKET: Style(Framing.INTERMEDIATE, True),
}

_DEFAULT_TRANSPORT: Final = "obf-intermediate"

#: What transport errors mean to somebody who tries a gateway.
_MEANINGS: Final[dict[int, str]] = {
    TransportErrorCode.KEY_UNKNOWN: "it does not know the auth key, or refuses the key exchange",
    TransportErrorCode.FLOOD: "too many connections or requests come from this address",
    TransportErrorCode.WRONG_DC: "it serves another data centre, see --dc",
}


class PingFailed(GatewayError):
    """The gateway did not answer as it should; the text says what came instead."""


def add_to(subcommands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the subcommand."""
    parser = subcommands.add_parser(
        "ping",
        help="make an auth key with a gateway and ping it",
        description="Connect as a client does, make an auth key, ping, and print how long it took.",
    )
    parser.add_argument("address", type=_address, metavar="HOST:PORT", help="[IPv6]:PORT as well")
    parser.add_argument(
        "--key",
        required=True,
        metavar="PEM",
        help="the public half of the gateway's RSA key",
    )
    parser.add_argument(
        "--transport",
        choices=TRANSPORTS,
        default=_DEFAULT_TRANSPORT,
        help="ws is a WebSocket without TLS (default: %(default)s)",
    )
    parser.add_argument(
        "--dc", type=int, default=2, metavar="N", help="the dc_id to ask for (default: %(default)s)"
    )
    parser.add_argument(
        "--count", type=_positive, default=3, metavar="N", help="pings (default: %(default)s)"
    )
    parser.add_argument(
        "--timeout",
        type=_positive,
        default=10,
        metavar="SECONDS",
        help="for each answer (default: %(default)s)",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Talk to the gateway and print what it took."""
    key = _load(options.key)
    host, port = options.address
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        connected = socket.create_connection((host, port), options.timeout)
    except OSError as error:
        raise PingFailed(f"cannot connect to {place}: {error.strerror or error}") from None
    with connected:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            _talk(connected, place, key, options)
        except ServerKeyUnknown as error:
            raise PingFailed(_other_key(options.key, key, error)) from None
        except TransportErrorReceived as error:
            meaning = _MEANINGS.get(error.code, "a code that no document knows")
            raise PingFailed(f"{place} has answered {error.code}: {meaning}") from None
        except KeyGivenUp:
            raise PingFailed(f"{place} could not keep the auth key (dh_gen_fail)") from None
        except (PeerError, TLError) as error:
            raise PingFailed(f"{place} has answered what is not MTProto: {error}") from None
        except TimeoutError:
            raise PingFailed(_silence(place, options, "has not answered in time")) from None
        except (LinkEnded, ConnectionError):
            raise PingFailed(_silence(place, options, "has closed the connection")) from None
    return 0


def _talk(
    connected: socket.socket, place: str, key: ServerKey, options: argparse.Namespace
) -> None:
    style = TRANSPORTS[options.transport]._replace(dc_id=options.dc)
    link = ClientLink(style, os.urandom)
    websocket = WebSocketEnd(os.urandom) if options.transport == WEBSOCKET else None
    talk = ClientTalk(connected, link, os.urandom, wall_clock, websocket)
    start = perf_counter()
    talk.open(place)
    session = talk.make_key([key], Wish(dc=options.dc))
    _tell(f"{place}: auth key made over {options.transport} in {_since(start)}")
    for number in range(1, options.count + 1):
        start = perf_counter()
        talk.ping(session, number)
        _tell(f"{place}: pong {number} after {_since(start)}")


def _load(path: str) -> ServerKey:
    try:
        return ServerKey.from_pem(Path(path).read_bytes())
    except OSError as error:
        raise PingFailed(f"{path}: {error.strerror}") from None
    except RsaKeyError as error:
        raise PingFailed(f"{path}: {error}") from None


def _other_key(path: str, key: ServerKey, error: ServerKeyUnknown) -> str:
    offered = ", ".join(map(_shown, error.offered)) or "none"
    return f"the gateway does not have the key of {path}, {_shown(key.fingerprint)}, but: {offered}"


def _shown(fingerprint: int) -> str:
    """Return a fingerprint as the gateway's log has it: unsigned, and in hexadecimal digits."""
    unsigned = fingerprint % (1 << 64)
    return f"{unsigned} ({unsigned:016x})"


def _silence(place: str, options: argparse.Namespace, what: str) -> str:
    return (
        f"{place} {what}: does it speak {options.transport} there, without TLS or a PROXY header"
        " before it? Its log has the cause (docs: troubleshooting)"
    )


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise argparse.ArgumentTypeError(f"{text!r} is not host:port")
    return host, int(port)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return int(text)


def _since(start: float) -> str:
    return f"{(perf_counter() - start) * 1000:.1f} ms"


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
