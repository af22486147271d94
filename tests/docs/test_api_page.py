"""docs/api.md: each name is there, no public one is missing, and the examples run."""

import os
import re
from importlib import import_module
from pathlib import Path
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyClass

import gnetway.interfaces
import gnetway.testing
from gnetway.crypto.rsa import generate_pem
from gnetway.errors import RpcError
from gnetway.interfaces import IRpcHandler, RpcCall
from gnetway.tl.primitives import pack_string, pack_uint32
from gnetway.tl.service_messages import Ping
from tests.crypto.chance import rsa_key
from tests.handshake.server import NOW, Server

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text()

NAMED = set(re.findall(r"`(gnetway(?:\.\w+)+)`", PAGE))

EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def found(name: str) -> object:
    """Return what a dotted name stands for.

    :raises AttributeError, ModuleNotFoundError: nothing does.
    """
    module, _, attribute = name.rpartition(".")
    try:
        return getattr(import_module(module), attribute)
    except AttributeError:
        return import_module(name)


def example(word: str) -> dict[str, Any]:
    """Run the example that has a word in it, with a reactor in memory, and return its names."""
    (code,) = (one for one in EXAMPLES if word in one)
    names: dict[str, Any] = {"reactor": MemoryReactorClock()}
    exec(code.replace("from twisted.internet import reactor\n", ""), names)
    return names


class NamesTests(SynchronousTestCase):
    def test_each_is_there(self) -> None:
        self.assertGreater(len(NAMED), 30)
        for name in NAMED:
            self.assertIsNotNone(found(name), name)

    def test_every_seam_is_named(self) -> None:
        seams = vars(gnetway.interfaces).values()
        own = {
            f"gnetway.interfaces.{one.__name__}"
            for one in seams
            if getattr(one, "__module__", "") == "gnetway.interfaces"
        }
        self.assertEqual(own - NAMED, set())

    def test_all_of_testing_is_named(self) -> None:
        public = {f"gnetway.testing.{name}" for name in gnetway.testing.__all__}
        self.assertEqual(public - NAMED, set())


class GatewayTests(SynchronousTestCase):
    def setUp(self) -> None:
        here = os.getcwd()
        self.addCleanup(os.chdir, here)
        folder = self.mktemp()
        os.makedirs(folder)
        os.chdir(folder)
        Path("server_pkcs1.key").write_bytes(generate_pem())

    def test_it_has_what_is_listed(self) -> None:
        gateway = example("make_gateway(")["gateway"]
        table = PAGE.partition("| attribute or method | |\n")[2].partition("\n\n")[0]
        cells = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
        self.assertGreater(len(cells), 8)
        for cell in cells:
            for name in re.findall(r"`(\w+)", cell):
                self.assertTrue(hasattr(gateway, name), name)


class ExampleTests(SynchronousTestCase):
    def test_a_handler(self) -> None:
        handler = example("@implementer(IRpcHandler)")
        self.assertTrue(verifyClass(IRpcHandler, handler["Echo"]))
        echo = handler["Echo"](None)
        body = pack_uint32(handler["ECHO"]) + pack_string(b"Ada")
        answer = echo.handle(call(handler["ECHO"], body))
        self.assertEqual(answer, pack_uint32(handler["TEXT"]) + pack_string(b"Ada"))
        self.assertRaises(RpcError, echo.handle, call(1, pack_uint32(1)))

    def test_a_store(self) -> None:
        example("IKeyStore")

    def test_a_key_is_made(self) -> None:
        make_key = example("def make_key(")["make_key"]
        session = make_key(rsa_key().public_pem, Server().ask)
        self.assertTrue(session.encrypt(Ping(1).pack(), NOW))


def call(constructor: int, body: bytes) -> RpcCall:
    return RpcCall(body, constructor, 1, 1, 1, 1, 0, "127.0.0.1")
