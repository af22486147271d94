"""The rows of the table: what each measures, Teamgram's own gateway beside it, and its goal.

The figures of the Go gateway are those of go-gateway.md, whose machine has the factor 1.
"""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

from benchmarks.loads import Load


class Row(NamedTuple):
    """One row: a value of one load, divided by ``share``.

    ``go`` is the Go gateway's figure, None where nobody has measured it; ``goal`` is that for pure
    Python, and ``goal_compiled`` the one with the core compiled where that differs. All three are
    of the reference machine; they move with the machine's speed unless ``fixed``.
    """

    key: str
    name: str
    unit: str
    digits: int
    load: Load
    value: str
    goal: float
    go: float | None = None
    goal_compiled: float | None = None
    fixed: bool = False


def _echo(
    key: str,
    shape: tuple[int, int],
    by_stream: bool,
    go: float,
    goal: float,
    goal_compiled: float | None = None,
    transport: str = "obf-intermediate",
) -> Row:
    conns, depth = shape
    way = "stream" if by_stream else "unary"
    over = "" if transport == "obf-intermediate" else f" over {transport}"
    load = Load("echo", transport, conns, depth, by_stream=by_stream)
    name = f"echo {conns} by {depth}{over}, {way}"
    return Row(key, name, "µs CPU", 1, load, "gw_cpu_us_per_op", goal, go, goal_compiled)


def _bulk(kib: int, direction: str, by_stream: bool, go: float) -> Row:
    way = "stream" if by_stream else "unary"
    load = Load("bulk", "obf-intermediate", 4, 2, kib << 10, direction, by_stream)
    key, name = f"bulk-{kib}-{direction}-{way}", f"bulk {kib} KiB {direction}, {way}"
    return Row(key, name, "ms CPU a MB", 2, load, "gw_cpu_ms_per_mb", 5, go)


def rows(idle: int) -> list[Row]:
    """Return all rows, with so many idle connections."""
    crowd = Load("echo", conns=512, depth=8)
    tcp, websocket = Load("idle", conns=idle), Load("idle", "ws", idle)
    of, start = f", of {idle:,}", Load("start")
    exchange = Load("handshake", conns=4)
    per_exchange = "gw_cpu_ms_per_handshake"
    memory = "gw_pss_kib_per_conn_held"
    return [
        Row("exchange", "key exchange", "ms CPU", 2, exchange, per_exchange, 2.5, 13.3),
        _echo("echo-64x8-stream", (64, 8), True, 29, 27, 22),
        _echo("echo-64x1-stream", (64, 1), True, 37, 37, 33),
        _echo("echo-512x8-stream", (512, 8), True, 28.5, 28, 22),
        Row("p99-512x8-stream", "the same, p99", "ms", 0, crowd, "lat_ms_p99", 259, 259),
        _echo("echo-64x8-unary", (64, 8), False, 93, 45, 35),
        _echo("echo-1x1-stream", (1, 1), True, 240, 200),
        _echo("echo-1x1-unary", (1, 1), False, 437, 240),
        _echo("ws-64x8-stream", (64, 8), True, 38, 48, 40, "ws"),
        *(_bulk(*bulk) for bulk in _BULK),
        Row("idle-tcp", f"idle TCP{of}", "KiB PSS", 2, tcp, memory, 5, 11, fixed=True),
        Row("idle-ws", f"idle ws{of}", "KiB PSS", 2, websocket, memory, 12, 12.9, fixed=True),
        Row("idle-cpu", f"idle TCP{of}", "% CPU", 2, tcp, "gw_idle_cpu_pct", 0.35, 0.35),
        Row("start", "start to first answer", "s", 2, start, "start_s", 1.5, fixed=True),
        Row("memory", "memory at start", "MiB PSS", 1, start, "start_mib", 70, 50, fixed=True),
    ]


_BULK: Final = (
    (64, "up", True, 7.3),
    (64, "down", True, 8.1),
    (512, "up", True, 6.6),
    (512, "down", True, 6.9),
    (64, "up", False, 9.3),
    (64, "down", False, 9.7),
    (512, "up", False, 7.4),
    (512, "down", False, 7.3),
)


def chosen(offered: list[Row], wanted: Iterable[str]) -> list[Row]:
    """Return the rows whose key begins with one of the names, * for anything; all if none.

    :raises ValueError: a name fits no row.
    """
    patterns = [f"{name}*" for name in wanted]
    for pattern in patterns:
        if not any(fnmatchcase(row.key, pattern) for row in offered):
            keys = " ".join(row.key for row in offered)
            raise ValueError(f"no row {pattern[:-1]}; there are: {keys}")
    return [
        row
        for row in offered
        if not patterns or any(fnmatchcase(row.key, pattern) for pattern in patterns)
    ]
