"""``gnetway status``: a running gateway on one screen, with ``--watch`` as it changes."""

import argparse
import json
from collections.abc import Mapping
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Final

from gnetway.cli.admin_client import AdminClient, AdminError, NotReached, add_options, client_of
from gnetway.cli.terminal import can_redraw, counted, cut, live, printable, room, say, size, span

if TYPE_CHECKING:
    from gnetway.runtime.clocks import WallClock

#: Seconds from one look to the next.
_WATCH_SECONDS: Final = 2.0

#: Causes and kinds of failures that have a place on the screen.
_SHOWN_ENDS: Final = 8
_SHOWN_KINDS: Final = 5

#: Of gauges: what stands beside its bound, and how it is shown.
_BOUNDED: Final = (
    ("half-open", "half_open", "half_open_limit", "{:,.0f}".format),
    ("unsent", "unsent_bytes", "unsent_bytes_limit", size),
    ("unfinished packets", "unfinished_bytes", "unfinished_bytes_limit", size),
)
_PLAIN: Final = (
    ("held", "held"),
    ("networks", "networks"),
    ("sessions", "sessions"),
    ("exchange steps under way", "exchange_steps"),
)

_NAME_WIDTH: Final = 14


def add_to(subcommands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the subcommand."""
    parser = subcommands.add_parser(
        "status",
        help="show how a running gateway is",
        description="Show a running gateway on one screen. Status 1 where it cannot serve clients.",
    )
    add_options(parser)
    parser.add_argument(
        "--watch",
        action="store_true",
        help="show it anew every 2 seconds, with rates, until Ctrl-C; only on a terminal",
    )
    parser.add_argument("--json", action="store_true", help="print it as JSON, once")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the status once, or show it until Ctrl-C."""
    # It brings Twisted, which takes its time.
    from gnetway.runtime.clocks import wall_clock  # noqa: PLC0415

    client = client_of(options)
    if options.watch and not options.json and can_redraw():
        # What cannot be asked at all is told before the screen is taken.
        client.get("/api/status")
        watched = _Watched(client, wall_clock)
        live(watched.draw, lambda: sleep(_WATCH_SECONDS))
        return 0
    status = client.get("/api/status")
    if options.json:
        say(json.dumps(status, indent=1))
    else:
        columns = room()
        for line in screen(status, kinds_of(client), wall_clock()):
            say(line if columns is None else cut(line, columns))
    return 0 if status["ready"] else 1


def kinds_of(client: AdminClient) -> list[dict[str, Any]]:
    """Return the kinds of failures; none where they are kept from who asks."""
    try:
        kinds: list[dict[str, Any]] = client.get("/api/failures")["failures"]
    except AdminError:
        return []
    return kinds


class _Watched:
    """Draws the status again and again, with rates from what was before."""

    def __init__(self, client: AdminClient, wall: "WallClock") -> None:
        self._client = client
        self._wall = wall
        self._before: dict[str, Any] | None = None
        self._asked_at = 0.0

    def draw(self) -> list[str]:
        """Return the lines of now."""
        try:
            status = self._client.get("/api/status")
            kinds = kinds_of(self._client)
        except NotReached as error:
            self._before = None
            return [*printable(str(error)).split("\n"), "It is asked again. Ctrl-C ends."]
        now = monotonic()
        lines = screen(
            status, kinds, self._wall(), rates(self._before, status, now - self._asked_at)
        )
        self._before, self._asked_at = status, now
        return lines


def rates(before: Mapping[str, Any] | None, status: Mapping[str, Any], seconds: float) -> str:
    """Return how often something has happened a second; empty where nothing was before."""
    if before is None or seconds <= 0 or before["started_at"] != status["started_at"]:
        return ""

    def rate(number: float, number_before: float) -> str:
        return f"{max(0.0, number - number_before) / seconds:,.1f}"

    opened = rate(status["connections"]["opened"], before["connections"]["opened"])
    keys = rate(status["keys_made"], before["keys_made"])
    ends = rate(sum(status["ends"].values()), sum(before["ends"].values()))
    return f"{opened} opened, {keys} auth keys made, {ends} ends and failures a second"


def screen(
    status: Mapping[str, Any], kinds: list[dict[str, Any]], now: float, rates_now: str = ""
) -> list[str]:
    """Return the lines of a status; ``now`` is in Unix seconds."""
    gauges, connections, workers = status["gauges"], status["connections"], status["workers"]
    up = span(now - status["started_at"])
    ready = "serves clients" if status["ready"] else "NOT READY"
    lines = [f"gnetway {status['version']} (core: {status['core']}), {ready}, up {up}"]
    lines += [_line("not ready", reason) for reason in status["unready"]]
    lines.append(_line("listeners", ", ".join(status["listeners"]) or "none"))
    lines.append(_line("backend", status["backend"]))
    if workers["configured"]:
        lines.append(_line("workers", f"{workers['ready']} of {workers['configured']} serve"))
    lines += [_line("session node", _node(node)) for node in status.get("nodes") or ()]
    bound = gauges.get("connections_limit")
    of = f" of {bound:,.0f}" if bound else ""
    opened = f"{connections['open']:,} open{of}, {connections['opened']:,} since the start"
    lines.append(_line("connections", opened))
    if rates_now:
        lines.append(_line("rates", rates_now))
    there = [f"{name} {gauges[key]:,.0f}" for name, key in _PLAIN if key in gauges]
    there += [
        f"{name} {shown(gauges[key])}" + (f" of {shown(gauges[top])}" if gauges.get(top) else "")
        for name, key, top, shown in _BOUNDED
        if key in gauges
    ]
    lines += [_line("" if index else "now", text) for index, text in enumerate(_in_threes(there))]
    if "resident_bytes" in gauges:
        lines.append(_line("memory", size(gauges["resident_bytes"])))
    if "loop_lag_seconds" in gauges:
        lag = f"late by {gauges['loop_lag_seconds'] * 1000:.0f} ms at most, of the last minute"
        lines.append(_line("event loop", lag))
    lines.append(_line("auth keys", f"{status['keys_made']:,} made"))
    ends = list(status["ends"].items())
    shown_ends = [f"{cause} {count:,}" for cause, count in ends[:_SHOWN_ENDS]]
    shown_ends += [f"and {len(ends) - _SHOWN_ENDS} others"] if len(ends) > _SHOWN_ENDS else []
    lines.append(_line("ends", ", ".join(shown_ends) or "none"))
    for kind in kinds[:_SHOWN_KINDS]:
        told = f"{counted(kind['count'], 'time')} {kind['who']}, {kind['phase']}, {kind['cause']}"
        lines.append(_line("failing", f"{told}: {kind['hint']}"))
    return lines


def _node(node: Mapping[str, Any]) -> str:
    """Return what is to be seen of a session node."""
    told = [f"{node['address']} {node['state']}"]
    if node["breaker"] != "closed":
        told.append(f"breaker {node['breaker']}")
    told.append(f"{node['ring_share']:.1%} of the keys" if node["listed"] else "not listed")
    told.append(f"{node['in_flight']:,.0f} in flight")
    if node["failures"]:
        told.append(f"{node['failures']:,.0f} of {node['requests']:,.0f} requests failed")
    if "latency_ms" in node:
        told.append(f"{node['latency_ms']:.1f} ms")
    return ", ".join(told)


def _in_threes(texts: list[str]) -> list[str]:
    return [", ".join(texts[first : first + 3]) for first in range(0, len(texts), 3)]


def _line(name: str, text: object) -> str:
    return f"{name:<{_NAME_WIDTH}}{printable(str(text))}"
