"""What one trick brings: a gateway works with it and without it by turns, in one process.

    .venv/bin/python -m benchmarks.by_turns write [--conns 1] [--depth 1] [--calls] [--seconds 20]

Other programs change from run to run what a message costs, by more than most tricks bring. Two
turns of a fifth of a second that follow each other have met the same company, so their ratio is
what counts; the median of all of them is printed. A trick that brings less than 5 % in every row
is not worth its lines.
"""

import json
import os
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Final

from twisted.internet.epollreactor import EPollReactor
from twisted.python import log  # noqa: TID251 - as the reactor has it

from benchmarks.command import parser, setup_of
from benchmarks.loads import Load
from benchmarks.stand import Ground

_act = EPollReactor._doReadOrWrite  # noqa: SLF001


def _act_in_context(reactor: object, selectable: object, fd: int, event: int) -> None:
    """Act on an event as Twisted's own loop has it, in a logging context."""
    log.callWithLogger(selectable, _act, reactor, selectable, fd, event)


#: By the trick: the modules and names in them that are replaced without it, and by what.
TRICKS: Final[dict[str, dict[str, object]]] = {
    "write": {"gnetway.runtime.shortcuts:_KNOWN": frozenset()},
    "plain-calls": {"twisted.internet.epollreactor:EPollReactor._doReadOrWrite": _act_in_context},
    "push-reader": {
        "gnetway.push.server:PushReader.read": lambda reader, message: None,
        "gnetway.push.server:PushReader.learn": lambda reader, push: (
            push.auth_key_id,
            push.session_id,
            push.payload,
        ),
    },
}

TURN_SECONDS: Final = 0.2

#: Turns of the start, in which all is new.
_FIRST_TURNS: Final = 15

_TRICK: Final = "GNETWAY_TRICK"
_RESULTS: Final = "GNETWAY_TRICK_RESULTS"

_START: Final = """
import sys
sys.path.insert(0, {root!r})
from benchmarks.by_turns import Turns
Turns().install()
"""


class Turns:
    """Switches a trick on and off in a gateway's process, and writes down what each turn cost."""

    def __init__(self) -> None:
        self._parts: list[tuple[object, str, object, object]] = []
        for place, stand_in in TRICKS[os.environ[_TRICK]].items():
            module, _, path = place.partition(":")
            owner: object = import_module(module)
            *parents, name = path.split(".")
            for parent in parents:
                owner = getattr(owner, parent)
            self._parts.append((owner, name, getattr(owner, name), stand_in))
        self._on = True
        self._ends = self._cpu = 0.0
        self._messages = self._seen = 0

    def install(self) -> None:
        """Look at the time after each iteration of the reactor, and count messages."""
        from gnetway.backends.remote.backend import RemoteBackend  # noqa: PLC0415 - its process
        from gnetway.runtime.shortcuts import EpollLoop  # noqa: PLC0415

        self._wrap(EpollLoop, "_end_turn", self._look)
        self._wrap(RemoteBackend, "send_data", self._count)

    def _wrap(self, owner: type, name: str, first: Callable[[], None]) -> None:
        wrapped = getattr(owner, name)

        def wrapper(*args: object) -> object:
            first()
            return wrapped(*args)

        setattr(owner, name, wrapper)

    def _count(self) -> None:
        self._messages += 1

    def _look(self) -> None:
        if time.monotonic() < self._ends:
            return
        cpu, messages = time.thread_time(), self._messages - self._seen
        if messages:
            with open(os.environ[_RESULTS], "a", encoding="utf-8") as file:
                file.write(json.dumps([self._on, (cpu - self._cpu) / messages]) + "\n")
        self._on = not self._on
        for owner, name, usual, stand_in in self._parts:
            setattr(owner, name, usual if self._on else stand_in)
        self._seen, self._ends = self._messages, time.monotonic() + TURN_SECONDS
        self._cpu = time.thread_time()


def main() -> None:
    """Measure one trick, and print what it brings."""
    parsing = parser(__doc__)
    parsing.add_argument("trick", choices=TRICKS)
    parsing.add_argument("--conns", type=int, default=1)
    parsing.add_argument("--depth", type=int, default=1)
    parsing.add_argument("--calls", action="store_true", help="by unary calls, not by stream")
    parsing.set_defaults(seconds=20.0)
    options = parsing.parse_args()
    load = Load("echo", conns=options.conns, depth=options.depth, by_stream=not options.calls)
    setup = load.setup(setup_of(options))
    with tempfile.TemporaryDirectory() as folder, Ground() as ground:
        # Python imports it before the gateway's program. The link is for who looks into a checkout.
        Path(folder, "gnetway").symlink_to(setup.checkout / "gnetway")
        Path(folder, "sitecustomize.py").write_text(_START.format(root=str(setup.checkout)))
        results = Path(folder, "results")
        os.environ |= {_TRICK: options.trick, _RESULTS: str(results)}
        with ground.stand(setup._replace(checkout=Path(folder))) as stand:
            client = stand.client(*load.arguments(options.seconds, options.carrier))
            client.result(load.longest_seconds(options.seconds, options.carrier))
        turns = [json.loads(line) for line in results.read_text().splitlines()][_FIRST_TURNS:]
    by = {on: median(cost for was_on, cost in turns if was_on is on) for on in (True, False)}
    ratios = [b / a if a_on else a / b for (a_on, a), (_, b) in pairwise(turns)]
    print(
        f"{options.trick}, {options.conns} by {options.depth}: without it a message costs"
        f" {100 * (median(ratios) - 1):+.1f} %, by {len(turns)} turns;"
        f" medians {by[True] * 1e6:.1f} and {by[False] * 1e6:.1f} µs"
    )


if __name__ == "__main__":
    main()
