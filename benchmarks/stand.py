"""The stand of a measurement: a gateway with a real etcd and a session service behind it.

Clients and session service are loadgen's; etcd is the one installed.
Everything is on free ports of 127.0.0.1.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Self

from tests.live.cluster.cluster import ClusterGateway
from tests.live.etcd_server import EtcdServer
from tests.live.gateway import ROOT, until
from tests.live.loadgen import Counters, KnownKeys, LoadgenClient, LoadgenSession, unsound

#: Connections share these by turns.
KEYS = 512

#: Where ``make compiled`` puts the package with its core compiled.
COMPILED_TREE = Path("build", "compiled")

#: Words of the gateway's log that no run may bring.
_SIGNS_OF_FAULTS = ("Traceback", "#error", "#critical")


class Setup(NamedTuple):
    """How gateways are set up.

    ``carrier`` is Rpc.Carrier, ``proto`` that of the listener. ``checkout`` is where the gateway's
    code is taken from, so that an older one can be measured by the same means. ``key_cache_mib`` is
    AuthKeyCacheM, 0 for its default. ``launcher`` is a command that starts the gateway in its own
    place.
    """

    carrier: str = "native"
    workers: int = 1
    compiled: bool = False
    checkout: Path = ROOT
    by_stream: bool = True
    proto: str = "tcp"
    key_cache_mib: int = 0
    launcher: tuple[str, ...] = ()

    @property
    def environment(self) -> dict[str, str]:
        """What a gateway's process has in its environment."""
        tree = [self.checkout / COMPILED_TREE] if self.compiled else []
        return {"PYTHONPATH": os.pathsep.join(map(str, [*tree, self.checkout]))}

    @property
    def reply(self) -> str:
        """How the session service sends to the gateway."""
        return "stream" if self.by_stream else "unary"


class Stand:
    """One gateway, all that it needs, and its clients."""

    def __init__(self, setup: Setup, folder: Path, keys: KnownKeys) -> None:
        self._keys = keys
        self._workers = setup.workers
        self._etcd = EtcdServer()
        self._service = LoadgenSession(folder, keys.file, f"http://{self._etcd.host}", setup.reply)
        self.gateway = _configured(setup, self._etcd.host)

    def start(self) -> None:
        """Start everything, and wait until clients are served."""
        self._etcd.start()
        self._service.start()
        self.gateway.start()
        joins = f"session node {self._service.address} joins"
        if self._workers == 1:
            lines = [joins]
        else:
            lines = [f"worker {number}: {joins}" for number in range(self._workers)]
        until(lambda: all(line in self.gateway.log for line in lines), joins)

    def remove(self) -> None:
        """End everything."""
        self.gateway.remove()
        self._service.kill()
        self._etcd.remove()

    def client(self, *arguments: str) -> LoadgenClient:
        """Let clients loose; ``arguments`` are those of ``loadgen client``."""
        gateway = self.gateway
        return LoadgenClient(
            gateway.address,
            self._keys.file,
            f"-rsa={gateway.key_file}",
            f"-pid={gateway.pid}",
            *arguments,
        )

    def counters(self) -> Counters:
        """Return what the session service has counted so far."""
        return self._service.counters()

    def faults(self) -> list[str]:
        """Tell what went wrong behind the clients' backs, once they are all gone."""
        found = []
        try:
            until(lambda: not self._service.counters()["live_sessions"], "sessions closed")
        except AssertionError as error:
            found.append(str(error))
        wrong = unsound(self._service.counters())
        found += [f"{name} {value} at the session service" for name, value in wrong.items()]
        log = self.gateway.log
        return found + [f"{sign} in the log" for sign in _SIGNS_OF_FAULTS if sign in log]


class Ground:
    """Where stands are put up; a context manager that keeps what they share."""

    def __init__(self) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="gnetway-benchmark-")
        self._folder = Path(self._temporary.name)
        self._keys = KnownKeys(KEYS, self._folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._temporary.cleanup()

    @contextmanager
    def stand(self, setup: Setup) -> Iterator[Stand]:
        """Run a gateway of its own for a while."""
        stand = Stand(setup, self._folder, self._keys)
        try:
            stand.start()
            yield stand
        finally:
            stand.remove()


def _configured(setup: Setup, etcd: str) -> ClusterGateway:
    gateway = ClusterGateway(etcd, setup.by_stream, {})
    gateway.config["Rpc"] = {"Carrier": setup.carrier}
    server = {"Proto": setup.proto, "Addresses": [gateway.address]}
    gnetway: dict[str, object] = {"Server": [server], "AuthKeyCacheM": setup.key_cache_mib}
    if (setup.checkout / "gnetway" / "admission").exists():
        # All clients come from one address, and are to take all that there is.
        exempt = {"Networks": ["127.0.0.0/8"], "Exempt": True}
        gnetway["Admission"] = {"HalfOpen": 1_000_000, "Networks": [exempt]}
    gateway.config["Gnetway"] = gnetway
    if setup.workers > 1:
        gateway.config["Workers"] = setup.workers
    gateway.environment |= setup.environment
    gateway.launcher = list(setup.launcher)
    gateway.write_config()
    return gateway
