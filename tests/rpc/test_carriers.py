import subprocess
import sys
from typing import cast

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from gnetway.errors import ConfigError
from gnetway.rpc.calls import IRpcCarrier, IRpcReactor
from gnetway.rpc.carriers import carrier
from gnetway.runtime.clocks import TurnEnd

_WITHOUT_GRPCIO = """
import sys
sys.modules["grpc"] = None
import gnetway.rpc.calls
from gnetway.errors import ConfigError
from gnetway.rpc.carriers import carrier
try:
    carrier("grpcio", None, None)
except ConfigError as error:
    print(error)
"""

_WITHOUT_TLS = """
import sys
sys.modules["OpenSSL"] = sys.modules["service_identity"] = None
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import react
from gnetway.rpc.calls import RpcHandlers, RpcOptions
from gnetway.rpc.carriers import carrier
from gnetway.runtime.clocks import TurnEnd

async def call(reactor):
    native = carrier("native", reactor, TurnEnd(reactor))
    handlers = RpcHandlers(unary={"/echo": lambda request, peer: request})
    server = native.server("127.0.0.1:0", handlers, RpcOptions())
    client = native.client(f"127.0.0.1:{await server.start()}", RpcOptions())
    print(await client.unary("/echo", b"taken", 5))
    await client.close()
    await server.stop(0)

react(lambda reactor: ensureDeferred(call(reactor)))
"""


class CarrierTests(SynchronousTestCase):
    def test_by_name(self) -> None:
        reactor = MemoryReactorClock()
        made = carrier("grpcio", cast("IRpcReactor", reactor), TurnEnd(reactor))
        self.assertTrue(verifyObject(IRpcCarrier, made))
        self.assertEqual(made.name, "grpcio")

    def test_unknown_name(self) -> None:
        error = self.assertRaises(ConfigError, carrier, "pigeon", MemoryReactorClock(), None)
        self.assertIn("'pigeon'", str(error))
        self.assertIn("grpcio", str(error))

    def test_without_grpcio_everything_else_imports(self) -> None:
        done = subprocess.run(
            [sys.executable, "-c", _WITHOUT_GRPCIO], capture_output=True, text=True, check=True
        )
        self.assertIn("needs the package grpc", done.stdout)

    def test_without_the_packages_for_tls_the_native_one_works_in_plaintext(self) -> None:
        done = subprocess.run(
            [sys.executable, "-c", _WITHOUT_TLS],
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertIn("taken", done.stdout, done.stderr)
