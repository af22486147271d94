"""``gnetway connections``, ``connection ID``, ``failures``: who is there, and why others are not.

The list is the admin site's: it filters, sorts and pages.
"""

import argparse
import json
from collections.abc import Iterator
from time import localtime, sleep, strftime
from typing import Any, Final

from gnetway.cli.asking import AdminClient, NotReached, add_options, client_of, quoted
from gnetway.cli.terminal import Column, Progress, counted, printable, room, say, size, span, table
from gnetway.ends import CAUSES, Phase, Stage, Who

#: What a list may be sorted by, as docs/admin.md has it.
SORTS: Final = (
    *("started", "stopped", "uptime", "idle", "rtt", "bytes_in", "bytes_out", "pending"),
    *("messages_in", "messages_out", "stage", "address", "cause"),
)

#: Connections of one answer, and of all pages together: the bounds of the admin site.
_MAX_PAGE: Final = 1000
_MAX_ROWS: Final = 10_000

#: Options that are parameters of the address, by the same names.
_FILTERS: Final = ("who", "phase", "stage", "cause", "address", "transport", "client")

#: Failures that ``--follow`` begins with, and seconds from one question to the next.
_FIRST_SHOWN: Final = 10
_ASK_SECONDS: Final = 2.0

#: Seconds by which an end may be told later than others that came after it: it is frozen when its
#: socket is gone.
_LATE_SECONDS: Final = 60.0


