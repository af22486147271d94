"""A running gateway: how it is, and what it is told to do.

``gnetway status`` shows it on one screen, with ``--watch`` as it changes; ``end``, ``drain`` and
``reload`` are orders.
"""

import argparse
import json
from collections.abc import Mapping
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Final

from gnetway.cli.asking import (
    AdminClient,
    AdminError,
    NotReached,
    NotThere,
    add_options,
    client_of,
    quoted,
)
from gnetway.cli.terminal import (
    Progress,
    can_redraw,
    counted,
    cut,
    live,
    printable,
    room,
    say,
    size,
    span,
)

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
    _add_orders(subcommands)


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
    for first in range(0, len(there), 3):
        lines.append(_line("" if first else "now", ", ".join(there[first : first + 3])))
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


def _line(name: str, text: object) -> str:
    return f"{name:<{_NAME_WIDTH}}{printable(str(text))}"


#: Seconds from one look at a gateway that drains to the next, and between lines where no terminal
#: shows the number as it changes.
_LOOK_SECONDS: Final = 0.5
_LINE_SECONDS: Final = 5.0

#: For a reload: a process of its own reads the file, and each worker has 10 seconds to take it.
_RELOAD_SECONDS: Final = 120.0


def _add_orders(subcommands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the subcommands."""
    end = subcommands.add_parser(
        "end",
        help="end a connection",
        description="End a connection of a running gateway at once. Its client will connect again,"
        " if it is told nothing else.",
    )
    end.add_argument("id", metavar="ID", help="its id, as connections has it")
    add_options(end)
    end.set_defaults(run=run_end)

    drain = subcommands.add_parser(
        "drain",
        help="have a running gateway end as SIGTERM does, or end one connection gently",
        description="Without ID the whole gateway takes nobody new, answers what is under way, and"
        " ends; what is left is shown until it is gone. With ID one connection is ended as soon as"
        " nothing is under way on it, after 30 seconds in any case.",
    )
    drain.add_argument("id", metavar="ID", nargs="?", help="the id of one connection")
    add_options(drain)
    drain.add_argument("--no-wait", action="store_true", help="only begin it")
    drain.set_defaults(run=run_drain)

    reload = subcommands.add_parser(
        "reload",
        help="have a running gateway read its configuration again",
        description="Have a running gateway read its configuration again, as SIGHUP does, and print"
        " what it has taken, and what needs a restart. A file with faults changes nothing.",
    )
    add_options(reload)
    reload.add_argument("--json", action="store_true", help="print the answer as JSON")
    reload.set_defaults(run=run_reload)


def run_end(options: argparse.Namespace) -> int:
    """End a connection."""
    client_of(options).post(f"/api/connections/{quoted(options.id)}/end")
    say(f"connection {printable(options.id)} is ended")
    return 0


def run_drain(options: argparse.Namespace) -> int:
    """Drain a connection, or the gateway."""
    client = client_of(options)
    if options.id is not None:
        client.post(f"/api/connections/{quoted(options.id)}/drain")
        say(f"connection {printable(options.id)} is ended once nothing is under way on it")
        return 0
    started_at = client.get("/api/status").get("started_at")
    client.post("/api/drain")
    if options.no_wait:
        say("the gateway drains")
        return 0
    return _watch_drain(client, started_at)


def _watch_drain(client: AdminClient, started_at: object) -> int:
    """Show what is left of a gateway that drains, until it is gone."""
    progress = Progress()
    began = told_at = monotonic()
    told = None
    try:
        while True:
            took = monotonic() - began
            try:
                status = client.get("/api/status")
            except NotReached:
                break
            if status.get("started_at") != started_at:
                # A service manager was faster than a look.
                break
            left = counted(status["connections"]["open"], "connection")
            progress.show(f"the gateway drains: {left} left, {span(took)}")
            if told is None or (left != told and monotonic() - told_at >= _LINE_SECONDS):
                told, told_at = left, monotonic()
                progress.clear()
                say(f"the gateway drains: {left} left")
            sleep(_LOOK_SECONDS)
    except KeyboardInterrupt:
        progress.clear()
        say("the gateway drains on")
        return 0
    progress.clear()
    say(f"the gateway has ended after {span(took)}")
    return 0


def run_reload(options: argparse.Namespace) -> int:
    """Reload, and print what came of it."""
    client, progress = client_of(options), Progress()
    progress.show("the gateway reads its configuration")
    try:
        answer = client.post("/api/reload", _RELOAD_SECONDS)
    except NotThere as error:
        raise AdminError("this gateway cannot reload: restart it") from error
    finally:
        progress.clear()
    wrong = [*answer.get("faults", ()), *answer.get("failed", ())]
    if options.json:
        say(json.dumps(answer, indent=1))
        return int(bool(wrong))
    outcome = str(answer.get("outcome", "over"))
    if wrong:
        nothing = ", nothing has changed" if answer.get("faults") else ""
        told = f"reload {answer.get('number')}: {outcome}{nothing}"
        raise AdminError("\n".join([told, *map(str, wrong)]))
    say(printable(f"reload {answer.get('number')}: {outcome}, {answer.get('digest')} runs"))
    for name, told in (("taken", "taken"), ("needs_restart", "these need a restart")):
        if answer.get(name):
            say(printable(f"{told}: {', '.join(map(str, answer[name]))}"))
    return 0
