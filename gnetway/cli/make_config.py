"""``gnetway make-config FILE``: the example configuration, which explains every key."""

import argparse
import sys
from importlib.resources import files
from typing import Final

#: Beside this module; in a checkout they are links into etc/.
_SINGLE: Final = "gnetway.yaml"
_CLUSTER: Final = "gnetway-cluster.yaml"


def add_to(subcommands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the subcommand."""
    parser = subcommands.add_parser(
        "make-config",
        help="write the example configuration",
        description="Write the example configuration, which explains every key.",
    )
    parser.add_argument("file", help="where to put it; an existing file is never overwritten")
    parser.add_argument(
        "--cluster", action="store_true", help="the one for Teamgram's session services"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write FILE and tell what it wants beside it."""
    example = files("gnetway.cli").joinpath(_CLUSTER if options.cluster else _SINGLE)
    # "x": a configuration that somebody has written is never lost to a mistyped name.
    with open(options.file, "xb") as file:
        file.write(example.read_bytes())
    sys.stdout.write(
        f"{options.file}: as it is, it wants an RSA key beside it, server_pkcs1.key"
        " (gnetway make-key)\n"
    )
    return 0
