"""What the configuration says of connections reaches them."""

from collections.abc import Callable
from typing import TypeVar, cast

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gnetway.backends.embedded.backend import EmbeddedBackend
from gnetway.backends.remote.backend import RemoteBackend
from gnetway.config.load import load_mapping
from gnetway.config.model import share_out
from gnetway.crypto.rsa import generate_pem
from gnetway.errors import KeyUnknown, ProtocolError, TransportErrorCode
from gnetway.handshake.exchange import Reply, WorkWanted
from gnetway.interfaces import IGatewayReactor
from gnetway.metrics import Causes
from gnetway.net.link_services import LinkServices
from gnetway.runtime.turn_end import TurnEnd
from gnetway.service.link_services import make_link_services
from gnetway.testing import ClientExchange, Wish
from tests.fakes import FakeBackend
from tests.handshake.server import NOW
from tests.strategies import SeededBytes

T = TypeVar("T")

MACHINE_BYTES = 8 << 30


def no_thread(work: Callable[[], T], network: str = "") -> Deferred[T]:
    raise AssertionError("nothing here has work for a thread")


class LinkServicesCase(SynchronousTestCase):
    def services(self, backend: FakeBackend | None = None, **gnetway: object) -> LinkServices:
        path = self.mktemp()
        with open(path, "wb") as file:
            file.write(generate_pem())
        loaded = load_mapping(
            {
                "RSAKey": [{"KeyFile": path}],
                "Gnetway": {"Server": [{"Addresses": ["127.0.0.1:0"]}], **gnetway},
                "Session": {"Embedded": {"Store": "memory"}},
            }
        )
        self.config = share_out(loaded, MACHINE_BYTES)
        reactor = cast(IGatewayReactor, Clock())
        return make_link_services(
            self.config,
            reactor,
            reactor.seconds,
            backend or FakeBackend(),
            no_thread,
            Causes(),
            SeededBytes(1),
            TurnEnd(reactor),
        )


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
