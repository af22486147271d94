from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from gnetway.backends.embedded import handler
from gnetway.backends.embedded.handler import StockHandler, check_handler, load_handler
from gnetway.backends.embedded.help_config import HelpConfig
from gnetway.errors import ConfigError, RpcError
from gnetway.interfaces import IRpcHandler, RpcCall
from gnetway.testing.fakes import FakeSessions
from gnetway.tl.primitives import Constructor, pack_uint32
from tests.backends.embedded import handlers
from tests.backends.embedded.handlers import Recorder
from tests.backends.embedded.talk import NOW


def a_call(constructor: int, layer: int = 229) -> RpcCall:
    body = constructor.to_bytes(4, "little")
    return RpcCall(body, constructor, 1, 1, 2, 4, layer, "192.0.2.1", "203.0.113.9")


class StockHandlerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.config = HelpConfig([("192.0.2.7", 443), ("0.0.0.0", 5222)])

    def test_is_a_handler(self) -> None:
        verifyObject(IRpcHandler, StockHandler(self.clock.seconds, self.config))

    def test_get_config_is_of_now(self) -> None:
        handler = StockHandler(self.clock.seconds, self.config)
        self.clock.advance(60)
        answer = handler.handle(a_call(Constructor.HELP_GET_CONFIG))
        self.assertEqual(answer, self.config.config(NOW + 60, 229, "192.0.2.1", "203.0.113.9"))

    def test_get_config_is_of_the_layer(self) -> None:
        handler = StockHandler(self.clock.seconds, self.config)
        answer = handler.handle(a_call(Constructor.HELP_GET_CONFIG, 152))
        self.assertEqual(answer, self.config.config(NOW, 152, "192.0.2.1", "203.0.113.9"))
        unknown = a_call(Constructor.HELP_GET_CONFIG, 0)
        error = self.assertRaises(RpcError, handler.handle, unknown)
        self.assertEqual((error.code, error.text), (400, "CONNECTION_NOT_INITED"))

    def test_drop_temp_auth_keys(self) -> None:
        """Before a login too, and whatever the other handler thinks of it."""
        for other in (None, Recorder(FakeSessions())):
            handler = StockHandler(self.clock.seconds, self.config, other)
            answer = handler.handle(a_call(Constructor.AUTH_DROP_TEMP_AUTH_KEYS, 0))
            self.assertEqual(answer, pack_uint32(Constructor.BOOL_TRUE))

    def test_get_nearest_dc(self) -> None:
        handler = StockHandler(self.clock.seconds, self.config)
        answer = handler.handle(a_call(Constructor.HELP_GET_NEAREST_DC))
        self.assertEqual(answer, self.config.nearest_dc)

    def test_what_nobody_serves(self) -> None:
        handler = StockHandler(self.clock.seconds, self.config)
        for constructor, code in ((0x12345678, 400), (0xEDD4882A, 401)):
            error = self.assertRaises(RpcError, handler.handle, a_call(constructor))
            self.assertEqual(error.code, code)

    def test_other_handler_gets_all_else(self) -> None:
        other = Recorder(FakeSessions())
        handler = StockHandler(self.clock.seconds, self.config, other)
        self.assertEqual(handler.handle(a_call(0x12345678)), b"done")
        handler.handle(a_call(Constructor.HELP_GET_CONFIG))
        self.assertEqual(other.calls, [a_call(0x12345678)])


class LoadHandlerTests(SynchronousTestCase):
    def assert_fault(self, path: str, said: str) -> None:
        error = self.assertRaises(ConfigError, load_handler, path)
        self.assertEqual(len(error.faults), 1)
        self.assertIn(path, error.faults[0])
        self.assertIn(said, error.faults[0])

    def test_finds_the_class(self) -> None:
        self.assertIs(load_handler("tests.backends.embedded.handlers.Recorder"), Recorder)

    def test_no_path(self) -> None:
        for path in ("Recorder", "tests.", ".Recorder", ""):
            self.assert_fault(path, "package.module.Class")

    def test_no_module(self) -> None:
        self.assert_fault(
            "tests.backends.embedded.nowhere.Recorder", "tests.backends.embedded.nowhere"
        )
        self.assert_fault("no_such_package.Recorder", "no_such_package")

    def test_module_that_fails(self) -> None:
        self.assert_fault("tests.backends.embedded.broken_module.Handler", "broken on purpose")

    def test_no_class(self) -> None:
        self.assert_fault("tests.backends.embedded.handlers.Missing", "has no Missing")
        self.assert_fault("tests.backends.embedded.handlers.NOT_A_CLASS", "is no class")

    def test_no_handler(self) -> None:
        self.assert_fault("tests.backends.embedded.handlers.NoHandler", "IRpcHandler")

    def test_module_that_leaves(self) -> None:
        self.patch(handler, "import_module", self.leave)
        self.assert_fault("tests.backends.embedded.handlers.Recorder", "SystemExit: 3")

    def leave(self, name: str) -> object:
        raise SystemExit(3)

    def test_handle_that_takes_no_call(self) -> None:
        for name in ("TakesNothing", "TakesTwo", "TakesByName"):
            self.assert_fault(f"tests.backends.embedded.handlers.{name}", "one argument, the call")

    def test_handle_of_any_other_form(self) -> None:
        for name in ("TakesMore", "AsyncHandler", "StaticHandler", "LateHandler"):
            made = load_handler(f"tests.backends.embedded.handlers.{name}")(FakeSessions())
            self.assertIs(check_handler(made), made)


class CheckHandlerTests(SynchronousTestCase):
    def assert_fault(self, made: object, said: str) -> None:
        error = self.assertRaises(ConfigError, check_handler, made)
        [fault] = error.faults
        self.assertTrue(fault.startswith(f"{type(made).__module__}.{type(made).__name__}: "), fault)
        self.assertIn(said, fault)

    def test_what_is_no_handler(self) -> None:
        for made in (None, 5, handlers.NoHandler()):
            self.assert_fault(made, "does not provide gnetway.interfaces.IRpcHandler")

    def test_no_handle(self) -> None:
        self.assert_fault(handlers.NoHandle(), "has no method handle")
        late = handlers.LateHandler(FakeSessions())
        late.handle = None  # type: ignore[assignment]
        self.assert_fault(late, "has no method handle")

    def test_handle_that_takes_no_call(self) -> None:
        late = handlers.LateHandler(FakeSessions())
        late.handle = lambda: b"done"  # type: ignore[assignment, misc]
        self.assert_fault(late, "handle() cannot be called with one argument, the call")

    def test_handle_that_does_not_say_what_it_takes(self) -> None:
        late = handlers.LateHandler(FakeSessions())
        late.handle = min  # type: ignore[assignment]
        self.assertIs(check_handler(late), late)
