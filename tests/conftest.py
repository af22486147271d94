"""What every test run shares: a hypothesis profile, the order, which build of the core is tested.

``pytest --core=compiled`` tests the tree that ``make compiled`` has made, in every process.
"""

import os
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).parents[1]

LIVE = ROOT / "tests" / "live"

#: The package with its core compiled, in front of the checkout's where it is wanted.
COMPILED_TREE = ROOT / "build" / "compiled"

# A run is repeatable, however slow the machine is: no verdict depends on time.
settings.register_profile(
    "gnetway",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=True,
    max_examples=60,
)
settings.load_profile("gnetway")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell has what it starts in the background ignore Control-C, and so would all that the tests
    # start, which are to be stopped by it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--core", choices=("pure", "compiled"), default="pure")


def pytest_configure(config: pytest.Config) -> None:
    """Put the right core on the path, before any of it is imported; stop if it is not there."""
    wanted = config.getoption("--core")
    if wanted == "compiled":
        sys.path.insert(0, str(COMPILED_TREE))
        paths = [str(COMPILED_TREE), os.environ.get("PYTHONPATH", "")]
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    from gnetway._version import core_build  # noqa: PLC0415 - it depends on the path

    if not core_build().startswith(wanted):
        raise pytest.UsageError(f"core: {core_build()}, where the {wanted} one is to be tested")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the live tests where processes share the work: their files take longest."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: LIVE not in item.path.parents)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell what could not be tested, by the reasons."""
    reasons: Counter[str] = Counter()
    for report in terminalreporter.getreports("skipped"):
        # Where it was skipped, on which line, and why.
        reasons[report.longrepr[2].removeprefix("Skipped: ")] += 1
    for reason, number in sorted(reasons.items()):
        terminalreporter.write_line(f"{number} skipped: {reason}")


def pytest_report_header(config: pytest.Config) -> str:
    return f"core: {config.getoption('--core')}"
