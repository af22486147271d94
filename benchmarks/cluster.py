"""What a gateway before a session service costs, as a Markdown table.

    .venv/bin/python -m benchmarks.cluster [--runs 5] [--seconds 4] [--carrier grpcio]

Clients and session service are loadgen's, built from ../shared/loadgen; etcd is the one installed.
Each run has a gateway, an etcd and a service of its own, on free ports of 127.0.0.1. One message is
a ping and its pong. loadgen's calibrate runs before each, since other programs change the figures.
"""

import argparse
import json
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from tests.live.cluster.cluster import ClusterGateway
from tests.live.etcd_server import EtcdServer
from tests.live.loadgen import Figures, KnownKeys, LoadgenClient, LoadgenSession, loadgen

#: Connections and messages in flight on each.
SHAPES = ((1, 1), (1, 8), (64, 1), (64, 8), (512, 1), (512, 8))

#: Messages a second that come through in any company: load goes before the measured time until
#: those of the start, when every connection is new at once, are long answered.
SLOWEST = 500

#: Connections share these by turns.
KEYS = 512


@contextmanager
def running(
    folder: Path, keys: KnownKeys, by_stream: bool, carrier: str, proto: str = "tcp"
) -> Iterator[ClusterGateway]:
    """Run a gateway with all that it needs; the service answers the way it is asked."""
    etcd = EtcdServer()
    reply = "stream" if by_stream else "unary"
    service = LoadgenSession(folder, keys.file, f"http://{etcd.host}", reply)
    gateway = ClusterGateway(etcd.host, by_stream, {})
    gateway.config["Rpc"] = {"Carrier": carrier}
    gateway.config["Gnetway"] = {"Server": [{"Proto": proto, "Addresses": [gateway.address]}]}
    gateway.write_config()
    try:
        etcd.start()
        service.start()
        gateway.start()
        gateway.knows(service.address)
        yield gateway
    finally:
        gateway.remove()
        service.kill()
        etcd.remove()


def measure(
    folder: Path,
    keys: KnownKeys,
    by_stream: bool,
    carrier: str,
    shape: tuple[int, int],
    seconds: float,
) -> Figures:
    """Return loadgen's figures of one run."""
    warm_up = 1 + shape[0] * shape[1] / SLOWEST
    with running(folder, keys, by_stream, carrier) as gateway:
        client = LoadgenClient(
            gateway.address,
            keys.file,
            "-mode=echo",
            "-transport=obf-intermediate",
            f"-conns={shape[0]}",
            f"-depth={shape[1]}",
            f"-warmup={warm_up:g}s",
            f"-duration={seconds:g}s",
            "-timeout=60s",
            f"-pid={gateway.pid}",
        )
        figures = client.result(warm_up + seconds + 90)
        assert not figures["errors"], figures
        return figures


def calibrate() -> float:
    """Return how much more CPU this machine needs now than the reference."""
    done = subprocess.run([loadgen(), "calibrate"], capture_output=True, check=True, text=True)
    return float(json.loads(done.stdout)["factor"])


def spread(values: list[float], digits: int = 0) -> str:
    """Return median, lowest and highest."""
    return f"{median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def main() -> None:
    """Measure by turns, so that no row has the quiet minutes to itself, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5, help="runs of each figure")
    parser.add_argument("--seconds", type=float, default=4.0, help="of load in a run")
    parser.add_argument("--carrier", default="native", help="of gRPC: native or grpcio")
    options = parser.parse_args()
    factors: list[float] = []
    found: dict[tuple[tuple[int, int], bool], list[Figures]] = {}
    with tempfile.TemporaryDirectory(prefix="gnetway-benchmark-") as name:
        keys = KnownKeys(KEYS, Path(name))
        for _ in range(options.runs):
            for shape in SHAPES:
                factors.append(calibrate())
                for by_stream in (True, False):
                    figures = measure(
                        Path(name), keys, by_stream, options.carrier, shape, options.seconds
                    )
                    found.setdefault((shape, by_stream), []).append(figures)
    print("| connections by depth | stream, µs CPU | messages/s | unary, µs CPU | messages/s |")
    print("|---|---|---|---|---|")
    for shape in SHAPES:
        cells = [f"{shape[0]} by {shape[1]}"]
        for by_stream in (True, False):
            runs = found[shape, by_stream]
            cells.append(spread([run["gw_cpu_us_per_op"] for run in runs]))
            cells.append(spread([run["ops_per_s"] for run in runs]))
        print(f"| {' | '.join(cells)} |")
    print(f"\nloadgen calibrate: {spread(factors, 2)}")


if __name__ == "__main__":
    main()
