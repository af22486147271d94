"""What the configuration says of connections reaches them."""

from collections.abc import Callable, Mapping
from typing import TypeVar, cast

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gnetway.backends.embedded.backend import EmbeddedBackend
from gnetway.backends.remote.backend import RemoteBackend
from gnetway.config.load import load_mapping
from gnetway.config.model import share_out
from gnetway.connection.events import MessageReceived
from gnetway.connection.packets import look_at_client
from gnetway.crypto.rsa import generate_pem
from gnetway.errors import KeyUnknown, ProtocolError, TransportErrorCode
from gnetway.events import ClientInited, Events, GatewayEvent
from gnetway.handshake.exchange import Reply, WorkWanted
from gnetway.interfaces import IGatewayReactor
from gnetway.metrics import Causes
from gnetway.net.link_services import LinkServices
from gnetway.runtime.clocks import TurnEnd
from gnetway.service.link_services import STEP_SECONDS, ConfiguredLinks
from gnetway.testing import ClientExchange, Wish
from tests.connection.test_unbound import payload_of
from tests.connection.wrappers import CALL, init_connection, with_layer
from tests.fakes import FakeBackend, some_key
from tests.handshake.server import NOW
from tests.strategies import SeededBytes

T = TypeVar("T")

MACHINE_BYTES = 8 << 30


def no_thread(work: Callable[[], T], network: str = "") -> Deferred[T]:
    raise AssertionError("nothing here has work for a thread")


class SteppingClock(Clock):
    """Goes on by ``step`` whenever it is looked at."""

    step = 0.0

    def seconds(self) -> float:
        self.rightNow += self.step
        return self.rightNow


class LinkServicesCase(SynchronousTestCase):
    backend: Mapping[str, object] = {"Session": {"Embedded": {"Store": "memory"}}}

    def services(self, backend: FakeBackend | None = None, **gnetway: object) -> LinkServices:
        path = self.mktemp()
        with open(path, "wb") as file:
            file.write(generate_pem())
        loaded = load_mapping(
            {
                "RSAKey": [{"KeyFile": path}],
                "Gnetway": {"Server": [{"Addresses": ["127.0.0.1:0"]}], **gnetway},
                **self.backend,
            }
        )
        self.config = share_out(loaded, MACHINE_BYTES)
        self.clock = SteppingClock()
        self.events = Events()
        reactor = cast(IGatewayReactor, self.clock)
        self.links = ConfiguredLinks(
            self.config,
            reactor,
            reactor.seconds,
            backend or FakeBackend(),
            no_thread,
            Causes(),
            SeededBytes(1),
            TurnEnd(reactor),
            self.events,
        )
        return self.links.services


class AdmissionTests(LinkServicesCase):
    def test_what_the_file_allows_a_network(self) -> None:
        services = self.services(
            Admission={
                "ExchangesPerSecond": 5,
                "ExchangeBurst": 6,
                "UnknownKeysPerSecond": 7,
                "UnknownKeyBurst": 8,
            }
        )
        account = services.accounts.of("192.0.2.1", 0)
        self.assertEqual((account.exchanges.rate, account.exchanges.burst), (5, 6))
        self.assertEqual((account.unknown_keys.rate, account.unknown_keys.burst), (7, 8))

    def test_they_reach_exchanges_and_look_ups(self) -> None:
        services = self.services(Admission={"ExchangeBurst": 1, "UnknownKeyBurst": 1})
        account = services.accounts.of("192.0.2.1", 0)
        query = ClientExchange([self.config.rsa_keys[0].key], SeededBytes(2)).begin()
        services.setup.exchanges.route(query, 0, "192.0.2.1")
        self.failureResultOf(services.keys.lookup(7, client_ip="192.0.2.1"), KeyUnknown)
        for bucket in (account.exchanges, account.unknown_keys):
            self.assertGreater(bucket.seconds_to_token(0), 0)


class StrictDcTests(LinkServicesCase):
    def open_inner_data(self, services: LinkServices, dc: int) -> None:
        """Let a client that names ``dc`` come as far as its inner data."""
        client = ClientExchange([self.config.rsa_keys[0].key], SeededBytes(2), Wish(dc=dc))
        query = client.begin()
        run = services.setup.exchanges.route(query, NOW)
        run.receive(query, NOW)
        answer = run.next_event()
        assert isinstance(answer, Reply)
        req_dh_params = client.receive(answer.body)
        assert req_dh_params is not None
        run.receive(req_dh_params, NOW)
        wanted = run.next_event()
        assert isinstance(wanted, WorkWanted)
        run.work_done(wanted.work())

    def test_another_data_centre_is_told_444_where_the_file_says_so(self) -> None:
        services = self.services(StrictDC=2)
        self.open_inner_data(services, 2)
        with self.assertRaises(ProtocolError) as caught:
            self.open_inner_data(services, 3)
        self.assertEqual(caught.exception.transport_error, TransportErrorCode.WRONG_DC)

    def test_any_is_taken_otherwise(self) -> None:
        self.open_inner_data(self.services(), 3)


class UnboundTests(LinkServicesCase):
    def test_the_backend_says_whether_it_takes_unbound_keys(self) -> None:
        for takes_unbound in (False, True):
            services = self.services(FakeBackend(takes_unbound=takes_unbound))
            self.assertEqual(services.setup.backend_takes_unbound, takes_unbound)

    def test_a_session_service_does_not(self) -> None:
        """It would keep all that have no permanent key in one place."""
        self.assertEqual(
            (RemoteBackend.takes_unbound, EmbeddedBackend.takes_unbound), (False, True)
        )


