"""``gnetway end``, ``drain`` and ``reload``: what a running gateway is told to do."""

import argparse
import json
from time import monotonic, sleep
from typing import Final

from gnetway.cli.admin_client import (
    AdminClient,
    AdminError,
    NotReached,
    NotThere,
    add_options,
    client_of,
    quoted,
)
from gnetway.cli.terminal import Progress, counted, printable, say, span

#: Seconds from one look at a gateway that drains to the next, and between lines where no terminal
#: shows the number as it changes.
_LOOK_SECONDS: Final = 0.5
_LINE_SECONDS: Final = 5.0

#: For a reload: a process of its own reads the file, and each worker has 10 seconds to take it.
_RELOAD_SECONDS: Final = 120.0


def add_to(subcommands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
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
    return _watch(client, started_at)


def _watch(client: AdminClient, started_at: object) -> int:
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
