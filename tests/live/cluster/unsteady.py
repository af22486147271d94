"""Gateways before session nodes that come, go, shed load and lie, and honest clients of theirs."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import cycle
from pathlib import Path
from shutil import rmtree
from typing import Final, NamedTuple, Self

from gnetway.config.session import Carrier
from gnetway.crypto.auth_key import AuthKey, KeyKind
from tests.live.cluster import node_journal
from tests.live.cluster.cluster import SESSIONS, ClusterGateway
from tests.live.cluster.honest_talker import HonestTalker
from tests.live.cluster.node_journal import Entry, What, left_open
from tests.live.etcd_server import EtcdServer
from tests.live.gateway import PATIENCE_SECONDS, ROOT, until
from tests.ports import free_port

_NODES: Final = 3

#: What no log may have.
_SIGNS_OF_FAULTS: Final = ("Traceback", "#error", "#critical")


class Way(NamedTuple):
    """How a gateway talks to the nodes."""

    by_stream: bool
    carrier: Carrier

    def __str__(self) -> str:
        return f"{self.carrier.value}, by {'stream' if self.by_stream else 'calls'}"


class Told(NamedTuple):
    """What became of the clients of one gateway."""

    way: Way
    connections: int
    ended: int
    sent: int
    acked: int
    answered: int


class Report(NamedTuple):
    """What a run has told: the clients by gateway, the nodes' entries by kind, what is wrong."""

    clients: Sequence[Told]
    nodes: Counter[What]
    twice: int
    faults: Sequence[str]


