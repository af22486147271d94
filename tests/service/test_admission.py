import resource
from ipaddress import ip_network

from twisted.trial.unittest import SynchronousTestCase

from gnetway.admission.accounts import AccountLimits
from gnetway.admission.shares import client_network
from gnetway.config.limits import AdmissionConfig, NetworkConfig
from gnetway.net.peer import UNIX_CLIENT
from gnetway.runtime import machine
from gnetway.service.link_services import connection_bounds, limits_by_network

OFFICE = ip_network("203.0.113.0/24")
BALANCERS = ip_network("10.0.0.0/8")


class BoundsTests(SynchronousTestCase):
    def test_from_the_descriptors(self) -> None:
        bounds = connection_bounds(AdmissionConfig(), 960)
        self.assertEqual(
            (bounds.connections, bounds.half_open, bounds.held, bounds.patience),
            (960, 480, 120, 5),
        )

    def test_never_more_than_those(self) -> None:
        for wanted, given in ((100, 100), (5000, 960)):
            bounds = connection_bounds(AdmissionConfig(connections=wanted), 960)
            self.assertEqual(bounds.connections, given)


class LimitsTests(SynchronousTestCase):
    def limits_of(
        self, client_ip: str, config: AdmissionConfig, connections: int = 960
    ) -> AccountLimits:
        return limits_by_network(config, connections)(client_network(client_ip))

    def test_shares(self) -> None:
        limits = self.limits_of("192.0.2.1", AdmissionConfig())
        self.assertEqual((limits.connections, limits.half_open), (720, 240))
        self.assertEqual((limits.connect_rate, limits.connect_burst), (500, 10_000))
        self.assertFalse(limits.denied or limits.exempt)
        self.assertEqual(self.limits_of("::1", AdmissionConfig(), 1 << 20).half_open, 4096)

    def test_networks_of_their_own(self) -> None:
        config = AdmissionConfig(
            connections_per_address=7,
            networks=(
                NetworkConfig(networks=(BALANCERS,), exempt=True),
                NetworkConfig(networks=(OFFICE,), half_open_per_address=0, new_connections_burst=9),
            ),
        )
        self.assertTrue(self.limits_of("10.1.2.3", config).exempt)
        self.assertEqual(self.limits_of("10.1.2.3", config).connections, 0)
        own = self.limits_of("203.0.113.9", config)
        self.assertEqual((own.connections, own.half_open), (7, 0))
        self.assertEqual((own.connect_rate, own.connect_burst), (500, 9))

    def test_deny(self) -> None:
        config = AdmissionConfig(deny=(OFFICE, ip_network("2001:db8::1/128")))
        self.assertTrue(self.limits_of("203.0.113.9", config).denied)
        self.assertTrue(self.limits_of("2001:db8::2", config).denied)
        self.assertFalse(self.limits_of("192.0.2.1", config).denied)

    def test_allow(self) -> None:
        config = AdmissionConfig(allow=(OFFICE,), deny=(ip_network("203.0.113.7/32"),))
        self.assertFalse(self.limits_of("203.0.113.9", config).denied)
        self.assertTrue(self.limits_of("203.0.113.7", config).denied)
        self.assertTrue(self.limits_of("192.0.2.1", config).denied)

    def test_what_stands_in_both_is_denied(self) -> None:
        config = AdmissionConfig(allow=(OFFICE,), deny=(OFFICE,))
        self.assertTrue(self.limits_of("203.0.113.9", config).denied)

    def test_a_socket_in_the_file_system(self) -> None:
        """Its mode says who may open it, so that neither list is about it."""
        limits = self.limits_of(UNIX_CLIENT, AdmissionConfig(allow=(OFFICE,)))
        self.assertTrue(limits.exempt)
        self.assertFalse(limits.denied)
        self.assertEqual((limits.connections, limits.half_open, limits.connect_rate), (0, 0, 0))


class DescriptorsTests(SynchronousTestCase):
    def with_limit(self, soft: int, hard: int) -> list[tuple[int, tuple[int, int]]]:
        raised: list[tuple[int, tuple[int, int]]] = []
        self.patch(resource, "getrlimit", lambda _: (soft, hard))
        self.patch(resource, "setrlimit", lambda *limits: raised.append(limits))
        return raised

    def test_raised_to_the_hard_one(self) -> None:
        raised = self.with_limit(1024, 4096)
        machine.raise_limit()
        self.assertEqual(raised, [(resource.RLIMIT_NOFILE, (4096, 4096))])

    def test_as_high_as_it_goes(self) -> None:
        raised = self.with_limit(4096, 4096)
        machine.raise_limit()
        self.assertEqual(raised, [])

    def test_the_reserve(self) -> None:
        for soft, left in (
            (512, 448),
            (4096, 3840),
            (50, 1),
            (resource.RLIM_INFINITY, (1 << 20) - (1 << 16)),
        ):
            self.with_limit(soft, soft)
            self.assertEqual(machine.for_clients(), left)
