"""What web clients cost a gateway before a session service, as a Markdown table.

    .venv/bin/python -m benchmarks.web [--runs 3] [--seconds 4] [--carrier grpcio] [--idle 5000]

One listener, ``Proto: auto``, takes all of them. Everything else is as in benchmarks.cluster.
"""

import argparse
import tempfile
from pathlib import Path

from benchmarks.cluster import KEYS, calibrate, running, spread
from tests.live.cluster.cluster import ClusterGateway
from tests.live.loadgen import Figures, KnownKeys, LoadgenClient

#: Transport, connections, messages in flight on each; HTTP has one at a time.
ROWS = (("ws", 1, 1), ("ws", 64, 8), ("http", 1, 1), ("http", 64, 1))


def drive(gateway: ClusterGateway, keys: KnownKeys, seconds: float, *more: str) -> Figures:
    """Let loadgen's client loose, and return its figures."""
    client = LoadgenClient(gateway.address, keys.file, "-timeout=60s", f"-pid={gateway.pid}", *more)
    figures = client.result(seconds + 120)
    assert not figures["errors"], figures
    return figures


def main() -> None:
    """Measure by turns and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=3, help="runs of each figure")
    parser.add_argument("--seconds", type=float, default=4.0, help="of load in a run")
    parser.add_argument("--carrier", default="native", help="of gRPC: native or grpcio")
    parser.add_argument("--idle", type=int, default=5000, help="idle WebSockets")
    options = parser.parse_args()
    factors: list[float] = []
    costs: dict[tuple[str, int, int], list[float]] = {row: [] for row in ROWS}
    idle: list[float] = []
    with tempfile.TemporaryDirectory(prefix="gnetway-benchmark-") as name:
        folder = Path(name)
        keys = KnownKeys(KEYS, folder)
        for _ in range(options.runs):
            factors.append(calibrate())
            for row in ROWS:
                transport, conns, depth = row
                # loadgen's service answers HTTP only in the reply of the call itself.
                with running(folder, keys, transport == "ws", options.carrier, "auto") as gateway:
                    figures = drive(
                        gateway,
                        keys,
                        options.seconds,
                        "-mode=echo",
                        f"-transport={transport}",
                        f"-conns={conns}",
                        f"-depth={depth}",
                        "-warmup=2s",
                        f"-duration={options.seconds:g}s",
                    )
                    costs[row].append(figures["gw_cpu_us_per_op"])
            with running(folder, keys, True, options.carrier, "auto") as gateway:
                count = f"-conns={options.idle}"
                waiting = ("-mode=idle", "-transport=ws", count, "-duration=5s", "-warmup=3s")
                figures = drive(gateway, keys, 60, *waiting)
                idle.append(figures["gw_pss_kib_per_conn"])
    print("| | µs CPU a message |\n|---|---|")
    for (transport, conns, depth), values in costs.items():
        print(f"| {transport}, {conns} by {depth} | {spread(values)} |")
    print(f"\nan idle WebSocket, of {options.idle}: {spread(idle, 1)} KiB")
    print(f"loadgen calibrate: {spread(factors, 2)}")


if __name__ == "__main__":
    main()
