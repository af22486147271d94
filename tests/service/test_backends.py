import socket
from typing import cast

from twisted.internet.task import Clock

from gnetway.application import HandlerFactory, Middleware, NextHandler
from gnetway.backends.embedded.backend import EmbeddedBackend
from gnetway.backends.embedded.handler import Embedding
from gnetway.backends.embedded.store import IKeyStore, MemoryStore
from gnetway.config.model import GatewayConfig
from gnetway.errors import ConfigError
from gnetway.interfaces import IGatewayReactor, RpcCall
from gnetway.runtime.clocks import TurnEnd
from gnetway.service import backends
from gnetway.service.backends import BackendLifecycle, EmbeddedLifecycle, make_lifecycle
from gnetway.service.remote import RemoteLifecycle
from tests.fakes import FakeTarget
from tests.live.handler import LiveHandler
from tests.service.cases import ServiceCase
from tests.strategies import SeededBytes


class MakeTests(ServiceCase):
    def lifecycle(
        self, config: GatewayConfig, handler: HandlerFactory | None = None
    ) -> BackendLifecycle:
        reactor = cast(IGatewayReactor, Clock())
        return make_lifecycle(
            config, reactor, reactor.seconds, handler, SeededBytes(1), TurnEnd(reactor)
        )

    def test_as_session_says(self) -> None:
        self.assertIsInstance(self.lifecycle(self.embedded()), EmbeddedLifecycle)
        self.assertIsInstance(self.lifecycle(self.remote()), RemoteLifecycle)
        self.assertIsInstance(self.lifecycle(self.through_etcd()), RemoteLifecycle)

    def test_handler_without_calls(self) -> None:
        """A remote backend would never ask it; whoever wrote it would wait for ever."""
        error = self.assertRaises(ConfigError, self.lifecycle, self.remote(), LiveHandler)
        self.assertEqual(len(error.faults), 1)
        self.assertIn("app: Session: found a remote session backend, but a h", error.faults[0])


class EmbeddedCase(ServiceCase):
    def lifecycle(self, handler: HandlerFactory | None = None, **keys: object) -> EmbeddedLifecycle:
        return self.lifecycle_of(self.embedded(**keys), handler)

    def lifecycle_of(
        self, config: GatewayConfig, handler: HandlerFactory | None = None
    ) -> EmbeddedLifecycle:
        assert config.session.embedded is not None
        reactor = cast(IGatewayReactor, Clock())
        embedded, chance = config.session.embedded, SeededBytes(1)
        given = Embedding(handler=handler)
        return EmbeddedLifecycle(config, embedded, reactor, reactor.seconds, given, chance)


