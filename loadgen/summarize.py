#!/usr/bin/env python3
"""Medians (and lowest to highest) of loadgen's JSON lines, as a Markdown table.

Reads the files that it is given, or else its standard input.
"""

import fileinput
import json
import sys
from collections.abc import Callable, Iterable
from statistics import median

Result = dict[str, object]

#: What tells runs apart: runs with the same values of these are one row.
_ROW = ("label", "mode", "transport", "conns", "depth", "size", "dir")


def number(*names: str, divisor: float = 1) -> Callable[[Result], float | None]:
    """Return what finds a number in a result; further names lead into its parts."""

    def find(result: Result) -> float | None:
        found: object = result
        for name in names:
            found = found.get(name) if isinstance(found, dict) else None
        return found / divisor if isinstance(found, int | float) else None

    return find


COLUMNS = {
    "ops/s": number("ops_per_s"),
    "gw CPU us/op": number("gw_cpu_us_per_op"),
    "gw CPU %": number("gw_cpu_pct"),
    "p50 ms": number("lat_ms", "p50"),
    "p99 ms": number("lat_ms", "p99"),
    "max ms": number("lat_ms", "max"),
    "MB/s": number("mb_per_s"),
    "gw CPU ms/MB": number("gw_cpu_ms_per_mb"),
    "KiB/conn": number("gw_pss_kib_per_conn_held"),
    "idle CPU %": number("gw_idle_cpu_pct"),
    "RSS MiB": number("gw_rss_kib", divisor=1024),
    "errors": number("errors"),
}


def read(lines: Iterable[str]) -> dict[str, list[Result]]:
    """Return the results by the name of their row; tell of runs that have failed."""
    rows: dict[str, list[Result]] = {}
    for line in lines:
        result: Result = json.loads(line)
        if "failed" in result:
            print("failed:", result["failed"], file=sys.stderr)
        else:
            rows.setdefault(row_name(result), []).append(result)
    return rows


def row_name(result: Result) -> str:
    """Return what was run, in a few words."""
    label, mode, transport, conns, depth, size, direction = map(result.get, _ROW)
    counts = [f"c{conns}", f"d{depth}" if depth else "", f"{size} B" if size else ""]
    return " ".join(str(part) for part in (label, mode, transport, *counts, direction) if part)


def cell(results: list[Result], find: Callable[[Result], float | None]) -> str:
    """Return the median of a figure, and its spread where there is any; empty where it is not."""
    values = [value for value in map(find, results) if value is not None]
    if not values:
        return ""
    lowest, highest = min(values), max(values)
    spread = "" if lowest == highest else f" ({lowest:.4g}-{highest:.4g})"
    return f"{median(values):.4g}{spread}"


def main() -> None:
    """Print the table, without the columns that no run has."""
    with fileinput.input() as lines:
        rows = read(lines)
    everything = [result for results in rows.values() for result in results]
    columns = {name: find for name, find in COLUMNS.items() if cell(everything, find)}
    print(f"| {' | '.join(['run', 'runs', *columns])} |")
    print("|" + "---|" * (len(columns) + 2))
    for name, results in rows.items():
        cells = [cell(results, find) for find in columns.values()]
        print(f"| {' | '.join([name, str(len(results)), *cells])} |")


if __name__ == "__main__":
    main()
