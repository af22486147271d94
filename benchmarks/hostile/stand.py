"""The gateway under attack, with a session node behind it where it is to have one."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Self

from benchmarks.hostile import handler
from benchmarks.hostile.rows import Setting
from benchmarks.hostile.target import Ports
from gnetway.testing import ServerKey
from tests.live.gateway import ROOT, Gateway, until
from tests.ports import free_port

#: What is spoken on the first ports.
_LISTENERS = ("tcp", "websocket", "http")

_FEW_FILES = 512

#: Under which name the gateway finds the handler.
_HANDLER_MODULE = "hostile_answers"


class SessionNode:
    """A session node in a process of its own, that can go and come: ``kill`` and ``start``."""

    def __init__(self, folder: Path) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        keys = folder / "keys"
        keys.touch()
        module = "tests.live.cluster.node_process"
        self._command = [sys.executable, "-m", module, self.address, str(keys)]
        self._command.append(str(folder / "journal"))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begin; it takes calls a second later."""
        self._process = subprocess.Popen(self._command, cwd=ROOT, stdin=subprocess.PIPE)

    def kill(self) -> None:
        """End at once, if it runs."""
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.kill()
            self._process.wait()
            self._process.stdin.close()
            self._process = None


class Stand:
    """One gateway with a listener for each transport; a context manager.

    ``checkout`` is where its code is taken from.
    """

    def __init__(self, setting: Setting, checkout: Path) -> None:
        self.gateway = gateway = Gateway()
        self.key = ServerKey.from_pem(gateway.key_file.read_bytes())
        self.node = SessionNode(gateway.folder) if setting.remote else None
        grpc = free_port() if setting.remote else 0
        self.ports = ports = Ports(gateway.port, free_port(), free_port(), grpc)
        shutil.copy(handler.__file__, gateway.folder / f"{_HANDLER_MODULE}.py")
        found_in = os.pathsep.join((str(checkout), str(gateway.folder)))
        gateway.environment["PYTHONPATH"] = found_in
        gateway.config["Gnetway"] = {
            "Server": [
                {"Proto": proto, "Addresses": [f"127.0.0.1:{port}"]}
                for proto, port in zip(_LISTENERS, ports, strict=False)
            ]
        }
        if self.node is None:
            path = f"{_HANDLER_MODULE}.LargeAnswers"
            gateway.config["Session"] = {"Embedded": {"Store": "memory", "Handler": path}}
        else:
            gateway.config["ListenOn"] = f"127.0.0.1:{self.ports.grpc}"
            gateway.config["UseStreamSession"] = True
            gateway.config["Session"] = {"Endpoints": [self.node.address]}
        if setting.few_files:
            gateway.launcher = ["prlimit", f"--nofile={_FEW_FILES}:{_FEW_FILES}"]
        gateway.write_config()

    def __enter__(self) -> Self:
        try:
            if self.node is not None:
                self.node.start()
            self.gateway.start()
            self.await_node()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.gateway.remove()
        if self.node is not None:
            self.node.kill()

    def await_node(self) -> None:
        """Wait until the gateway has heard of its session node."""
        if self.node is not None:
            line = f"session node {self.node.address} joins"
            until(lambda: line in self.gateway.log, line)

    @property
    def log_bytes(self) -> int:
        """How much the gateway has logged."""
        return os.stat(self.gateway.log_file).st_size