def add_to(subcommands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the subcommands."""
    parser = subcommands.add_parser(
        "connections",
        help="list a running gateway's connections, open and ended",
        description="List connections of a running gateway: those that are open, or the last"
        " 10,000 that have ended, each with how far it came, who has ended it, and why.",
    )
    add_options(parser)
    parser.add_argument(
        "--state", choices=("open", "ended", "all"), help="which (default: open, --failed: ended)"
    )
    parser.add_argument(
        "--failed", action="store_true", help="those that ended for what somebody may want to mend"
    )
    parser.add_argument("--who", choices=[who.value for who in Who], help="who has ended it")
    parser.add_argument(
        "--phase", choices=[phase.value for phase in Phase], help="what it was at, or is"
    )
    parser.add_argument(
        "--stage", choices=[stage.text for stage in Stage], help="how far it has come"
    )
    parser.add_argument("--cause", choices=sorted(CAUSES), metavar="CAUSE", help="why it ended")
    parser.add_argument("--address", metavar="NETWORK", help="an address, or a network of clients")
    parser.add_argument("--transport", metavar="TEXT", help="a part of it, such as websocket")
    parser.add_argument("--client", metavar="TEXT", help="a part of what it says of itself")
    parser.add_argument("--sort", choices=SORTS, help="by what (default: started)")
    parser.add_argument("--reverse", action="store_true", help="the smallest, or oldest, first")
    parser.add_argument(
        "--limit",
        type=_up_to(_MAX_ROWS),
        default=100,
        metavar="N",
        help=f"how many, {_MAX_ROWS} at most (default: %(default)s)",
    )
    parser.add_argument(
        "--offset", type=_up_to(_MAX_ROWS), default=0, metavar="N", help="how many to pass over"
    )
    parser.add_argument("--json", action="store_true", help="print them as JSON")
    parser.set_defaults(run=run)

    one = subcommands.add_parser(
        "connection",
        help="show all that is known of one connection",
        description="Show all that is known of a connection, open or ended.",
    )
    one.add_argument("id", metavar="ID", help="its id, as connections has it")
    add_options(one)
    one.add_argument("--json", action="store_true", help="print it as JSON")
    one.set_defaults(run=run_one)

    failures = subcommands.add_parser(
        "failures",
        help="show why clients fail, by kind, with a hint for each",
        description="Show the kinds of failures among the last 10,000 connections that have ended,"
        " with what to do about each.",
    )
    add_options(failures)
    failures.add_argument(
        "--follow", action="store_true", help="go on with a line for each that fails from now on"
    )
    failures.add_argument(
        "--json", action="store_true", help="print them as JSON; with --follow an object a line"
    )
    failures.set_defaults(run=run_failures)


def _up_to(highest: int) -> Any:
    def number(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and len(text) < 10) or int(text) > highest:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to {highest}")
        return int(text)

    return number


# connections


def run(options: argparse.Namespace) -> int:
    """Print the list."""
    client = client_of(options)
    state = options.state or ("ended" if options.failed else "open")
    asked: dict[str, str | int] = {"state": state}
    asked |= {name: value for name in _FILTERS if (value := getattr(options, name))}
    if options.failed:
        asked["failed"] = 1
    if options.sort:
        asked["sort"] = options.sort
    if options.reverse:
        asked["order"] = "asc"
    answer = _pages(client, asked, options.limit, options.offset)
    if options.json:
        say(json.dumps(answer, indent=1))
        return 0
    found = answer["connections"]
    columns = _columns(state)
    rows = [_row(record, answer["now"]) for record in found]
    cells = [[row[column.heading] for column in columns] for row in rows]
    for line in table(columns, cells, room()) if cells else ():
        say(line)
    say(f"{len(found):,} of {answer['matched']:,} that match; {answer['total']:,} looked through")
    return 0


def _pages(
    client: AdminClient, asked: dict[str, str | int], limit: int, offset: int
) -> dict[str, Any]:
    """Return one answer with as many connections as are asked for, of several pages."""
    whole: dict[str, Any] = {}
    limit = min(limit, _MAX_ROWS - offset)
    left = limit
    while True:
        page = {"limit": min(left, _MAX_PAGE), "offset": offset}
        answer = client.get("/api/connections", asked | page)
        got = answer["connections"]
        whole = whole or answer | {"connections": [], "limit": limit}
        whole["connections"] += got
        left -= len(got)
        offset += len(got)
        if not left or len(got) < page["limit"]:
            return whole


def _columns(state: str) -> list[Column]:
    """Return the columns for open connections, or for those that have ended."""
    ends = [Column("END", shrinks=True)] if state != "open" else []
    return [
        Column("ID"),
        Column("ADDRESS"),
        Column("TRANSPORT", shrinks=True),
        Column("STAGE", shrinks=True),
        *([Column("ENDED")] if ends else []),
        Column("AGE", right=True),
        Column("IDLE", right=True),
        Column("IN", right=True),
        Column("OUT", right=True),
        Column("RTT", right=True),
        *ends,
        Column("CLIENT", shrinks=True),
    ]


def _row(record: dict[str, Any], now: float) -> dict[str, str]:
    layers = [layer for layer in record.get("layers", ()) if layer not in record["transport"]]
    ended = record.get("stopped_at")
    return {
        "ID": record["id"],
        "ADDRESS": record["address"],
        "TRANSPORT": ", ".join([*layers, *filter(None, [record["transport"]])]),
        "STAGE": record["stage"],
        "ENDED": _clock(ended, now) if ended else "",
        "AGE": span(record["uptime_seconds"]),
        "IDLE": span(record["idle_seconds"]) if "idle_seconds" in record else "",
        "IN": size(record["bytes_in"]) if "bytes_in" in record else "",
        "OUT": size(record["bytes_out"]) if "bytes_out" in record else "",
        "RTT": f"{record['rtt_ms']:.1f} ms" if "rtt_ms" in record else "",
        "END": _end(record),
        "CLIENT": record.get("client", {}).get("text", ""),
    }


def _end(record: dict[str, Any]) -> str:
    """Return who, in which phase, and the cause; empty for one that is open."""
    if not record.get("cause"):
        return ""
    return f"{record['who']}, {record['phase']}, {record['cause']}"


def _clock(when: float, now: float) -> str:
    """Return a time of day, with its date where that is another one than today."""
    form = "%H:%M:%S" if now - when < 43_200 else "%Y-%m-%d %H:%M:%S"
    return strftime(form, localtime(when))


# connection


def run_one(options: argparse.Namespace) -> int:
    """Print all of one connection."""
    record = client_of(options).get(f"/api/connections/{quoted(options.id)}")
    if options.json:
        say(json.dumps(record, indent=1))
        return 0
    lines = dict(_lines(record))
    widest = max(map(len, lines))
    for name, text in lines.items():
        say(f"{name:<{widest}}  {printable(text)}")
    return 0


def _lines(record: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each thing that is known, named as the API has it, in people's units."""
    for name, value in record.items():
        if name.endswith("_at"):
            yield name.removesuffix("_at"), strftime("%F %T %z", localtime(value))
        elif name.endswith("_seconds"):
            yield name.removesuffix("_seconds"), span(value)
        elif name.endswith("_ms"):
            yield name.removesuffix("_ms"), f"{value:.1f} ms"
        elif name.startswith("bytes_") or name.endswith("_bytes"):
            yield name, f"{size(value)}" + (f" ({value})" if value >= 1024 else "")
        elif isinstance(value, dict):
            yield name, str(value.get("text", value))
        elif isinstance(value, list):
            yield name, ", ".join(map(str, value)) or "none"
        else:
            yield name, str(value)


# failures


def run_failures(options: argparse.Namespace) -> int:
    """Print the kinds of failures, or each as it comes."""
    client = client_of(options)
    if options.follow:
        return _follow(client, options.json)
    answer = client.get("/api/failures")
    if options.json:
        say(json.dumps(answer, indent=1))
        return 0
    kinds = answer["failures"]
    for kind in kinds:
        who = f"{kind['who']}, {kind['phase']}, {kind['cause']}"
        application = f" ({kind['application']})" if kind["application"] else ""
        networks = ", ".join(f"{name} ({times:,})" for name, times in kind["networks"].items())
        last = _clock(kind["last_at"], answer["now"])
        say(printable(f"{counted(kind['count'], 'time')}: {who}{application}, the last at {last}"))
        say(printable(f"    from {networks}"))
        say(printable(f"    {kind['hint']}"))
    if not kinds:
        say("no connection that is remembered has failed")
    return 0


class Newest:
    """Tells which ended connections were not told before; its memory is bounded by time."""

    def __init__(self) -> None:
        self._told: dict[str, float] = {}
        self._latest = float("-inf")

    def of(self, records: list[dict[str, Any]], now: float) -> list[dict[str, Any]]:
        """Return those that are new, the oldest first; ``now`` is the gateway's time."""
        # A clock that was set back would hide all that follows.
        since = min(self._latest, now) - _LATE_SECONDS
        new = [
            record
            for record in records
            if record["id"] not in self._told and record["stopped_at"] >= since
        ]
        for record in new:
            self._told[record["id"]] = record["stopped_at"]
            self._latest = max(self._latest, record["stopped_at"])
        self._latest = min(self._latest, now)
        since = self._latest - _LATE_SECONDS
        self._told = {name: when for name, when in self._told.items() if when >= since}
        return sorted(new, key=lambda record: record["stopped_at"])


def _follow(client: AdminClient, as_json: bool) -> int:
    """Print a line for each connection that fails, until Ctrl-C."""
    newest, progress = Newest(), Progress()
    asked: dict[str, str | int] = {"state": "ended", "failed": 1, "sort": "stopped"}
    first = True
    try:
        while True:
            try:
                answer = client.get("/api/connections", asked | {"limit": _MAX_PAGE})
            except NotReached as error:
                if first:
                    raise
                progress.show(f"{error}; it is asked again")
                sleep(_ASK_SECONDS)
                continue
            progress.clear()
            new = newest.of(answer["connections"], answer["now"])
            if not first and len(new) == _MAX_PAGE:
                progress.clear()
                say("… more have failed meanwhile than one answer holds")
            for record in new[-_FIRST_SHOWN:] if first else new:
                say(json.dumps(record) if as_json else printable(_line(record, answer["now"])))
            first = False
            sleep(_ASK_SECONDS)
    except KeyboardInterrupt:
        progress.clear()
        return 0


def _line(record: dict[str, Any], now: float) -> str:
    who = record.get("client", {}).get("text") or record["transport"] or "a client"
    when = _clock(record["stopped_at"], now)
    return f"{when} {record['address']} {who}: {_end(record)} - {record['hint']}"
