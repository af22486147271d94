"""What the command lines of all measurements before a session service have in common."""

import argparse
import sys
from pathlib import Path

from benchmarks.machine import COMPILED, core_in_use, description, revision
from benchmarks.stand import Setup
from tests.live.gateway import ROOT

#: Descriptors that a gateway or client needs beside those of connections.
SPARE_DESCRIPTORS = 200


def parser(text: str | None, seconds: bool = True) -> argparse.ArgumentParser:
    """Return a parser of what each of them lets one choose; ``text`` is its docstring.

    ``seconds`` says whether there are runs to be as long as one wants.
    """
    made = argparse.ArgumentParser(description=(text or "").partition("\n")[0])
    if seconds:
        made.add_argument("--seconds", type=float, default=4.0, help="of load in a run")
    made.add_argument("--carrier", default="native", choices=("native", "grpcio"), help="of gRPC")
    made.add_argument("--workers", type=int, default=1, help="processes of the gateway")
    made.add_argument("--core", default="pure", choices=("pure", "compiled"), help="of the gateway")
    made.add_argument(
        "--checkout", type=Path, default=ROOT, help="another one, whose gateway is measured"
    )
    return made


def setup_of(options: argparse.Namespace) -> Setup:
    """Return what such options choose; end the program if it is not there."""
    if not (options.checkout / "gnetway").is_dir():
        # Python would pass over it, and the gateway of this checkout be measured.
        sys.exit(f"no gateway in {options.checkout}")
    compiled = options.core == "compiled"
    setup = Setup(options.carrier, options.workers, compiled, options.checkout.resolve())
    if compiled != (core_in_use(setup.environment) == COMPILED):
        sys.exit(
            f"no {options.core} core in {options.checkout}: make compiled makes a compiled one"
        )
    return setup


def provenance(setup: Setup) -> str:
    """Tell what the figures come from: the gateway's setup, the machine and its load."""
    core = core_in_use(setup.environment)
    commit = revision(setup.checkout)
    place = f"commit {commit}, " if commit else ""
    return f"{place}{core}, carrier {setup.carrier}, workers {setup.workers}; {description()}."


def note(text: str) -> None:
    """Tell how far it is, beside the output."""
    print(text, file=sys.stderr, flush=True)


def idle_connections(wanted: int, limit: int) -> int:
    """Return how many of the connections the limit of open files allows."""
    most = limit - SPARE_DESCRIPTORS
    if most < wanted:
        note(f"only {limit:,} open files are allowed: {most:,} connections (see ulimit -Hn)")
    return min(most, wanted)
