"""Two clocks run through the gateway, and are not taken for each other.

``gnetway.runtime.clocks`` says which is for what. Ruff bans ``time.time``, import-linter keeps
both out of the core; here is what they cannot see.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

import gnetway

ROOT: Final = Path(gnetway.__path__[0])

#: What may be taken from ``time``, and where.
FROM_TIME: Final = {
    "runtime/clocks.py": {"monotonic", "time"},
    "net/exchange_driver.py": {"sleep"},
    # How long an answer took, for a person to read.
    "testing/dial.py": {"perf_counter"},
    # Commands without a reactor, which wait for a gateway, and show a person its times.
    "cli/connections.py": {"localtime", "sleep", "strftime"},
    "cli/running.py": {"monotonic", "sleep"},
    # What systemd compares with its own.
    "runtime/systemd.py": {"monotonic_ns"},
}

#: It tells by both which one a reactor follows.
BETWEEN: Final = {"runtime/clocks.py"}

#: Methods of ``datetime`` and ``date`` that ask the machine.
FROM_DATETIME: Final = {"now", "utcnow", "today"}

#: Calls that wait, or reckon how long somebody has waited.
WAITING: Final = {"addTimeout", "callLater", "deferLater", "delay", "reset", "route"}

#: Attributes that hold when a wait ends; those of the protocol's are ``expires_at`` and the like.
DEADLINES: Final = {"_not_before", "_whole_by", "deadline", "ends_at", "wished_at"}

#: Calls that write or judge what the other end reads off its own clock.
PROTOCOL: Final = {
    "bind_accepted", "bind_refused", "config", "current", "cut", "invalid_at", "join",
    "judge_message_id", "next_id", "nothing", "purge", "say", "say_content", "send_exchange_answer",
    "take", "take_empty",
}  # fmt: skip


def name_of(node: ast.expr) -> str:
    """Return the last part of a name, without the line before it."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


class Function:
    """The expressions of one function that stand for one clock or the other."""

    def __init__(self, node: ast.AST) -> None:
        self._node = node
        self._known: dict[str, str] = {}
        for assigned in ast.walk(node):
            if isinstance(assigned, ast.Assign):
                for target in assigned.targets:
                    self._note(target, assigned.value)

    def _note(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            for one, its_value in zip(target.elts, value.elts, strict=False):
                self._note(one, its_value)
        elif isinstance(target, ast.Name) and (clock := self._clock(value)):
            self._known[target.id] = clock

    def _clock(self, node: ast.expr) -> str:
        """Return which clock an expression was read from: wall, timer, or nothing."""
        if isinstance(node, ast.Call) and not node.args:
            called = name_of(node.func).lstrip("_")
            return {"wall": "wall", "wall_clock": "wall", "seconds": "timer"}.get(called, "")
        return self._known.get(node.id, "") if isinstance(node, ast.Name) else ""

    def _clocks(self, node: ast.AST) -> set[str]:
        """Return the clocks that an expression is made of, but for the arguments of calls."""
        if isinstance(node, ast.expr) and (clock := self._clock(node)):
            return {clock}
        if isinstance(node, ast.BinOp | ast.Compare | ast.UnaryOp | ast.Tuple):
            return set().union(*map(self._clocks, ast.iter_child_nodes(node)))
        if isinstance(node, ast.Call) and name_of(node.func) in {"int", "max", "min"}:
            return set().union(*map(self._clocks, node.args))
        return set()

    def faults(self) -> Iterator[str]:
        for node in ast.walk(self._node):
            if isinstance(node, ast.Call):
                called = name_of(node.func)
                used = set().union(*map(self._clocks, node.args))
                if called in WAITING and "wall" in used:
                    yield f"{node.lineno}: {called} waits by the wall clock"
                if called in PROTOCOL and "timer" in used:
                    yield f"{node.lineno}: {called} tells the time of timers"
            elif isinstance(node, ast.Assign):
                targets = {name_of(target) for target in node.targets}
                if targets & DEADLINES and "wall" in self._clocks(node.value):
                    yield f"{node.lineno}: a deadline by the wall clock"
            elif isinstance(node, ast.BinOp | ast.Compare) and len(self._clocks(node)) > 1:
                yield f"{node.lineno}: both clocks in one expression"


def taken(tree: ast.AST) -> set[str]:
    """Return what a module takes from ``time``; the module itself would be all of it."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names if alias.name == "time"}
    return names


def faults(source: str, path: str = "") -> list[str]:
    """Return where a module takes one clock for the other."""
    tree = ast.parse(source)
    found = [f"takes time.{name}" for name in sorted(taken(tree) - FROM_TIME.get(path, set()))]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = name_of(node.func.value)
            if owner in {"datetime", "date"} and node.func.attr in FROM_DATETIME:
                found.append(f"{node.lineno}: {owner}.{node.func.attr}")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and path not in BETWEEN:
            found += Function(node).faults()
    return found


class ClockTests(SynchronousTestCase):
    def test_no_module_takes_one_for_the_other(self) -> None:
        found = {}
        for path in sorted(ROOT.rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if found_here := faults(path.read_text("utf-8"), name):
                found[name] = found_here
        self.assertEqual(found, {})


class LintTests(SynchronousTestCase):
    """What is found, and what is not."""

    def found(self, *lines: str) -> list[str]:
        return faults("\n".join(["def function():", *(f"    {line}" for line in lines)]))

    def test_clocks_of_the_machine(self) -> None:
        for line in ("from time import time", "import time", "from time import monotonic_ns"):
            self.assertEqual(len(self.found(line)), 1, line)
        self.assertEqual(len(self.found("return datetime.now(UTC)")), 1)
        self.assertEqual(faults("from time import sleep", "net/exchange_driver.py"), [])

    def test_waiting_by_the_wall_clock(self) -> None:
        for lines in (
            ["clock.callLater(max(0, end - self._wall()), act)"],
            ["now = services.wall()", "timer.reset(end - now)"],
            ["now, monotonic = links.wall(), links.clock.seconds()", "self.deadline = now + 5"],
            ["return exchanges.route(body, self._wall(), address)"],
        ):
            self.assertEqual(len(self.found(*lines)), 1, lines)

    def test_telling_the_time_of_timers(self) -> None:
        for lines in (
            ["return ids.next_id(self._clock.seconds(), True)"],
            ["now = clock.seconds()", "return judge_message_id(msg_id, now)"],
        ):
            self.assertEqual(len(self.found(*lines)), 1, lines)

    def test_both_in_one(self) -> None:
        self.assertEqual(len(self.found("return self._wall() - self._clock.seconds()")), 1)

    def test_each_in_its_place(self) -> None:
        self.assertEqual(
            self.found(
                "now, monotonic = links.wall(), links.clock.seconds()",
                "self.deadline = monotonic + 5",
                "clock.callLater(self.deadline - clock.seconds(), act)",
                "self.expires_at = int(now) + 60",
                "return ids.next_id(now, True)",
            ),
            [],
        )
