"""The measurements as benchmarks/README.md types them, cut short by what is put at their end.

They have real gateways, etcds, clients and session services. Of the load generator, calibration and
the load before the measured time are left out: nobody reads these figures.
"""

from typing import ClassVar
from unittest import TestCase

from tests.live.commands.checkout import Checkout
from tests.live.commands.prompt import shown
from tests.live.etcd_server import require_etcd
from tests.live.gateway import ROOT
from tests.live.loadgen import loadgen
from tests.needs import need_program

README = "benchmarks/README.md"

#: By the beginning of a command: what makes it short.
SHORT = {
    'make bench ROWS="exchange echo-64"': "RUNS=1 SECONDS={seconds}",
    "make bench ROWS=--list": "",
    # Of the HTTP/2 that the native carrier rests on only one part is compiled here.
    "make bench CORE=compiled": "CARRIER=grpcio ROWS=echo-1x1-stream RUNS=1 SECONDS={seconds}",
    "make bench": "ROWS=echo-1x1-stream RUNS=1 SECONDS={seconds}",
    ".venv/bin/python -m benchmarks.cluster": "--shapes 1x1 --seconds {seconds}",
    ".venv/bin/python -m benchmarks.flood": "--runs 1 --rates 20 --seconds {seconds}",
    ".venv/bin/python -m benchmarks.mixed": "--minutes 0.05",
    ".venv/bin/python -m benchmarks.capacity": "--series active --seconds {seconds}",
    ".venv/bin/python -m benchmarks.embedded": "--runs 1 --seconds {seconds} start ping",
    ".venv/bin/python -m benchmarks.hostile --list": "",
    ".venv/bin/python -m benchmarks.hostile --runs": "--runs 1 --seconds {seconds} salts outage",
    ".venv/bin/python -m benchmarks.hostile --minutes": "--minutes 0.05 chunks grpc-streams",
}

#: Seconds of load: more where a busy machine has done nothing that counts in so few.
SECONDS = (0.3, 3, 30)

#: How the measurements say that.
TOO_SHORT = ("nothing was done", "could be seen in so short a time", "ZeroDivisionError")

#: What has to be compiled of the core for a measurement to call it so, and what that rests on.
COMPILED = (
    "gnetway/mtproto/message.py",
    "gnetway/connection/connection.py",
    "gnetway/connection/packets.py",
    "gnetway/http2/connection.py",
)

#: As few open files as a gateway gets along with: so many connections are the most there are.
FEW_FILES = "ulimit -n 500; "

#: What the load generator is built to: figures that nobody reads need no calibration, and no load
#: before the measured time.
QUICK = """
case $1 in
  calibrate) echo '{{"factor": 1}}' ;;
  client) exec {program} "$@" -warmup=0s ;;
  *) exec {program} "$@" ;;
esac
"""


class BenchmarkTests(TestCase):
    checkout: ClassVar[Checkout]

    @classmethod
    def setUpClass(cls) -> None:
        need_program("make")
        require_etcd()
        program = loadgen()
        cls.checkout = Checkout()
        cls.addClassCleanup(cls.checkout.remove)
        cls.checkout.set_up()
        quick = cls.checkout.add_program("quick-loadgen", QUICK.format(program=program))
        cls.checkout.add_program("go", f'[ "$1" != build ] || cp {quick} "$3"')

    def type(self, command: str, before: str = "") -> str:
        """Run a command, cut short, and return its output."""
        added = next(SHORT[beginning] for beginning in SHORT if command.startswith(beginning))
        for seconds in SECONDS:
            done = self.checkout.run(f"{before}{command} {added.format(seconds=seconds)}")
            said = done.stdout + done.stderr
            if not any(sign in said for sign in TOO_SHORT):
                break
        self.assertEqual(done.returncode, 0, said)
        self.assertNotIn("went wrong", said)
        return done.stdout

    def type_shown(self, beginning: str, before: str = "") -> str:
        """Run the one command that begins so."""
        (command,) = shown(README, beginning)
        return self.type(command, before)


