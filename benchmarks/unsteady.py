"""Runs gateways before session nodes that come, go, shed load and lie, and tells what was lost.

    .venv/bin/python -m benchmarks.unsteady [--minutes 10] [--carrier native] [--unary]

Three nodes, each a process, are killed, stopped, started again, refuse a part of the data or all
of them with statuses of several kinds, and send sessions in circles, one thing after the other.
Honest clients talk meanwhile, and want a quick ack of each message. In the end every message has
been answered, or its connection was ended; each session's messages came in their order and no
more than twice; no node has heard the end of a session that it never knew, and none has a session
left open. Ends with status 1 otherwise.
"""

import argparse
import sys

from benchmarks.machine import description
from gnetway.config.session import Carrier
from tests.live.cluster.node_journal import What
from tests.live.cluster.unsteady import Report, Unsteady, Way

#: How many clients a gateway has.
TALKERS = 12

#: Between one thing that happens to the nodes and the next.
STEP_SECONDS = 2.0

#: More of what is wrong is not printed.
_MOST_FAULTS = 20


def lines(report: Report) -> list[str]:
    """Return the report as Markdown."""
    shown = ["| gateway | connections | ended by it | sent | quick acks | answered |"]
    shown += ["|---|---|---|---|---|---|"]
    for way, *counts in report.clients:
        shown.append(f"| {way} | {' | '.join(f'{count:,}' for count in counts)} |")
    nodes = report.nodes
    done = f"took {nodes[What.TAKEN]:,} messages ({report.twice:,} had come twice)"
    not_done = f"refused {nodes[What.REFUSED]:,} and redirected {nodes[What.REDIRECTED]:,}"
    shown += ["", f"The nodes, in {nodes[What.BEGUN]} lives, {done}, {not_done}."]
    if not report.faults:
        return [*shown, "Nothing was lost, doubled, out of order, unknown or left open."]
    shown += [f"Wrong: {len(report.faults)}", ""]
    shown += [f"* {fault}" for fault in report.faults[:_MOST_FAULTS]]
    return shown


def main() -> None:
    """Run, print, and judge."""
    made = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    made.add_argument("--minutes", type=float, default=10.0, help="how long")
    carriers = [carrier.value for carrier in Carrier]
    made.add_argument("--carrier", default="native", choices=carriers, help="of gRPC")
    made.add_argument("--unary", action="store_true", help="by calls instead of by stream")
    options = made.parse_args()
    way = Way(not options.unary, Carrier(options.carrier))
    with Unsteady([way], TALKERS) as unsteady:
        report = unsteady.run(60 * options.minutes, STEP_SECONDS)
    print("\n".join([*lines(report), "", description() + "."]))
    sys.exit(1 if report.faults else 0)


if __name__ == "__main__":
    main()
