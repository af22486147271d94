"""``gnetway ping HOST:PORT --key PEM``: a small client that tries a gateway as others would."""

import argparse
import sys
from typing import Final

from gnetway.config.addresses import Address
from gnetway.testing.dial import HTTP, TRANSPORTS, WEBSOCKET, Trial, Way, address, load_server_key

_DEFAULT_TRANSPORT: Final = "obf-intermediate"

#: Names for two in one, as their URLs have them.
_IN_TLS: Final = {"wss": WEBSOCKET, "https": HTTP}

_PROXY: Final = {"v1": 1, "v2": 2}


def add_to(subcommands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the subcommand."""
    parser = subcommands.add_parser(
        "ping",
        help="make an auth key with a gateway and ping it",
        description="Connect as a client does, make an auth key, ping, and print how long it took.",
    )
    parser.add_argument("address", type=address, metavar="HOST:PORT", help="[IPv6]:PORT as well")
    parser.add_argument(
        "--key",
        required=True,
        metavar="PEM",
        help="the public half of the gateway's RSA key",
    )
    parser.add_argument(
        "--transport",
        choices=[*TRANSPORTS, *_IN_TLS],
        default=_DEFAULT_TRANSPORT,
        help="ws is a WebSocket, wss and https are ws and http with --tls (default: %(default)s)",
    )
    parser.add_argument(
        "--tls",
        action="store_true",
        help="TLS around it; a certificate that browsers refuse is told of, and taken",
    )
    parser.add_argument(
        "--proxy", choices=_PROXY, help="begin with a PROXY protocol header, as a balancer does"
    )
    parser.add_argument(
        "--origin", default="", help="the page that a browser would name with ws and http"
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
        help="to connect, then for the key and for each ping (default: %(default)s)",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Talk to the gateway and print what it took."""
    way = Way(
        transport=_IN_TLS.get(options.transport, options.transport),
        tls=options.tls or options.transport in _IN_TLS,
        proxy_version=_PROXY.get(options.proxy, 0),
        origin=options.origin,
        dc_id=options.dc,
    )
    place: Address = options.address
    key = load_server_key(options.key)
    trial = Trial(place, way, key, options.key, options.timeout, verify=True)
    took = trial.run(options.count)
    _tell(f"{place}: auth key made over {way} in {_milliseconds(next(took))} ms")
    if trial.note:
        _tell(f"{place}: {trial.note}")
    pongs = []
    for number, seconds in enumerate(took, 1):
        pongs.append(seconds)
        _tell(f"{place}: pong {number} after {_milliseconds(seconds)} ms")
    shown = map(_milliseconds, (min(pongs), sum(pongs) / len(pongs), max(pongs)))
    _tell(f"{place}: min/avg/max {'/'.join(shown)} ms")
    return 0


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return int(text)


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f}"


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