class UnsteadyNode:
    """A node that is a process, and its key in etcd."""

    def __init__(self, folder: Path, keys: Path, etcd: EtcdServer, number: int) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self._journal = folder / f"journal-{number}"
        self._keys = keys
        self._etcd = etcd
        self._name = f"{SESSIONS}/{number}"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def life(self) -> int:
        """The process that runs, 0 for none."""
        return self._process.pid if self._process is not None else 0

    def entries(self) -> Iterator[Entry]:
        """Yield what all of its lives have written."""
        return node_journal.read(self._journal)

    def start(self, mode: str = "serve") -> None:
        """Begin another life; returns when it serves and is in etcd."""
        begins_at = self._journal.stat().st_size if self._journal.exists() else 0
        command = [sys.executable, "-m", "tests.live.cluster.node_process"]
        command += [self.address, str(self._keys), str(self._journal), mode]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE)
        until(lambda: self._has_begun(begins_at), f"{self.address} serves")
        self._etcd.ctl("put", self._name, self.address)

    def say(self, mode: str) -> None:
        """Change its mode."""
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(mode.encode() + b"\n")
        self._process.stdin.flush()

    def kill(self) -> None:
        """End at once, as in a crash; etcd does not hear of it."""
        self._end(signal.SIGKILL)

    def leave(self) -> None:
        """End as a service is stopped: out of etcd first, then with what is under way."""
        self._etcd.ctl("del", self._name)
        self._end(signal.SIGTERM)

    def become(self, mode: str) -> None:
        """Begin another life in a mode, after leaving if there is one."""
        if self._process is not None:
            self.leave()
        self.start(mode)

    def _end(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.communicate(timeout=PATIENCE_SECONDS)
            self._process = None

    def _has_begun(self, begins_at: int) -> bool:
        return self._journal.exists() and any(
            entry.what is What.BEGUN for entry in node_journal.read(self._journal, begins_at)
        )


class Unsteady:
    """A context manager: etcd, three nodes, a gateway for each way, and its clients."""

    def __init__(self, ways: Sequence[Way], talkers: int) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="gnetway-unsteady-"))
        self._etcd = EtcdServer()
        self._ways = ways
        self._keys = [AuthKey(os.urandom(256), KeyKind.PERM) for _ in range(talkers * len(ways))]
        keys = self._folder / "keys"
        keys.write_text("".join(f"{key.secret.hex()}\n" for key in self._keys))
        self._nodes = [
            UnsteadyNode(self._folder, keys, self._etcd, number) for number in range(_NODES)
        ]
        self._gateways = [
            ClusterGateway(self._etcd.host, way.by_stream, {}, way.carrier) for way in ways
        ]
        self._talkers: list[list[HonestTalker]] = []

    def __enter__(self) -> Self:
        self._etcd.start()
        _together([*(node.start for node in self._nodes), *(one.start for one in self._gateways)])
        for gateway in self._gateways:
            for node in self._nodes:
                gateway.knows(node.address)
        return self

    def __exit__(self, *_: object) -> None:
        for gateway in self._gateways:
            gateway.remove()
        for node in self._nodes:
            node.kill()
        self._etcd.remove()
        rmtree(self._folder)

    def run(self, seconds: float, step_seconds: float) -> Report:
        """Let clients talk for so long, or once through the program of what happens to the nodes.

        ``step_seconds`` are between one thing and the next.
        """
        keys = iter(self._keys)
        each = len(self._keys) // len(self._gateways)
        self._talkers = [
            [HonestTalker(gateway, next(keys)) for _ in range(each)] for gateway in self._gateways
        ]
        end = time.monotonic() + seconds
        program = self._program()
        for happen in program:
            happen()
            time.sleep(step_seconds)
        for happen in cycle(program):
            if time.monotonic() > end:
                break
            happen()
            time.sleep(step_seconds)
        _together([partial(node.become, "serve") for node in self._nodes])
        for talker in self._all_talkers():
            talker.stop()
        return self._report()

    def _program(self) -> list[Callable[[], None]]:
        one, two, three = self._nodes

        def circle() -> None:
            one.say(f"redirect {two.address}")
            two.say(f"redirect {one.address}")

        def serve() -> None:
            for node in self._nodes:
                node.say("serve")

        def all_die() -> None:
            for node in self._nodes:
                node.kill()

        def become(mode: str, *nodes: UnsteadyNode) -> Callable[[], None]:
            return lambda: _together([partial(node.become, mode) for node in nodes])

        return [
            lambda: one.say("shed 5"),
            two.kill,
            two.start,
            serve,
            three.leave,
            three.start,
            circle,
            serve,
            become("refuse 12", three),
            lambda: two.say("shed 3"),
            become("serve", three),
            all_die,
            become("serve", *self._nodes),
            become("refuse 7", one, two),
            become("serve", one, two),
            lambda: three.say(f"redirect {one.address}"),
            one.kill,
            one.start,
            serve,
            become("refuse 13", two),
            become("serve", two),
        ]

    # -- what was heard ------------------------------------------------------------------------

    def _all_talkers(self) -> Iterator[HonestTalker]:
        for talkers in self._talkers:
            yield from talkers

    def _entries(self) -> list[Entry]:
        return [entry for node in self._nodes for entry in node.entries()]

    def _report(self) -> Report:
        living = {node.life for node in self._nodes}
        with suppress(AssertionError):  # what is left is among the faults
            until(lambda: not left_open(self._entries(), living), "sessions closed")
        entries = self._entries()
        talks = [talk for talker in self._all_talkers() for talk in talker.talks]
        faults = node_journal.faults(entries, talks, living)
        for way, talkers in zip(self._ways, self._talkers, strict=True):
            faults += [f"{way}: {talker.fault!r}" for talker in talkers if talker.fault]
            faults += [f"{way}: transport error {code}" for one in talkers for code in one.codes]
        for way, gateway in zip(self._ways, self._gateways, strict=True):
            faults += [
                f"{way}: {sign} in the log" for sign in _SIGNS_OF_FAULTS if sign in gateway.log
            ]
        arrivals = Counter((one.session, one.msg_id) for one in entries if one.what is What.HEARD)
        twice = sum(number > 1 for number in arrivals.values())
        clients = [
            _told(way, talkers) for way, talkers in zip(self._ways, self._talkers, strict=True)
        ]
        return Report(clients, Counter(entry.what for entry in entries), twice, faults)


def _together(actions: Sequence[Callable[[], object]]) -> None:
    """Do everything at once: most of it is waiting for processes."""
    with ThreadPoolExecutor() as pool:
        done = [pool.submit(action) for action in actions]
    for one in done:
        one.result()


def _told(way: Way, talkers: list[HonestTalker]) -> Told:
    talks = [talk for talker in talkers for talk in talker.talks]
    return Told(
        way,
        len(talks),
        sum(talk.ended for talk in talks),
        sum(len(talk.sent) for talk in talks),
        sum(len(talk.acked) for talk in talks),
        sum(len(talk.answered) for talk in talks),
    )
