"""grpc-go's programs for gRPC's interop tests, built from its Go module.

Go fetches the module from its proxy, or has it in its cache.
"""

import atexit
import os
import shutil
import subprocess
import tempfile
from functools import cache
from typing import Any, ClassVar

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.utils import getProcessOutputAndValue

from gnetway.rpc.calls import IRpcClient
from gnetway.rpc.status import RpcStatus
from tests.live.go_builds import go_alone
from tests.live.interop_service import SERVICE
from tests.needs import last_line, missing, need_program
from tests.ports import free_port
from tests.rpc.conformance import CarrierCase, reactor

_MODULE = "google.golang.org/grpc/interop/{}@v1.85.0"


@cache
def program(name: str) -> str:
    """Build one of grpc-go's interop programs and return its path; skip where that cannot be."""
    need_program("go")
    folder = tempfile.mkdtemp(prefix="gnetway-interop-")
    atexit.register(shutil.rmtree, folder)
    environment = {**os.environ, "GOBIN": folder}
    command = ["go", "install", _MODULE.format(name)]
    try:
        with go_alone():
            subprocess.run(
                command, env=environment, check=True, capture_output=True, text=True, timeout=500
            )
    except subprocess.CalledProcessError as error:
        missing(f"Go cannot build grpc-go's interop programs: {last_line(error.stderr)}")
    except subprocess.TimeoutExpired:
        missing("Go cannot build grpc-go's interop programs within 500 seconds")
    return f"{folder}/{name}"


class InteropCase(CarrierCase):
    """A test that runs one of grpc-go's programs, which is built before its time begins."""

    carrier_name = "native"
    program_name: ClassVar[str]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        program(cls.program_name)

    async def call_by_go(self, peer: str, case: str, *more: str) -> None:
        """Have grpc-go's client run a case."""
        host, port = peer.split(":")
        arguments = [f"-server_host={host}", f"-server_port={port}", f"-test_case={case}", *more]
        command = program(self.program_name)
        outcome: Deferred[Any] = getProcessOutputAndValue(command, arguments, os.environ)
        _, errors, status = await outcome
        self.assertEqual(status, 0, f"{case}: {errors.decode()}")


class GoServerCase(InteropCase):
    """A test of the native client against grpc-go's interop server."""

    program_name = "server"

    def run_server(self) -> int:
        """Start the server's process and return its port."""
        port = free_port()
        server = subprocess.Popen(
            [program(self.program_name), f"-port={port}"], stderr=subprocess.DEVNULL
        )
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        return port

    async def start(self) -> IRpcClient:
        """Run the server, and return a client that has called it."""
        client = self.call(f"127.0.0.1:{self.run_server()}")
        for _ in range(400):
            try:
                await client.unary(SERVICE + "EmptyCall", b"", 5)
            except RpcStatus:
                await deferLater(reactor, 0.05, lambda: None)
            else:
                return client
        raise AssertionError("grpc-go's interop server did not start")