class EmbeddedTests(EmbeddedCase):
    def test_life(self) -> None:
        lifecycle = self.lifecycle()
        lifecycle.prepare()
        backend = self.successResultOf(lifecycle.begin([]))
        self.assertIsInstance(backend, EmbeddedBackend)
        self.successResultOf(lifecycle.serve(FakeTarget()))
        lifecycle.publish()
        self.successResultOf(lifecycle.withdraw())
        self.successResultOf(lifecycle.stop())

    def test_number_of_the_data_centre(self) -> None:
        """What the key says, else the one whose clients are let in, else the usual one."""
        server = {"Server": [{"Addresses": ["127.0.0.1:0"]}]}
        for keys, strict_dc, expected in (({"ThisDC": 1}, 0, 1), ({}, 4, 4), ({}, 0, 2)):
            config = self.config(
                {"Embedded": {"Store": "memory", **keys}},
                Gnetway=server | {"StrictDC": strict_dc},
            )
            told: list[int] = []
            self.patch(backends, "HelpConfig", lambda _, this_dc: told.append(this_dc))  # noqa: B023
            self.successResultOf(self.lifecycle_of(config).begin([]))
            self.assertEqual(told, [expected])

    def test_public_address_that_leads_nowhere(self) -> None:
        server = {"Addresses": ["127.0.0.1:0"], "PublicAddress": "gw.invalid:443"}
        config = self.config({"Embedded": {"Store": "memory"}}, Gnetway={"Server": [server]})
        self.patch(socket, "getaddrinfo", self.cannot_resolve)
        error = self.assertRaises(ConfigError, self.lifecycle_of(config).prepare)
        [fault] = error.faults
        self.assertEqual(
            fault,
            "app: Gnetway.Server[0].PublicAddress: found gw.invalid, which cannot be resolved:"
            " Name or service not known; allowed: an IP address, or a name that has one",
        )

    def cannot_resolve(self, *_: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    def test_stop_before_anything(self) -> None:
        lifecycle = self.lifecycle()
        self.successResultOf(lifecycle.withdraw())
        self.successResultOf(lifecycle.stop())

    def test_handler_that_cannot_be_had(self) -> None:
        lifecycle = self.lifecycle(Handler="tests.no.Such")
        error = self.assertRaises(ConfigError, lifecycle.prepare)
        self.assertEqual(len(error.faults), 1)
        self.assertTrue(error.faults[0].startswith("app: Session.Embedded.Handler: found "))

    def test_handler_in_code_comes_first(self) -> None:
        self.lifecycle(LiveHandler, Handler="tests.no.Such").prepare()

    def test_store_of_another_gateway(self) -> None:
        path = self.directory / "x.sqlite"
        path.touch()
        first, second = self.lifecycle(Store=str(path)), self.lifecycle(Store=str(path))
        first.prepare()
        error = self.assertRaises(ConfigError, second.prepare)
        self.assertIn(f"app: Session.Embedded.Store: found {path}: another g", error.faults[0])
        self.successResultOf(first.stop())
        second.prepare()
        self.successResultOf(second.stop())

    def test_missing_store_is_not_made_yet(self) -> None:
        """A daemon makes it as the user that it changes to."""
        before = sorted(self.directory.iterdir())
        self.lifecycle(Store=str(self.directory / "x.sqlite")).prepare()
        self.assertEqual(sorted(self.directory.iterdir()), before)

    def test_store_that_is_none(self) -> None:
        path = self.directory / "x.sqlite"
        path.write_bytes(b"no database at all, by far" * 100)
        error = self.assertRaises(ConfigError, self.lifecycle(Store=str(path)).prepare)
        self.assertTrue(error.faults[0].startswith("app: Session.Embedded.Store: found "))


async def twice(call: RpcCall, go_on: NextHandler) -> bytes:
    """A middleware that the configuration can name."""
    return 2 * await go_on(call)


def takes_one(call: RpcCall) -> bytes:
    """No middleware."""
    return call.body


class OwnStore(MemoryStore):
    """A store that the configuration can name; it is called with the reactor."""

    def __init__(self, reactor: object) -> None:
        super().__init__()
        self.reactor = reactor


class GivenTests(EmbeddedCase):
    """What an application puts in, by the configuration or in code."""

    HERE = "tests.service.test_backends"

    def store_of(self, lifecycle: EmbeddedLifecycle) -> object:
        lifecycle.prepare()
        backend = self.successResultOf(lifecycle.begin([]))
        assert isinstance(backend, EmbeddedBackend)
        return backend._store

    def test_a_store_by_its_class(self) -> None:
        store = self.store_of(self.lifecycle(Store=f"class:{self.HERE}.OwnStore"))
        assert isinstance(store, OwnStore)
        self.assertIsInstance(store.reactor, Clock)

    def test_a_store_in_code_comes_first(self) -> None:
        store, lifecycle = MemoryStore(), self.lifecycle(Store="class:tests.no.Such")
        lifecycle._given = Embedding(store=store)
        self.assertIs(self.store_of(lifecycle), store)

    def test_what_is_no_store(self) -> None:
        for path in ("tests.no.Such", f"{self.HERE}.twice", f"{self.HERE}.GivenTests"):
            error = self.assertRaises(ConfigError, self.lifecycle(Store=f"class:{path}").prepare)
            self.assertTrue(
                error.faults[0].startswith(f"app: Session.Embedded.Store: found {path}")
            )
        lifecycle = self.lifecycle()
        lifecycle._given = Embedding(store=cast(IKeyStore, object()))
        error = self.assertRaises(ConfigError, lifecycle.prepare)
        self.assertIn("is no IKeyStore", error.faults[0])

    def test_middleware_by_its_name(self) -> None:
        lifecycle = self.lifecycle(Middleware=[f"{self.HERE}.twice"])
        lifecycle.prepare()
        self.assertEqual(lifecycle._given.middleware, [twice])

    def test_what_is_no_middleware(self) -> None:
        for name in ("takes_one", "OwnStore", "NoSuch"):
            lifecycle = self.lifecycle(Middleware=[f"{self.HERE}.{name}"])
            error = self.assertRaises(ConfigError, lifecycle.prepare)
            self.assertTrue(error.faults[0].startswith("app: Session.Embedded.Middleware: found "))
        lifecycle = self.lifecycle()
        lifecycle._given = Embedding(middleware=[cast(Middleware, takes_one)])
        self.assertRaises(ConfigError, lifecycle.prepare)
