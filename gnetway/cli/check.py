"""Whether clients are served: ``gnetway check -c FILE`` and ``gnetway ping HOST:PORT --key PEM``.

``check`` looks for everything that keeps clients from it, each with a remedy. What needs no other
process comes first (``check_here``), then etcd and the session nodes (``check_peers``), then a
gateway of this configuration itself, or the one that runs (``check_trial``). ``ping`` is a small
client that tries a gateway as others would.
"""

import argparse
import sys
from typing import TYPE_CHECKING, Final

from gnetway.cli.asking import add_config_option, run_in_reactor
from gnetway.cli.terminal import Report
from gnetway.config.addresses import Address
from gnetway.testing.dial import HTTP, TRANSPORTS, WEBSOCKET, Trial, Way, address, load_server_key

if TYPE_CHECKING:
    from gnetway.config.addresses import Address
    from gnetway.config.model import GatewayConfig
    from gnetway.interfaces import IGatewayReactor


def add_to(subcommands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the subcommand."""
    parser = subcommands.add_parser(
        "check",
        help="look for whatever keeps clients from being served",
        description="Look at a configuration, at this machine, at etcd and the session nodes, and"
        " make a key and ping over every transport of every listener. A gateway that runs is not"
        " disturbed: what is tried here listens on free ports of the loopback interface.",
    )
    add_config_option(parser)
    parser.add_argument(
        "--against",
        type=address,
        metavar="HOST:PORT",
        help="try the gateway that runs there, in the place of one in this process",
    )
    parser.add_argument("--strict", action="store_true", help="status 1 for warnings, too")
    parser.add_argument("--json", action="store_true", help="print what was found as JSON")
    parser.add_argument(
        "--timeout",
        type=_seconds,
        default=5.0,
        metavar="SECONDS",
        help="for each step that waits for another process (default: %(default)g)",
    )
    parser.set_defaults(run=run)
    _add_ping(subcommands)


def run(options: argparse.Namespace) -> int:
    """Look at everything, print it, and return the exit status."""
    # All of the gateway, which the other subcommands do without.
    from gnetway.cli import check_here  # noqa: PLC0415

    terminal = sys.stderr if sys.stderr.isatty() else None
    report = Report(sys.stdout, terminal, options.json)
    config = check_here.configuration(report, options.config)
    if config is None:
        report.note("configuration", "nothing else was looked at")
    else:
        loaded = config
        check_here.before_peers(report, loaded)
        ended = run_in_reactor(
            lambda reactor: _go_on(report, reactor, loaded, options.against, options.timeout)
        )
        if not ended:
            report.fault("check", "it was interrupted", "let it come to its end")
    return report.finish(options.config, options.strict)


async def _go_on(
    report: Report,
    reactor: "IGatewayReactor",
    config: "GatewayConfig",
    against: "Address | None",
    seconds: float,
) -> None:
    from gnetway.cli import check_here, check_peers, check_trial  # noqa: PLC0415

    nodes: list[str] = []
    if config.session.is_remote and check_here.has_remote_packages(config):
        nodes = await check_peers.check_peers(report, reactor, config, seconds)
    check_here.after_peers(report, config, nodes)
    if against is not None:
        await check_trial.try_running(report, reactor, config, against, seconds)
    elif check_here.has_web_packages(config):
        await check_trial.try_itself(report, reactor, config, seconds)


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value <= 600:
        raise ValueError(text)
    return value


_DEFAULT_TRANSPORT: Final = "obf-intermediate"

#: Names for two in one, as their URLs have them.
_IN_TLS: Final = {"wss": WEBSOCKET, "https": HTTP}

_PROXY: Final = {"v1": 1, "v2": 2}


def _add_ping(subcommands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
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
    parser.set_defaults(run=ping)


def ping(options: argparse.Namespace) -> int:
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