class ClientInitedTests(LinkServicesCase):
    """Of a remote backend's clients the gateway tells what it sees by itself."""

    backend: Mapping[str, object] = {
        "ListenOn": "127.0.0.1:20110",
        "Session": {"Endpoints": ["127.0.0.1:20120"]},
    }

    def test_the_first_time_of_each_key(self) -> None:
        client_told = self.services().setup.client_told
        assert client_told is not None
        got: list[GatewayEvent] = []
        self.events.subscribe(GatewayEvent, got.append)
        key = some_key(1)
        message = MessageReceived(key, 0, 7, payload_of(with_layer(init_connection(CALL))), 0)
        for _ in range(2):
            look_at_client(message, self.links.services.setup)
        told = got[0]
        assert isinstance(told, ClientInited)
        self.assertEqual((told.session_id, told.client), (7, key.client))

    def test_nobody_hears_of_it(self) -> None:
        client_told = self.services().setup.client_told
        assert client_told is not None
        client_told(some_key(1), 7)


class EmbeddedClientInitedTests(LinkServicesCase):
    def test_the_embedded_backend_tells_it_by_itself(self) -> None:
        self.assertIsNone(self.services().setup.client_told)


class MemoryTests(LinkServicesCase):
    def test_budgets_and_deadlines(self) -> None:
        services = self.services()
        limits = self.config.gnetway.limits
        for budget in (services.unsent, services.unfinished):
            self.assertEqual((budget.max_bytes, budget.max_each), (256 << 20, 128 << 20))
        self.assertEqual(
            (services.limits.packet_seconds, services.limits.packet_bytes_per_second),
            (limits.packet_seconds, limits.packet_bytes_per_second),
        )


class TakeTests(LinkServicesCase):
    """Another configuration while links are open."""

    def take(self, **gnetway: object) -> LinkServices:
        """Have the services of one configuration take another; the RSA key is another one too."""
        self.services()
        links = self.links
        self.services(None, **gnetway)
        links.take(self.config)
        return links.services

    def test_what_was_carried_stays_counted(self) -> None:
        links = self.services()
        before = links.setup
        self.links.take(self.config)
        self.assertIsNot(links.setup, before)
        self.assertIs(links.setup.traffic, before.traffic)

    def test_limits(self) -> None:
        limits = {
            "IdleSeconds": 60,
            "KeyLookupSeconds": 3,
            "MaxKeysPerConnection": 5,
            "MaxUnsentBytes": 1 << 30,
            "MaxUnfinishedBytes": 1 << 29,
            "MaxExchanges": 1,
        }
        links = self.take(Limits=limits, Admission={"Connections": 9, "WaitSeconds": 2})
        self.assertEqual((links.limits.idle_seconds, links.limits.bind_seconds), (60, 3))
        self.assertEqual(links.setup.max_keys, 5)
        self.assertEqual((links.unsent.max_bytes, links.unsent.max_each), (1 << 30, 1 << 29))
        self.assertEqual(links.unfinished.max_bytes, 1 << 29)
        self.assertEqual(
            (links.admission.bounds.connections, links.admission.bounds.patience), (9, 2)
        )

    def test_look_ups_fail_by_the_new_bound(self) -> None:
        links = self.take(Limits={"KeyLookupSeconds": 3})
        asked = links.keys.lookup(7, client_ip="192.0.2.1")
        self.failureResultOf(asked)

    def test_an_exchange_ends_with_the_key_that_it_began_with(self) -> None:
        services = self.services()
        links, old = self.links, self.config.rsa_keys[0].key
        client = ClientExchange([old], SeededBytes(2))
        query = client.begin()
        run = services.setup.exchanges.route(query, NOW)
        run.receive(query, NOW)
        answer = run.next_event()
        self.services()
        new = self.config.rsa_keys[0].key
        links.take(self.config)
        assert isinstance(answer, Reply)
        req_dh_params = client.receive(answer.body)
        assert req_dh_params is not None
        run.receive(req_dh_params, NOW)
        wanted = run.next_event()
        assert isinstance(wanted, WorkWanted)
        run.work_done(wanted.work())
        others = ClientExchange([old, new], SeededBytes(3))
        query = others.begin()
        run = links.services.setup.exchanges.route(query, NOW)
        run.receive(query, NOW)
        answer = run.next_event()
        assert isinstance(answer, Reply)
        self.assertIn(new.fingerprint.to_bytes(8, "little", signed=True), answer.body)
        self.assertNotIn(old.fingerprint.to_bytes(8, "little", signed=True), answer.body)

    def test_accounts_are_changed_in_steps(self) -> None:
        services = self.services()
        links = self.links
        accounts = [services.accounts.of(f"192.0.2.{number}", 0) for number in range(9)]
        places = [services.admission.admit(account, 0) for account in accounts]
        # Each account takes its time.
        clock = self.clock
        clock.step = STEP_SECONDS
        self.services(Admission={"Deny": ["192.0.2.0/24"]})
        links.take(self.config)
        self.assertFalse(places[-1].is_gone)
        clock.advance(0)
        self.assertTrue(all(place.is_gone for place in places))
        self.assertTrue(all(account.limits.denied for account in accounts))
        self.assertTrue(services.accounts.of("192.0.2.99", 0).limits.denied)
