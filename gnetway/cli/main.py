"""``gnetway SUBCOMMAND``: reads the command line and calls the subcommand."""

import argparse
import sys
from collections.abc import Sequence

from gnetway._core_build import core_build
from gnetway._version import __version__
from gnetway.cli import check, make_config, make_key, ping
from gnetway.errors import GatewayError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand and return the exit status: 0 for success, 1 for a fault, 2 for misuse."""
    parser = argparse.ArgumentParser(prog="gnetway", description="Tools around the gateway.")
    parser.add_argument("--version", action="version", version=_version())
    subcommands = parser.add_subparsers(metavar="SUBCOMMAND", required=True)
    check.add_to(subcommands)
    make_config.add_to(subcommands)
    make_key.add_to(subcommands)
    ping.add_to(subcommands)
    options = parser.parse_args(arguments)
    try:
        status: int = options.run(options)
    except (GatewayError, OSError) as error:
        sys.stderr.write(f"gnetway: {error}\n")
        return 1
    return status


def _version() -> str:
    return f"gnetway {__version__} (core: {core_build()})"
