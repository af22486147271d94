"""``gnetway check -c FILE``: everything that keeps clients from being served, each with a remedy.

What needs no other process comes first (``check_here``), then etcd and the session nodes
(``check_peers``), then a gateway of this configuration itself, or the one that runs
(``check_trial``).
"""

import argparse
import sys
from typing import TYPE_CHECKING

from gnetway.cli.asking import run_in_reactor
from gnetway.cli.terminal import Report
from gnetway.testing.dial import address

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
    parser.add_argument(
        "-c",
        "--config",
        default="etc/gnetway.yaml",
        metavar="FILE",
        help="the configuration (default: %(default)s)",
    )
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
