"""``gnetway SUBCOMMAND``: reads the command line and calls the subcommand."""

import argparse
import io
import os
import sys
from collections.abc import Sequence
from typing import Final

from gnetway._core_build import core_build
from gnetway._version import __version__
from gnetway.cli import (
    check,
    completion,
    config,
    connections,
    make_config,
    make_key,
    orders,
    ping,
    ring,
    run,
    status,
)
from gnetway.cli.terminal import printable
from gnetway.errors import GatewayError

#: In the order of the help.
_SUBCOMMANDS: Final = (
    *(run, make_key, make_config, check, ping),
    *(status, connections, orders, config, ring),
)

#: What shells say of a program that Ctrl-C has ended.
_INTERRUPTED: Final = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand and return the exit status: 0 for success, 1 for a fault, 2 for misuse."""
    options = make_parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # An old terminal gets what it cannot show in escapes, and no fault.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        result: int = options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:
        # Who reads has enough, such as head. Python would complain at its end once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED
    except (GatewayError, OSError) as error:
        lines = "\n".join(map(printable, str(error).split("\n")))
        sys.stderr.write(f"gnetway: {lines}\n")
        return 1
    return result


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of all subcommands."""
    parser = argparse.ArgumentParser(prog="gnetway", description="Tools around the gateway.")
    parser.add_argument("--version", action="version", version=_version())
    subcommands = parser.add_subparsers(metavar="SUBCOMMAND", required=True)
    for module in _SUBCOMMANDS:
        module.add_to(subcommands)
    completion.add_to(subcommands, parser)
    return parser


def _version() -> str:
    return f"gnetway {__version__} (core: {core_build()})"