class TableTests(BenchmarkTests):
    def test_rows(self) -> None:
        said = self.type_shown('make bench ROWS="')
        for row in ("key exchange", "echo 64 by 8, stream", "echo 64 by 1, stream"):
            self.assertIn(f"\n| {row} | ", said)

    def test_keys(self) -> None:
        self.assertIn("echo-1x1-stream ", self.type_shown("make bench ROWS=--list"))

    def test_carrier_and_workers(self) -> None:
        said = self.type_shown("make bench CARRIER=")
        self.assertIn("carrier grpcio, workers 2;", said)

    def test_a_compiled_core(self) -> None:
        need_program("cc")
        self.checkout.compile_only(*COMPILED)
        self.assertIn("compiled core, carrier", self.type_shown("make bench CORE=compiled"))

    def test_before_and_after(self) -> None:
        """Another commit in a folder beside, as for the results; with and without CHECKOUT."""
        need_program("git")
        self.begin_history()
        (worktree,) = shown(README, "git worktree add ")
        self.checkout.must(worktree)
        (both,) = shown(README, "make bench; ")
        after, before = both.split("; ")
        self.assertIn(after, shown(README, "make bench"))
        (another,) = shown(README, "make bench CHECKOUT=")
        self.assertEqual(another.replace("../another", "../before"), before)
        commits = []
        for command in (after, before):
            said = self.type(command)
            self.assertIn("\n| echo 1 by 1, stream | ", said)
            commits.append(said.partition("; commit ")[2].partition(",")[0])
        self.assertNotIn("", commits)
        self.assertNotEqual(*commits)

    def begin_history(self) -> None:
        """Commit what is there, beside the commit that the document names.

        It is the real one where the checkout knows it; an archive or a shallow clone does not.
        """
        (worktree,) = shown(README, "git worktree add ")
        commit = worktree.split()[-1]
        environment = self.checkout.environment
        who = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a", "GIT_CONFIG_GLOBAL": "/dev/null"}
        environment |= who | {"GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a"}
        for command in ("init", "add .", "commit -m now"):
            self.checkout.must(f"git {command}")
        known = self.checkout.run(f"git -C {ROOT} cat-file -e {commit}^{{commit}}")
        if known.returncode == 0:
            path = self.checkout.must(f"git -C {ROOT} rev-parse --git-path objects").strip()
            environment["GIT_ALTERNATE_OBJECT_DIRECTORIES"] = str(ROOT / path)
        else:
            self.checkout.must(f"git tag {commit}")
            self.checkout.must("git commit --allow-empty -m after")


class ProgramTests(BenchmarkTests):
    def test_cluster(self) -> None:
        said = self.type_shown(".venv/bin/python -m benchmarks.cluster")
        self.assertIn("\n| 1 by 1 | ", said)

    def test_flood(self) -> None:
        need_program("taskset")
        said = self.type_shown(".venv/bin/python -m benchmarks.flood")
        self.assertIn("\n| 20 | ", said)

    def test_mixed(self) -> None:
        said = self.type_shown(".venv/bin/python -m benchmarks.mixed")
        self.assertIn("| passing clients, 20 by 1 | ", said)
        self.assertIn("Behind the clients' backs: nothing wrong.", said)

    def test_capacity(self) -> None:
        card = self.checkout.folder / "docs" / "capacity.md"
        before = card.read_text()
        said = self.type_shown(".venv/bin/python -m benchmarks.capacity", FEW_FILES)
        self.assertEqual(said, "")
        self.assertIn('"connections, all sending"', card.with_suffix(".json").read_text())
        self.assertNotEqual(card.read_text(), before)

    def test_hostile(self) -> None:
        """Attacks one by one; what they are told to do to others is not looked at."""
        program = ".venv/bin/python -m benchmarks.hostile"
        self.assertIn("\nsalts ", self.type_shown(f"{program} --list"))
        said = self.type_shown(f"{program} --runs")
        for row in ("1,000 get_future_salts", "a full buffer in an outage"):
            self.assertIn(f"\n| {row} | ", said)

    def test_hostile_in_turn(self) -> None:
        said = self.type_shown(".venv/bin/python -m benchmarks.hostile --minutes")
        for setting in ("embedded", "remote"):
            self.assertIn(f"\n| 1 in turn, 0.05 min, {setting} | ", said)

    def test_embedded(self) -> None:
        said = self.type_shown(".venv/bin/python -m benchmarks.embedded")
        self.assertIn("\n| ping and pong, 64 by 8 | ", said)
