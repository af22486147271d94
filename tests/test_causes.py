"""Why connections end: every name that is counted is explained to those who read the counts."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from gnetway.ends import CAUSES, who_ended

ROOT = Path(__file__).parents[1]

#: Methods whose first argument is a cause, where it is written out.
_TAKING = frozenset(
    {"_abort", "_close", "_count", "count", "end", "end_links", "give_up", "lost", "refuse"}
)
#: What is raised is always one of the classes below these, with a cause of its own.
_ABSTRACT = frozenset({"protocol", "bad_handshake"})
_CAUSE = re.compile("[a-z]+(_[a-z0-9]+)*")


def _written(node: ast.AST) -> Iterator[str]:
    """Return the causes that stand in an expression."""
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.value


def _causes_in(module: ast.AST) -> Iterator[str]:
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and node.args:
            if isinstance(node.func, ast.Attribute) and node.func.attr in _TAKING:
                yield from _written(node.args[0])
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(_name(target).endswith("cause") for target in targets):
                yield from _written(node.value)
        elif isinstance(node, ast.FunctionDef) and node.name.endswith("cause"):
            for part in ast.walk(node):
                if isinstance(part, ast.Return) and part.value is not None:
                    yield from _written(part.value)


def _name(target: ast.expr) -> str:
    return target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")


def causes() -> set[str]:
    """Return the causes that the sources of the link side write out."""
    found: set[str] = set()
    for file in (ROOT / "gnetway").rglob("*.py"):
        package = file.relative_to(ROOT / "gnetway").parts[0]
        if package not in {"pb", "push", "rpc", "http2", "config"}:  # they count other things
            found.update(_causes_in(ast.parse(file.read_text())))
    return {cause for cause in found if _CAUSE.fullmatch(cause)} - _ABSTRACT


class CausesTests(SynchronousTestCase):
    def test_they_are_found(self) -> None:
        """One for each way in which they are written."""
        ways = {"bad_framing", "client_lost", "health_probe", "hold_full", "websocket_handshake"}
        self.assertLessEqual(ways, causes())
        self.assertGreater(len(causes()), 60)

    def test_who_is_the_same_in_the_page(self) -> None:
        page = (ROOT / "docs/troubleshooting.md").read_text()
        told = {
            cause: who.split(", ")
            for who, names in re.findall("(?m)^[|] ([a-z, ]+) [|] (`[a-z0-9_`, ]+) [|]", page)
            for cause in re.findall("`([a-z0-9_]+)`", names)
        }
        self.assertEqual(sorted(set(CAUSES) - set(told)), [])
        for cause, who in told.items():
            self.assertIn(who_ended(cause).value, who, cause)

    def test_every_one_is_explained(self) -> None:
        explained = set(
            re.findall("`([a-z0-9_]+)`", (ROOT / "docs/troubleshooting.md").read_text())
        )
        self.assertEqual(sorted(causes() - explained), [])
