import subprocess
import sys
from typing import cast

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from gnetway.errors import ConfigError
from gnetway.rpc.calls import IRpcCarrier, IRpcReactor
from gnetway.rpc.carriers import carrier
from gnetway.turns import TurnEnd

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
