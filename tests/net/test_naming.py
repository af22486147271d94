"""Connections that count to the address in their PROXY header, once it is here."""

from ipaddress import ip_network

from twisted.internet.interfaces import IProtocolFactory
from twisted.trial.unittest import SynchronousTestCase

from gnetway.admission.accounts import Account, AccountLimits
from gnetway.admission.admission import Admission, Bounds
from gnetway.admission.place import Place
from gnetway.net.link_services import BUSY_SECONDS, LinkLimits
from gnetway.net.opening import AutoFactory, Routes
from gnetway.net.proxy import ProxyFactory, ProxySettings
from tests.fakes import some_key
from tests.net.gateway import Gateway
from tests.net.openings import BALANCER, V2_LOCAL, Recorders, Wire, WireTalk, v1

CLIENT = "192.0.2.7"


class NamingCase(SynchronousTestCase):
    """Connections of a balancer that were let in unnamed."""

    def begin(self, limits: AccountLimits, relayed: bool = False) -> None:
        self.gateway = Gateway(LinkLimits(handshake_seconds=20))
        services = self.gateway.services
        services.accounts.limits_of = lambda network: limits
        self.admission = Admission(Bounds(held=8), services.causes.count)
        self.behind = Recorders()
        settings = ProxySettings(trusted_networks=(ip_network("10.0.0.0/8"),), relayed=relayed)
        self.proxy = ProxyFactory(services, settings, self.behind)
        routes = Routes(self.behind, self.behind, self.behind, proxy=self.proxy)
        self.auto = AutoFactory(services, routes)

    def account(self, client_ip: str = CLIENT) -> Account:
        return self.gateway.services.accounts.of(client_ip, self.now())

    def now(self) -> float:
        return self.gateway.clock.seconds()

    def wire(self, factory: IProtocolFactory) -> tuple[Wire, Place]:
        place = self.admission.admit(self.account(BALANCER), self.now(), named=False)
        return Wire(self.gateway, factory, BALANCER, place), place

    def brought(self) -> list[bytes]:
        return [made.data for made in self.behind.made]


class NamingTests(NamingCase):
    def test_it_counts_to_the_client(self) -> None:
        self.begin(AccountLimits(connections=1))
        for factory in (self.proxy, self.auto):
            wire, place = self.wire(factory)
            wire.send(v1(CLIENT) + b"\xee\xee\xee\xee")
            self.assertEqual(self.account().connections, 1)
            self.assertEqual(self.account(BALANCER).connections, 0)
            place.left()
        self.assertEqual(self.brought(), [b"\xee\xee\xee\xee"] * 2)

    def test_one_too_many_is_kept_for_a_while(self) -> None:
        self.begin(AccountLimits(connections=1))
        for factory in (self.proxy, self.auto):
            wire, place = self.wire(factory)
            wire.send(v1(CLIENT) + b"abcd")
            refused, refused_place = self.wire(factory)
            refused.send(v1(CLIENT) + b"abcd")
            self.assertFalse(refused.ended)
            self.assertFalse(refused.transport.reading)
            self.assertEqual((self.admission.held, self.account().held), (1, 1))
            self.gateway.clock.pump([1.0] * int(BUSY_SECONDS + 2))
            self.assertTrue(refused.ended)
            refused_place.left()
            place.left()
            self.assertEqual((self.admission.held, self.account().held), (0, 0))
        self.assertEqual(self.brought(), [b"abcd"] * 2)
        self.assertEqual(self.gateway.ended(), {"too_many_connections": 2})

    def test_no_more_than_may_be_kept(self) -> None:
        self.begin(AccountLimits(denied=True))
        wires = [self.wire(self.proxy)[0] for _ in range(3)]
        for wire in wires:
            wire.send(v1(CLIENT) + b"abcd")
        self.assertEqual([wire.ended for wire in wires], [False, False, True])
        self.assertEqual(self.gateway.ended(), {"address_denied": 1})

    def test_one_that_is_kept_may_go(self) -> None:
        self.begin(AccountLimits(denied=True))
        wire, _ = self.wire(self.proxy)
        wire.send(v1(CLIENT) + b"abcd")
        wire.leave()
        self.assertEqual((self.admission.held, len(self.gateway.wheel)), (0, 0))

    def test_it_waits_for_its_turn(self) -> None:
        self.begin(AccountLimits(connect_rate=1, connect_burst=1))
        self.wire(self.proxy)[0].send(v1(CLIENT) + b"abcd")
        for wire in (self.wire(self.proxy)[0], self.wire(self.auto)[0]):
            wire.send(v1(CLIENT) + b"abcd")
            self.assertFalse(wire.transport.reading)
        self.assertEqual(len(self.behind.made), 1)
        self.gateway.clock.advance(1)
        self.assertEqual(len(self.behind.made), 2)
        self.gateway.clock.advance(1)
        self.assertEqual(self.brought(), [b"abcd"] * 3)

    def test_one_that_waits_may_go(self) -> None:
        self.begin(AccountLimits(connect_rate=1, connect_burst=1))
        self.wire(self.proxy)[0].send(v1(CLIENT) + b"abcd")
        wire, _ = self.wire(self.proxy)
        wire.send(v1(CLIENT) + b"abcd")
        wire.leave()
        self.gateway.clock.advance(2)
        self.assertEqual(len(self.behind.made), 1)

    def test_a_balancer_that_speaks_for_itself(self) -> None:
        self.begin(AccountLimits(connections=1))
        wires = [self.wire(self.proxy)[0] for _ in range(3)]
        for wire in wires:
            wire.send(V2_LOCAL + b"abcd")
        self.assertEqual(self.brought(), [b"abcd"] * 3)

    def test_one_without_a_header_counts_to_its_own_address(self) -> None:
        self.begin(AccountLimits(connections=1))
        wires = [self.wire(self.auto)[0] for _ in range(2)]
        wires[1].send(b"\xee\xee\xee\xee")
        self.assertFalse(wires[1].transport.reading)
        self.assertEqual(self.brought(), [])
        wires[0].leave()

    def test_what_another_worker_has_let_in(self) -> None:
        self.begin(AccountLimits(connections=1, connect_rate=1, connect_burst=1), relayed=True)
        for _ in range(3):
            self.wire(self.proxy)[0].send(v1(CLIENT) + b"abcd")
        self.assertEqual(self.brought(), [b"abcd"] * 3)
        self.assertEqual(self.account().connections, 3)


class OpenedTests(NamingCase):
    def test_a_client_with_a_key(self) -> None:
        """Until it has used one the connection is half open."""
        self.begin(AccountLimits())
        for known in (False, True):
            place = self.admission.admit(self.account(), self.now())
            wire = Wire(self.gateway, self.gateway.factory, CLIENT, place)
            key = some_key(1)
            self.gateway.backend.keys[key.auth_key_id] = key
            self.assertTrue(place.is_half_open)
            talk = WireTalk(wire)
            talk.say(talk.session(key), b"12345678")
            self.assertFalse(place.is_half_open, f"known: {known}")

    def test_it_may_have_to_give_way(self) -> None:
        self.begin(AccountLimits())
        place = self.admission.admit(self.account(), self.now())
        wire = Wire(self.gateway, self.gateway.factory, CLIENT, place)
        place.carried(wire.transport)
        self.assertTrue(place.give_way("gave_way"))
        self.assertTrue(wire.transport.aborted)
        self.assertEqual(self.gateway.ended(), {"gave_way": 1})
